"""How fast and how quietly a large image is taken in: ours beside dockerd, on the same archive and file system, in turn.

    make bench-load                                    # or: .venv/bin/python -m contrib.bench_load --help

One image of one layer is made, and loaded by each engine into an empty data root of its own, as often as there are rounds. For
ours it is also told what the load does to everybody else: how the daemon's memory grows, and that of the worker that unpacks; how
long `GET /_ping` takes at worst, asked every two milliseconds, which bounds how long the event loop stood still; and what creates
at a fixed rate cost, by `boatyard-load`, with loads going on and without.

    __main__        argv -> rounds -> table
    archive.py      the image: one layer of files that compress as programs do
    loading.py      asks an engine to load the image, and to remove it
    watching.py     memory and pings, while something else is done

dockerd needs root, and its answer promises less: nothing it has loaded is synced, while ours is. Measure on a machine that does
nothing else; the pings and the syncs are the first to suffer from a neighbour.
"""

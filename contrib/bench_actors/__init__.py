"""How fast actors are: ours on its three loops, beside pykka, xoscar, thespian and triotp, and beside bare queues.

    make bench-actors                                  # or: .venv-bench/bin/python -m contrib.bench_actors --help

Every cell of the table is a process of its own, so that no measurement finds another's threads, garbage or warm caches; the
rounds are interleaved, so that a slow minute of the machine meets every library; the least of the rounds is shown.

    __main__        argv -> rounds of cells -> table, JSON, Markdown, targets
    subjects.py     which libraries, on which loops, compared with which of ours
    contract.py     what an adapter is: an actor that counts, as calls bound beforehand
    libraries/      one adapter a library; each says why its way is that library's fast one
    loops.py        the measuring loops, one set for awaited calls and one for blocking ones
    cell.py         one cell: runs in the process of its own, prints its figures as JSON
    runner.py       starts those processes, round by round
    results.py      the least, ratios, the targets and whether they hold
    report.py       the table, the Markdown and the JSON

The same small actor everywhere: it adds a number to a counter and replies with the sum. What is timed is the library's own
call, with its arguments bound beforehand. Measure on a machine that does nothing else: threads suffer from a neighbour in
another way than loops do, so that not even the ratios stay the same.
"""

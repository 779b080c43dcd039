"""How fast containers are created: boatyard on its three loops, beside dockerd and podman, in one run on one machine.

    make bench                       # BENCH_ARGS='--help', BENCH_ARGS=--quick

The same image and body everywhere, each repetition on a data root that nobody has used: a new ext4 on a loop device, because
ext4 takes up to ten times as long for a mkdir where much has just been deleted. Rounds are interleaved, every other one in
reverse, so that a slow minute of the machine meets every engine. Before it is measured an engine creates the same number of
containers, and is then waited for until it idles: boatyard has made its directories beforehand by then, which is part of its
design, and the file system is synced. A load of more creates than it has directories ready (`sustained`) shows what that hides.

    __main__      argv -> plan -> results.json, table.md, report.html, and the table in README.md
    plan.py       which engines, which loads, how many
    measuring.py  rounds of measurements; the only one that starts engines
    results.py    results.json, its schema: samples by engine, row and metric
    targets.py    what we promise, as ratios to dockerd in the same run, and whether it holds
    table.py      the Markdown
    comparing.py  one comparison by `boatyard-load compare`, as its HTML report

Measure on a machine that does nothing else.
"""

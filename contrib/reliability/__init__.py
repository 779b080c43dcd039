"""What dockerd, podman and this daemon keep on bad days, and what it costs them: tables for the docs.

    make reliability                 # RELIABILITY_ARGS='--help', RELIABILITY_ARGS='--part power --engine podman'

The engines that are installed here are tried one after the other, with the same clients and the same image. Each part has data
roots of its own, and a table of its own, which replaces what is between its markers in docs/reliability.md; some rows of them
are copied to README.md.

    __main__      argv -> parts -> tables
    part.py       what a part is: how an engine is tried, and what is told of it
    site.py       where an engine lives, and how it ends: killed, stopped, without power
    clients.py    who asks for containers
    killed.py     containers after SIGKILL, and SIGTERM
    power.py      containers after a power cut
    images.py     images after either
    full.py       a full disk
    syncs.py      calls that wait for the disk
    pages.py      the tables' places
"""

"""What clients notice when an actor crashes: 64 of them create over a real socket while each actor is crashed in turn.

    make crash-actors                # CRASH_ARGS='--help', CRASH_ARGS='--actor keys --rounds 5'

The daemon is one process (`host.py`), which crashes an actor when it is told to; the clients are threads of another. A client
that gets a 503 asks again with its key, as it is told to; one whose connection ends counts it and opens another. In the end
everything that was acknowledged must be listed.

    usual     how long a create took before the crash: with many clients, most of it is waiting for one's turn
    back      from the crash to the first create that was asked for after it and is answered 201, in ms
    silence   the longest time without any 201, from the crash on; beside it, how long that was before

tests/integration/test_killed_actors.py is the same in virtual time. When the database crashes the daemon ends, by design: that
is for `contrib.crash`.

    __main__     argv -> crashes -> one table
    host.py      the daemon
    crowd.py     the clients, and what they know
"""

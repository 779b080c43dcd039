"""What clients notice when an actor crashes: 64 of them create over a real socket while each actor is crashed in turn.

    make crash-actors                # CRASH_ARGS='--help', CRASH_ARGS='--actor keys --rounds 5'

Each actor has a daemon of its own (`host.py`), a process that crashes it when it is told to, with some containers there already;
all clients are one thread of another. A client that gets a 503 asks again with its key, as it is told to; one whose connection
ends counts it and opens another. In the end everything that was acknowledged must be listed. In ms, from the crash on:

    p50, p99   how long a create took in the same run before the crash: with many clients, most of it is waiting for one's turn
    up         until the actor is started again, with what it has read anew
    back       until the first create is answered 201 after that, one in flight at the crash or sent later
    later      until the first is answered that was sent after the crash: it has waited for its turn, as before (p50)
    silence    the longest time without any 201; `before`: how long that was before the crash

tests/integration/test_killed_actors.py is the same in virtual time. When the database crashes the daemon ends, by design: that
is for `contrib.crash`.

    __main__     argv -> crashes -> one table
    host.py      the daemon
    crowd.py     the clients, and what they know
"""

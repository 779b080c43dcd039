"""Whether what was acknowledged survives: a real daemon is ended in the midst of its work, started again, and audited.

    make crash                       # CRASH_ARGS='--help', CRASH_ARGS='--mode powercut --rounds 20 --seed 7'

Clients create containers, with and without volumes, and remove them, load, import, pull and commit small images; then the daemon
is killed at a random moment, or by the client that reads an answer, or told to stop, or the power of its disk is cut: a file
system on a loop device is shut down without its log, so that nothing is left but what was synced (ioctl EXT4_IOC_SHUTDOWN; needs
root). After the next start everything that a client has been told must be so:

    what was acknowledged is there, under its name, whole; what was removed stays away
    what had no answer is there whole, or not at all; its name can be used, either way
    nothing is on the disk that nobody is told of, and when everything has been removed the disk is as it was at the first start
    a daemon that is told to stop answers everybody

    __main__      argv -> modes -> one table
    history.py    what the clients know
    traffic.py    the clients
    images.py     small images, each with a content of its own, and `registry.py`, which has all that can be asked for
    endings.py    how and when the daemon ends, and `disks.py`, whose power can be cut
    audit.py      the questions after a start
    attack.py     one mode: rounds of traffic, end, start and audit on the same data root

`contrib.reliability` asks fewer questions, of dockerd and podman, too.

What clients do follows from the seed; when the daemon ends among it, not wholly: a seed narrows down, it does not replay.
"""

"""One create and one load, with the n-th system call of a kind refused, or its caller killed: n = 1, 2, ... to the last.

strace counts the calls of each thread by itself, so one number may strike in several. Where a failure is the daemon's own affair,
as that of a write to a pipe between its threads, it may do what it likes but lose anything.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
from pathlib import Path

import pytest

from tests.integration.forked import forked
from tests.integration.told import Client, Known, Refused, audit
from tests.integration.tracing import tracing

pytestmark = pytest.mark.integration

IS_WHOLE = bool(os.environ.get("SWEEP"))
"""Every number of every kind, which takes minutes; else SAMPLE."""

CALLS = {
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "syncfs": "syncfs",
    "rename": "/^rename",
    "open": "openat,openat2",
    "mkdir": "/^mkdir",
    "write": "write",
    "pwrite": "pwrite64",
}
"""By kind, in strace's notation."""
EFFECTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "kill": "signal=KILL"}
SAMPLE = (
    ("fsync", "EIO", 1),
    ("fdatasync", "kill", 2),
    ("syncfs", "EIO", 1),
    ("rename", "ENOSPC", 1),
    ("open", "EIO", 3),
    ("mkdir", "ENOSPC", 2),
    ("write", "ENOSPC", 2),
    ("pwrite", "EIO", 2),
)

NUMBERS_MAX = 400
"""There is an end: one create and one load make a few dozen calls of a kind in a thread."""

PATIENCE_S = 10.0
"""With a daemon that does not answer: a write between its threads was refused. It is killed then."""


CASES = (
    [(kind, effect, 1, NUMBERS_MAX) for kind in CALLS for effect in EFFECTS]
    if IS_WHOLE
    else [(kind, effect, number, number) for kind, effect, number in SAMPLE]
)


@pytest.mark.parametrize(("kind", "effect", "first", "last"), CASES)
def test_a_call_that_fails_loses_nothing_and_leaves_nothing(
    kind: str, effect: str, first: int, last: int, home: Path
) -> None:
    for number in range(first, last + 1):
        place = home / str(number)
        place.mkdir()
        if not strike(place, kind, effect, number):
            assert number > first, "there is such a call"
            return
        shutil.rmtree(place)
    assert first == last, "there is an end"


def strike(home: Path, kind: str, effect: str, number: int) -> bool:
    """Whether there was such a call; what is left is audited."""
    known = Known()
    refused: list[tuple[int, str]] = []
    trace = home / "trace"
    with forked(home, patience_s=PATIENCE_S) as daemon:
        Client(daemon, known, refused).make_base()
        client = Client(daemon, known, refused, attempts=1)
        inject = f"inject={CALLS[kind]}:{EFFECTS[effect]}:when={number}"
        with tracing(daemon, trace, CALLS[kind], "-e", inject):
            is_alive = act(client)
        exit_code = daemon.stop() if is_alive else daemon.kill()
    for status, message in refused:
        assert status in (400, 500, 503, 507), message
        assert str(home) not in message
    if exit_code == 0:
        known.doubtful.clear()  # who is refused, by a daemon that lives on, knows that nothing was done
    audit(home, known)
    text = trace.read_text()
    # Whoever waits for a worker is told of its end after strace; whoever is connected with the daemon, before.
    return "(INJECTED)" in text or "+++ killed by SIGKILL +++" in text or (effect == "kill" and not is_alive)


def act(client: Client) -> bool:
    """Whether the daemon answers to the end."""
    try:
        with contextlib.suppress(Refused):
            client.create("plain")
        with contextlib.suppress(Refused):
            client.load("a:1")
    except (OSError, http.client.HTTPException):
        return False
    return True

"""Places where a test makes the daemon fail: it is killed there, or refused by the disk. Unless armed, nothing happens at any.

    BOATYARD_FAILPOINTS="database.before_commit=1*kill;layers.before_rename=2*off->1*error(ENOSPC)"

    point    one of POINTS
    terms    what its first calls do, and what the next: `[N*]action`, joined by `->`; without N for ever, after the last nothing
    action   `off`, `kill` (SIGKILL to this process), or `error(ERRNO)`

The notation is that of etcd's gofail. A point that raises stands where the effect beside it could raise the same.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator

VARIABLE = "BOATYARD_FAILPOINTS"

POINTS = {
    "containers.before_rename": "a tree that was made for one create is whole, aside",
    "containers.after_rename": "it is in its place; no record names it",
    "content.before_write": "a blob has a file, and a part of its content in it",
    "content.before_rename": "a blob is durable, under no name that counts",
    "content.after_rename": "it has its name, not yet durably",
    "content.before_delete": "a blob is there that no record names",
    "content.index_written": "the new index is durable beside the old one",
    "content.index_renamed": "it has taken its place, not yet durably",
    "database.before_commit": "the statements of a batch are carried out; nothing is durable",
    "database.after_commit": "everything is durable; nobody has been told",
    "disk.before_remove_tree": "a tree is whole that is to go",
    "disk.sync_directory": "a name is not durable",
    "disk.sync_file": "a file's content is not durable",
    "disk.sync_file_system": "a tree is not durable",
    "intake.begun": "an intake has a directory, and nothing in it",
    "layers.begun": "a layer has a directory to be unpacked in",
    "layers.before_rename": "a layer is durable, under no name that counts",
    "layers.after_rename": "it has its name, not yet durably",
    "layers.init_before_rename": "an init layer is durable, aside",
    "layers.init_after_rename": "it is in its place, not yet durably",
    "layers.set_aside": "a layer that no record names has lost its name",
    "ready.before_claim": "nothing has been done for a create",
    "ready.after_claim": "a prepared tree has the name of a container or a volume; no record names it",
    "ready.tree_in_part": "a tree has its root and nothing in it",
    "recovery.before_sweep": "something is there that no record names",
    "recovery.engine_id": "the engine's id is durable, beside its place",
    "recovery.marker_left": "the marker of a clean stop is there, not yet durably",
    "recovery.marker_taken": "it is gone, not yet durably",
    "recovery.remade": "a directory that a record names is there again",
    "schema.before_tables": "the database is a file without tables",
    "schema.log_grown": "the log has its size, not yet durably",
    "trees.before_set_aside": "a tree is in its place; no record names it any more",
    "trees.after_set_aside": "it is aside, and whole",
    "unpack.entry": "a layer is unpacked in part",
    "volumes.after_rename": "an empty volume is in its place",
    "volumes.before_fill": "what a volume is to be filled with is whole, aside",
    "volumes.after_fill": "it is in the volume, not yet durably",
    "volumes.set_aside": "a volume has lost its name",
}
"""Every point, and how the disk is when it is reached."""

_TERM = re.compile(r"(?:(\d+)\*)?(?:(off|kill)|error\((E[A-Z0-9]+)\))", re.ASCII)

Action = Callable[[], None]


class Plan:
    """What is to happen at which call of which point. For any thread."""

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        self._lock = threading.Lock()
        self._actions: dict[str, Iterator[Action]] = {}
        for point, _, terms in (part.strip().partition("=") for part in text.split(";") if part.strip()):
            if point not in POINTS:
                raise ValueError(f"{VARIABLE}: there is no point {point!r}")
            self._actions[point] = itertools.chain.from_iterable([_actions(term) for term in terms.split("->")])

    def reach(self, point: str) -> None:
        """Raises OSError if that is planned."""
        with self._lock:
            action = next(self._actions.get(point, iter(())), _go_on)
        action()


def failpoint(point: str) -> None:
    """Here a test may make the daemon fail. Raises OSError then."""
    if _plan is not None:
        _plan.reach(point)


def arm(text: str) -> None:
    """Plan anew, as `BOATYARD_FAILPOINTS` says at the start of a process. Raises ValueError."""
    global _plan
    _plan = Plan(text) if text else None


def _actions(term: str) -> Iterator[Action]:
    match = _TERM.fullmatch(term)
    if match is None or (match[3] and not hasattr(errno, match[3])):
        raise ValueError(
            f"{VARIABLE}: {term!r} is none of `off`, `kill`, `error(ERRNO)`, with or without `N*` before it"
        )
    action = _error(match[3]) if match[3] else {"off": _go_on, "kill": _kill}[match[2]]
    return itertools.repeat(action, int(match[1])) if match[1] else itertools.repeat(action)


def _error(name: str) -> Action:
    def fail() -> None:
        code: int = getattr(errno, name)
        raise OSError(code, os.strerror(code))

    return fail


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _go_on() -> None:
    pass


_plan: Plan | None = (
    None  # the one thing here that is of a process and of nobody in it: whoever is hit must not know it
)
arm(os.environ.get(VARIABLE, ""))

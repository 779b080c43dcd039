"""Containers' trees that boatyard has made for containers to come, as they look from outside."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection
from pathlib import Path

PARTS = {"checkpoints", "diff"}

MAKING_TIMEOUT_S = 2.0
LOOK_EVERY_S = 0.01


def unclaimed(root: Path, known: Collection[str] = ()) -> frozenset[str]:
    """Their names: of all that are below the data root, are empty, and belong to none of the `known` containers.

    A daemon has as many as it was told to, at most, and those of an earlier one that it is yet to take over.
    """
    home = root / "containers"
    found = {path.name: path for path in home.iterdir()} if home.is_dir() else {}
    return frozenset(name for name, path in found.items() if name not in known and _is_untouched(path))


def leftover(root: Path) -> frozenset[str]:
    """After a stop in good order: those that the daemon has not listed for its next start, of which there is to be none."""
    listed = root / "prepared"
    return unclaimed(root).difference(json.loads(listed.read_bytes()) if listed.exists() else ())


def claimed(root: Path, known: Collection[str] = ()) -> frozenset[str]:
    """The names of all others, once what is being made is there."""
    deadline = time.monotonic() + MAKING_TIMEOUT_S
    while True:
        found = frozenset(path.name for path in (root / "containers").iterdir()) - unclaimed(root, known)
        if found <= set(known) or time.monotonic() > deadline:
            return found
        threading.Event().wait(LOOK_EVERY_S)


def _is_untouched(tree: Path) -> bool:
    try:
        return {path.name for path in tree.iterdir()} == PARTS and not any(
            any((tree / part).iterdir()) for part in PARTS
        )
    except OSError:  # it is being made, or removed
        return False

"""A machine that a daemon lives on: its disk can be full, and it can die before any change of a file, with all that is in memory.

What Python is about to do to a file its audit events tell (PEP 578), and what a hook raises there is what the call raises. So
nothing of the daemon is replaced: a full disk is an OSError from the very call, and death is a copy of the data root as it was
at that moment, on which the next daemon is started. What the dead one still does, it does to a directory that nobody looks at.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from daemon.config import Config
from tests.daemon.harness import config_at, engine_at, in_memory

CHANGES = frozenset(
    {"os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.symlink", "os.link", "os.chmod", "os.chown", "open"}
)
KINDS = ("containers", "volumes", "ready")
NEEDING_SPACE = frozenset({"os.mkdir", "os.rename", "os.symlink", "os.link", "open"})
READY_TREES = 2
"""Few: creates take the long way, too."""
PAGES_MAX = 1073741823
"""SQLite's default (limits.html)."""


class Machine:
    """`home` holds one data root for each life of the daemon."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lives = itertools.count(1)
        self.config = self._next_config()
        shutil.copytree(config_at(Path(_with_an_image().name)).data_root, self.root, symlinks=True)
        self.is_dead = False
        self._on_death: Callable[[], None] = lambda: None
        self._dies_before = 0
        self._full_before = 0
        self._changes = 0
        """Of files, in this life."""
        self._connections: list[sqlite3.Connection] = []
        self.has_been_full = self._is_full = False

    @property
    def root(self) -> Path:
        return self.config.data_root

    @property
    def changes(self) -> int:
        return self._changes

    def start(self, *, dies_before: int = 0, full_before: int = 0, on_death: Callable[[], None]) -> None:
        """A new life, which ends before so many changes of files, and finds the disk full at one; 0 is never."""
        self.is_dead = self.has_been_full = self._is_full = False
        self._dies_before, self._full_before, self._on_death = dies_before, full_before, on_death
        self._changes = 0
        self._connections.clear()
        self._synced = {kind: names_in(self.root / kind) for kind in KINDS}

    def die(self) -> None:
        """The disk stays as it is now. Whatever runs is for the caller's `on_death` to end."""
        if self.is_dead:
            return
        self.is_dead = True
        dead, self.config = self.root, self._next_config()
        with _unwatched():
            shutil.copytree(dead, self.root, symlinks=True)
        self._on_death()

    def forget(self, rng: Random) -> None:
        """After a death: what was done to directories in that life was not synced, and the disk does with it as it likes.

        The log of the database is as it was synced, but for what was being written behind its end.
        """
        for kind, synced in self._synced.items():
            found = names_in(self.root / kind)
            for name in sorted(found - synced):
                if rng.random() < 0.5:
                    shutil.rmtree(self.root / kind / name)
            for name in sorted(synced - found):
                if rng.random() < 0.5:
                    (self.root / kind / name).mkdir()
        (self.root / "staging" / "containers-half-made").mkdir(exist_ok=True)
        with (self.root / "boatyard.db-wal").open("ab") as log:
            log.write(rng.randbytes(rng.randrange(5000)))

    @contextmanager
    def full(self) -> Iterator[None]:
        """As long as it lasts no file grows, and none is made."""
        self.has_been_full = self._is_full = True
        self._limit_database(1)
        try:
            yield
        finally:
            self._is_full = False
            self._limit_database(PAGES_MAX)

    def _limit_database(self, pages_max: int) -> None:
        """SQLite's own limit, which is never below what there is: its files are no business of Python's."""
        for connection in self._connections:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed
                connection.execute(f"PRAGMA max_page_count = {pages_max}")

    def about_to(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect/handle":
            self._connections.append(arguments[0])
        if event not in CHANGES or (event == "open" and not _is_to_write(*arguments)):
            return
        self._changes += 1
        if self._changes == self._dies_before:
            self.die()
        if event in NEEDING_SPACE and (self._is_full or self._changes == self._full_before) and not self.is_dead:
            self.has_been_full = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

    def _next_config(self) -> Config:
        return config_at(self._home / str(next(self._lives)), ready_trees=READY_TREES)


@contextmanager
def machine(thread: int = 0) -> Iterator[Machine]:
    """With an image `busybox`, for a daemon in the thread with that identifier: this one, unless another is given."""
    with in_memory() as home:
        made = Machine(home)
        _audit.watch(made.about_to, thread or threading.get_ident())
        try:
            yield made
        finally:
            _audit.watch(None, 0)


def _is_to_write(path: str | bytes | int, _: str | None, flags: int) -> bool:
    """Whether a file is made; or one that is open is written: what its writes would be told is told here."""
    return (
        bool(flags & (os.O_WRONLY | os.O_RDWR))
        if isinstance(path, int)
        else (bool(flags & os.O_CREAT) and not os.path.lexists(path))
    )


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.exists() else set()


class _Audit:
    """The one hook of this process: there is no way to take one away again."""

    def __init__(self) -> None:
        self.tell: Callable[[str, tuple[Any, ...]], None] | None = None
        self._is_installed = False
        self._thread = 0

    def watch(self, tell: Callable[[str, tuple[Any, ...]], None] | None, thread: int) -> None:
        self.tell, self._thread = tell, thread
        if not self._is_installed:
            sys.addaudithook(self._hook)
            self._is_installed = True

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.tell is not None and threading.get_ident() == self._thread:
            self.tell(event, arguments)


_audit = _Audit()


@contextmanager
def _unwatched() -> Iterator[None]:
    tell, _audit.tell = _audit.tell, None
    try:
        yield
    finally:
        _audit.tell = tell


@cache
def _with_an_image() -> TemporaryDirectory[str]:
    """What a daemon has left, with an image in it: made once, in a thread, as a loop may be running here."""
    home = TemporaryDirectory(prefix="by-")

    async def make() -> None:
        async with engine_at(Path(home.name)):
            pass

    thread = threading.Thread(target=anyio.run, args=(make,))
    thread.start()
    thread.join()
    return home

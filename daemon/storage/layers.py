"""Unpacked layers, one directory per chain id: shared by every image and container that has the same layers below it.

    root/<hex of the chain id>/diff   the layer, ready to be a lower directory of an overlay
    root/.ingest-<random>/diff        a layer that is being unpacked, or one that is being removed; residue after a crash

A layer is there whole or not at all: it is unpacked aside, the file system is synced, and one rename puts it in place.
Committed layers never change. Knows directories, not images: what is needed is for the caller to know (`recover`).

One thread at a time changes what is stored (`commit`, `delete`, `recover`); builds are private until their commit.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.storage.disk import disk, remove_tree, sync_directory, sync_file_system
from daemon.storage.oci import checked_digest

_INGEST = ".ingest-"
_DIFF = "diff"


class LayerStore:
    """The layers below `root`, which is made if it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with disk("open the layer store"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)

    @property
    def root(self) -> Path:
        return self._root

    def path(self, chain_id: str) -> Path:
        """Where the layer is, whether it exists or not. Raises InvalidParameter for what is no digest."""
        return self._home(chain_id) / _DIFF

    def contains(self, chain_id: str) -> bool:
        return self._home(chain_id).is_dir()

    def build(self, directory: Path | None = None) -> LayerBuild:
        """A place to unpack one layer, in a directory of its own if one is given.

        Use it as a context manager: left without a commit, nothing stays.
        """
        return LayerBuild(directory or self._root, self._root)

    def adopt(self, path: Path, chain_id: str) -> None:
        """Move a layer that has been built and synced into the store. Durable after `sync`. Raises System."""
        home = self._home(chain_id)
        with disk("commit a layer"):
            path.rename(home)

    def sync(self) -> None:
        """Make the names of the layers durable. Raises System."""
        with disk("commit a layer"):
            sync_directory(self._root)

    def delete(self, chain_id: str) -> None:
        """Remove the layer; harmless when there is none. It is moved aside first, so that it is never there in part."""
        with disk("delete a layer"), contextlib.suppress(FileNotFoundError):
            aside = Path(tempfile.mkdtemp(prefix=_INGEST, dir=self._root))
            try:
                self._home(chain_id).rename(aside)
            finally:
                remove_tree(aside)

    def recover(self, keep: Collection[str]) -> tuple[str, ...]:
        """Remove what a crash left: builds, and layers whose chain id is not in `keep`. Call it before anything is built.

        Returns the names of the directories that were removed, sorted.
        """
        with disk("recover the layer store"):
            residue = [home for home in self._root.iterdir() if f"sha256:{home.name}" not in keep]
            for home in residue:
                remove_tree(home)
        return tuple(sorted(home.name for home in residue))

    def _home(self, chain_id: str) -> Path:
        return self._root / checked_digest(chain_id).removeprefix("sha256:")


class LayerBuild:
    """One layer that is being unpacked into `target`, an empty directory."""

    def __init__(self, directory: Path, root: Path) -> None:
        self._root = root
        with disk("begin a layer"):
            self._home = Path(tempfile.mkdtemp(prefix=_INGEST, dir=directory))
            self.target = self._home / _DIFF
            self.target.mkdir(mode=0o755)
            # The root of a layer without an entry for it; mkdir's mode is subject to the umask.
            self.target.chmod(0o755)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    @property
    def name(self) -> str:
        """Of its directory, until it is committed."""
        return self._home.name

    def commit(self, chain_id: str) -> None:
        """Make what is in `target` the layer, durably. One that is there already is the same, and is kept.

        Raises System.
        """
        home = self._root / checked_digest(chain_id).removeprefix("sha256:")
        with disk("commit a layer"):
            if not home.exists():
                sync_file_system(self._home)
                self._home.rename(home)
            sync_directory(self._root)

    def discard(self) -> None:
        """Remove what is not committed; harmless twice."""
        with disk("discard a layer"):
            remove_tree(self._home)

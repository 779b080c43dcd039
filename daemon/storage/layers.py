"""Unpacked layers, one directory per chain id: shared by every image and container that has the same layers below it.

    root/<hex of the chain id>/diff   the layer, ready to be a lower directory of an overlay
    root/<hex of the chain id>/init   of the uppermost of an image: what its containers have on top of it (`init_layer.py`)
    root/scratch/init                 the same for what has no layer
    root/.ingest-<random>/diff        a layer that is being unpacked, or one that is being removed; residue after a crash

A layer is there whole or not at all: it is unpacked aside, the file system is synced, and one rename puts it in place.
Committed layers never change. Knows directories, not images: what is needed is for the caller to know (`sweep`).

One thread at a time changes what is stored (`commit`, `delete`, `sweep`); builds are private until their commit.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.storage.disk import disk, remove_tree, sync_directory, sync_file_system
from daemon.storage.failpoints import failpoint
from daemon.storage.init_layer import build_init_layer
from daemon.storage.oci import checked_digest

_INGEST = ".ingest-"
_DIFF = "diff"
_INIT = "init"
SCRATCH = "scratch"


class LayerStore:
    """The layers below `root`, which is made if it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with disk("open the layer store"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)

    def path(self, chain_id: str) -> Path:
        """Where the layer is, whether it exists or not. Raises InvalidParameter for what is no digest."""
        return self._home(chain_id) / _DIFF

    def contains(self, chain_id: str) -> bool:
        return self._home(chain_id).is_dir()

    def lower(self, chain_ids: Sequence[str]) -> tuple[Path, ...]:
        """What lies below a container's own layer, top first, given the chain ids of its image's layers, lowest first."""
        return (self._init(chain_ids), *(self.path(chain_id) for chain_id in reversed(chain_ids)))

    def make_init(self, chain_ids: Sequence[str]) -> None:
        """Make the init layer on these, durably; harmless when it is there. Raises System."""
        init = self._init(chain_ids)
        with disk("make an init layer"):
            if init.is_dir():
                return
            aside = Path(tempfile.mkdtemp(prefix=_INGEST, dir=self._root))
            try:
                made = aside / _INIT
                made.mkdir(mode=0o755)
                made.chmod(0o755)
                build_init_layer(made, [self.path(chain_id) for chain_id in reversed(chain_ids)])
                sync_file_system(aside)
                if not chain_ids:
                    init.parent.mkdir(mode=0o700, exist_ok=True)
                failpoint("layers.init_before_rename")
                made.rename(init)
                failpoint("layers.init_after_rename")
                sync_directory(init.parent)
            finally:
                remove_tree(aside)

    def build(self) -> LayerBuild:
        """A place to unpack one layer. Use it as a context manager: left without a commit, nothing stays."""
        return LayerBuild(self._root)

    def delete(self, chain_id: str) -> None:
        """Remove the layer; harmless when there is none. It is moved aside first, so that it is never there in part."""
        with disk("delete a layer"), contextlib.suppress(FileNotFoundError):
            aside = Path(tempfile.mkdtemp(prefix=_INGEST, dir=self._root))
            try:
                self._home(chain_id).rename(aside)
                failpoint("layers.set_aside")
            finally:
                remove_tree(aside)

    def sweep(self, keep: Collection[str]) -> tuple[str, ...]:
        """Remove builds, and layers whose chain id is not in `keep`. Call it while nothing is built.

        Returns the names of the directories that were removed, sorted.
        """
        with disk("sweep the layer store"):
            kept = {chain_id.removeprefix("sha256:") for chain_id in keep} | {SCRATCH}
            residue = [home for home in self._root.iterdir() if home.name not in kept]
            for home in residue:
                remove_tree(home)
        return tuple(sorted(home.name for home in residue))

    def _init(self, chain_ids: Sequence[str]) -> Path:
        return (self._home(chain_ids[-1]) if chain_ids else self._root / SCRATCH) / _INIT

    def _home(self, chain_id: str) -> Path:
        return self._root / checked_digest(chain_id).removeprefix("sha256:")


class LayerBuild:
    """One layer that is being unpacked into `target`, an empty directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with disk("begin a layer"):
            self._home = Path(tempfile.mkdtemp(prefix=_INGEST, dir=root))
            self.target = self._home / _DIFF
            try:
                failpoint("layers.begun")
                self.target.mkdir(mode=0o755)
                # The root of a layer without an entry for it; mkdir's mode is subject to the umask.
                self.target.chmod(0o755)
            except BaseException:
                remove_tree(self._home)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def commit(self, chain_id: str) -> None:
        """Make what is in `target` the layer, durably. One that is there already is the same, and is kept.

        Raises System.
        """
        home = self._root / checked_digest(chain_id).removeprefix("sha256:")
        with disk("commit a layer"):
            if not home.exists():
                sync_file_system(self._home)
                failpoint("layers.before_rename")
                self._home.rename(home)
                failpoint("layers.after_rename")
            sync_directory(self._root)

    def discard(self) -> None:
        """Remove what is not committed; harmless twice."""
        with disk("discard a layer"):
            remove_tree(self._home)

"""Unpacked layers, one directory per chain id: shared by every image and container that has the same layers below it.

    root/<hex of the chain id>/diff   the layer, ready to be a lower directory of an overlay
    root/<hex of the chain id>/init   of the uppermost of an image: what its containers have on top of it (`init_layer.py`)
    root/scratch/init                 the same for what has no layer
    root/.ingest-<random>             what is being made or removed; residue after a crash

A layer is there whole or not at all: it is unpacked elsewhere, the file system is synced, and one rename puts it in place.
Committed layers never change. Knows directories, not images: what is needed is for the caller to know (`sweep`).

One thread at a time changes what is stored (`adopt`, `delete`, `make_init`, `sweep`).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import attrs

from daemon.storage.disk import disk, remove_tree, sync_directory, sync_file_system
from daemon.storage.failpoints import failpoint
from daemon.storage.init_layer import build_init_layer
from daemon.storage.oci import checked_digest

_INGEST = ".ingest-"
LAYER = "diff"
"""Its name in the directory of its chain id."""
_INIT = "init"
SCRATCH = "scratch"


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
        return self._home(chain_id) / LAYER

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

    def adopt(self, path: Path, chain_id: str) -> None:
        """Move a layer that has been built and synced into the store. Durable after `sync`. Raises System."""
        home = self._home(chain_id)
        with disk("commit a layer"):
            failpoint("layers.before_rename")
            path.rename(home)
            failpoint("layers.after_rename")

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
                failpoint("layers.set_aside")
            finally:
                remove_tree(aside)

    def sweep(self, keep: Collection[str]) -> tuple[str, ...]:
        """Remove what a crash left, and layers whose chain id is not in `keep`.

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


@attrs.frozen
class LayerBuild:
    """One layer that is being made."""

    home: Path
    """What `adopt` takes."""
    target: Path
    """An empty directory for what is in the layer."""

    @classmethod
    def made_in(cls, directory: Path) -> LayerBuild:
        """A new one. Raises System."""
        with disk("begin a layer"):
            home = Path(tempfile.mkdtemp(prefix=_INGEST, dir=directory))
            failpoint("layers.begun")
            target = home / LAYER
            target.mkdir(mode=0o755)
            # The root of a layer without an entry for it; mkdir's mode is subject to the umask.
            target.chmod(0o755)
        return cls(home, target)

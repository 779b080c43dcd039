"""The directories of containers and volumes: each appears whole, by one rename, and goes whole, by one rename.

    containers/<id>/          0700    one container: three inodes
      checkpoints/            0700
      diff/                   0755    its read-write layer, an overlay's upper directory; nothing is mounted at create
    volumes/<name>/_data/     0755
    staging/                          trees being made or removed; residue after a crash

Nothing here is synced: the record in the database is the truth, and a fresh tree is a function of it, so recovery makes again
what a power cut took and removes what no record names.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from daemon.storage.disk import disk, remove_tree
from daemon.storage.rootfs import NodeKind, Rootfs

UPPER = "diff"

_PLAIN = (0o755, 0, 0)
_IMAGE_VIEWS_MAX = 64
"""Images whose layers are kept open to look into: as many as are in use at a time."""


class TreeStore:
    """Directories named by us, below `root / kind`, made in `root / "staging"`."""

    def __init__(self, root: Path, kind: str) -> None:
        self._kind = kind
        self._home = root / kind
        self._staging = root / "staging"
        with disk(f"open the {kind} directory"):
            for directory in (self._home, self._staging):
                directory.mkdir(mode=0o700, exist_ok=True)

    def path(self, name: str) -> Path:
        return self._home / name

    def names(self) -> Iterator[str]:
        with disk(f"list the {self._kind} directory"):
            yield from (entry.name for entry in self._home.iterdir())

    def remove(self, name: str) -> None:
        """Harmless when there is none."""
        with disk(f"remove a tree of {self._kind}"):
            aside = self._staging / f"{self._kind}-{name}.removed"
            remove_tree(aside)  # of an earlier removal that a full disk or a crash cut short
            try:
                self.path(name).rename(aside)
            except FileNotFoundError:
                return
            remove_tree(aside)

    def recover(self, keep: Collection[str]) -> tuple[str, ...]:
        """Remove every tree that is not in `keep`; the names of those removed."""
        residue = tuple(sorted(set(self.names()) - set(keep)))
        for name in residue:
            self.remove(name)
        return residue

    def _begin(self, name: str) -> Path:
        aside = self._staging / f"{self._kind}-{name}"
        remove_tree(aside)  # of a create that was cut short
        aside.mkdir(mode=0o700)
        return aside


class ContainerTrees(TreeStore):
    def __init__(self, root: Path) -> None:
        super().__init__(root, "containers")
        # The layers of an image never change; building their view for each container would cost as much as its directories.
        self._image_view = functools.lru_cache(maxsize=_IMAGE_VIEWS_MAX)(Rootfs)

    def create(self, container_id: str, layers: tuple[Path, ...], working_dir: str) -> None:
        """The container's tree, with its working directory where the image (`layers`, top first) has none.

        Raises:
            System: the disk failed, or the working directory is a file in the image.
        """
        with disk("make the container's directories"):
            aside = self._begin(container_id)
            try:
                (aside / "checkpoints").mkdir(mode=0o700)
                upper = aside / UPPER
                upper.mkdir(mode=0o755)
                self._prepare(upper, layers, working_dir)
                aside.rename(self.path(container_id))
            except BaseException:
                remove_tree(aside)
                raise

    def _prepare(self, upper: Path, layers: tuple[Path, ...], working_dir: str) -> None:
        if layers:
            top = self._image_view(layers).lookup("/")
            assert top is not None, "a layer has a root"
            if (top.mode, top.uid, top.gid) != _PLAIN:  # an overlay shows its root as the upper directory's
                os.chown(upper, top.uid, top.gid)
                upper.chmod(top.mode)
        if working_dir:
            found = self._image_view(layers).lookup(working_dir) if layers else None
            if found is None or found.kind is not NodeKind.DIRECTORY:
                # An image may have no layer at all; then the empty upper directory is all there is to look into.
                Rootfs(layers or (upper,)).make_directory(upper, working_dir)


class VolumeTrees(TreeStore):
    def __init__(self, root: Path) -> None:
        super().__init__(root, "volumes")

    def data(self, name: str) -> Path:
        return self.path(name) / "_data"

    def create(self, name: str) -> None:
        """An empty volume; harmless when it is there."""
        with disk("make the volume's directory"):
            if self.data(name).is_dir():
                return
            aside = self._begin(name)
            (aside / "_data").mkdir(mode=0o755)
            aside.rename(self.path(name))

    def fill(self, name: str, layers: tuple[Path, ...], source: str) -> None:
        """Copy the image's directory at `source` into the volume if it is empty (moby container_unix.go, copy-up)."""
        with disk("fill the volume"):
            data = self.data(name)
            if layers and not any(data.iterdir()):
                Rootfs(layers).copy_directory(source, data)


def clear_staging(root: Path) -> int:
    """Remove what a crash left half made; how many trees that were."""
    count = 0
    with disk("clear the staging directory"):
        for entry in (root / "staging").iterdir():
            remove_tree(entry)
            count += 1
    return count

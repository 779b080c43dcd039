"""The directories of containers and volumes: each is whole before it is anybody's, and goes whole, by one rename.

    containers/<id>/          0700    one container: three inodes, made beforehand where there was time (ready.py)
      checkpoints/            0700
      diff/                   0755    its read-write layer, an overlay's upper directory; nothing is mounted at create
    volumes/<name>/           0700    one volume: two inodes, made beforehand likewise
      _data/                  0755
    staging/                          trees being made or removed; residue after a crash

Nothing here has to be durable but what is copied into a volume: the record in the database is the truth, and a fresh tree is a
function of it, so recovery makes again what a power cut took and removes what no record names. One that has to be changed for its
image is changed aside: a power cut must not leave it there, and as it was before.
"""

from __future__ import annotations

import errno
import functools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import attrs

from daemon.errors import InvalidParameter
from daemon.storage.attributes import is_root
from daemon.storage.disk import disk, remove_tree, size_of_tree, sync_directory
from daemon.storage.failpoints import failpoint
from daemon.storage.ready import CONTAINER, DATA, UPPER, VOLUME, ReadyTrees
from daemon.storage.rootfs import NodeKind, Rootfs
from daemon.storage.tree_maker import make_tree

_PLAIN = (0o755, 0, 0)
"""What the root of a layer is when nobody has said anything else, and what a tree has that was made beforehand."""
_PLANS_MAX = 256
"""Images, each with a working directory or a volume's place, that are remembered: as many as are in use at a time."""


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
            yield from os.listdir(self._home)

    def remove(self, name: str) -> None:
        """Harmless when there is none."""
        with disk(f"remove a tree of {self._kind}"):
            aside = self._staging / f"{self._kind}-{name}.removed"
            remove_tree(aside)  # of an earlier removal that a full disk or a crash cut short
            failpoint("trees.before_set_aside")
            try:
                self.path(name).rename(aside)
            except FileNotFoundError:
                return
            failpoint("trees.after_set_aside")
            remove_tree(aside)

    def _aside(self, name: str) -> str:
        """Where a tree of that name is made: nothing is there, or no more."""
        # Plain strings and system calls: this is the path of every create, and a Path costs as much as what is done with it.
        aside = f"{self._staging}/{self._kind}-{name}"
        if os.path.lexists(aside):  # of a create that was cut short
            remove_tree(Path(aside))
        return aside


@attrs.frozen
class _Plan:
    """What a container's tree depends on, found out once for each image and working directory: layers never change."""

    root: tuple[int, int, int]
    """Mode, owner and group of the image's root: an overlay shows its root as the upper directory's."""
    makes_working_dir: bool

    @property
    def is_plain(self) -> bool:
        return self.root == _PLAIN and not self.makes_working_dir

    def fit(self, upper: str, layers: tuple[Path, ...], working_dir: str) -> None:
        """Make a new read-write layer what it is to be. Raises OSError, InvalidParameter."""
        if self.root != _PLAIN:
            mode, uid, gid = self.root
            if is_root():
                os.chown(upper, uid, gid)
            os.chmod(upper, mode)
        if self.makes_working_dir:
            # An image may have no layer at all; then the empty upper directory is all there is to look into.
            Rootfs(layers or (Path(upper),)).make_directory(Path(upper), working_dir)


class ContainerTrees(TreeStore):
    """Of which those in `ready` are made beforehand."""

    def __init__(self, root: Path, ready: ReadyTrees) -> None:
        super().__init__(root, "containers")
        self.ready = ready
        self._plan = functools.lru_cache(maxsize=_PLANS_MAX)(_plan)

    def upper(self, container_id: str) -> Path:
        """The read-write layer."""
        return self.path(container_id) / UPPER

    def layers(self, container_id: str, image: tuple[Path, ...], working_dir: str) -> tuple[Path, ...]:
        """What has anything of a container that has just been created, top first."""
        return (self.upper(container_id), *image) if self._plan(image, working_dir).makes_working_dir else image

    def is_plain(self, layers: tuple[Path, ...], working_dir: str) -> bool:
        """Whether a tree that was made beforehand is all that a container of that image needs. Raises System."""
        with disk("look into the image"):
            return self._plan(layers, working_dir).is_plain

    def create(self, container_id: str, layers: tuple[Path, ...], working_dir: str) -> None:
        """The container's tree, with its working directory where the image (`layers`, top first) has none.

        Raises:
            System: the disk failed.
            InvalidParameter: the working directory is a file in the image.
        """
        with disk("make the container's directories"):
            plan = self._plan(layers, working_dir)
            aside = self._aside(container_id)
            try:
                if not self.ready.claim(aside):
                    make_tree(aside, CONTAINER.parts)
                plan.fit(f"{aside}/{UPPER}", layers, working_dir)
                failpoint("containers.before_rename")
                os.rename(aside, f"{self._home}/{container_id}")
                failpoint("containers.after_rename")
            except BaseException:
                remove_tree(Path(aside))
                raise


def _plan(layers: tuple[Path, ...], working_dir: str) -> _Plan:
    if not layers:
        return _Plan(_PLAIN, bool(working_dir))
    image = Rootfs(layers)
    top, found = image.lookup("/"), image.lookup(working_dir) if working_dir else None
    assert top is not None, "a layer has a root"
    is_there = found is not None and found.kind is NodeKind.DIRECTORY
    owner = (
        (top.uid, top.gid) if is_root() else (0, 0)
    )  # without root everything is ours, in a container as in an image
    return _Plan((top.mode, *owner), bool(working_dir) and not is_there)


def _kind_at(layers: tuple[Path, ...], path: str) -> NodeKind | None:
    found = Rootfs(layers).lookup(path) if layers else None
    return found.kind if found is not None else None


class VolumeTrees(TreeStore):
    """A volume's name may be as long as a file name, so what is made or removed has names of its own, never seen before."""

    def __init__(self, root: Path, ready: ReadyTrees) -> None:
        super().__init__(root, "volumes")
        self.ready = ready
        self._kind_at = functools.lru_cache(maxsize=_PLANS_MAX)(_kind_at)

    def data(self, name: str) -> Path:
        return self.path(name) / DATA

    def create(self, name: str) -> None:
        """An empty volume; harmless when it is there."""
        with disk("make the volume's directory"):
            home = f"{self._home}/{name}"
            if os.path.isdir(f"{home}/{DATA}") or self.ready.claim(home):
                return
            aside = self._new_aside()
            try:
                make_tree(aside, VOLUME.parts)
                os.rename(aside, home)
                failpoint("volumes.after_rename")
            except BaseException:
                remove_tree(Path(aside))
                raise

    def is_to_fill(self, name: str, layers: tuple[Path, ...], source: str, *, complaint: str) -> bool:
        """Whether `fill` would give it anything. Raises as that."""
        with disk("look into the volume"):
            kind = self._kind_at(layers, source)
            if kind is None or os.listdir(self.data(name)):
                return False
            if kind is not NodeKind.DIRECTORY:
                raise InvalidParameter(complaint)
            return True

    def fill(self, name: str, layers: tuple[Path, ...], source: str, *, complaint: str) -> None:
        """Give the volume, if it is empty, what `layers` (top first) have at `source`: all of it, durably, or nothing.

        Raises:
            InvalidParameter: a file is there; with the text `complaint`.
            System: the disk failed.
        """
        if not self.is_to_fill(name, layers, source, complaint=complaint):
            return
        with disk("fill the volume"):
            data, rootfs = self.data(name), Rootfs(layers)
            aside = Path(self._new_aside())
            try:
                os.mkdir(aside, 0o700)
                rootfs.copy_directory(source, aside)
                # Onto an empty directory, which gives way whole. A container that runs with it would keep the old one.
                failpoint("volumes.before_fill")
                aside.rename(data)
                failpoint("volumes.after_fill")
                sync_directory(data.parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # then somebody has written to it meanwhile
                    raise
            finally:
                remove_tree(aside)

    def remove(self, name: str) -> None:
        """Harmless when there is none."""
        if (aside := self.set_aside(name)) is not None:
            self.discard(aside)

    def set_aside(self, name: str) -> Path | None:
        """Take the volume away whole, so that its name is free; where it is now, None if there was none."""
        with disk("remove a volume"):
            aside = self._staging / f"removed-{secrets.token_hex(8)}"
            try:
                self.path(name).rename(aside)
            except FileNotFoundError:
                return None
            failpoint("volumes.set_aside")
            return aside

    def discard(self, aside: Path) -> None:
        with disk("remove a volume"):
            remove_tree(aside)

    def size(self, aside: Path) -> int:
        """Bytes in the files of a volume that has been set aside."""
        with disk("measure a volume"):
            return size_of_tree(aside / DATA)

    def _new_aside(self) -> str:
        """Where nothing is, or was."""
        return f"{self._staging}/{self._kind}-{secrets.token_hex(8)}"

"""What an intake brings, between its checks and its commit: in a directory of its own, made before it and removed after it.

    staging/intake-<random>/    0700    one intake; residue after a crash
      blobs/<name>                      content that has arrived
      given/<name>                      content that the daemon has fetched, or borrowed from its store: not to be written
      layers/<name>/diff                a layer that has been unpacked

A process that may write nothing else fills the area (`worker.py`) and says what it made; the daemon commits it. Of what is said
nothing becomes a path unchecked, and what is moved into a store has to be what it is called: a file, or a directory, and no link.
"""

from __future__ import annotations

import contextlib
import stat
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import attrs

from daemon.errors import Conflict, System
from daemon.image import LoadedImage
from daemon.storage.content import ContentStore
from daemon.storage.disk import disk, remove_tree, sync_file_system
from daemon.storage.failpoints import failpoint
from daemon.storage.layers import LAYER, LayerStore

_NOTHING: Mapping[str, str] = MappingProxyType({})


@attrs.frozen
class Area:
    path: Path

    @classmethod
    def made_in(cls, root: Path) -> Area:
        """A new one below the data root. Raises System."""
        with disk("begin an intake"):
            area = cls(Path(tempfile.mkdtemp(prefix="intake-", dir=root / "staging")))
            try:
                failpoint("intake.begun")
                area.blobs.mkdir(mode=0o700)
                area.layers.mkdir(mode=0o700)
                area.given.mkdir(mode=0o700)
            except BaseException:
                remove_tree(area.path)
                raise
        return area

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def layers(self) -> Path:
        return self.path / "layers"

    @property
    def given(self) -> Path:
        return self.path / "given"

    def remove(self) -> None:
        """With everything that is still in it; harmless twice. Raises System."""
        with disk("clear an intake"):
            remove_tree(self.path)


@attrs.frozen(kw_only=True)
class Staged:
    """What is in an area, checked against one another and ready to be committed."""

    images: tuple[LoadedImage, ...]
    blobs: Mapping[str, str]
    """By digest, the name in the area."""
    layers: Mapping[str, str]
    """By chain id, the name in the area."""


def commit(
    staged: Staged,
    area: Area,
    content: ContentStore,
    layers: LayerStore,
    *,
    given: Mapping[str, str] = _NOTHING,
) -> None:
    """Move everything into the stores, durably, or nothing. What is there already is the same, and is kept.

    `given` is what of it the daemon has fetched, by digest the name in the area: it is not for a worker to say.

    One sync for all content and all layers, then the renames, then one sync for the names in each store.

    Raises:
        Conflict: what an image was to share with another has been removed with that one meanwhile.
        System: the disk failed.
        SyncFailed: nobody can tell what of it is durable.
    """
    blobs = {digest: (area.blobs, name) for digest, name in staged.blobs.items()}
    blobs |= {digest: (area.given, name) for digest, name in given.items()}
    _check_complete(staged, blobs, content, layers)
    with contextlib.ExitStack() as undo:
        with disk("commit an intake"):
            sync_file_system(area.path)
        for digest, (directory, name) in blobs.items():
            if not content.contains(digest):
                undo.callback(content.delete, digest)
                content.adopt(_made(directory, name, stat.S_IFREG), digest)
        for chain_id, name in staged.layers.items():
            if not layers.contains(chain_id):
                undo.callback(layers.delete, chain_id)
                layers.adopt(_made_layer(area.layers, name), chain_id)
        content.sync()
        layers.sync()
        undo.pop_all()


def _check_complete(staged: Staged, blobs: Collection[str], content: ContentStore, layers: LayerStore) -> None:
    for image in (loaded.image for loaded in staged.images):
        is_complete = all(digest in blobs or content.contains(digest) for digest in image.digests)
        if not is_complete or not all(chain in staged.layers or layers.contains(chain) for chain in image.chain_ids):
            raise Conflict("a layer of the image has been removed while it was being loaded: load it again")


def _made_layer(directory: Path, name: str) -> Path:
    """A directory with one in it, and nothing else: what is not the layer's own is for the daemon to make."""
    home = _made(directory, name, stat.S_IFDIR)
    _made(home, LAYER, stat.S_IFDIR)
    with disk("commit an intake"):
        is_alone = [*home.iterdir()] == [home / LAYER]
    if not is_alone:
        raise _lie()
    return home


def _made(directory: Path, name: str, kind: int) -> Path:
    path = directory / name.replace("\0", "/")  # which no name has
    with disk("commit an intake"):
        is_right = path.parent == directory and stat.S_IFMT(path.lstat().st_mode) == kind
    if not is_right:
        raise _lie()
    return path


def _lie() -> System:
    return System("what was unpacked is not what it is said to be")

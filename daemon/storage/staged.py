"""What an intake brings, between its checks and its commit: in a directory of its own, made before it and removed after it.

    staging/intake-<random>/    0700    one intake; residue after a crash
      blobs/<name>                      content that has arrived
      layers/<name>/diff                a layer that has been unpacked

A process that may write nothing else fills the area (`worker.py`) and says what it made; the daemon commits it. Of what is said
nothing becomes a path unchecked, and what is moved into a store has to be what it is called: a file, or a directory, and no link.
"""

from __future__ import annotations

import contextlib
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs

from daemon.errors import Conflict, System
from daemon.image import LoadedImage
from daemon.storage.content import ContentStore
from daemon.storage.disk import disk, remove_tree, sync_file_system
from daemon.storage.layers import LayerStore


@attrs.frozen
class Area:
    path: Path

    @classmethod
    def made_in(cls, root: Path) -> Area:
        """A new one below the data root. Raises System."""
        with disk("begin an intake"):
            area = cls(Path(tempfile.mkdtemp(prefix="intake-", dir=root / "staging")))
            area.blobs.mkdir(mode=0o700)
            area.layers.mkdir(mode=0o700)
        return area

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def layers(self) -> Path:
        return self.path / "layers"

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


def commit(staged: Staged, area: Area, content: ContentStore, layers: LayerStore) -> None:
    """Move everything into the stores, durably, or nothing. What is there already is the same, and is kept.

    One sync for all content and all layers, then the renames, then one sync for the names in each store.

    Raises:
        Conflict: what an image was to share with another has been removed with that one meanwhile.
        System: the disk failed.
    """
    _check_complete(staged, content, layers)
    with contextlib.ExitStack() as undo:
        with disk("commit an intake"):
            sync_file_system(area.path)
        for digest, name in staged.blobs.items():
            if not content.contains(digest):
                undo.callback(content.delete, digest)
                content.adopt(_made(area.blobs, name, stat.S_IFREG), digest)
        for chain_id, name in staged.layers.items():
            if not layers.contains(chain_id):
                undo.callback(layers.delete, chain_id)
                layers.adopt(_made(area.layers, name, stat.S_IFDIR), chain_id)
        content.sync()
        layers.sync()
        undo.pop_all()


def _check_complete(staged: Staged, content: ContentStore, layers: LayerStore) -> None:
    for image in (loaded.image for loaded in staged.images):
        is_complete = all(digest in staged.blobs or content.contains(digest) for digest in image.digests)
        if not is_complete or not all(chain in staged.layers or layers.contains(chain) for chain in image.chain_ids):
            raise Conflict("a layer of the image has been removed while it was being loaded: load it again")


def _made(directory: Path, name: str, kind: int) -> Path:
    path = directory / name.replace("\0", "/")  # which no name has
    with disk("commit an intake"):
        is_right = path.parent == directory and stat.S_IFMT(path.lstat().st_mode) == kind
    if not is_right:
        raise System("what was unpacked is not what it is said to be")
    return path

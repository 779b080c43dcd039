"""A container's own layer as the tar of an image's layer, made piece by piece in flat memory, without a mount.

Entries are those of `docker export` (`tar_out.py`), but of this layer alone. Overlay's marks become the image specification's:

    character device 0:0 NAME   -> .wh.NAME, an empty file
    an opaque directory         -> .wh..wh..opq in it

The root has no entry: a layer that nothing was written to is an empty tar. Sources: github.com/moby/go-archive archive_linux.go
overlayWhiteoutConverter, OCI image-spec layer.md.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path

from daemon.errors import InvalidParameter, System
from daemon.storage.attributes import is_opaque, is_whiteout
from daemon.storage.disk import disk
from daemon.storage.overlay import MergedFile, held, root_of
from daemon.storage.tar_out import BLOCK, DEPTH_MAX, Packer, encoded_header, header_of

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

EMPTY_LAYER = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""The digest of a tar with nothing in it: two blocks of zeros."""


def tar_of_layer(upper: Path) -> Generator[bytes, None, None]:
    """The tar of an overlay's upper directory, which nobody changes meanwhile.

    Raises:
        InvalidParameter: a file has a name that means a whiteout in an image's layer.
        System: the disk failed.
    """
    packer = Packer()
    with disk("read the container's files"):
        for found, path in _walk(root_of((upper,)), "", 1):
            if is_whiteout(found.status):
                parent, slash, name = path.rpartition("/")
                yield _mark(found, f"{parent}{slash}{WHITEOUT}{name}", mode=0o600)
                continue
            yield from packer.entry(found, path)
            if found.is_directory and is_opaque(found.real_path):
                yield _mark(found, f"{path}/{OPAQUE}", mode=found.status.st_mode & 0o777)
    yield bytes(2 * BLOCK)


def _walk(directory: MergedFile, prefix: str, depth: int) -> Iterator[tuple[MergedFile, str]]:
    """What is in a directory, each directory before what is in it, sorted by name. Raises OSError, and as `tar_of_layer`."""
    if depth > DEPTH_MAX:
        raise System(f"more than {DEPTH_MAX} directories within each other")
    _, real_path = directory.parts[0]
    for name in sorted(os.listdir(real_path)):  # noqa: PTH208 - a hot path
        path = f"{prefix}{name}"
        if name.startswith(WHITEOUT):
            # Unlike Moby, where it hides another file from then on.
            raise InvalidParameter(
                f"cannot commit a file that is called {path!r}: in an image's layer it removes another"
            )
        real = f"{real_path}/{name}"
        found = MergedFile(name, os.lstat(real), ((0, real),))
        yield found, path
        if found.is_directory:
            yield from _walk(held(found), f"{path}/", depth + 1)


def _mark(found: MergedFile, name: str, *, mode: int) -> bytes:
    info = header_of(found.status, name)
    info.type, info.mode, info.size = tarfile.REGTYPE, mode, 0
    return encoded_header(info)

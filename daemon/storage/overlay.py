"""How layers are merged: overlayfs' rules for one directory at a time.

The uppermost layer that has a name decides. A whiteout (character device 0:0) hides the name from there on down; directories are
merged until one is opaque or something else is in the way. An opaque root hides all layers below it, as the image specification
says; the kernel does not look at that mark on a root, so a mount has to leave those layers out.
Source: Linux Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import attrs

from daemon.storage.attributes import is_opaque, is_whiteout

LONG_PATH_BYTES = 2048
"""A path beyond this is replaced by a descriptor (`held`): with what follows it might exceed Linux' PATH_MAX."""


class Pin:
    """A descriptor that is closed when nobody needs it any more."""

    def __init__(self, descriptor: int) -> None:
        self.path = f"/proc/self/fd/{descriptor}"
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)


@attrs.frozen
class MergedFile:
    """A name in the merged view: the file that decides, and where that is a directory all that are merged into it."""

    name: str
    status: os.stat_result
    parts: tuple[tuple[int, str], ...]
    """Layer and real path, the uppermost first; more than one for directories only."""
    is_live: bool = False
    """Whether somebody may change it meanwhile: then what lies in its directory is reached through `held` only."""
    pins: tuple[Pin, ...] = attrs.field(default=(), eq=False, repr=False)
    """What the real paths of a held directory stand on, and with it those of the files in it."""

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def layer(self) -> int:
        return self.parts[0][0]

    @property
    def real_path(self) -> str:
        return self.parts[0][1]


def root_of(layers: Sequence[Path]) -> MergedFile:
    """The root of the merged layers, the uppermost first. Raises OSError."""
    parts = tuple((number, str(layer)) for number, layer in enumerate(layers))
    return MergedFile("", os.lstat(parts[0][1]), parts)


def on_top(upper: Path, root: MergedFile) -> MergedFile:
    """The root of `upper` on the layers merged in `root`, whose numbers go up by one. Raises OSError."""
    return MergedFile("", os.lstat(upper), ((0, str(upper)), *((number + 1, path) for number, path in root.parts)))


def child_of(directory: MergedFile, name: str) -> MergedFile | None:
    """What the merged directory has under `name`; nothing in what is not a directory."""
    if not directory.is_directory or not directory.parts:
        return None
    parts: list[tuple[int, str]] = []
    decisive: os.stat_result | None = None
    lowest = directory.parts[-1][0]
    for layer, real_path in directory.parts:
        path = f"{real_path}/{name}"
        status = _lstat(path)
        if status is None:
            continue
        is_directory = stat.S_ISDIR(status.st_mode)
        if is_whiteout(status) or (parts and not is_directory):
            break
        decisive = decisive or status
        parts.append((layer, path))
        # Nothing is below the lowest for an opaque directory to hide, and asking costs two calls.
        if not is_directory or (layer != lowest and is_opaque(path)):
            break
    return MergedFile(name, decisive, tuple(parts), directory.is_live) if decisive else None


def held(found: MergedFile) -> MergedFile:
    """The same directory by descriptors instead of paths, where what happens to its path must not matter.

    That is where somebody may put a symbolic link in its place, and where its path is long. Whatever is no directory, and every
    other directory, is returned as it is. The directory that holds it must be held. Raises OSError.
    """
    if not found.is_directory or found.pins:
        return found
    if not (found.is_live or any(len(path) > LONG_PATH_BYTES for _, path in found.parts)):
        return found
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    pins = tuple(Pin(os.open(path, flags)) for _, path in found.parts)
    parts = tuple((layer, pin.path) for (layer, _), pin in zip(found.parts, pins, strict=True))
    return attrs.evolve(found, status=os.stat(pins[0].path), parts=parts, pins=pins)  # noqa: PTH116 - as everywhere here


def names_in(directory: MergedFile) -> list[str]:
    seen: dict[str, bool] = {}
    for _, real_path in directory.parts:
        with os.scandir(real_path) as entries:
            for entry in entries:
                if entry.name not in seen:
                    seen[entry.name] = not _is_whiteout_entry(entry)
    return [name for name, is_visible in seen.items() if is_visible]


def children_of(directory: MergedFile) -> list[MergedFile]:
    """What is in a merged directory."""
    children = (child_of(directory, name) for name in names_in(directory))
    return [child for child in children if child is not None]


def _is_whiteout_entry(entry: os.DirEntry[str]) -> bool:
    # The kind comes with the directory; only what is none of these costs a call.
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink():
        return False
    return is_whiteout(entry.stat(follow_symlinks=False))


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        # Of a name, not of the path, whose length is bounded (`held`): nothing can be called so.
        if error.errno != errno.ENAMETOOLONG:
            raise
        return None


def down_to_opaque(layers: Sequence[Path]) -> tuple[Path, ...]:
    for number, layer in enumerate(layers[:-1]):
        if is_opaque(str(layer)):
            return tuple(layers[: number + 1])
    return tuple(layers)

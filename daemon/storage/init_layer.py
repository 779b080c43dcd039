"""The init layer: what every container has on top of its image, so that there is a place for what is mounted into it at start.

A function of the image, so there is one for all of its containers, where Docker makes one for each. What the image has under
these names gives way, a directory excepted; whatever is no directory on the way to them, too. Made by looking, without a mount.
Source: moby v28 daemon/initlayer/setup_unix.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.storage.copy_up import make_directories
from daemon.storage.overlay import child_of, down_to_opaque, held, on_top, root_of

DIRECTORIES = ("/dev/pts", "/dev/shm", "/proc", "/sys")
FILES = ("/.dockerenv", "/dev/console", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
LINKS = {"/etc/mtab": "/proc/mounts"}


def build_init_layer(target: Path, layers: Sequence[Path]) -> None:
    """Fill `target`, an empty directory that nobody else writes to, for an image of these layers, top first. Raises OSError."""
    for path in DIRECTORIES:
        _make_way(target, layers, path, is_directory=True)
    for path in FILES:
        if (place := _make_way(target, layers, path)) is not None:
            place.touch()
            place.chmod(0o755)
    for path, destination in LINKS.items():
        if (place := _make_way(target, layers, path)) is not None:
            place.symlink_to(destination)


def _make_way(target: Path, layers: Sequence[Path], path: str, *, is_directory: bool = False) -> Path | None:
    """Where to make what is not made yet: its directories are there then. None for a directory."""
    trail = [on_top(target, root_of(down_to_opaque(layers))) if layers else root_of((target,))]
    names = path.split("/")[1:]
    for name in names:
        found = child_of(trail[-1], name)
        if found is None or not found.is_directory:
            break
        trail.append(held(found))
    missing = names[len(trail) - 1 :]
    if not missing:
        return None
    if not is_directory:
        *missing, _ = missing
    make_directories(target, trail[1:], missing)
    return None if is_directory else target.joinpath(*names)

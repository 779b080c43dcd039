"""Random layers, and what a mounted overlay of layers shows: what the kernel says is right."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.daemon.storage.making import Layers, mark_opaque, target_of, whiteout


def grow(layer: Path, rng: random.Random, names: Sequence[str] = "abcd") -> None:
    """A random layer over few names, so that layers collide in every way."""
    for _ in range(40):
        path = layer.joinpath(*(rng.choice(names) for _ in range(rng.randint(1, 3))))
        if path.is_symlink() or path.exists() or any(p.exists() and not p.is_dir() for p in path.parents):
            continue
        if any(parent.is_symlink() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = rng.choice(("file", "directory", "directory", "opaque", "whiteout", "symlink"))
        if kind == "file":
            path.write_text(f"{layer.name}:{rng.random()}")
            path.chmod(rng.choice((0o600, 0o644, 0o4755)))
            os.chown(path, rng.randint(0, 3), 0)
        elif kind == "symlink":
            path.symlink_to(rng.choice(("a", "b/c", "/c", "../d")))
        elif kind == "whiteout":
            whiteout(path.parent, path.name)
        else:
            path.mkdir(mode=rng.choice((0o700, 0o755)))
            if kind == "opaque":
                mark_opaque(path)


def tree_of_mount(root: Path) -> dict[str, tuple[object, ...]]:
    tree: dict[str, tuple[object, ...]] = {}
    for path in [root, *root.rglob("*")]:
        # The kernel lists the whiteouts of a directory that only one layer has, though nothing is there when one looks.
        if not os.path.lexists(path):
            continue
        status = path.lstat()
        is_file = stat.S_ISREG(status.st_mode)
        tree["/" + str(path.relative_to(root)).removeprefix(".")] = (
            status.st_mode,
            status.st_uid,
            status.st_size if is_file else 0,
            path.read_text() if is_file else target_of(path) if path.is_symlink() else "",
        )
    return tree


@contextlib.contextmanager
def mounted(layers: Sequence[Path], tmp_path: Path, *, is_writable: bool = False) -> Iterator[Path]:
    """An overlay of the layers, a writable one of a copy of the first of them; skipped where none is allowed."""
    point = tmp_path / "merged"
    point.mkdir()
    lower = ":".join(str(layer) for layer in layers[1 if is_writable else 0 :])
    options = f"lowerdir={lower}"
    if is_writable:
        subprocess.run(["cp", "-a", layers[0], tmp_path / "upper"], check=True)
        (tmp_path / "work").mkdir()
        options += f",upperdir={tmp_path / 'upper'},workdir={tmp_path / 'work'}"
    made = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, point], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no overlay mount here: {made.stderr.decode().strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def without_ghosts(layers: Layers, tmp_path: Path) -> None:
    """Remove the whiteouts that hide nothing: the kernel lists them, and then cannot remove the directory they are in."""
    for number in range(9):
        (tmp_path / f"ghosts{number}").mkdir()
        with mounted(layers, tmp_path / f"ghosts{number}") as point:
            ghosts = [path.relative_to(point) for path in point.rglob("*") if not os.path.lexists(path)]
        if not ghosts:
            return
        for layer, ghost in itertools.product(layers, ghosts):
            if (layer / ghost).is_char_device():
                (layer / ghost).unlink()
    pytest.fail(f"there are always more: {ghosts}")

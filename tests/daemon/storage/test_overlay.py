"""The merged view is what the kernel shows in a mounted overlay."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import System
from daemon.storage.openat import open_in_root
from daemon.storage.rootfs import NodeKind, Rootfs
from tests.daemon.storage.making import Layers, make_layers, mark_opaque, needs_root, opened, target_of, whiteout


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


def grow(layer: Path, rng: random.Random) -> None:
    """A random layer over few names, so that layers collide in every way."""
    for _ in range(40):
        path = layer.joinpath(*(rng.choice("abcd") for _ in range(rng.randint(1, 3))))
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


def tree_of_view(rootfs: Rootfs, path: str = "/") -> dict[str, tuple[object, ...]]:
    node = rootfs.lookup(path, follow=False)
    assert node is not None
    status = node.real_path.lstat()
    is_file, is_link = node.kind is NodeKind.FILE, node.kind is NodeKind.SYMLINK
    text = node.real_path.read_text() if is_file else target_of(node.real_path) if is_link else ""
    tree: dict[str, tuple[object, ...]] = {
        path: (stat.S_IFMT(status.st_mode) | node.mode, node.uid, node.size if is_file else 0, text)
    }
    if node.kind is NodeKind.DIRECTORY:
        for name in rootfs.listdir(path):
            tree |= tree_of_view(rootfs, f"{path.rstrip('/')}/{name}")
    return tree


@contextlib.contextmanager
def mounted(layers: Layers, tmp_path: Path) -> Iterator[Path]:
    """A read-only overlay of the layers; skips the test where the kernel or the sandbox does not allow one."""
    point = tmp_path / "merged"
    point.mkdir()
    options = "lowerdir=" + ":".join(str(layer) for layer in layers)
    made = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, point], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no overlay mount here: {made.stderr.decode().strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


@needs_root
@pytest.mark.parametrize("seed", range(12))
def test_the_view_is_what_a_mounted_overlay_shows(seed: int, layers: Layers, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for layer in layers:
        grow(layer, rng)
    with mounted(layers, tmp_path) as point:
        assert tree_of_view(Rootfs(layers)) == tree_of_mount(point)


@needs_root
def test_links_lead_where_a_process_in_a_mounted_overlay_is_led(layers: Layers, tmp_path: Path) -> None:
    rng = random.Random(7)
    for layer in layers:
        grow(layer, rng)
    rootfs = Rootfs(layers)
    with mounted(layers, tmp_path) as point, opened(point) as root:
        for _ in range(400):
            path = "/".join(rng.choice(("a", "b", "c", "d", "..")) for _ in range(rng.randint(1, 5)))
            status = status_in_root(root, path)
            if status is not None:
                node = rootfs.lookup(path)
                assert node is not None, path
                assert (node.mode, node.uid) == (stat.S_IMODE(status.st_mode), status.st_uid)
            # Unlike the kernel, and like Moby, `..` after what does not exist is resolved as text.
            elif ".." not in path:
                with contextlib.suppress(System):
                    assert rootfs.lookup(path) is None, path


def status_in_root(root: int, path: str) -> os.stat_result | None:
    try:
        descriptor = open_in_root(root, path, os.O_PATH)
    except OSError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)

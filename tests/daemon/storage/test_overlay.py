"""The merged view is what the kernel shows in a mounted overlay."""

from __future__ import annotations

import contextlib
import os
import random
import stat
from pathlib import Path

import pytest

from daemon.errors import System
from daemon.storage.openat import open_in_root
from daemon.storage.rootfs import NodeKind, Rootfs
from tests.daemon.storage.making import Layers, make_layers, needs_root, opened, target_of
from tests.daemon.storage.overlays import grow, mounted, tree_of_mount


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


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

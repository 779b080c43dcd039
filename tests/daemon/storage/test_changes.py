"""A container's changes are those that Docker finds by comparing two mounted file systems."""

from __future__ import annotations

import contextlib
import io
import os
import random
import stat
from pathlib import Path

import pytest

from daemon.errors import DaemonError
from daemon.storage.changes import changes_of
from daemon.storage.container_view import ContainerView
from daemon.storage.copy_in import copy_in
from tests.daemon.storage.making import Layers, make_layers, mark_opaque, needs_root, whiteout, write
from tests.daemon.storage.overlays import grow, mounted, without_ghosts
from tests.daemon.storage.test_copy_in import RULES, random_archive


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


def found(layers: Layers) -> list[tuple[str, int]]:
    return [(change.path, change.kind.value) for change in changes_of(layers)]


def test_a_fresh_container_has_none(layers: Layers) -> None:
    write(layers[1], "a/f")
    assert found(layers) == []


def test_without_an_image_everything_is_new(tmp_path: Path) -> None:
    write(tmp_path, "a/f")
    assert [(change.path, change.kind.value) for change in changes_of((tmp_path,))] == [("/a", 1), ("/a/f", 1)]


def test_each_kind_of_change_and_the_directories_that_hold_them(layers: Layers) -> None:
    for name in ("d/same", "d/gone", "d/changed", "e/gone/f", "o/old", "o/both"):
        write(layers[2], name, "x")
    write(layers[0], "d/changed", "other")
    write(layers[0], "n/m/f")
    whiteout(layers[0], "d/gone")
    whiteout(layers[0], "e/gone")
    whiteout(layers[0], "never/was")
    mark_opaque(layers[0], "o")
    write(layers[0], "o/both", "other")
    assert found(layers) == [
        ("/d", 0),
        ("/d/changed", 0),
        ("/d/gone", 2),
        ("/e", 0),
        ("/e/gone", 2),
        ("/n", 1),
        ("/n/m", 1),
        ("/n/m/f", 1),
        ("/never", 1),
        ("/o", 0),
        ("/o/both", 0),
        ("/o/old", 2),
    ]


def test_what_is_copied_up_unchanged_is_no_change(layers: Layers) -> None:
    write(layers[2], "a/f", "x", mode=0o640)
    write(layers[0], "a/f", "y", mode=0o640)
    times = (layers[2] / "a/f").stat()
    os.utime(layers[0] / "a/f", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert found(layers) == []
    os.utime(layers[0] / "a/f", ns=(0, times.st_mtime_ns // 10**9 * 10**9))
    assert found(layers) == []
    os.utime(layers[0] / "a/f", ns=(0, times.st_mtime_ns + 10**9))
    assert found(layers) == [("/a", 0), ("/a/f", 0)]


def test_a_file_in_place_of_a_directory_is_one_change(layers: Layers) -> None:
    write(layers[2], "a/f")
    write(layers[2], "b")
    write(layers[0], "a")
    write(layers[0], "b/f")
    assert found(layers) == [("/a", 0), ("/b", 0), ("/b/f", 1)]


def compared(old: Path | None, new: Path, path: str = "") -> list[tuple[str, int]]:
    """The same by walking both trees, as Docker does."""
    changes = []
    before = visible(old) if old is not None else set()
    after = visible(new)
    for name in sorted(before | after):
        here = f"{path}/{name}"
        if name not in after:
            changes.append((here, 2))
            continue
        status = (new / name).lstat()
        was_directory = old is not None and name in before and stat.S_ISDIR((old / name).lstat().st_mode)
        lower = old / name if old is not None and was_directory else None
        below = compared(lower, new / name, here) if stat.S_ISDIR(status.st_mode) else []
        if old is None or name not in before:
            changes.append((here, 1))
        elif below or aspects((old / name).lstat()) != aspects(status):
            changes.append((here, 0))
        changes += below
    return changes


def visible(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if os.path.lexists(path)}


def aspects(status: os.stat_result) -> tuple[int, ...]:
    general = (status.st_mode, status.st_uid, status.st_gid)
    return general if stat.S_ISDIR(status.st_mode) else (*general, status.st_size, status.st_mtime_ns)


@needs_root
@pytest.mark.parametrize("seed", range(20))
def test_the_changes_are_what_two_mounted_overlays_differ_in(seed: int, layers: Layers, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for layer in layers:
        grow(layer, rng)
    without_ghosts(layers, tmp_path)
    with contextlib.suppress(DaemonError):  # what came before stays
        copy_in(io.BytesIO(random_archive(rng)), ContainerView(layers), "/", RULES)
    (tmp_path / "image").mkdir()
    with mounted(layers[1:], tmp_path / "image") as old, mounted(layers, tmp_path) as new:
        assert found(layers) == sorted(compared(old, new), key=lambda change: change[0].split("/"))

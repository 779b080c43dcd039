from __future__ import annotations

import os
import stat
from collections import namedtuple
from pathlib import Path

import pytest

from daemon.errors import System
from daemon.storage.ready import VOLUME, ReadyTrees
from tests.daemon.storage.making import names_in, write

WHOLE = ["checkpoints", "diff"]


def slots(root: Path) -> dict[str, list[str]]:
    return {slot: names_in(root / "ready" / slot) for slot in names_in(root / "ready")}


def claim(trees: ReadyTrees, target: Path) -> bool:
    return trees.claim(str(target))


def test_a_tree_is_claimed_whole_and_once(tmp_path: Path) -> None:
    trees = ReadyTrees(tmp_path, 2)
    assert not claim(trees, tmp_path / "none")
    trees.prepare(5)
    assert (len(trees), trees.has_room) == (2, False)
    assert claim(trees, tmp_path / "a")
    assert claim(trees, tmp_path / "b")
    assert not claim(trees, tmp_path / "c")
    assert names_in(tmp_path / "a") == names_in(tmp_path / "b") == WHOLE
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", *sorted((tmp_path / "a").iterdir()))]
    assert modes == [0o700, 0o700, 0o755]
    assert (len(trees), trees.has_room, slots(tmp_path)) == (0, True, {})


def test_only_as_many_as_asked_are_prepared(tmp_path: Path) -> None:
    trees = ReadyTrees(tmp_path, 3)
    trees.prepare(2)
    assert (len(trees), trees.has_room) == (2, True)
    trees.prepare(2)
    assert (len(trees), trees.has_room) == (3, False)


def test_they_are_low_when_less_than_a_quarter_is_ready(tmp_path: Path) -> None:
    trees = ReadyTrees(tmp_path, 8)
    low = []
    for _ in range(8):
        low.append(trees.is_low)
        trees.prepare(1)
    assert low == [True, True, *[False] * 6]


def test_a_claim_that_fails_takes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "there/file")
    trees = ReadyTrees(tmp_path, 1)
    trees.prepare(1)
    with pytest.raises(OSError, match="Directory not empty"):
        claim(trees, tmp_path / "there")
    assert claim(trees, tmp_path / "elsewhere")


def test_a_tree_that_somebody_has_removed_is_made_again(tmp_path: Path) -> None:
    trees = ReadyTrees(tmp_path, 1)
    trees.prepare(1)
    (tmp_path / "ready" / "0").rename(tmp_path / "taken")
    assert not claim(trees, tmp_path / "a")
    trees.prepare(1)
    assert claim(trees, tmp_path / "a")


def test_the_trees_of_an_earlier_daemon_are_taken_over(tmp_path: Path) -> None:
    ReadyTrees(tmp_path, 3).prepare(3)
    inodes = [os.lstat(tmp_path / "ready" / str(number)).st_ino for number in range(2)]
    trees = ReadyTrees(tmp_path, 2)
    trees.prepare(2)
    assert slots(tmp_path) == {"0": WHOLE, "1": WHOLE}  # those that are too many now are gone
    assert [os.lstat(tmp_path / "ready" / str(number)).st_ino for number in range(2)] == inodes


@pytest.mark.parametrize("content", [[], ["checkpoints"], ["diff"], ["checkpoints", "diff", "more"]], ids=str)
def test_a_tree_that_a_crash_cut_short_is_made_anew(tmp_path: Path, content: list[str]) -> None:
    (tmp_path / "ready" / "0").mkdir(parents=True)
    for name in content:
        (tmp_path / "ready" / "0" / name).mkdir()
    trees = ReadyTrees(tmp_path, 1)
    trees.prepare(1)
    assert slots(tmp_path) == {"0": WHOLE}


def test_those_of_containers_and_of_volumes_are_side_by_side(tmp_path: Path) -> None:
    def opened() -> tuple[ReadyTrees, ReadyTrees]:
        both = ReadyTrees(tmp_path, 2), ReadyTrees(tmp_path, 2, VOLUME)
        for trees in both:
            trees.prepare(2)
        return both

    for _ in range(2):
        opened()
        assert slots(tmp_path) == {"0": WHOLE, "1": WHOLE, "volume-0": ["_data"], "volume-1": ["_data"]}
    containers, volumes = opened()
    assert claim(containers, tmp_path / "container")
    assert claim(volumes, tmp_path / "volume")
    assert slots(tmp_path) == {"0": WHOLE, "volume-0": ["_data"]}
    assert (names_in(tmp_path / "container"), names_in(tmp_path / "volume")) == (WHOLE, ["_data"])


def test_what_is_in_no_slot_is_removed(tmp_path: Path) -> None:
    for name in ("7", "volume-7", "odd"):
        (tmp_path / "ready" / name).mkdir(parents=True)
    ReadyTrees(tmp_path, 1)
    assert names_in(tmp_path / "ready") == ["volume-7"]
    ReadyTrees(tmp_path, 1, VOLUME)
    assert names_in(tmp_path / "ready") == []


def test_a_full_disk_is_an_error_and_what_was_made_can_be_claimed(tmp_path: Path) -> None:
    trees = ReadyTrees(tmp_path, 2)
    (tmp_path / "ready" / "1").write_text("in the way")
    trees.prepare(1)
    with pytest.raises(System, match=r"^cannot prepare directories: Not a directory$"):
        trees.prepare(1)
    assert claim(trees, tmp_path / "a")


Free = namedtuple("Free", "f_bavail f_frsize f_bsize f_favail f_files")


@pytest.mark.parametrize(
    ("free", "count"),
    [
        (Free(f_bavail=10**6, f_frsize=4096, f_bsize=4096, f_favail=10**6, f_files=10**6), 100),
        (Free(f_bavail=3000, f_frsize=4096, f_bsize=4096, f_favail=10**6, f_files=10**6), 10),
        (Free(f_bavail=10**6, f_frsize=4096, f_bsize=4096, f_favail=900, f_files=10**6), 3),
        (Free(f_bavail=6000, f_frsize=4096, f_bsize=4096, f_favail=0, f_files=0), 20),  # inodes are made as needed
        (Free(f_bavail=0, f_frsize=4096, f_bsize=4096, f_favail=0, f_files=10**6), 0),
    ],
)
def test_they_take_a_hundredth_of_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: Free, count: int
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    trees = ReadyTrees(tmp_path, 100)
    trees.prepare(100)
    assert len(trees) == count

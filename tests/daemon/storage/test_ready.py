from __future__ import annotations

import errno
import os
import stat
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from daemon.errors import System
from daemon.storage.ready import (
    CONTAINER,
    MAKER_BATCH_MIN,
    VOLUME,
    ReadyTrees,
    is_untouched,
)
from daemon.storage.tree_maker import TreeMaker
from tests.daemon.storage.making import names_in, ready_at, write

WHOLE = ["checkpoints", "diff"]


@pytest.fixture
def maker() -> Iterator[TreeMaker]:
    maker = TreeMaker()
    yield maker
    maker.close()


def modes(tree: Path) -> list[tuple[str, int]]:
    return sorted((path.name, stat.S_IMODE(path.stat().st_mode)) for path in tree.rglob("*"))


def test_a_tree_is_taken_whole_and_once(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 2)
    assert trees.take() is None
    trees.prepare(5)
    assert (len(trees), trees.has_room) == (2, False)
    taken = [trees.take(), trees.take()]
    assert (len(trees), trees.has_room, trees.take()) == (0, True, None)
    assert sorted(map(str, taken)) == names_in(tmp_path / "containers")
    for name in map(str, taken):
        tree = tmp_path / "containers" / name
        assert len(name) == 64
        assert stat.S_IMODE(tree.stat().st_mode) == 0o700
        assert modes(tree) == [("checkpoints", 0o700), ("diff", 0o755)]


def test_what_is_put_back_is_taken_again(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 1)
    trees.prepare(1)
    name = trees.take()
    assert name is not None
    trees.put_back(name)
    assert (list(trees.names()), trees.has_room) == ([name], False)
    assert trees.take() == name


def test_whoever_makes_them_is_told_of_each_that_is_taken(tmp_path: Path) -> None:
    trees, told = ready_at(tmp_path, 2), list[int]()
    trees.on_take = lambda: told.append(len(trees))
    trees.prepare(2)
    while trees.take() is not None:
        pass
    assert told == [1, 0]


def test_a_tree_is_claimed_under_another_name(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 1, VOLUME)
    assert not trees.claim(str(tmp_path / "none"))
    trees.prepare(1)
    assert trees.claim(str(tmp_path / "a"))
    assert modes(tmp_path / "a") == [("_data", 0o755)]
    assert names_in(tmp_path / "ready") == []


def test_only_as_many_as_asked_are_prepared(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 3)
    trees.prepare(2)
    assert (len(trees), trees.has_room) == (2, True)
    trees.prepare(2)
    assert (len(trees), trees.has_room) == (3, False)


def test_they_are_low_when_less_than_a_quarter_is_ready(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 8)
    low = []
    for _ in range(8):
        low.append(trees.is_low)
        trees.prepare(1)
    assert low == [True, True, *[False] * 6]


def test_a_claim_that_fails_takes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "there/file")
    trees = ready_at(tmp_path, 1, VOLUME)
    trees.prepare(1)
    with pytest.raises(OSError, match="Directory not empty"):
        trees.claim(str(tmp_path / "there"))
    assert trees.claim(str(tmp_path / "elsewhere"))


def test_instead_of_one_that_somebody_has_removed_another_is_made(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 1, VOLUME)
    trees.prepare(1)
    (tmp_path / "ready" / names_in(tmp_path / "ready")[0]).rename(tmp_path / "taken")
    assert not trees.claim(str(tmp_path / "a"))
    trees.prepare(1)
    assert trees.claim(str(tmp_path / "a"))


def test_what_a_stop_has_listed_is_ready_at_the_next_start_if_the_stop_was_clean(tmp_path: Path) -> None:
    for is_clean in (True, False):
        trees = ready_at(tmp_path, 2)
        trees.prepare(2)
        names = trees.names()
        assert trees.leave(tmp_path)
        assert trees.take() is None
        again = ready_at(tmp_path, 2)
        again.resume(tmp_path, is_clean=is_clean)
        assert again.names() == (names if is_clean else set())
        again.resume(tmp_path, is_clean=True)
        assert again.names() == (names if is_clean else set()), "it is good for one start"


def test_one_that_is_listed_and_not_there_is_not_ready(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 2)
    trees.prepare(2)
    gone, *left = trees.names()
    trees.leave(tmp_path)
    (tmp_path / "containers" / gone).rename(tmp_path / "away")
    again = ready_at(tmp_path, 2)
    again.resume(tmp_path, is_clean=True)
    assert list(again.names()) == left


def test_those_of_an_earlier_daemon_are_taken_over_under_another_id_as_many_as_there_is_room_for(
    tmp_path: Path,
) -> None:
    earlier = ready_at(tmp_path, 3)
    earlier.prepare(3)
    trees = ready_at(tmp_path, 2)
    trees.found(earlier.names())
    assert (len(trees), trees.has_room, trees.names()) == (0, True, earlier.names())
    assert not trees.leave(tmp_path), "the next start must look for them"
    while trees.has_room:
        trees.prepare(1)
    assert len(trees) == 2
    assert trees.names().isdisjoint(earlier.names())
    assert sorted(trees.names()) == names_in(tmp_path / "containers")


def test_those_of_volumes_are_taken_over_as_they_are_unless_somebody_has_touched_them(tmp_path: Path) -> None:
    ready_at(tmp_path, 2, VOLUME).prepare(2)
    names = names_in(tmp_path / "ready")
    for name in ("0/diff", "0/checkpoints", "odd/_data/more"):  # and what older daemons had there
        (tmp_path / "ready" / name).mkdir(parents=True)
    trees = ready_at(tmp_path, 3, VOLUME)
    while trees.has_room:
        trees.prepare(1)
    assert len(trees) == 3
    assert set(names) < trees.names()
    assert sorted(trees.names()) == names_in(tmp_path / "ready")


@pytest.mark.parametrize(
    "content", [[], ["checkpoints"], [*WHOLE, "more"], ["checkpoints", "diff/file"], ["else"]], ids=str
)
def test_a_tree_that_somebody_has_touched_is_not_as_it_was_made(tmp_path: Path, content: list[str]) -> None:
    for name in (".", *content):
        (tmp_path / "tree" / name).mkdir(parents=True, exist_ok=True)
    assert not is_untouched(str(tmp_path / "tree"), CONTAINER)
    assert not is_untouched(str(tmp_path / "none"), CONTAINER)


@pytest.mark.parametrize("part", ["", "checkpoints", "diff"])
def test_one_with_another_mode_is_not_as_it_was_made(tmp_path: Path, part: str) -> None:
    """A create whose image has another at its root may have been cut short."""
    trees = ready_at(tmp_path, 1)
    trees.prepare(1)
    tree = tmp_path / "containers" / str(trees.take())
    (tree / part).chmod(0o711)
    assert not is_untouched(str(tree), CONTAINER)


def test_one_that_cannot_be_taken_over_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = ready_at(tmp_path, 2)
    earlier.prepare(2)
    trees, rename, refused = ready_at(tmp_path, 2), os.rename, list[str]()

    def refuse_first(source: str, target: str) -> None:
        if not refused or refused == [source]:
            refused[:] = [source]
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_first)
    trees.found(earlier.names())
    with pytest.raises(System):
        trees.prepare(2)
    with pytest.raises(System):
        trees.prepare(2)
    assert len(trees) == 1
    assert not trees.leave(tmp_path)


def test_one_that_is_as_it_was_made_is_untouched(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 1)
    trees.prepare(1)
    assert is_untouched(str(tmp_path / "containers" / str(trees.take())), CONTAINER)


def test_what_cannot_be_made_is_told_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    trees = ready_at(tmp_path, 3, attrs.evolve(CONTAINER, parts=(("diff", 0o755), ("not/there", 0o700))))
    with pytest.raises(System, match=r"^cannot prepare directories: No such file or directory$"):
        trees.prepare(2)
    assert (len(trees), names_in(tmp_path / "containers")) == (0, [])


def test_many_are_made_by_another_process_and_are_as_all_others(tmp_path: Path, maker: TreeMaker) -> None:
    trees = ReadyTrees(tmp_path, MAKER_BATCH_MIN + 1, CONTAINER, maker)
    trees.prepare(MAKER_BATCH_MIN)
    trees.prepare(1)
    made = [tmp_path / "containers" / name for name in trees.names()]
    assert len(made) == MAKER_BATCH_MIN + 1
    assert {(stat.S_IMODE(tree.stat().st_mode), *modes(tree)) for tree in made} == {
        (0o700, ("checkpoints", 0o700), ("diff", 0o755))
    }


def test_what_the_other_process_cannot_make_is_told_and_nothing_of_it_is_left(tmp_path: Path, maker: TreeMaker) -> None:
    kind = attrs.evolve(CONTAINER, parts=(("diff", 0o755), ("not/there", 0o700)))
    trees = ReadyTrees(tmp_path, MAKER_BATCH_MIN, kind, maker)
    with pytest.raises(System, match=r"^cannot prepare directories: No such file or directory$"):
        trees.prepare(MAKER_BATCH_MIN)
    assert (len(trees), names_in(tmp_path / "containers")) == (0, [])


Free = namedtuple("Free", "f_bavail f_frsize f_bsize f_favail f_files")


@pytest.mark.parametrize(
    ("free", "count"),
    [
        (Free(f_bavail=10**6, f_frsize=4096, f_bsize=4096, f_favail=10**6, f_files=10**6), 20),
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
    trees = ready_at(tmp_path, 20)
    trees.prepare(100)
    assert len(trees) == count

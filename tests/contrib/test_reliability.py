"""The comparison of engines on bad days: a round of ours in each part, and the pages it writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from contrib.crash.disks import CannotMount, disk_at
from contrib.engines import boatyard
from contrib.reliability.__main__ import PARTS, main
from contrib.reliability.full import fill, make_room
from contrib.reliability.killed import KILLED, Found
from contrib.reliability.pages import IN_SHORT, PAGE, README, SHORT_ROWS, short_table, with_table
from contrib.reliability.part import Column, Part, plain
from contrib.reliability.site import Subject
from contrib.reliability.syncs import calls
from loadtest import HarnessError
from tests.daemon.harness import in_memory
from tests.engines import READY_TREES, not_here

OF_DISKS = ("power", "images", "full")


@pytest.fixture(scope="session")
def can_mount() -> bool:
    with in_memory() as home:
        try:
            with disk_at(home / "point", home / "image", size_bytes=8 << 20):
                return True
        except CannotMount:
            return False


@pytest.mark.integration
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_ours_keeps_its_promises(part: Part[object], can_mount: bool) -> None:
    if part.name in OF_DISKS and not can_mount:
        pytest.skip("no file systems can be mounted here")
    if part.name == "syncs" and shutil.which("strace") is None:
        not_here("strace is not installed")
    with in_memory() as home:
        start = partial(boatyard, ready_trees=READY_TREES)
        found = part.column(Subject(start=start, rounds=1, clients=4, directory=home))
    assert not found.is_broken, part.table({"boatyard": found})


def test_the_tables_for_the_docs_have_all_engines() -> None:
    with pytest.raises(SystemExit):
        main(["--write", "--engine", "boatyard"])


def found(**values: int) -> Callable[[Subject], Found]:
    return lambda _: Found(**values)


def refuse(_: Subject) -> Found:
    raise HarnessError("the list says 500\nand more")


def column(examine: Callable[[Subject], Found]) -> Column:
    part = Part(name="killed", examine=examine, rows=KILLED.rows, is_broken=KILLED.is_broken)
    return part.column(Subject(start=boatyard, rounds=1, clients=1))


def test_every_row_has_a_cell_for_every_engine() -> None:
    head, _, first, *rest = KILLED.table(
        {"dockerd": column(found(acknowledged=5)), "podman": column(refuse)}
    ).splitlines()
    assert head == "| | dockerd | podman |"
    assert first == f"| {KILLED.rows[0][0]} | 5 | (the list says 500) |"
    assert len(rest) == len(KILLED.rows) - 1


@pytest.mark.parametrize(
    ("examine", "is_broken"),
    [
        (found(acknowledged=5, left=3, unanswered=2), False),
        (found(missing=1), True),
        (found(unusable=1), True),
        (found(unanswered_at_stop=1), True),
        (refuse, True),
    ],
)
def test_a_broken_promise_is_told(examine: Callable[[Subject], Found], is_broken: bool) -> None:
    assert column(examine).is_broken is is_broken


def test_the_pages_have_a_place_for_each_and_readme_the_rows_of_the_docs() -> None:
    page, readme = PAGE.read_text(), README.read_text()
    for name in PARTS:
        with_table(page, name, "")
    assert with_table(readme, IN_SHORT, short_table(page)) == readme


def test_a_row_that_readme_has_and_no_part_is_noticed() -> None:
    titles = [title for part in PARTS.values() for title, _ in part.rows]
    assert set(SHORT_ROWS) <= set(titles)
    assert len(titles) == len(set(titles))
    with pytest.raises(ValueError, match=SHORT_ROWS[1]):
        short_table(f"| | ours |\n|---|---|\n| {SHORT_ROWS[0]} | 1 |\n")


def test_an_answer_is_told_without_what_is_another_each_time() -> None:
    text = f"500 mkdir /x/by-1/data/overlay2/{'0a' * 32}-init:\n no space | tmp1733040727"
    assert plain(text, Path("/x/by-1")) == "500 mkdir /HOME/data/overlay2/ID-init: no space \\| tmpN"


def test_calls_are_counted_when_they_begin(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    lines = (
        "12 1700000000.5 fsync(5) = 0",
        "12 1700000001.5 fdatasync(5 <unfinished ...>",
        "13 1700000001.6 syncfs(5) = 0",
        "12 1700000001.7 <... fdatasync resumed>) = 0",
        "12 1700000001.8 +++ exited with 0 +++",
        "12 1700000002.5 fsync(5) = 0",
    )
    trace.write_text("\n".join(lines))
    assert calls(trace, 1700000001.0, 1700000002.0) == 2


def test_a_disk_is_filled_and_has_room_again(can_mount: bool) -> None:
    if not can_mount:
        pytest.skip("no file systems can be mounted here")
    with in_memory() as home, disk_at(home / "point", home / "image", size_bytes=8 << 20) as disk:
        fill(disk.point)
        with pytest.raises(OSError, match="No space left"):
            (disk.point / "file").write_bytes(bytes(4096))
        make_room(disk.point)
        (disk.point / "file").write_bytes(bytes(1 << 20))

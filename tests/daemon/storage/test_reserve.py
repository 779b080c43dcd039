from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import pytest

from daemon.storage.reserve import DISK_BYTES_MIN, RESERVE_BYTES, ROOM_BYTES, START_BYTES, Reserve
from tests.daemon.storage.making import names_in

FILES = ["reserve-0", "reserve-1", "reserve-2"]

Free = namedtuple("Free", "f_bavail f_frsize f_blocks f_favail f_files")


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int, *, disk_bytes: int = 4 * DISK_BYTES_MIN) -> None:
    """Let the disk have so much room."""
    monkeypatch.setattr(os, "statvfs", lambda _: Free(free_bytes // 4096, 4096, disk_bytes // 4096, 1000, 10**6))


def held_bytes(root: Path) -> int:
    return (root / FILES[0]).stat().st_blocks * 512


def test_it_is_held_where_there_is_room_and_given_up_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Reserve(tmp_path)
    free(monkeypatch, ROOM_BYTES)
    reserve.hold()
    assert (names_in(tmp_path), held_bytes(tmp_path), reserve.is_short) == (FILES, RESERVE_BYTES, False)
    free(monkeypatch, RESERVE_BYTES - 4096)
    reserve.open()
    assert (names_in(tmp_path), reserve.is_short) == ([], True)
    reserve.hold()
    assert (names_in(tmp_path), reserve.is_short) == ([], True)


def test_when_it_has_been_given_up_a_stop_keeps_what_the_next_start_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Reserve(tmp_path)
    free(monkeypatch, START_BYTES)
    reserve.leave()
    assert (names_in(tmp_path), held_bytes(tmp_path)) == (FILES, START_BYTES)
    reserve.open()
    assert names_in(tmp_path) == []


def test_a_stop_leaves_one_that_is_held_as_it_is(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.hold()
    reserve.leave()
    assert held_bytes(tmp_path) == RESERVE_BYTES


def test_a_small_disk_has_no_room_for_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, ROOM_BYTES - 4096, disk_bytes=DISK_BYTES_MIN - 4096)
    reserve = Reserve(tmp_path)
    reserve.open()
    reserve.hold()
    reserve.leave()
    assert (names_in(tmp_path), reserve.is_short) == ([], False)

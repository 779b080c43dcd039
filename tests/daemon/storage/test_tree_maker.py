from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.storage.tree_maker import Order, TreeMaker, sync
from tests.daemon.storage.making import names_in

PARTS = (("a", 0o700), ("b", 0o755))
PATIENCE_S = 20.0
KILLED = """
import os, signal, sys
from daemon.storage.tree_maker import TreeMaker
TreeMaker().make([sys.argv[1]], ())
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def maker() -> Iterator[TreeMaker]:
    maker = TreeMaker()
    yield maker
    maker.close()


def children() -> set[int]:
    return {int(each) for each in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_it_is_started_by_the_first_batch_or_before_and_once(maker: TreeMaker, tmp_path: Path) -> None:
    before = children()
    maker.make([str(tmp_path / "first")], PARTS)
    (process,) = children() - before
    maker.start()
    maker.make([str(tmp_path / name) for name in ("second", "third")], PARTS)
    assert children() - before == {process}
    assert names_in(tmp_path) == ["first", "second", "third"]
    assert all(names_in(tree) == ["a", "b"] for tree in tmp_path.iterdir())
    maker.close()
    maker.close()
    assert children() == before


def test_a_path_need_not_be_utf_8(maker: TreeMaker, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    maker.make([path], PARTS)
    assert names_in(Path(path)) == ["a", "b"]


def test_paths_are_those_of_our_directory(maker: TreeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    maker.make(["tree"], PARTS)
    assert names_in(tmp_path / "tree") == ["a", "b"]


def test_an_error_is_told_and_ends_the_batch_but_not_the_process(maker: TreeMaker, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        maker.make([str(tmp_path / "one"), str(tmp_path), str(tmp_path / "two")], PARTS)
    assert names_in(tmp_path) == ["one"]
    maker.make([str(tmp_path / "two")], PARTS)
    assert names_in(tmp_path) == ["one", "two"]


def test_the_directory_of_a_batch_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []

    def note_and_fail(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        raise OSError(errno.EIO, "nobody's concern")

    monkeypatch.setattr(os, "fsync", note_and_fail)
    sync(Order(daemon=os.getppid(), paths=tuple(str(tmp_path / name) for name in ("one", "two")), parts=PARTS))
    assert synced == [tmp_path]


def test_one_that_has_died_is_told_and_replaced(maker: TreeMaker, tmp_path: Path) -> None:
    before = children()
    maker.make([str(tmp_path / "one")], PARTS)
    (process,) = children() - before
    os.kill(process, signal.SIGKILL)
    with pytest.raises(OSError, match=r"has ended|Broken pipe|reset") as failed:
        maker.make([str(tmp_path / "two")], PARTS)
    assert failed.value.errno in (errno.EPIPE, errno.ECONNRESET)
    maker.make([str(tmp_path / "three")], PARTS)
    assert names_in(tmp_path) == ["one", "three"]


def test_a_ctrl_c_that_a_terminal_sends_to_all_is_the_daemons(maker: TreeMaker, tmp_path: Path) -> None:
    before = children()
    maker.make([str(tmp_path / "one")], PARTS)
    (process,) = children() - before
    os.kill(process, signal.SIGINT)
    maker.make([str(tmp_path / "two")], PARTS)
    assert names_in(tmp_path) == ["one", "two"]


def test_it_ends_with_its_daemon(tmp_path: Path) -> None:
    """It has its daemon's standard output, which is at its end when both have gone."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "one")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as daemon:
        daemon.communicate(timeout=PATIENCE_S)
        assert daemon.returncode == -signal.SIGKILL
    assert names_in(tmp_path) == ["one"]

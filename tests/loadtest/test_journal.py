from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.errors import HarnessError
from loadtest.journal import Journal
from loadtest.runner import run
from loadtest.scenario import Scenario
from tests.loadtest.fake_docker import FakeDocker, Request

SOURCES = Path(__file__).parents[2]


def entries(journal: Path) -> list[str]:
    return sorted(path.name for path in journal.glob("*")) if journal.is_dir() else []


def test_a_run_is_written_down_before_its_first_create_and_struck_out_when_it_is_cleaned(
    docker: FakeDocker, journal: Path
) -> None:
    seen: list[list[str]] = []
    docker.script = lambda number, request: seen.append(entries(journal))
    run(Scenario(host=docker.host, run_id="r", count=2, concurrency=1))
    assert seen == [["r.json"], ["r.json"]]
    assert entries(journal) == []


def test_a_run_whose_containers_are_to_be_kept_is_finished(docker: FakeDocker, journal: Path) -> None:
    run(Scenario(host=docker.host, run_id="r", count=2, keep=True))
    assert entries(journal) == []


def test_a_run_that_could_not_be_cleaned_stays_in_the_journal(docker: FakeDocker, journal: Path) -> None:
    docker.script_delete = lambda number, request: docker.path.unlink(missing_ok=True)
    run(Scenario(host=docker.host, run_id="r", count=40))
    assert entries(journal) == ["r.json"]


def test_a_journal_that_cannot_be_written_stops_the_run_before_it_begins(
    docker: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(HarnessError, match="journal cannot be written"):
        run(Scenario(host=docker.host))
    assert docker.creates == []


def test_a_user_without_a_home_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 5)  # of no line in /etc/passwd
    assert main(["clean"]) == 1
    assert "this user has no home, and XDG_STATE_HOME is not set" in capsys.readouterr().err


def test_a_run_that_is_still_going_on_is_not_unfinished(docker: FakeDocker) -> None:
    journal = Journal.of_user()
    journal.begin(Scenario(host=docker.host, run_id="r"))
    assert journal.unfinished() == ()
    entry = journal.find("r")
    assert entry is not None
    assert (entry.is_running, entry.host) == (True, docker.host)


def test_what_is_no_entry_is_passed_over(journal: Path) -> None:
    journal.mkdir(parents=True)
    (journal / "x.json").write_text("{")
    (journal / "y.json").write_text(json.dumps({"run_id": "y"}))
    assert Journal.of_user().unfinished() == ()


def killed(docker: FakeDocker, *flags: str) -> None:
    """A run of 100 that is killed when 30 were answered and the others wait."""
    is_held, release = threading.Event(), threading.Event()

    def hold(number: int, request: Request) -> None:
        if number >= 30:
            is_held.set()
            release.wait()

    docker.script = hold
    command = [sys.executable, "-m", "loadtest", "run", "-H", docker.host, "-n", "100", "-c", "4", *flags]
    with subprocess.Popen(command, cwd=SOURCES, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert is_held.wait(30)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    release.set()
    docker.wait_idle()
    docker.script = lambda number, request: None


def test_after_kill_9_clean_leaves_no_container_of_the_run_and_all_others(
    docker: FakeDocker, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(Scenario(host=docker.host, run_id="other", count=3, keep=True))
    killed(docker)
    assert len(docker.containers) > 3
    assert len(entries(journal)) == 1
    assert main(["clean"]) == 0
    assert docker.names == ["lt-other-0", "lt-other-1", "lt-other-2"]
    assert entries(journal) == []
    capsys.readouterr()
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == "no run was left unfinished\n"


def test_clean_of_a_run_knows_its_host_from_the_journal(docker: FakeDocker, journal: Path) -> None:
    killed(docker)
    (name,) = entries(journal)
    assert main(["clean", name.removesuffix(".json")]) == 0
    assert (docker.containers, entries(journal)) == ({}, [])


def test_a_target_that_is_gone_keeps_its_run_in_the_journal(docker: FakeDocker, journal: Path) -> None:
    killed(docker)
    docker.path.unlink()
    assert main(["clean"]) == 3
    assert len(entries(journal)) == 1

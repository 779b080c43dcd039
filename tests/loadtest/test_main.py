from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from loadtest.__main__ import main
from loadtest.commands import COMMANDS
from loadtest.runner import run
from loadtest.scenario import Scenario
from tests.loadtest.fake_docker import FakeDocker, Reply, Request, http

SOURCES = Path(__file__).parents[2]


def test_a_run_reports_and_cleans_up(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert main(["run", "-H", docker.host, "-n", "50", "-c", "4"]) == 0
    assert signal.getsignal(signal.SIGINT) is before
    output = capsys.readouterr().out
    assert "201 x 50" in output
    assert "50 containers removed" in output
    assert (len(docker.creates), docker.containers) == (50, {})


def test_the_defaults_are_200_unique_creates_on_the_host_of_the_environment(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    assert main(["run"]) == 0
    assert len({request.query["name"] for request in docker.creates}) == 200


def test_collisions_that_were_asked_for_are_fine(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-H", docker.host, "-n", "40", "--names", "collide:4"]) == 0
    assert "201 x 10  409 x 30" in capsys.readouterr().out


def test_errors_that_nobody_asked_for_are_exit_4(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    docker.script = lambda number, request: http(500, {"message": "disk full"}) if number == 7 else None
    assert main(["run", "-H", docker.host, "-n", "20"]) == 4
    assert "http_500 x 1" in capsys.readouterr().out


def test_a_clean_up_that_fails_is_exit_4(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    docker.script_delete = lambda number, request: http(500, {"message": "device is busy"})
    assert main(["run", "-H", docker.host, "-n", "3"]) == 4
    assert "device is busy" in capsys.readouterr().out


def test_a_target_that_dies_during_the_clean_up_is_exit_4_and_the_report_is_there(
    docker: FakeDocker, capsys: pytest.CaptureFixture[str]
) -> None:
    def die(number: int, request: Request) -> Reply:
        docker.path.unlink(missing_ok=True)
        return Reply(b"", closes=True)

    docker.script_delete = die
    assert main(["run", "-H", docker.host, "-n", "3"]) == 4
    output = capsys.readouterr().out
    assert "201 x 3" in output
    assert "to try again: boatyard-load clean" in output


def test_keep_leaves_the_containers_and_clean_all_removes_them(
    docker: FakeDocker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-H", docker.host, "-n", "5", "--keep"]) == 0
    assert len(docker.containers) == 5
    assert "boatyard-load clean" in capsys.readouterr().out
    assert main(["clean", "--all", "-H", docker.host]) == 0
    assert capsys.readouterr().out == "5 containers removed\n"
    assert docker.containers == {}


def test_clean_removes_the_run_that_is_named(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    for run_id in ("a", "b"):
        run(Scenario(host=docker.host, run_id=run_id, count=2, keep=True))
    assert main(["clean", "a", "-H", docker.host]) == 0
    assert docker.names == ["lt-b-0", "lt-b-1"]


def test_the_json_file_has_the_result(docker: FakeDocker, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert main(["run", "-H", docker.host, "-n", "20", "-c", "2", "--json", str(file)]) == 0
    read = json.loads(file.read_text())
    assert (read["kind"], read["version"], read["server"]["version"]) == ("run", 2, "1.2.3 (API 1.51)")
    assert (read["server"]["host"], read["plan"]["concurrency"]) == (docker.host, 2)
    assert read["command"] == ["boatyard-load", "run", "-H", docker.host, "-n", "20", "-c", "2", "--json", str(file)]
    assert read["counts"] == {
        "sent": 20,
        "warmup": 0,
        "created": 20,
        "errors": 0,
        "abandoned": 0,
        "unsent": 0,
        "late": 0,
        "statuses": {"201": 20},
    }
    assert read["response_time"]["percentiles_ns"]["p50"] > 0
    assert read["client"]["ceiling_per_s"] > 0
    assert read["cleanup"] == {"removed": 20, "failures": []}
    assert len(read["containers"]) == 20


@pytest.mark.parametrize("command", [["run"], ["clean", "--all"]])
def test_a_target_that_is_not_there_is_exit_3(
    socket_file: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "-H", f"unix://{socket_file}"]) == 3
    assert capsys.readouterr().err == f"boatyard-load: {socket_file}: No such file or directory\n"


def test_an_image_that_cannot_be_loaded_is_exit_1(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    docker.load_reply = http(500, {"message": "disk full"})
    assert main(["run", "-H", docker.host]) == 1
    assert "could not be loaded: 500 disk full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ([], "the following arguments are required"),
        (["walk"], "invalid choice"),
        (["run", "--slo", "fast"], "objective 'fast' is not like p99<50ms"),
        (["run", "--rate", "often"], "'often' is not a rate like 200/s"),
        (["run", "-d", "long"], "'long' is not a time like 500ms"),
        (["run", "--mix", "create"], "is not like create=80"),
        (["sweep", "-c", "4,2"], "is not a rising list"),
        (["knee"], "the following arguments are required: --slo"),
        (["compare", "unix:///a"], "the following arguments are required: B"),
        (["compare", "unix:///a", "unix:///b", "--rounds", "0"], "needs at least one round"),
        (["report", "a.json"], "the following arguments are required: -o"),
        (["run", "-n", "x"], "invalid int value"),
        (["run", "-n", "0"], "count 0 is not between"),
        (["run", "-c", "0"], "concurrency 0 is not between"),
        (["run", "--names", "collide:1"], "none of unique, generated, collide:K"),
        (["run", "-H", "tcp://localhost"], "is not a unix socket"),
        (["run", "--json", "/nowhere/at/all.json"], "not a file in an existing directory"),
        (["run", "--json", "/"], "not a file in an existing directory"),
        (["clean", "a", "--all"], "not allowed with argument"),
        (["clean", "a b", "-H", "unix:///s"], "run id 'a b' does not match"),
    ],
)
def test_bad_flags_are_exit_2_with_a_text(flags: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(flags)
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_teaches(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(flags)
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "boatyard-load" in text
    assert "examples:" in text
    assert "exit codes:" in text


@attrs.frozen
class Interrupted:
    process: subprocess.Popen[str]
    release: threading.Event


@contextmanager
def interrupted_run(docker: FakeDocker, *, held: int, flags: tuple[str, ...] = ()) -> Iterator[Interrupted]:
    """A run of 100 creates from 4 clients, sent SIGINT when the first `held` were answered and each client waits for another."""
    release = threading.Event()
    is_held = threading.Event()

    def hold(number: int, request: Request) -> None:
        if number == held + 3:
            is_held.set()
        if number >= held:
            release.wait()

    docker.script = hold
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run", "-H", docker.host, "-n", "100", "-c", "4", *flags],
        cwd=SOURCES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert is_held.wait(30)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while "stopping" not in process.stderr.readline():
                assert process.poll() is None
            yield Interrupted(process, release)
        finally:
            release.set()
            process.kill()


def test_ctrl_c_stops_sending_collects_reports_and_cleans_up(docker: FakeDocker) -> None:
    with interrupted_run(docker, held=10) as interrupted:
        interrupted.release.set()
        output, errors = interrupted.process.communicate(timeout=30)
    assert interrupted.process.returncode == 130
    assert len(docker.creates) == 14
    assert "interrupted after 14 requests, 0 of them abandoned" in output
    assert "201 x 14" in output
    assert "14 containers removed" in output
    assert docker.containers == {}
    assert "Traceback" not in errors


def test_a_second_ctrl_c_skips_the_clean_up_and_says_how_to_do_it(docker: FakeDocker, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    with interrupted_run(docker, held=10, flags=("--json", str(file))) as interrupted:
        interrupted.process.send_signal(signal.SIGINT)
        output, errors = interrupted.process.communicate(timeout=30)
    assert interrupted.process.returncode == 130
    assert "10 containers; to remove them" in output
    read = json.loads(file.read_text())
    run_id = read["plan"]["run_id"]
    assert output.splitlines()[-1].endswith(f"boatyard-load clean {run_id} -H {docker.host}")
    assert (read["cleanup"], read["is_interrupted"], read["counts"]["created"]) == (None, True, 10)
    assert (read["counts"]["sent"], read["counts"]["abandoned"]) == (14, 4)
    assert "Traceback" not in errors


def test_a_reader_that_goes_away_misses_the_rest_and_that_is_all(docker: FakeDocker, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "loadtest", "run", "-H", docker.host, "-n", "100", "--json", str(file)]
    with subprocess.Popen(command, cwd=SOURCES, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""
    assert len(docker.creates) == 100
    assert docker.containers == {}
    assert json.loads(file.read_text())["cleanup"] == {"removed": 100, "failures": []}


@pytest.mark.parametrize("flag", ["--json", "--html", "--csv", "--hgrm"])
def test_a_file_that_cannot_be_written_is_named_and_the_containers_are_removed(
    docker: FakeDocker, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-H", docker.host, "-n", "5", flag, "/dev/full"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "boatyard-load: /dev/full cannot be written: No space left on device\n"
    assert "5 containers removed" in captured.out
    assert docker.containers == {}


def test_a_terminal_that_is_full_keeps_neither_the_containers_nor_the_files(docker: FakeDocker, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "loadtest", "run", "-H", docker.host, "-n", "5", "--json", str(file)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=SOURCES, stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    assert (done.returncode, docker.containers) == (1, {})
    assert b"No space left on device" in done.stderr
    assert json.loads(file.read_text())["cleanup"] == {"removed": 5, "failures": []}

"""The daemon as a process: starts, stops, is killed under load, and is used wrongly."""

from __future__ import annotations

import http.client
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from contrib.connection import Connection
from contrib.engines import Engine
from contrib.unclaimed import claimed
from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import Api, running

pytestmark = pytest.mark.integration

BODY = {"Image": "busybox", "Cmd": ["true"]}


AS_SYSTEMD_DOES = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal_with_0_and_leaves_no_socket(number: signal.Signals, home: Path) -> None:
    with running(home) as daemon:
        assert stat.S_IMODE((home / "socket").stat().st_mode) == 0o660
        assert daemon.stop(number) == 0
    assert not (home / "socket").exists()


@contextmanager
def under_load(home: Path, create: Callable[[Engine, int], None], enough: threading.Event) -> Iterator[Engine]:
    """A daemon, when eight clients that `create` have said it is enough; at the end they are waited for."""
    with running(home) as daemon:
        with closing(Api(daemon)) as api:
            assert api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200
        threads = [threading.Thread(target=create, args=(daemon, worker)) for worker in range(8)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        yield daemon
        for thread in threads:
            thread.join(60)


def test_stopped_under_load_every_request_is_answered_and_the_next_start_has_nothing_to_recover(home: Path) -> None:
    acknowledged: set[str] = set()
    refused: list[str] = []
    unanswered: list[str] = []
    enough = threading.Event()

    def create(daemon: Engine, worker: int) -> None:
        with closing(Api(daemon)) as api:
            for number in range(10_000):
                name = f"w{worker}n{number}"
                try:
                    status, answer = api.call("POST", f"/containers/create?name={name}", BODY)
                except (FileNotFoundError, ConnectionRefusedError, BrokenPipeError):
                    return  # it has gone, and has not taken the request
                except (OSError, http.client.HTTPException) as error:
                    unanswered.append(f"{name}: {error!r}")
                    return
                if status == 503:
                    refused.append(answer["message"])
                    continue
                assert status == 201, answer
                acknowledged.add(name)
                if len(acknowledged) >= 200:
                    enough.set()

    with under_load(home, create, enough) as daemon:
        assert daemon.stop(signal.SIGTERM) == 0
    assert not unanswered
    assert set(refused) <= {"the daemon is stopping"}
    with running(home) as daemon, closing(Api(daemon)) as api:
        containers = api.call("GET", "/containers/json?all=1")[1]
        assert {container["Names"][0].removeprefix("/") for container in containers} == acknowledged
        assert daemon.stop(signal.SIGTERM) == 0
    assert "recovered" not in (home / "log").read_text()


def test_a_second_signal_does_not_wait_for_what_is_under_way(home: Path) -> None:
    with running(home) as daemon, closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(home / "socket"))
        client.sendall(
            b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        daemon.process.send_signal(signal.SIGTERM)
        with (home / "log").open() as log:
            while "answering what is under way" not in log.read():
                select.select([], [], [], 0.01)
        assert daemon.process.poll() is None
        assert daemon.stop(signal.SIGTERM) == 0
        assert client.recv(100) == b""


def test_started_by_systemd_it_serves_the_socket_it_is_given_and_says_how_it_is(home: Path) -> None:
    with (
        closing(socket.socket(socket.AF_UNIX)) as given,
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager,
    ):
        given.bind(str(home / "socket"))
        given.listen()
        manager.bind(str(home / "notify"))
        manager.settimeout(30)
        with closing(socket.socket(socket.AF_UNIX)) as waiting:
            waiting.connect(str(home / "socket"))  # which is what starts it
            waiting.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
            environment = {**os.environ, "NOTIFY_SOCKET": str(home / "notify"), "WATCHDOG_USEC": "100000"}
            serve = [sys.executable, "-m", "daemon", "serve", "--data-root", str(home / "data")]
            command = [sys.executable, "-c", AS_SYSTEMD_DOES, str(given.fileno()), *serve]
            with subprocess.Popen(command, env=environment, pass_fds=[given.fileno()]) as daemon:
                try:
                    assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
                    assert waiting.recv(100).startswith(b"HTTP/1.1 200 OK")
                    daemon.send_signal(signal.SIGTERM)
                    while (said := manager.recv(100)) == b"WATCHDOG=1":
                        pass
                    assert said == b"STOPPING=1"
                    assert daemon.wait(30) == 0
                finally:
                    daemon.kill()
        assert (home / "socket").exists(), "it is systemd's"


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and not os.environ.get("CI"), reason="systemd-analyze is not installed"
)
def test_the_units_are_in_order(tmp_path: Path) -> None:
    """But for the program, which need not be installed where tests run."""
    units = Path(__file__).parents[2] / "contrib/systemd"
    for unit in units.iterdir():
        text = unit.read_text().replace("/usr/local/bin/boatyardd", sys.executable)
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "boatyard" in line] == []


def test_a_second_daemon_on_the_same_data_root_says_so(home: Path) -> None:
    with running(home):
        command = [
            sys.executable,
            "-m",
            "daemon",
            "serve",
            "--data-root",
            str(home / "data"),
            "--socket",
            str(home / "s2"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert done.stderr == "boatyardd: another daemon is using this data root\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "required: command"),
        (["serve"], "say where everything durable is to be: --data-root DIR"),
        (["serve", "--data-root", "x", "--socket", "/" + 120 * "s"], "at most 107 bytes"),
        (
            ["serve", "--data-root", "x", "--socket", "s", "--ready-trees", "-1"],
            "--ready-trees must be a whole number, at least 0",
        ),
        (
            ["serve", "--data-root", "x", "--socket", "s", "--backend", "twisted"],
            "--backend must be one of uvloop, asyncio, trio",
        ),
        (
            ["serve", "--data-root", "x", "--socket", "s", "--metrics", "0.0.0.0:9323"],
            "--metrics must be a path with a slash, or a port of this machine only",
        ),
    ],
)
def test_wrong_usage_exits_with_2_and_names_it(arguments: list[str], text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon", *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert text in done.stderr


def test_asked_for_metrics_it_shows_them_and_counts_creates(home: Path) -> None:
    with running(home, options=["--metrics", str(home / "metrics")]) as daemon:
        with closing(Api(daemon)) as api:
            assert api.call("POST", "/containers/create", BODY)[0] == 404
        with closing(Connection(home / "metrics", timeout_s=30)) as connection:
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
        assert 'boatyard_creates_total{outcome="not_found"} 1.0' in page
        assert 'boatyard_mailbox_messages{actor="database"} 0.0' in page
        assert "process_resident_memory_bytes" in page
        assert daemon.stop() == 0
    assert not (home / "metrics").exists()


def test_killed_under_load_every_acknowledged_container_is_there_and_nothing_else(home: Path) -> None:
    acknowledged: dict[str, str] = {}
    tried: set[str] = set()
    enough = threading.Event()

    def create(daemon: Engine, worker: int) -> None:
        with closing(Api(daemon)) as api:
            for number in range(10_000):
                name = f"w{worker}n{number}"
                tried.add(name)
                try:
                    status, answer = api.call("POST", f"/containers/create?name={name}", BODY)
                except (OSError, http.client.HTTPException):
                    return  # it was killed
                assert status == 201, answer
                acknowledged[name] = answer["Id"]
                if len(acknowledged) >= 200:
                    enough.set()

    with under_load(home, create, enough) as daemon:
        daemon.stop(signal.SIGKILL)
    with running(home) as daemon, closing(Api(daemon)) as api:
        containers = api.call("GET", "/containers/json?all=1")[1]
        listed = {container["Names"][0].removeprefix("/"): container["Id"] for container in containers}
        assert acknowledged.items() <= listed.items()
        assert set(listed) <= tried
        assert len(set(listed.values())) == len(listed) == len(containers)
        assert claimed(daemon.data_root, listed.values()) == set(listed.values())
        assert not list((daemon.data_root / "staging").iterdir())
        for name in tried - set(listed):
            assert api.call("POST", f"/containers/create?name={name}", BODY)[0] == 201  # the name is free
        for container in api.call("GET", "/containers/json?all=1")[1]:
            assert api.call("DELETE", f"/containers/{container['Id']}")[0] == 204
        assert not claimed(daemon.data_root)

"""Who may use the daemon, how it is told to let them, and what it writes down of what they do: the real process."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from contrib.engines import Engine
from daemon.http.tls import TlsFiles
from tests.certificates import HOST, Certificates, certificates
from tests.daemon.harness import rootfs_tar
from tests.engines import not_here
from tests.integration.conftest import COMMAND_TIMEOUT_S, Api, Daemon, running

pytestmark = pytest.mark.integration

CANARY = "canary-41c0de"
NOBODY = 65534


def lines_of(daemon: Engine) -> list[dict[str, Any]]:
    """Of its log, once it has ended."""
    return [json.loads(line) for line in (daemon.home / "log").read_text().splitlines()]


def wait_logged(daemon: Engine, pattern: str) -> re.Match[str]:
    with (daemon.home / "log").open() as log:
        seen = ""
        while (found := re.search(pattern, seen)) is None:
            assert daemon.process.poll() is None, seen
            seen += log.read()
            select.select([], [], [], 0.01)
    return found


def boatyardd(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *arguments],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def test_one_line_a_request_says_who_did_what_and_no_secret(home: Path) -> None:
    options = ["--log-format", "json", "--log-level", "debug", "--access-log", "all"]
    with running(home, options=options) as daemon, closing(Api(daemon)) as api:
        api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())
        body = {"Image": "busybox", "Cmd": ["true"], "Env": [f"A={CANARY}"], "Labels": {"a": CANARY}}
        assert api.call("POST", f"/containers/create?name=web&x={CANARY}", body)[0] == 201
        assert api.call("POST", "/containers/create?name=web", body)[0] == 409
        assert api.call("GET", "/containers/web/json")[0] == 200
        api.close()
        assert daemon.stop() == 0
    lines = [line for line in lines_of(daemon) if line["logger"] == "access"]
    assert CANARY not in (home / "log").read_text()
    shown = [(line["method"], line["path"], line["status"], line.get("refusal")) for line in lines]
    assert shown[-3:] == [
        ("POST", "/containers/create", 201, None),
        ("POST", "/containers/create", 409, "Conflict"),
        ("GET", "/containers/web/json", 200, None),
    ]
    assert {(line["uid"], line["pid"]) for line in lines[-3:]} == {(os.getuid(), os.getpid())}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_user_who_is_not_on_the_list_is_told_so_and_written_down(home: Path) -> None:
    home.chmod(0o755)
    options = ["--log-format", "json", "--socket-mode", "666", "--allowed-uid", "0"]
    program = (
        "import os, socket, sys; os.setuid(int(sys.argv[2])); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    )
    program += "; print(s.recv(1000).decode())"
    with running(home, options=options) as daemon:
        done = subprocess.run(
            [sys.executable, "-c", program, str(daemon.socket), str(NOBODY)],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
        )
        assert "HTTP/1.1 403 Forbidden" in done.stdout
        assert daemon.stop() == 0
    [line] = [line for line in lines_of(daemon) if line["logger"] == "access" and line["status"] == 403]
    assert (line["uid"], line["refusal"]) == (NOBODY, f"uid {NOBODY} may not use this daemon")


def test_what_it_keeps_is_closed_to_others_and_its_memory_too(home: Path) -> None:
    with running(home) as daemon:
        assert stat.S_IMODE(daemon.data_root.stat().st_mode) == 0o700
        for path in daemon.data_root.glob("boatyard.db*"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        limits = Path(f"/proc/{daemon.process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        if os.geteuid() == 0:
            environ = Path(f"/proc/{daemon.process.pid}/environ")
            assert environ.stat().st_uid == 0  # of a process that can be dumped it is its user's


def test_it_listens_on_its_socket_and_nowhere_else(home: Path) -> None:
    with running(home) as daemon:
        inodes = sockets_of(daemon)
        assert not [line for line in listening_lines("tcp") if line[9] in inodes]
        assert not [line for line in listening_lines("tcp6") if line[9] in inodes]
        unix = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        assert {line[7] for line in unix if line[6] in inodes and len(line) > 7} == {str(daemon.socket)}


def sockets_of(daemon: Daemon) -> set[str]:
    links = []
    for each in Path(f"/proc/{daemon.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has been closed: directories are made all the time
            links.append(os.readlink(each))  # noqa: PTH115 - no path
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}


def listening_lines(protocol: str) -> Iterator[list[str]]:
    for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
        if (fields := line.split())[3] == "0A":
            yield fields


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


def docker_over_tls(
    made: Certificates, files: TlsFiles, port: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    if shutil.which("docker") is None:
        not_here("the docker command is not installed")
    tls = ["--tlsverify", "--tlscacert", str(made.authority)]
    tls += ["--tlscert", str(files.certificate), "--tlskey", str(files.key)]
    return subprocess.run(
        ["docker", "-H", f"tcp://{HOST}:{port}", *tls, *arguments],
        env={key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("backend", ["uvloop", "trio"])
def test_docker_with_a_certificate_is_served_over_tls_and_nobody_else(
    backend: str, home: Path, made: Certificates
) -> None:
    files = made.server
    options = ["--tls-listen", f"{HOST}:0", "--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    options += ["--tls-ca", str(files.authority), "--log-format", "json"]
    with running(home, backend, options=options) as daemon:
        with closing(Api(daemon)) as api:
            api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())
        port = wait_logged(daemon, r"with TLS it is listening on port (\d+)")[1]
        done = docker_over_tls(made, made.client, port, "create", "--name", "web", "busybox", "true")
        assert done.returncode == 0, done.stderr
        assert docker_over_tls(made, made.client, port, "ps", "-a", "--format", "{{.Names}}").stdout == "web\n"
        assert docker_over_tls(made, made.stranger, port, "ps").returncode != 0
        assert daemon.stop() == 0
    lines = [line for line in lines_of(daemon) if line["logger"] == "access"]
    assert [line["path"] for line in lines if line.get("certificate") == "alice"] == ["/v1.50/containers/create"]
    assert [line for line in lines if line.get("refusal", "").startswith("no TLS: ")]


def test_a_signal_reloads_what_can_change_and_a_mistake_changes_nothing(home: Path) -> None:
    file = home / "daemon.toml"
    file.write_text("creates_max = 7\n")
    with running(home, options=["--config", str(file)]) as daemon, closing(Api(daemon)) as api:

        def reload(text: str, pattern: str) -> None:
            file.write_text(text)
            daemon.process.send_signal(signal.SIGHUP)
            wait_logged(daemon, pattern)

        reload(
            "creates_maximum = 8\n",
            r"not reloaded: \S+daemon.toml, line 1: there is no 'creates_maximum'; is creates_max",
        )
        reload("creates_max = 8\nundo_timeout_s = 5\n", r"is reloaded: creates_max is 8, was 7")
        wait_logged(daemon, r"WARNING a restart is needed for undo_timeout_s")
        assert api.call("GET", "/containers/json")[0] == 200
        reload(f"allowed_uids = [{NOBODY}]\n", r"is reloaded: allowed_uids is 65534, was not set")
        assert api.call("GET", "/containers/json") == (403, {"message": f"uid {os.getuid()} may not use this daemon"})
        reload("body_bytes_max = 10\n", r"is reloaded: allowed_uids is not set, was 65534; body_bytes_max is 10")
        api.close()
        assert api.call("POST", "/containers/create", {"Image": "a" * 10})[0] == 413
        assert daemon.stop() == 0


def test_the_configuration_is_shown_with_where_it_came_from(home: Path) -> None:
    file = home / "daemon.toml"
    file.write_text('creates_max = 7\ndata_root = "/nowhere"\n')
    done = boatyardd("config", "--json", "--config", str(file), "--log-level", "debug", BOATYARD_SOCKET="/s")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["creates_max"] == {"value": 7, "source": f"{file}, line 1"}
    assert shown["socket"] == {"value": "/s", "source": "BOATYARD_SOCKET"}
    assert shown["log_level"] == {"value": "debug", "source": "--log-level"}
    plain = boatyardd("config", "--config", str(file))
    assert f'data_root = "/nowhere"                            # {file}, line 2' in plain.stdout.splitlines()

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest

from loadtest.errors import HarnessError
from loadtest.scenario import Scenario
from loadtest.selftest import quick_ceiling
from loadtest.system import READABLE, Kernel, allow_connections


def test_a_wait_lasts_until_its_time_has_come_and_no_longer_the_second_time() -> None:
    kernel = Kernel()
    try:
        for until_ns in (kernel.now_ns() + 2_000_000, kernel.now_ns() + 4_000_000):
            kernel.wait(until_ns)
            assert kernel.now_ns() >= until_ns
            kernel.wait(until_ns)  # comes back, though nothing has changed
        kernel.wait(kernel.now_ns() - 1)
    finally:
        kernel.close()


def test_a_wait_ends_when_something_comes(socket_file: Path) -> None:
    kernel = Kernel()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_file))
        listener.listen()
        wire = kernel.connect(str(socket_file))
        server, _ = listener.accept()
        with wire, server:
            server.send(b"x")
            assert (wire.fileno(), READABLE) in kernel.wait(kernel.now_ns() + 60_000_000_000)
            assert wire.recv(9) == b"x"
    kernel.close()


def test_more_connections_than_this_process_may_have_are_refused_before_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (512, 1024))
    with pytest.raises(HarnessError, match="2,000 connections need 2,064 open files, and this process may have 1,024"):
        allow_connections(2000)


def test_the_null_server_has_room_for_every_client_whatever_the_soft_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert quick_ceiling(Scenario(host="unix:///s", concurrency=400)).requests_per_s > 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

from __future__ import annotations

import socket
from pathlib import Path

from loadtest.system import READABLE, Kernel


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

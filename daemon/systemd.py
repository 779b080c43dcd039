"""What a service and systemd tell each other: that it is ready, that it lives, and the sockets it is given.

Rules: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). Started by anything else there are no such variables, and nothing
is said.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping

import anyio

from daemon.errors import System

_log = logging.getLogger(__name__)

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START: after standard input, output and error."""


class Notifier:
    """Take it once, at the start: what was meant for this process is removed from `environment`, and not for its children."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        interval_us, owner = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        self._interval_s: float | None = None
        if interval_us.isdecimal() and owner in ("", str(os.getpid())):
            self._interval_s = int(interval_us) / 2 / 1e6

    def notify(self, state: str) -> None:
        """`READY=1` and the like. What cannot be said is only logged: nobody is served better by a daemon that stops for it."""
        if not self._address:
            return
        # A name that begins with @ is in the abstract name space: the kernel wants a zero byte there.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            try:
                sender.sendto(state.encode(), address)
            except OSError as error:
                _log.warning("cannot tell systemd %s: %s", state, error.strerror or error)

    async def keep_alive(self, is_alive: Callable[[], Awaitable[bool]]) -> None:
        """Say that we live, as long as that is so, twice in the time that we are given. Returns if nobody wants to know."""
        if self._interval_s is None:
            return
        while True:
            with anyio.move_on_after(self._interval_s):
                if await is_alive():
                    self.notify("WATCHDOG=1")
            await anyio.sleep(self._interval_s)


def passed_socket(environment: MutableMapping[str, str]) -> socket.socket:
    """The listening Unix socket that systemd has made for us.

    Raises:
        System: there is none, or it is another number or kind of sockets.
    """
    count, owner = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    if not count or owner != str(os.getpid()):
        raise System("systemd passes no socket: say --socket PATH")
    if count != "1":
        raise System(f"systemd passes {count} sockets, where one is wanted")
    try:
        passed = socket.socket(fileno=FIRST_DESCRIPTOR)
    except OSError as error:
        raise System("what systemd passes is no socket") from error
    if (passed.family, passed.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not _listens(passed):
        passed.detach()
        raise System("the socket that systemd passes is no Unix stream socket that listens")
    passed.set_inheritable(False)
    passed.setblocking(False)
    return passed


def _listens(passed: socket.socket) -> bool:
    return bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

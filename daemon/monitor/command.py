"""`boatyardd top` and `boatyardd dashboard`: their arguments, and what is brought in only when one of them runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

DEFAULT_HOST = "unix:///run/boatyard.sock"
"""Where the systemd unit listens."""

_HOST_HELP = "where the daemon listens (default: DOCKER_HOST, else %(default)s)"


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    top = commands.add_parser(
        "top",
        help="watch a daemon: its actors, creates and events",
        description="Watch a daemon: the tree of its actors, how fast and how well it creates, what has happened. On a terminal "
        "until Ctrl-C; elsewhere as lines of text. Colours go by NO_COLOR.",
        epilog="Exit codes: 0 shown; 1 nobody answers; 2 wrong usage; 130 Ctrl-C.",
    )
    top.add_argument("--once", action="store_true", help="as text, once, after a second of watching")
    top.add_argument("--interval", type=_seconds, default=1, metavar="SECONDS", help="between two looks (default: 1)")
    dashboard = commands.add_parser(
        "dashboard",
        help="the same as a page in a browser on this machine",
        description="Serve one page that shows what `boatyardd top` does, live, to browsers on this machine that know its "
        "address, which is printed and is another each time. Until Ctrl-C.",
        epilog="From elsewhere: ssh -L PORT:127.0.0.1:PORT machine",
    )
    dashboard.add_argument("--port", type=_port, default=0, help="of 127.0.0.1 (default: any that is free)")
    for parser in (top, dashboard):
        parser.add_argument(
            "-H", "--host", type=_socket, default=os.environ.get("DOCKER_HOST") or DEFAULT_HOST, help=_HOST_HELP
        )


def run(given: argparse.Namespace) -> int:
    if given.command == "dashboard":
        from daemon.monitor.dashboard import serve

        return serve(given.host, given.port)
    from rich.console import Console

    from daemon.monitor import top

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # which leaves the terminal as it was
    return top.run(top.Wanted(socket=given.host, is_once=given.once, every=given.interval), Console(soft_wrap=True))


def socket_of(host: str) -> Path:
    """Of `unix:///run/boatyard.sock`, or of a plain path. Raises ValueError."""
    path = host.removeprefix("unix://")
    if "://" in path or not path.startswith("/"):
        raise ValueError(f"{host!r} is not a Unix socket like {DEFAULT_HOST}")
    return Path(path)


def _socket(text: str) -> Path:
    try:
        return socket_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)

"""`boatyardd top`: on a terminal a live screen, elsewhere lines of text.

A screen stays when the daemon goes, says so, and goes on when it is back; whoever reads lines learns it by the exit code.
Exit codes: 0 after `--once`, or when nobody reads any more; 1 nobody answers; 130 Ctrl-C.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import attrs
from rich.console import Console
from rich.live import Live

from daemon.monitor import plain
from daemon.monitor.client import NoDaemon, overviews
from daemon.monitor.screen import drawn
from daemon.overview import Overview

SHOWN, LOST, INTERRUPTED = 0, 1, 130

RETRY_S = 1.0
"""Between two attempts to reach a daemon that has gone."""


@attrs.frozen(kw_only=True)
class Wanted:
    socket: Path
    is_once: bool = False
    every: int = 1
    """Of the overviews, one a second."""


def run(wanted: Wanted, console: Console) -> int:
    """The exit code. What is wrong is said on standard error."""
    try:
        if wanted.is_once:
            _print(console, _settled(wanted))
        elif console.is_terminal:
            _watch(wanted, console)
        else:
            for overview in _each(wanted):
                _print(console, overview)
    except NoDaemon as error:
        sys.stderr.write(f"boatyardd: {error}\n")
        return LOST
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as of `boatyardd top | head`; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SHOWN


def _each(wanted: Wanted) -> Generator[Overview]:
    """Raises NoDaemon: at its end, too."""
    with closing(overviews(wanted.socket)) as documents:
        yield from itertools.islice(documents, 0, None, wanted.every)
    raise NoDaemon("the daemon has stopped")


def _settled(wanted: Wanted) -> Overview:
    """The second, as the first has no rates yet. Raises NoDaemon."""
    with closing(_each(wanted)) as documents:
        next(documents)
        return next(documents)


def _print(console: Console, overview: Overview) -> None:
    console.file.write(
        "".join(f"{line}\n" for line in plain.lines(overview))
    )  # not by rich, which ends us at a broken pipe
    console.file.flush()


def _watch(wanted: Wanted, console: Console) -> NoReturn:
    """Until Ctrl-C. Raises NoDaemon: there was none to begin with."""
    documents = _each(wanted)
    latest, pause = next(documents), threading.Event()
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:

        def show(overview: Overview, lost: str = "") -> None:
            where = f"unix://{wanted.socket}"
            live.update(drawn(overview, height=console.size.height, where=where, lost=lost), refresh=True)

        while True:
            try:
                show(latest)
                for latest in documents:
                    show(latest)
            except NoDaemon as error:
                show(latest, str(error))
            pause.wait(RETRY_S)
            documents = _each(wanted)

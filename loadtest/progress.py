"""Shows how far a run has come, on standard error: a live view on a terminal, plain lines elsewhere.

Drawing takes rich a millisecond, which the answers of that millisecond would have to wait for. So the view is drawn by a
process of its own, to which the load sends a few bytes 4 times a second.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from rich.console import Console
from rich.live import Live

from loadtest.live import Onlooker, drawn
from loadtest.statistics import Recorder
from loadtest.stopping import Notice
from loadtest.work import Progress

LINE_INTERVAL_S = 1.0


@contextmanager
def progress_shown(recorder: Recorder, notice: Notice) -> Iterator[Callable[[Progress], None]]:
    """What to call with each `Progress`. On leaving, the view is finished and its process gone.

    `notice`: what to say when it is stopping.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # Forked, not spawned: a new interpreter would spend a quarter of a second importing while the load runs; and the recorder's
    # memory is shared with whoever is forked.
    drawer = multiprocessing.get_context("fork").Process(
        target=_draw, args=(receiver, sender, recorder, notice.text), daemon=True
    )
    # Ctrl-C reaches the whole group, but the load decides when to end: blocked from its birth, the drawer never sees one.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        drawer.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    receiver.close()
    # A terminal that is held up (Ctrl-S) loses steps of the view; the load goes on.
    os.set_blocking(sender.fileno(), False)

    def show(progress: Progress) -> None:
        with suppress(BlockingIOError, BrokenPipeError):
            sender.send(progress)

    notice.is_left_to_view = True
    try:
        yield show
    finally:
        notice.is_left_to_view = False
        sender.close()
        drawer.join()


def _lines() -> Callable[[Progress], None]:
    next_line_s = LINE_INTERVAL_S

    def show(progress: Progress) -> None:
        nonlocal next_line_s
        if progress.elapsed_s >= next_line_s:
            next_line_s = progress.elapsed_s + LINE_INTERVAL_S
            of = f" of {progress.count:,}" if progress.count is not None else ""
            until = "" if progress.count is not None else f", {progress.share:.0%} of the time"
            errors = f", {progress.errors:,} errors" if progress.errors else ""
            sys.stderr.write(f"{progress.done:,}{of} answered{errors}{until}\n")
            sys.stderr.flush()

    return show


def _draw(receiver: Connection, sender: Connection, recorder: Recorder, notice: str) -> None:
    """The drawing process, until the other end of the pipe is closed."""
    sender.close()
    onlooker = Onlooker(recorder)
    is_said = False
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            try:
                progress: Progress = receiver.recv()
            except EOFError:
                return
            if progress.is_stopping and not is_said:
                is_said = True
                live.console.print(notice, highlight=False)  # above the view, which would overwrite what others write
            live.update(drawn(progress, onlooker.look(progress)), refresh=True)

"""Ctrl-C in two steps: the first asks whoever is at work to stop, the second is a `KeyboardInterrupt` as usual."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STDERR = 2


class Notice:
    """What the first Ctrl-C is answered with. While a view is on the terminal, it is the view that must show it."""

    def __init__(self, hint: str) -> None:
        self.text = f"stopping: waiting for what is under way; Ctrl-C again {hint}"
        self.is_left_to_view = False


@contextmanager
def stopped_by_sigint(stop: Callable[[], None], hint: str) -> Iterator[Notice]:
    """`hint` says what the second Ctrl-C will do."""
    notice = Notice(hint)

    def on_sigint(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()
        if not notice.is_left_to_view:
            os.write(STDERR, f"\n{notice.text}\n".encode())  # not print: it may be what was interrupted

    previous = signal.signal(signal.SIGINT, on_sigint)
    try:
        yield notice
    finally:
        signal.signal(signal.SIGINT, previous)

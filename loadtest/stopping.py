"""Ctrl-C in two steps: the first asks whoever is at work to stop, the second is a `KeyboardInterrupt` as usual."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STDERR = 2


@contextmanager
def stopped_by_sigint(stop: Callable[[], None], hint: str) -> Iterator[None]:
    """`hint` says what the second Ctrl-C will do."""

    def on_sigint(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()
        text = f"stopping: waiting for what is under way; Ctrl-C again {hint}"
        os.write(STDERR, f"\n{text}\n".encode())  # not print: it may be what was interrupted

    previous = signal.signal(signal.SIGINT, on_sigint)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)

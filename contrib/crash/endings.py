"""How a daemon ends, and when."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from random import Random

import attrs

from contrib.crash.disks import Disk
from contrib.engines import Engine

DELAY_S = (0.05, 1.0)
"""After the first answer: a few creates, or some hundred."""
ANSWERS = (3, 60)
FIRST_ANSWER_TIMEOUT_S = 60.0


@attrs.frozen(kw_only=True)
class Mode:
    is_at_answer: bool = False
    """By the client that reads one, instead of at a time."""
    number: signal.Signals = signal.SIGKILL
    cuts_power: bool = False


MODES: Mapping[str, Mode] = {
    "sigkill": Mode(),
    "ack": Mode(is_at_answer=True),
    "sigterm": Mode(number=signal.SIGTERM),
    "powercut": Mode(cuts_power=True),
    "powercut-ack": Mode(is_at_answer=True, cuts_power=True),
}
"""By name; those that cut the power need a disk."""


class Ending:
    """Of one daemon."""

    def __init__(self, mode: Mode, engine: Engine, disk: Disk | None, rng: Random) -> None:
        self._mode = mode
        self._engine = engine
        self._disk = disk
        self._delay_s = rng.uniform(*DELAY_S)
        self._answers = rng.randint(*ANSWERS)
        self._lock = threading.Lock()
        self._told = 0
        self._first = threading.Event()
        self.cut_at = float("inf")
        """When the power was cut: what is told later has never left the machine."""

    def on_told(self) -> None:
        """A client has read an answer."""
        with self._lock:
            self._told += 1
            is_now = self._mode.is_at_answer and self._told == self._answers
        if is_now:
            self._strike()
        self._first.set()

    def wait(self) -> int:
        """The exit code of the daemon, once it has ended."""
        if not self._mode.is_at_answer:
            self._first.wait(FIRST_ANSWER_TIMEOUT_S)
            threading.Event().wait(self._delay_s)
            self._strike()
        return self._engine.process.wait(FIRST_ANSWER_TIMEOUT_S)

    def _strike(self) -> None:
        if self._mode.cuts_power:
            assert self._disk is not None, "a mode that cuts the power is given a disk"
            self.cut_at = time.monotonic()
            self._disk.cut()
        self._engine.process.send_signal(self._mode.number)

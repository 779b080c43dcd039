"""Bad days on demand: delays and crashes around messages, drawn from a generator, or one crash of one actor."""

from __future__ import annotations

from random import Random

import anyio
import anyio.lowlevel

from actors._ref import Handle


class InjectedCrash(Exception):
    """An actor's crash that a test has asked for."""


class Chaos:
    """Hooks for `Supervisor(hooks=...)`: before and after every message a random delay, and now and then a crash.

    The delays are what lets timeouts race with running code: under a virtual clock that jumps when all are idle, code takes no
    time at all, and no deadline ever passes while a handler is at work.

    Args:
        rng: seeded, so that a failure can be replayed.
        delay_s_max: in seconds of the loop's clock; 0 for checkpoints only.
        delay_rate: how many of the messages are delayed, before and after each.
        crash_rate: how many of the messages crash their actor, half of them before the handler, half after its effect.
    """

    def __init__(
        self, rng: Random, *, delay_s_max: float = 0.1, delay_rate: float = 0.3, crash_rate: float = 0.0
    ) -> None:
        self._rng = rng
        self._delay_s_max = delay_s_max
        self._delay_rate = delay_rate
        self._crash_rate = crash_rate

    async def before_handle(self, actor: str, method: str) -> None:
        await self._act(f"before {actor}.{method}")

    async def after_handle(self, actor: str, method: str) -> None:
        await self._act(f"after {actor}.{method}")

    async def _act(self, where: str) -> None:
        if self._rng.random() < self._delay_rate:
            if self._delay_s_max > 0:
                await anyio.sleep(self._rng.uniform(0, self._delay_s_max))
            else:
                await anyio.lowlevel.checkpoint()
        if self._rng.random() < self._crash_rate / 2:
            raise InjectedCrash(where)


def crash(handle: Handle, error: Exception | None = None) -> None:
    """Let that actor crash once it is through with the message in hand, as if its next handler had raised `error`.

    Returns at once; `quiesce`, or an ask, waits until its supervisor has seen to it.
    """
    handle._cell.interrupt(error or InjectedCrash(f"of {handle.name}"))

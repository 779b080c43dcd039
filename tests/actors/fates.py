"""Messages with a name each, what their senders are told, and the central sentence of SEMANTICS.md, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import attrs

from actors import ActorCrashed, ActorDown, ActorStopped, AskTimeout, Event, MailboxFull, Ref, Refused, Undelivered

Handler = Callable[[str], Awaitable[str]]


class Numbered:
    """An actor that has a method for every message, `m0`, `m1`, ...: all go to `handle(name)`."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Callable[[], Awaitable[str]]:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(self._handle, name)


def message(name: str) -> Callable[[Numbered], Awaitable[str]]:
    async def method(_: Numbered) -> str:
        raise NotImplementedError

    method.__name__ = name
    return method


@attrs.define
class Fates:
    """Who was told what, as text: `replied`, `accepted`, `stopped in the middle`, ..."""

    begun: list[str] = attrs.field(factory=list)
    told: dict[str, str] = attrs.field(factory=dict)
    undelivered: list[str] = attrs.field(factory=list)

    def note(self, event: Event) -> None:
        if isinstance(event, Undelivered):
            self.undelivered.append(event.method)

    async def send(
        self, ref: Ref[Numbered], name: str, verb: str, timeout_s: float | None, scope: anyio.CancelScope
    ) -> None:
        """Returns when its sender knows."""
        with scope:
            self.told[name] = await fate_of(ref, name, verb, timeout_s)
        if scope.cancelled_caught:
            self.told[name] = "cancelled"

    def check(self) -> None:
        """Handled once, or answered with an error, or reported undelivered; never two, never none."""
        begun, undelivered = Counter(self.begun), Counter(self.undelivered)
        for name, told in self.told.items():
            fates = (begun[name], undelivered[name])
            if told == "accepted":
                assert sum(fates) == 1, f"{name} was accepted, then begun and reported undelivered {fates} times"
            elif told == "cancelled":
                assert sum(fates) <= 1, f"{name} was cancelled, then begun and reported undelivered {fates} times"
            else:
                assert fates == (told not in ("stopped", "full", "down", "timed out"), 0), (
                    f"{name}: {told}, but {fates}"
                )


async def fate_of(ref: Ref[Numbered], name: str, verb: str, timeout_s: float | None) -> str:
    try:
        if verb == "tell":
            ref.tell(message(name))
        elif verb == "send":
            await ref.send(message(name))
        else:
            ask = ref.ask(message(name)) if timeout_s is None else ref.ask(message(name), timeout=timeout_s)
            return f"replied {await ask}"
    except ActorCrashed as error:
        assert error.__cause__ is not None
        return "crashed"
    except Refused:
        return "refused"
    except MailboxFull as error:
        return "down" if isinstance(error, ActorDown) else "full"
    except (AskTimeout, ActorStopped) as error:
        return ("timed out" if isinstance(error, AskTimeout) else "stopped") + " in the middle" * error.was_started
    return "accepted"

"""Generated programs, run on the library and on `model.py`: after each step both must agree on everything that can be seen."""

from __future__ import annotations

from contextvars import ContextVar

import anyio
import trio
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors import (
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    MailboxFull,
    Ref,
    Refused,
    RefusedTell,
    Restart,
    StopActor,
    StopTimeout,
    Supervisor,
    TooManyRestarts,
    Undelivered,
)
from actors.testing import crash, no_leaks, quiesce, seeded
from tests.actors.fates import Fates, Numbered
from tests.actors.model import BACKOFF, PERIOD_S, STOP_TIMEOUT_S, Message, Model, Setup

ASKER: ContextVar[str] = ContextVar("asker", default="nobody")

ERRORS: dict[str, type[Exception]] = {"refused": Refused, "crashed": ValueError, "left": StopActor}


class Rig:
    """The library, with the same steps as the model."""

    def __init__(self, setup: Setup, clock: MockClock) -> None:
        self.setup = setup
        self.clock = clock
        self.ref: Ref[Numbered] | None = None
        self.fates = Fates()
        self.events: list[str] = []
        self.senders: list[anyio.CancelScope] = []
        self.in_hand: str | None = None
        self.verdict = ""
        self.decided = anyio.Event()
        self.host_scope = anyio.CancelScope()
        self.how_it_ended = ""

    async def host(self) -> None:
        try:
            with self.host_scope:
                async with Supervisor(
                    intensity=(self.setup.restarts_max, PERIOD_S),
                    backoff=BACKOFF if self.setup.has_backoff else None,
                    on_event=self.note,
                ) as self.supervisor:
                    await anyio.sleep_forever()
            self.how_it_ended = "cancelled"
        except TooManyRestarts:
            self.how_it_ended = "gave up"

    def note(self, event: Event) -> None:
        self.events.append(as_text(event))
        self.fates.note(event)

    async def handle(self, name: str) -> str:
        assert self.in_hand is None, "one at a time"
        self.in_hand = name
        self.fates.begun.append(name)
        try:
            asker = ASKER.get()
            self.decided = anyio.Event()
            await self.decided.wait()
            if self.verdict != "replied":
                raise ERRORS[self.verdict](name)
            assert ASKER.get() == asker
            return asker
        finally:
            self.in_hand = None

    def decide(self, verdict: str) -> None:
        self.verdict = verdict
        self.decided.set()

    async def start(self) -> None:
        self.ref = await self.supervisor.start(
            lambda: Numbered(self.handle),
            name="worker",
            restart=self.setup.restart,
            mailbox_capacity=self.setup.capacity,
            overflow=self.setup.overflow,
            context=self.setup.context,
            while_down=self.setup.while_down,
            stop_timeout_s=STOP_TIMEOUT_S,
        )

    async def send(self, name: str, verb: str, timeout_s: float | None) -> None:
        assert self.ref is not None
        ASKER.set(name)
        self.senders.append(anyio.CancelScope())
        await self.fates.send(self.ref, name, verb, timeout_s, self.senders[-1])
        assert ASKER.get() == name, "nothing leaks back"


def as_text(event: Event) -> str:
    match event:
        case ChildStarted():
            return "started"
        case ChildCrashed():
            return "crashed"
        case ChildStopped():
            return "stopped"
        case StopTimeout():
            return "stop timeout"
        case RefusedTell():
            return f"{event.method} refused"
        case Undelivered():
            return f"{event.method} undelivered: {'full' if isinstance(event.reason, MailboxFull) else 'stopped'}"


async def step(op: str, rig: Rig, model: Model, group: TaskGroup) -> None:
    """Do `op` on both."""
    match op.split(":"):
        case ["start"]:
            if model.life == "gone" and not model.is_host_over:
                await rig.start()
            model.start()
        case ["ask" | "send" | "tell" as verb, *seconds]:
            timeout_s = float(seconds[0]) if seconds else None
            group.start_soon(rig.send, f"m{len(model.messages)}", verb, timeout_s)
            model.submit(verb, *([timeout_s] if timeout_s else []))
        case ["forget", number] if int(number) < len(model.messages):
            rig.senders[-1 - int(number)].cancel()
            model.cancel_sender(-1 - int(number))
        case ["replied" | "refused" | "crashed" | "left" as verdict]:
            rig.decide(verdict)
            model.decide(verdict)
        case ["crash"] if rig.ref is not None:
            crash(rig.ref, ValueError("outside"))
            model.crash_outside()
        case ["stop" | "cancel" as verb] if rig.ref is not None:
            group.start_soon(rig.ref.stop if verb == "stop" else rig.ref.cancel)
            model.stop() if verb == "stop" else model.cancel()
        case ["end"]:
            rig.host_scope.cancel()
            model.end_host()
        case ["wait", seconds]:
            for _ in range(int(seconds) * 4):
                rig.clock.jump(0.25)
                await quiesce()
                model.pass_a_quarter()
    await quiesce()


def compare(rig: Rig, model: Model) -> None:
    assert rig.fates.begun == model.begun
    assert rig.in_hand == (model.in_hand.name if model.in_hand else None)
    assert rig.events == model.events
    assert rig.fates.told == {
        message.name: fate_in_full(message, model.setup) for message in model.messages if message.fate is not None
    }
    if rig.ref is not None:
        seen = rig.ref.statistics()
        assert (seen.queued, seen.waiting) == (len(model.queue), len(model.waiting))
        assert seen.abandoned == model.abandoned
    assert bool(rig.how_it_ended) == (model.is_host_over and model.life == "gone")


def fate_in_full(message: Message, setup: Setup) -> str | None:
    if message.fate != "replied":
        return message.fate
    return f"replied {message.name if setup.context == 'caller' else 'nobody'}"


OPS = """ask ask ask:1.5 ask:2.5 send tell tell replied replied replied refused crashed left crash
         forget:0 forget:1 forget:3 wait:1 wait:3 stop cancel start end""".split()

setups = st.builds(
    Setup,
    capacity=st.integers(1, 3),
    overflow=st.sampled_from(["wait", "reject", "drop_new", "drop_oldest"]),
    restart=st.sampled_from(Restart),
    context=st.sampled_from(["actor", "caller"]),
    restarts_max=st.integers(0, 3),
    has_backoff=st.booleans(),
    while_down=st.sampled_from(["queue", "reject"]),
)


@settings(derandomize=True, deadline=None, max_examples=800)
@given(setup=setups, program=st.lists(st.sampled_from(OPS), max_size=30), seed=st.integers(0, 9))
def test_the_library_does_what_the_model_says(setup: Setup, program: list[str], seed: int) -> None:
    clock = MockClock()

    async def main() -> None:
        rig, model = Rig(setup, clock), Model(setup)
        async with no_leaks(), anyio.create_task_group() as group:
            group.start_soon(rig.host)
            await quiesce()
            for number, op in enumerate(["start", *program, "end", "wait:6"]):
                await step(op, rig, model, group)
                try:
                    compare(rig, model)
                except AssertionError as error:
                    clock.autojump_threshold = 0  # what still runs must end
                    error.add_note(f"after step {number}, {op!r}: {model}")
                    raise
        rig.fates.check()

    with seeded(seed):
        trio.run(main, clock=clock)

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked

from actors import (
    ActorCrashed,
    ActorStopped,
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    Ref,
    Restart,
    StopActor,
    StopTimeout,
    Strategy,
    Supervisor,
    TooManyRestarts,
    Undelivered,
)

pytestmark = pytest.mark.anyio


class Service:
    """Writes its starts and stops into a journal shared with the test."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self.name = name
        self.journal = journal

    async def __aenter__(self) -> Self:
        self.journal.append(f"+{self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.journal.append(f"-{self.name}")

    async def ping(self) -> str:
        return self.name

    async def crash(self) -> None:
        raise ValueError(self.name)

    async def finish(self) -> None:
        raise StopActor

    async def hang(self) -> None:
        await anyio.sleep_forever()

    async def note(self, text: str) -> None:
        self.journal.append(text)

    async def note_slowly(self, text: str) -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        self.journal.append(text)


async def start(
    supervisor: Supervisor,
    name: str,
    journal: list[str],
    restart: Restart = Restart.PERMANENT,
    stop_timeout_s: float = 5.0,
) -> Ref[Service]:
    return await supervisor.start(
        lambda: Service(name, journal), name=name, restart=restart, stop_timeout_s=stop_timeout_s
    )


async def crash(ref: Ref[Service]) -> None:
    with pytest.raises(ActorCrashed):
        await ref.ask(Service.crash)


async def test_children_start_in_order_and_stop_in_reverse() -> None:
    journal: list[str] = []
    async with Supervisor() as supervisor:
        for name in "abc":
            await start(supervisor, name, journal)
        journal.append("body")
    assert journal == ["+a", "+b", "+c", "body", "-c", "-b", "-a"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["-b", "+b"]),
        ("one_for_all", ["-b", "-c", "-a", "+a", "+b", "+c"]),
        ("rest_for_one", ["-b", "-c", "+b", "+c"]),
    ],
)
async def test_a_crash_restarts_whom_the_strategy_names(strategy: Strategy, expected: list[str]) -> None:
    journal: list[str] = []
    async with Supervisor(strategy) as supervisor:
        refs = [await start(supervisor, name, journal) for name in "abc"]
        journal.clear()
        await crash(refs[1])
        assert [await ref.ask(Service.ping) for ref in refs] == ["a", "b", "c"]
        assert journal == expected


@pytest.mark.parametrize(
    ("restart", "method", "is_back"),
    [
        (Restart.PERMANENT, Service.crash, True),
        (Restart.PERMANENT, Service.finish, True),
        (Restart.TRANSIENT, Service.crash, True),
        (Restart.TRANSIENT, Service.finish, False),
        (Restart.TEMPORARY, Service.crash, False),
        (Restart.TEMPORARY, Service.finish, False),
    ],
)
async def test_the_restart_type_decides_whether_a_child_comes_back(
    restart: Restart, method: object, is_back: bool
) -> None:
    async with Supervisor() as supervisor:
        ref = await start(supervisor, "a", [], restart)
        ref.tell(Service.crash if method is Service.crash else Service.finish)
        await wait_all_tasks_blocked()
        if is_back:
            assert await ref.ask(Service.ping) == "a"
        else:
            with pytest.raises(ActorStopped):
                await ref.ask(Service.ping)


async def test_a_temporary_child_does_not_come_back_with_its_siblings() -> None:
    async with Supervisor("one_for_all") as supervisor:
        a, b = await start(supervisor, "a", []), await start(supervisor, "b", [], Restart.TEMPORARY)
        await crash(a)
        assert await a.ask(Service.ping) == "a"
        with pytest.raises(ActorStopped):
            await b.ask(Service.ping)


async def test_one_restart_more_than_the_intensity_leaves_the_async_with_as_itself() -> None:
    journal: list[str] = []
    with pytest.raises(TooManyRestarts, match="'tree' gave up: 'a' crashed after 2 restarts in 5 s") as caught:
        async with Supervisor(intensity=(2, 5.0), name="tree") as supervisor:
            await start(supervisor, "z", journal)
            ref = await start(supervisor, "a", journal)
            for _ in range(3):
                await crash(ref)
            await anyio.sleep_forever()
    assert isinstance(caught.value.__cause__, ValueError)
    assert journal.count("+a") == 3
    assert journal[-1] == "-z"


async def test_an_ask_to_the_child_that_was_given_up_fails_at_once_even_behind_a_shield() -> None:
    with pytest.raises(TooManyRestarts):
        async with Supervisor(intensity=(0, 5.0)) as supervisor:
            ref = await start(supervisor, "a", [])
            ref.tell(Service.crash)
            with anyio.CancelScope(shield=True), pytest.raises(ActorStopped):
                await ref.ask(Service.ping)
            await anyio.sleep_forever()


async def test_a_start_that_fails_reaches_the_starter_and_leaves_no_child() -> None:
    class Broken:
        async def __aenter__(self) -> Self:
            raise OSError("no disk")

        async def __aexit__(self, *_: object) -> None: ...

    async with Supervisor() as supervisor:
        with pytest.raises(OSError, match="no disk"):
            await supervisor.start(Broken, name="a")
        ref = await start(supervisor, "a", [])
        assert await ref.ask(Service.ping) == "a"


async def test_a_restart_that_fails_is_tried_again_and_costs_budget() -> None:
    attempts = 0

    class Flaky(Service):
        async def __aenter__(self) -> Self:
            nonlocal attempts
            attempts += 1
            if attempts in (2, 3):
                raise OSError("not yet")
            return await super().__aenter__()

    async with Supervisor("rest_for_one", intensity=(3, 5.0)) as supervisor:
        journal: list[str] = []
        ref = await supervisor.start(lambda: Flaky("a", journal), name="a")
        after = await start(supervisor, "b", journal)
        await crash(ref)
        await wait_all_tasks_blocked()
        assert attempts == 4
        assert await ref.ask(Service.ping) == "a"
        assert await after.ask(Service.ping) == "b"
        assert journal == ["+a", "+b", "-a", "-b", "+a", "+b"]


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_the_rest_of_a_group_is_started_even_if_the_child_before_it_is_stopped_meanwhile(how: str) -> None:
    starts, gate = 0, anyio.Event()

    class Stuck(Service):
        async def __aenter__(self) -> Self:
            nonlocal starts
            starts += 1
            if starts == 2:
                await gate.wait()
                raise OSError("not yet")
            return await super().__aenter__()

    async with Supervisor("rest_for_one") as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(lambda: Stuck("a", []), name="a")
        after = await start(supervisor, "b", [])
        await crash(ref)
        await wait_all_tasks_blocked()
        group.start_soon(ref.stop if how == "stop" else ref.cancel)
        await wait_all_tasks_blocked()
        gate.set()
        assert await after.ask(Service.ping) == "b"
        with pytest.raises(ActorStopped):
            await ref.ask(Service.ping)
        assert [child.name for child in supervisor.snapshot().children] == ["b"]


async def test_a_second_child_of_the_same_name_is_an_error() -> None:
    async with Supervisor() as supervisor:
        await start(supervisor, "a", [])
        with pytest.raises(ValueError, match="has a child 'a' already"):
            await start(supervisor, "a", [])


async def test_a_graceful_stop_finishes_the_queue() -> None:
    journal: list[str] = []
    async with Supervisor() as supervisor:
        ref = await start(supervisor, "a", journal)
        for n in range(200):
            ref.tell(Service.note, str(n))
    assert journal == ["+a", *map(str, range(200)), "-a"]


async def test_a_child_that_does_not_stop_in_time_is_cancelled_and_reported() -> None:
    events: list[Event] = []
    journal: list[str] = []
    async with Supervisor(on_event=events.append) as supervisor:
        ref = await start(supervisor, "a", journal, stop_timeout_s=0.01)
        ref.tell(Service.hang)
        ref.tell(Service.note, "never")
        await wait_all_tasks_blocked()
    assert journal == ["+a", "-a"]
    (timeout,) = [event for event in events if isinstance(event, StopTimeout)]
    assert (timeout.child, timeout.waited_s > 0.005) == ("a", True)  # the clock of uvloop has milliseconds only
    assert any(frame.endswith(" hang") for frame in timeout.stack)
    (undelivered,) = [event for event in events if isinstance(event, Undelivered)]
    assert (undelivered.child, undelivered.method) == ("a", "note")
    assert isinstance(undelivered.reason, ActorStopped)


async def test_a_child_that_ignores_its_cancellation_is_reported_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors._supervisor.STOP_REPORT_PERIOD_S", 0.01)
    third = anyio.Event()
    reports: list[StopTimeout] = []

    def note(event: Event) -> None:
        if isinstance(event, StopTimeout):
            reports.append(event)
            if len(reports) == 3:
                third.set()

    class Deaf(Service):
        async def ignore_everything(self) -> None:
            with anyio.move_on_after(5.0, shield=True):
                await third.wait()

    async with Supervisor(on_event=note) as supervisor:
        ref = await supervisor.start(lambda: Deaf("deaf", []), name="deaf", stop_timeout_s=0.01)
        ref.tell(Deaf.ignore_everything)
        await wait_all_tasks_blocked()
        await ref.stop()
    waits = [report.waited_s for report in reports]
    assert waits == sorted(waits)
    assert len(waits) >= 3
    assert all(any(frame.endswith(" ignore_everything") for frame in report.stack) for report in reports)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
async def test_a_keyboard_interrupt_in_a_handler_leaves_the_async_with(error: BaseException) -> None:
    class Interrupted(Service):
        async def interrupt(self) -> None:
            raise error

    journal: list[str] = []
    with pytest.raises(type(error)) as caught:
        async with Supervisor() as supervisor:
            await start(supervisor, "a", journal)
            ref = await supervisor.start(lambda: Interrupted("b", journal), name="b")
            ref.tell(Interrupted.interrupt)
            with anyio.move_on_after(1):
                await anyio.sleep_forever()
    assert caught.value is error
    assert journal == ["+a", "+b", "-b", "-a"]


async def test_an_asker_of_a_cancelled_child_is_told_that_work_had_begun() -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await start(supervisor, "a", [], stop_timeout_s=0.001)
        told: list[ActorStopped] = []

        async def ask(method: str) -> None:
            try:
                await ref.ask(Service.hang if method == "hang" else Service.ping)
            except ActorStopped as error:
                told.append(error)

        group.start_soon(ask, "hang")
        await wait_all_tasks_blocked()
        group.start_soon(ask, "ping")
        await wait_all_tasks_blocked()
        await ref.stop()
        await wait_all_tasks_blocked()
        assert sorted(error.was_started for error in told) == [False, True]


async def test_children_are_stopped_in_order_when_the_hosts_scope_is_cancelled() -> None:
    journal: list[str] = []
    with anyio.CancelScope() as scope:
        async with Supervisor() as supervisor:
            refs = [await start(supervisor, name, journal) for name in "abc"]
            for ref in refs:
                ref.tell(Service.note_slowly, f"{ref.name}1")
                ref.tell(Service.note_slowly, f"{ref.name}2")
            scope.cancel()
            await anyio.sleep_forever()
    # Each finishes its queue, undisturbed by the cancellation, before the one before it is stopped.
    assert [entry for entry in journal if len(entry) == 2 and entry[0] in "+-"] == ["+a", "+b", "+c", "-c", "-b", "-a"]
    for name in "abc":
        own = [entry for entry in journal if name in entry]
        assert own == [f"+{name}", f"{name}1", f"{name}2", f"-{name}"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
async def test_the_hosts_own_exception_leaves_as_it_came(error: BaseException) -> None:
    journal: list[str] = []
    with pytest.raises(type(error)) as caught:
        async with Supervisor() as supervisor:
            await start(supervisor, "a", journal)
            raise error
    assert caught.value is error
    assert journal == ["+a", "-a"]


async def test_a_restart_that_hangs_does_not_hold_up_the_end() -> None:
    is_second = False

    class Hanging(Service):
        async def __aenter__(self) -> Self:
            nonlocal is_second
            if is_second:
                await anyio.sleep_forever()
            is_second = True
            return self

    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Hanging("a", []), name="a")
        await crash(ref)
        await wait_all_tasks_blocked()


async def test_a_start_can_be_cancelled_and_leaves_no_child() -> None:
    class Hanging(Service):
        async def __aenter__(self) -> Self:
            await anyio.sleep_forever()
            return self

    async with Supervisor() as supervisor:
        with anyio.move_on_after(0.001):
            await supervisor.start(lambda: Hanging("a", []), name="a")
        ref = await start(supervisor, "a", [])
        assert await ref.ask(Service.ping) == "a"


async def test_nothing_can_be_started_once_it_is_over() -> None:
    async with Supervisor(name="tree") as supervisor:
        pass
    with pytest.raises(ActorStopped, match="'tree' has stopped"):
        await start(supervisor, "a", [])


async def test_a_supervisor_inside_an_actor_makes_a_tree_and_escalates() -> None:
    journal: list[str] = []

    class Branch:
        async def __aenter__(self) -> Self:
            self.supervisor = Supervisor(intensity=(0, 1.0), name="branch")
            await self.supervisor.__aenter__()
            self.leaf = await start(self.supervisor, "leaf", journal)
            return self

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> bool:
            return await self.supervisor.__aexit__(kind, error, traceback)

        async def get_leaf(self) -> Ref[Service]:
            return self.leaf

    events: list[Event] = []
    async with Supervisor(name="root", on_event=events.append) as root:
        branch = await root.start(Branch, name="branch")
        await crash(await branch.ask(Branch.get_leaf))
        await wait_all_tasks_blocked()  # the branch learns of it, and is restarted, by messages
        assert await (await branch.ask(Branch.get_leaf)).ask(Service.ping) == "leaf"
    crashes = [event for event in events if isinstance(event, ChildCrashed)]
    assert [type(event.error) for event in crashes] == [TooManyRestarts]
    assert journal == ["+leaf", "-leaf", "+leaf", "-leaf"]


async def test_the_hook_sees_starts_crashes_and_stops() -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append, name="s") as supervisor:
        ref = await start(supervisor, "a", [])
        await crash(ref)
        await ref.ask(Service.ping)
    assert [type(event) for event in events] == [ChildStarted, ChildCrashed, ChildStarted, ChildStopped]
    assert [event.incarnation for event in events if isinstance(event, ChildStarted)] == [1, 2]


async def test_a_start_is_reported_before_the_crash_of_that_incarnation() -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor:
        ref = await start(supervisor, "a", [])
        for _ in range(3):
            ref.tell(Service.crash)
        await ref.ask(Service.ping)
    assert [type(event) for event in events] == [ChildStarted, ChildCrashed] * 3 + [ChildStarted, ChildStopped]


@pytest.mark.parametrize("kind", [ChildCrashed, ChildStarted])
async def test_a_hook_that_raises_ends_the_supervisor_and_does_not_hang_it(kind: type[Event]) -> None:
    armed = False

    def hook(event: Event) -> None:
        if armed and isinstance(event, kind):
            raise RuntimeError("hook")

    with pytest.raises(RuntimeError, match="hook"):
        async with Supervisor(on_event=hook) as supervisor:
            ref = await start(supervisor, "a", [])
            armed = True
            ref.tell(Service.crash)
            await anyio.sleep_forever()


async def test_a_reply_is_no_garbage_cycle() -> None:
    async with Supervisor() as supervisor:
        ref = await start(supervisor, "a", [])
        try:
            await ref.ask(Service.crash)
        except ActorCrashed as error:
            references = sys.getrefcount(error)
        assert references <= 3  # the name, the argument, the handler's own: no frame keeps it

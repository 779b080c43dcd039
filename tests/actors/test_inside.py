"""Tasks beside an actor's handlers, and its context."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import ActorContext, ActorCrashed, ActorStopped, ChildCrashed, Deferred, Event, Supervisor

pytestmark = pytest.mark.anyio


class Fetcher:
    """Answers later, by a helper task; counts what its helpers do."""

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.context = ActorContext.of(self)
        self.gate = anyio.Event()

    def fetch(self, key: str) -> Deferred[str]:
        answer: Deferred[str] = Deferred()
        self.context.spawn(self._fetch, key, answer)
        return answer

    async def _fetch(self, key: str, answer: Deferred[str]) -> None:
        self.journal.append(f"fetching {key}")
        try:
            await self.gate.wait()
            if key == "bad":
                raise ValueError(key)
            answer.resolve(key.upper())
        finally:
            self.journal.append(f"done with {key}")

    async def release(self) -> None:
        self.gate.set()

    async def watch_in_background(self) -> None:
        self.context.spawn(self._tell_myself)

    async def _tell_myself(self) -> None:
        self.context.ref.tell(Fetcher.note, "from a helper")

    async def note(self, text: str) -> None:
        self.journal.append(text)

    async def crash(self) -> None:
        raise ValueError("crash")

    async def hang(self) -> None:
        await anyio.sleep_forever()


@pytest.fixture
def journal() -> list[str]:
    return []


async def test_helpers_work_while_the_actor_goes_on(journal: list[str]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Fetcher(journal), name="fetcher")
        answers: list[str] = []

        async def ask(key: str) -> None:
            answers.append(await ref.ask(Fetcher.fetch, key))

        async with anyio.create_task_group() as group:
            group.start_soon(ask, "a")
            group.start_soon(ask, "b")
            await wait_all_tasks_blocked()
            assert sorted(journal) == ["fetching a", "fetching b"]
            await ref.ask(Fetcher.release)
    assert sorted(answers) == ["A", "B"]


async def test_a_helper_can_bring_its_result_to_its_own_actor(journal: list[str]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Fetcher(journal), name="fetcher")
        await ref.ask(Fetcher.watch_in_background)
        await wait_all_tasks_blocked()
    assert journal == ["from a helper"]


async def test_what_a_helper_raises_is_the_actors_crash(journal: list[str]) -> None:
    events: list[Event] = []
    async with Supervisor(on_event=events.append) as supervisor:
        ref = await supervisor.start(lambda: Fetcher(journal), name="fetcher")
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(ActorCrashed) as caught:
                    await ref.ask(Fetcher.fetch, "bad")
                assert isinstance(caught.value.__cause__, ValueError)

            group.start_soon(ask)
            await wait_all_tasks_blocked()
            await ref.ask(Fetcher.release)
        await ref.ask(Fetcher.note, "the next incarnation")
    assert [type(event.error) for event in events if isinstance(event, ChildCrashed)] == [ValueError]
    assert journal[-1] == "the next incarnation"


@pytest.mark.parametrize("how", ["crash", "stop", "cancel"])
async def test_no_helper_outlives_its_incarnation(how: str, journal: list[str]) -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Fetcher(journal), name="fetcher", stop_timeout_s=0.01)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises((ActorCrashed, ActorStopped)):
                    await ref.ask(Fetcher.fetch, "a")

            group.start_soon(ask)
            await wait_all_tasks_blocked()
            if how == "crash":
                with pytest.raises(ActorCrashed):
                    await ref.ask(Fetcher.crash)
                await ref.ask(Fetcher.note, "restarted")
            elif how == "stop":
                await ref.stop()
            else:
                await ref.cancel()
            assert journal[:2] == ["fetching a", "done with a"]


async def test_a_context_is_for_the_actors_own_task() -> None:
    with pytest.raises(RuntimeError, match="object is not in its own task"):
        ActorContext.of(object())


async def test_a_context_ends_with_its_incarnation(journal: list[str]) -> None:
    fetchers: list[Fetcher] = []

    def make() -> Fetcher:
        fetchers.append(Fetcher(journal))
        return fetchers[-1]

    async with Supervisor() as supervisor:
        ref = await supervisor.start(make, name="fetcher")
        with pytest.raises(ActorCrashed):
            await ref.ask(Fetcher.crash)
        await ref.ask(Fetcher.note, "restarted")
        with pytest.raises(ActorStopped):
            fetchers[0].context.spawn(anyio.sleep_forever)
        with pytest.raises(ActorStopped):
            fetchers[0].context.after(1.0, Fetcher.note, "never")
        fetchers[1].context.after(0.0, Fetcher.note, "from outside its task")
        while len(journal) < 2:
            await wait_all_tasks_blocked()
    assert journal == ["restarted", "from outside its task"]


async def test_cancel_ends_an_actor_at_once_and_answers_what_is_queued(journal: list[str]) -> None:
    async with Supervisor() as supervisor, anyio.create_task_group() as group:
        ref = await supervisor.start(lambda: Fetcher(journal), name="fetcher", stop_timeout_s=1000.0)

        async def ask(was_started: bool) -> None:
            with pytest.raises(ActorStopped) as caught:
                await ref.ask(Fetcher.hang)
            assert caught.value.was_started == was_started

        group.start_soon(ask, True)
        await wait_all_tasks_blocked()
        group.start_soon(ask, False)
        await wait_all_tasks_blocked()
        await ref.cancel()
        assert (await ref.watch()).error is None
        with pytest.raises(ActorStopped):
            ref.tell(Fetcher.note, "late")

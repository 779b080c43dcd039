"""Handlers that are cancelled when nobody waits for them any more, and the counting of what was abandoned."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import AskTimeout, Supervisor, cancel_on_abandon

pytestmark = pytest.mark.anyio


class Library:
    def __init__(self) -> None:
        self.journal: list[str] = []

    @cancel_on_abandon
    async def search(self, word: str) -> str:
        try:
            await anyio.sleep(1000 if word == "needle" else 0)
        except anyio.get_cancelled_exc_class():
            self.journal.append("cancelled")
            raise
        return word.upper()

    async def search_all(self) -> str:
        return await self.search("straw")

    async def report(self) -> list[str]:
        return self.journal


async def test_a_handler_that_wants_it_is_cancelled_when_its_asker_times_out() -> None:
    library = Library()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: library, name="library", stop_timeout_s=0.1)
        with pytest.raises(AskTimeout) as caught:
            await ref.ask(Library.search, "needle", timeout=0.01)
        assert caught.value.was_started
        await wait_all_tasks_blocked()
        assert library.journal == ["cancelled"]
        assert await ref.ask(Library.report) == ["cancelled"]
        assert ref.statistics().abandoned == 1


async def test_a_handler_that_wants_it_is_cancelled_with_its_asker() -> None:
    library = Library()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: library, name="library", stop_timeout_s=0.1)
        async with anyio.create_task_group() as group:
            group.start_soon(ref.ask, Library.search, "needle")
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert library.journal == ["cancelled"]
        assert await ref.ask(Library.report) == ["cancelled"]
        assert supervisor.snapshot().children[0].restarts == 0


async def test_it_answers_like_any_other_and_can_be_called() -> None:
    async with Supervisor() as supervisor:
        ref = await supervisor.start(Library, name="library")
        assert await ref.ask(Library.search, "straw") == "STRAW"
        assert await ref.ask(Library.search_all) == "STRAW"
        await ref.send(Library.search, "straw")
    assert await Library().search("straw") == "STRAW"

"""Work that is watched: told in order, ended with its reader, and never the end of anybody else's."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from actors import Ref, Supervisor
from daemon.errors import NotFound, System, Unavailable
from daemon.services.transfers import TRANSFERS_MAX, UNREAD_MAX, Progress, Pushed, Step, Transfers

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def transfers_running() -> AsyncIterator[Ref[Transfers]]:
    async with Supervisor("one_for_one") as supervisor:
        yield await supervisor.start(Transfers, name="transfers")


async def test_steps_come_in_order_and_then_the_end() -> None:
    async def work(progress: Progress) -> None:
        progress.message("Pulling", "v1")
        progress.update("a", "Waiting")
        progress.pushed(Pushed(tag="v1", digest="d", size=1))

    async with transfers_running() as transfers:
        progress = Progress()
        await transfers.ask(Transfers.start, work, progress)
        steps = []
        while more := await progress.wait_steps():
            steps += more
        assert [(step.status, step.id, step.is_message) for step in steps] == [
            ("Pulling", "v1", True),
            ("Waiting", "a", False),
            ("", "", False),
        ]
        assert await progress.wait_steps() == []
        assert await transfers.ask(Transfers.count) == 0


async def test_a_step_that_counts_replaces_the_one_before() -> None:
    progress = Progress()
    for number in range(1000):
        progress.count("a", "Downloading", number, 1000)
        progress.count("b", "Downloading", number, 1000)
    assert await progress.wait_steps() == [
        Step("Downloading", "a", 999, 1000),
        Step("Downloading", "b", 999, 1000),
    ]


async def test_what_the_work_is_refused_the_reader_is_told_after_the_steps() -> None:
    async def work(progress: Progress) -> None:
        progress.message("first")
        raise NotFound("nothing there")

    async with transfers_running() as transfers:
        progress = Progress()
        await transfers.ask(Transfers.start, work, progress)
        assert [step.status for step in await progress.wait_steps()] == ["first"]
        with pytest.raises(NotFound, match="nothing there"):
            await progress.wait_steps()


async def test_a_defect_is_the_end_of_one_transfer_only(caplog: pytest.LogCaptureFixture) -> None:
    async def defect(progress: Progress) -> None:
        raise KeyError("x")

    async def good(progress: Progress) -> None:
        await gate.wait()
        progress.message("done")

    gate = anyio.Event()
    async with transfers_running() as transfers:
        bad, other = Progress(), Progress()
        await transfers.ask(Transfers.start, good, other)
        with caplog.at_level(logging.ERROR):
            await transfers.ask(Transfers.start, defect, bad)
            with pytest.raises(System, match="internal error"):
                await bad.wait_steps()
        gate.set()
        assert [step.status for step in await other.wait_steps()] == ["done"]


async def test_a_reader_that_leaves_ends_the_work() -> None:
    ended = anyio.Event()

    async def work(progress: Progress) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with transfers_running() as transfers:
        progress = Progress()
        await transfers.ask(Transfers.start, work, progress)
        progress.abandon()
        await ended.wait()
        assert await progress.wait_steps() == []
        early = Progress()
        early.abandon()  # before it has begun
        await transfers.ask(Transfers.start, work, early)
        assert await early.wait_steps() == []


async def test_a_reader_is_told_when_the_daemon_stops() -> None:
    async def work(progress: Progress) -> None:
        await anyio.sleep_forever()

    progress = Progress()
    async with transfers_running() as transfers:
        await transfers.ask(Transfers.start, work, progress)
    with pytest.raises(Unavailable, match="stopping"):
        await progress.wait_steps()


async def test_there_is_a_limit() -> None:
    async def work(progress: Progress) -> None:
        await anyio.sleep_forever()

    async with transfers_running() as transfers:
        progresses = [Progress() for _ in range(TRANSFERS_MAX)]
        for progress in progresses:
            await transfers.ask(Transfers.start, work, progress)
        with pytest.raises(Unavailable, match="more than 64 pulls, pushes and loads at a time"):
            await transfers.ask(Transfers.start, work, Progress())


async def test_work_may_wait_for_a_reader_that_is_behind() -> None:
    progress = Progress()
    for number in range(UNREAD_MAX + 1):
        progress.message(str(number))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(progress.wait_room)
        await anyio.wait_all_tasks_blocked()
        await progress.wait_steps()

from __future__ import annotations

import os
import threading

import anyio
import anyio.to_thread
import pytest

from actors import Supervisor
from actors.testing import Leak, no_leaks

pytestmark = pytest.mark.anyio


class Idle:
    async def nothing(self) -> None: ...


async def test_a_supervisor_leaves_nothing_behind() -> None:
    async with no_leaks():
        async with Supervisor() as supervisor:
            for number in range(10):
                await supervisor.start(Idle, name=str(number))
        await anyio.to_thread.run_sync(lambda: None)  # the loop keeps the thread: that is no leak


async def test_a_task_that_is_left_is_named() -> None:
    async with anyio.create_task_group() as group:
        with pytest.raises(Leak, match=r"task .*sleep_forever"):
            async with no_leaks():
                group.start_soon(anyio.sleep_forever)
        group.cancel_scope.cancel()


async def test_an_actor_that_is_left_is_named() -> None:
    async with Supervisor(name="tree") as supervisor:
        with pytest.raises(Leak, match="task tree: idle"):
            async with no_leaks():
                await supervisor.start(Idle, name="idle")


async def test_a_thread_and_a_descriptor_that_are_left_are_named() -> None:
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="forgotten")
    with pytest.raises(Leak, match=r"thread forgotten; descriptor \d+"):
        async with no_leaks():
            thread.start()
            reading, writing = os.pipe()
    gate.set()
    thread.join()
    os.close(reading)
    os.close(writing)

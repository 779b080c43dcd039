from __future__ import annotations

import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from actors import CutOff, Supervisor
from daemon.services.event_bus import PENDING_MAX, Event, EventBus, new_subscription

pytestmark = pytest.mark.anyio


def event(number: int) -> Event:
    return Event(type="container", action="create", actor_id=str(number), attributes={}, time_ns=number)


async def test_a_subscriber_gets_everything_new_at_once_and_in_order() -> None:
    subscription = new_subscription()
    for number in range(3):
        subscription.push(event(number))
    assert await subscription.receive_all() == [event(0), event(1), event(2)]
    subscription.push(event(3))
    assert await subscription.receive_all() == [event(3)]


async def test_a_subscriber_waits_for_the_next_event() -> None:
    subscription, seen = new_subscription(), list[Event]()
    async with create_task_group() as group:

        async def read() -> None:
            for _ in range(2):
                seen.extend(await subscription.receive_all())

        group.start_soon(read)
        await wait_all_tasks_blocked()
        assert seen == []
        subscription.push(event(0))
        await wait_all_tasks_blocked()
        assert seen == [event(0)]
        subscription.push(event(1))
    assert seen == [event(0), event(1)]


async def test_a_subscriber_that_falls_behind_gets_what_was_kept_and_is_told_that_it_was_cut_off() -> None:
    subscription = new_subscription()
    for number in range(PENDING_MAX + 1):
        subscription.push(event(number))
    assert await subscription.receive_all() == [event(number) for number in range(PENDING_MAX)]
    subscription.push(event(0))  # cut off for good, though there is room again
    with pytest.raises(CutOff, match="cut off"):
        await subscription.receive_all()


async def test_a_waiting_subscriber_that_is_cut_off_wakes_up() -> None:
    subscription = new_subscription()
    async with create_task_group() as group:

        async def read() -> None:
            with pytest.raises(CutOff):
                await subscription.receive_all()

        group.start_soon(read)
        await wait_all_tasks_blocked()
        subscription.close(CutOff())


async def test_a_new_subscriber_gets_the_last_events_and_every_later_one() -> None:
    async with Supervisor() as supervisor:
        bus = await supervisor.start(lambda: EventBus(2), name="events")
        for number in range(3):
            await bus.ask(EventBus.publish, event(number))
        subscription = new_subscription()
        assert await bus.ask(EventBus.subscribe, subscription) == (event(1), event(2))
        await bus.ask(EventBus.publish, event(3))
        assert await subscription.receive_all() == [event(3)]


async def test_a_slow_subscriber_does_not_cost_the_others_their_events() -> None:
    async with Supervisor() as supervisor:
        bus = await supervisor.start(lambda: EventBus(0), name="events")
        slow, quick = new_subscription(), new_subscription()
        for subscription in (slow, quick):
            await bus.ask(EventBus.subscribe, subscription)
        slow.close(CutOff())
        await bus.ask(EventBus.publish, event(0))
        assert await quick.receive_all() == [event(0)]
        with pytest.raises(CutOff):
            await slow.receive_all()


async def test_a_bus_that_stops_cuts_its_subscribers_off() -> None:
    subscription = new_subscription()
    async with Supervisor() as supervisor:
        bus = await supervisor.start(lambda: EventBus(1), name="events")
        await bus.ask(EventBus.subscribe, subscription)
        await bus.ask(EventBus.publish, event(0))
    assert await subscription.receive_all() == [event(0)]
    with pytest.raises(CutOff):
        await subscription.receive_all()

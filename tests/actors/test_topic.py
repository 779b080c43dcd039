"""Publish and subscribe."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import CutOff, EndOfTopic, Subscription, Supervisor, TellSubscriber, Topic

pytestmark = pytest.mark.anyio


async def test_every_subscriber_gets_every_value_in_order() -> None:
    topic: Topic[int] = Topic()
    subscriptions = [Subscription[int](), Subscription[int]()]
    for subscription in subscriptions:
        topic.subscribe(subscription)
    received: list[list[int]] = [[], []]

    async def read(number: int) -> None:
        async for value in subscriptions[number]:
            received[number].append(value)

    async with anyio.create_task_group() as group:
        group.start_soon(read, 0)
        group.start_soon(read, 1)
        for value in range(5):
            topic.publish(value)
        await wait_all_tasks_blocked()
        topic.publish(5)
        topic.close()
    assert received == [[0, 1, 2, 3, 4, 5]] * 2


async def test_a_slow_subscriber_is_cut_off_and_told() -> None:
    topic: Topic[int] = Topic()
    slow, fast = Subscription[int](capacity=2), Subscription[int](capacity=3)
    topic.subscribe(slow)
    topic.subscribe(fast)
    for value in range(3):
        topic.publish(value)
    assert len(topic) == 1
    assert await slow.receive_all() == [0, 1]
    with pytest.raises(CutOff, match="has been cut off"):
        await slow.receive()
    assert await fast.receive_all() == [0, 1, 2]


@pytest.mark.parametrize(("overflow", "kept"), [("drop_new", [0, 1]), ("drop_oldest", [2, 3])])
async def test_a_subscriber_may_drop_instead_and_counts_what_it_dropped(overflow: str, kept: list[int]) -> None:
    topic: Topic[int] = Topic()
    subscription = Subscription[int](capacity=2, overflow="drop_new" if overflow == "drop_new" else "drop_oldest")
    topic.subscribe(subscription)
    for value in range(4):
        topic.publish(value)
    assert await subscription.receive_all() == kept
    assert subscription.dropped == 2


async def test_a_subscriber_that_leaves_is_forgotten_at_the_next_value() -> None:
    topic: Topic[int] = Topic()
    with Subscription[int]() as subscription:
        topic.subscribe(subscription)
    topic.publish(1)
    assert len(topic) == 0
    with pytest.raises(EndOfTopic):
        await subscription.receive()


async def test_a_cancelled_reader_loses_nothing() -> None:
    topic: Topic[int] = Topic()
    subscription = Subscription[int]()
    topic.subscribe(subscription)
    received: list[int] = []

    async def read() -> None:
        received.append(await subscription.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await wait_all_tasks_blocked()
        topic.publish(1)
        group.cancel_scope.cancel()  # which of the two the reader sees first is the loop's to say
    topic.publish(2)
    assert [*received, *await subscription.receive_all()] == [1, 2]


class Cache:
    def __init__(self, gate: anyio.Event) -> None:
        self.gate = gate
        self.forgotten: list[str] = []

    async def forget(self, key: str) -> None:
        await self.gate.wait()
        self.forgotten.append(key)

    async def report(self) -> list[str]:
        return self.forgotten


async def test_an_actor_is_told_and_a_full_mailbox_holds_up_nobody() -> None:
    topic: Topic[str] = Topic()
    gate = anyio.Event()
    async with Supervisor() as supervisor:
        ref = await supervisor.start(lambda: Cache(gate), name="cache", mailbox_capacity=2)
        subscriber = TellSubscriber(ref, Cache.forget)
        topic.subscribe(subscriber)
        topic.publish("a")
        await wait_all_tasks_blocked()
        for key in "bcd":
            topic.publish(key)
        gate.set()
        assert await ref.ask(Cache.report) == ["a", "b", "c"]
        assert subscriber.dropped == 1
        await ref.stop()
        topic.publish("e")
        assert len(topic) == 0


def test_a_subscription_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs room for at least one value, not 0"):
        Subscription[int](capacity=0)


def test_subscribers_that_come_and_go_while_nothing_is_published_do_not_pile_up() -> None:
    topic: Topic[int] = Topic()
    for _ in range(100):
        with Subscription[int]() as subscription:
            topic.subscribe(subscription)
    assert len(topic._subscribers) == 1
    assert len(topic) == 0

from __future__ import annotations

from random import Random

import anyio
import attrs
import pytest

from actors import Deferred, Inbox, MailboxFull, Pool, Supervisor
from actors.testing import Changed, quiesce, run_seeded, unchanged_arguments

pytestmark = pytest.mark.anyio


@attrs.define
class Order:
    items: list[str]


class Shop:
    def __init__(self) -> None:
        self.opens = anyio.Event()

    async def wait(self) -> None:
        await self.opens.wait()

    async def take(self, order: Order, *, note: str = "") -> int:
        order.items.append("taken")  # it has been received: what happens now is the actor's own business
        return len(order.items)


async def test_an_argument_that_its_sender_changes_on_its_way_is_shown_as_it_was_and_is() -> None:
    order = Order(["tea"])
    with pytest.raises(Changed) as caught, unchanged_arguments():
        async with Supervisor() as supervisor:
            shop = await supervisor.start(Shop, name="shop")
            shop.tell(Shop.take, order, note="soon")
            order.items.append("milk")
    before, after = "take(Order(items=['tea']), note='soon')", "take(Order(items=['tea', 'milk']), note='soon')"
    assert str(caught.value) == f"shop: sent as {before}, received as {after}"


async def test_what_waits_for_room_has_been_sent() -> None:
    order, actor = Order([]), Shop()
    with (
        pytest.raises(Changed, match=r"^shop: sent as take\(Order\(items=\[\]\)\), received as"),
        unchanged_arguments(),
    ):
        async with Supervisor() as supervisor, anyio.create_task_group() as group:
            shop = await Pool.start(supervisor, lambda: actor, name="shop", size=1, mailbox_capacity=1)
            shop.tell(Shop.wait)
            await quiesce()
            shop.tell(Shop.take, Order([]))
            group.start_soon(shop.send, Shop.take, order)
            await quiesce()
            order.items.append("milk")
            actor.opens.set()


async def test_what_stays_as_it_was_passes_and_so_does_what_is_never_received() -> None:
    with unchanged_arguments():
        async with Supervisor() as supervisor:
            shop = await supervisor.start(Shop, name="shop", mailbox_capacity=1, overflow="reject")
            assert [await shop.ask(Shop.take, Order([])) for _ in range(3)] == [1, 1, 1]
            dropped = Order([])
            shop.tell(Shop.take, Order([]))
            with pytest.raises(MailboxFull):
                shop.tell(Shop.take, dropped)
            dropped.items.append("milk")


@attrs.frozen
class Total:
    answer: Deferred[int]
    of: list[int]


class Sum:
    async def run(self, inbox: Inbox[Total]) -> None:
        async for message in inbox:
            message.answer.resolve(sum(message.of))


def test_under_a_seed_a_loop_is_looked_at_as_well() -> None:
    async def scenario(rng: Random) -> None:
        async with Supervisor() as supervisor, anyio.create_task_group() as group:
            channel = await supervisor.start_loop(Sum, name="sum")
            numbers = [rng.randrange(9)]
            group.start_soon(channel.ask, Total, numbers)
            await anyio.lowlevel.checkpoint()
            numbers.append(1)

    def run() -> None:
        with unchanged_arguments():
            for seed in range(20):
                run_seeded(scenario, seed)

    with pytest.raises(Changed, match="sum: sent as Total"):
        run()


async def test_afterwards_nobody_looks() -> None:
    with unchanged_arguments():
        pass
    order = Order([])
    async with Supervisor() as supervisor:
        shop = await supervisor.start(Shop, name="shop")
        shop.tell(Shop.take, order)
        order.items.append("milk")

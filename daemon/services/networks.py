"""Which networks there are: the only one to say yes to a name or a subnet. Rebuilt from the database at each start.

One network is made at a time, decided by `network/plan` from what there is, and durable before it is seen; a crash in between
forgets nothing but what nobody was told of. `name UNIQUE` in the database is the second fence.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Self

from actors import Ref, run_in_thread
from daemon.network import PREDEFINED, Network, NetworkRequest
from daemon.network.plan import Surroundings, check_removable, plan_network, predefined_networks
from daemon.network.table import NetworkTable
from daemon.storage.database import Database

ID_BYTES = 32


def new_network_id() -> str:
    return secrets.token_hex(ID_BYTES)


class Networks:
    def __init__(self, database: Ref[Database], surroundings: Callable[[], Surroundings]) -> None:
        """`surroundings` looks at the host; it may block."""
        self._database = database
        self._surroundings = surroundings
        self._table = NetworkTable()

    async def __aenter__(self) -> Self:
        self._table = NetworkTable.of(await self._database.ask(Database.networks))
        if any(self._table.named(name) is None for name in PREDEFINED):
            await self._make_predefined()
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def table(self) -> NetworkTable:
        """A snapshot, which is never changed."""
        return self._table

    async def create(self, request: NetworkRequest, network_id: str, created_ns: int) -> Network:
        """The network, durable. Harmless twice for the same id.

        Raises:
            as `plan_network`; System: the disk is full.
        """
        if (made := self._table.by_id(network_id)) is not None:
            return made
        network = plan_network(
            request,
            self._table,
            network_id=network_id,
            created_ns=created_ns,
            surroundings=await self._look_around(),
        )
        await self._database.ask(Database.insert_network, network)
        self._table = self._table.with_network(network)
        return network

    async def remove(self, network_id: str) -> bool:
        """Whether it was there; if so it is gone, durably.

        Raises:
            Forbidden: it is one of Docker's own, or others are configured by it.
            System: the disk is full.
        """
        network = self._table.by_id(network_id)
        if network is None:
            return False
        check_removable(network, self._table)
        await self._database.ask(Database.delete_network, network_id)
        self._table = self._table.without(network_id)
        return True

    async def _make_predefined(self) -> None:
        ids = [new_network_id() for _ in PREDEFINED]
        surroundings = await self._look_around()
        for network in predefined_networks(self._table, ids, created_ns=time.time_ns(), surroundings=surroundings):
            await self._database.ask(Database.insert_network, network)
            self._table = self._table.with_network(network)

    async def _look_around(self) -> Surroundings:
        return await run_in_thread(self._surroundings)

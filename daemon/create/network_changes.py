"""`docker network create`, `rm`, `prune`, `connect`, `disconnect`, with their events.

Containers do not run yet, so connecting one changes its record and nothing else, and is no event: Docker, too, tells of a
connection when it is made. To disconnect one is an event all the same (moby v28 daemon/container_operations.go).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import attrs

from actors import ActorCrashed
from daemon.container import Container, EndpointSettings
from daemon.create.events import insist, prune_event, publish
from daemon.create.turns import released, turn_to_change
from daemon.errors import Forbidden, NotFound
from daemon.network import Network, NetworkRequest
from daemon.network.endpoints import connected, disconnected
from daemon.network.table import NetworkTable, network_not_found
from daemon.services import Services
from daemon.services.claims import Claim
from daemon.services.event_bus import Event
from daemon.services.networks import Networks, new_network_id
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from daemon.summary import summary_of


@attrs.frozen(kw_only=True)
class NetworkChanger:
    services: Services
    now_ns: Callable[[], int]

    async def create(self, request: NetworkRequest) -> Network:
        """The network, durable. Raises as `Networks.create`."""
        network_id = new_network_id()
        with anyio.CancelScope(shield=True):  # bounded: one commit, by an actor that is restarted
            create = partial(self.services.networks.ask, Networks.create, request, network_id, self.now_ns())
            network: Network = await insist(create)
            await self._tell(network, "create")
        return network

    async def remove(self, term: str) -> None:
        """Raises NotFound, InvalidParameter (an ambiguous prefix), Forbidden, System."""
        network = (await self._table()).find(term)
        with anyio.CancelScope(shield=True):  # as above
            if not await self._remove(network):
                raise network_not_found(term)

    async def prune(self, is_wanted: Callable[[Network], bool]) -> tuple[str, ...]:
        """The names of the networks that were removed: of those that are wanted, all that can be.

        Raises Conflict: another prune, of networks or containers, is under way.
        """
        registrar, claim = self.services.registrar, Claim("pruning")
        async with released(registrar, claim):
            await registrar.ask(Registrar.claim_pruning, claim)
            return await self._prune(is_wanted)

    async def _prune(self, is_wanted: Callable[[Network], bool]) -> tuple[str, ...]:
        pruned = []
        with anyio.CancelScope(shield=True):  # bounded: as above, once for each network there is
            for network in await self._table():
                if network.config_only or not is_wanted(network):
                    continue
                try:
                    if await self._remove(network):
                        pruned.append(network.name)
                except Forbidden:
                    continue  # one of Docker's own
            await publish(self.services.events, prune_event("network", 0, self.now_ns()))
        return tuple(pruned)

    async def connect(self, term: str, name_or_id: str, endpoint: EndpointSettings) -> None:
        """Raises NotFound (no such container), InvalidParameter, Conflict (the container is being changed), System."""
        table = await self._table()
        await self._change(name_or_id, lambda container: connected(container, term, endpoint, table))

    async def disconnect(self, term: str, name_or_id: str, *, force: bool) -> None:
        """Raises as `connect`."""
        table = await self._table()
        try:
            await self._change(
                name_or_id, lambda container: disconnected(container, term, table), left=table.lookup(term)
            )
        except NotFound as error:
            if force:  # then it is an endpoint that is meant, whatever has become of its container
                table.find(term)
                raise NotFound(f"endpoint {name_or_id} not found") from error
            raise

    async def _change(
        self, name_or_id: str, change: Callable[[Container], Container], *, left: Network | None = None
    ) -> None:
        services = self.services
        async with turn_to_change(services.registrar, name_or_id, "networking") as summary:
            container = await services.database.ask(Database.container, summary.id)
            if container is None:
                raise NotFound(f"No such container: {name_or_id}")
            changed = change(container)
            if changed is not container:
                await services.database.ask(Database.update_container, changed)
                await insist(partial(services.registrar.ask, Registrar.register, summary_of(changed)))
            if left is not None:
                await self._tell(left, "disconnect", container=container.id)

    async def _remove(self, network: Network) -> bool:
        """Whether it was there. If the actor has crashed nobody knows, and it is gone."""
        remove = partial(self.services.networks.ask, Networks.remove, network.id)
        try:
            was_there: bool = await remove()
        except ActorCrashed:
            await insist(remove)
            was_there = True
        if was_there and not network.config_only:
            await self._tell(network, "destroy")
        return was_there

    async def _tell(self, network: Network, action: str, **attributes: str) -> None:
        attributes |= {"name": network.name, "type": network.driver}
        event = Event(type="network", action=action, actor_id=network.id, attributes=attributes, time_ns=self.now_ns())
        await publish(self.services.events, event)

    async def _table(self) -> NetworkTable:
        return await self.services.networks.ask(Networks.table)

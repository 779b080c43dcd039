"""Which networks there are, and which of them a name, an id or a prefix of one means.

A table is never changed: with a network more or less it is another one. So whoever has asked the owner for it may keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import attrs

from daemon.errors import InvalidParameter, NotFound
from daemon.network import Network


@attrs.frozen
class NetworkTable:
    _by_id: Mapping[str, Network] = attrs.field(factory=dict)
    _ids: Mapping[str, str] = attrs.field(factory=dict)
    """By name."""

    @classmethod
    def of(cls, networks: Iterable[Network]) -> Self:
        """Oldest first, whatever their order was."""
        ordered = sorted(networks, key=lambda network: (network.created_ns, network.name))
        return cls({network.id: network for network in ordered}, {network.name: network.id for network in ordered})

    def __iter__(self) -> Iterator[Network]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def with_network(self, network: Network) -> NetworkTable:
        assert network.name not in self._ids
        return NetworkTable({**self._by_id, network.id: network}, {**self._ids, network.name: network.id})

    def without(self, network_id: str) -> NetworkTable:
        return NetworkTable.of(network for network in self if network.id != network_id)

    def by_id(self, network_id: str) -> Network | None:
        return self._by_id.get(network_id)

    def named(self, name: str) -> Network | None:
        network_id = self._ids.get(name)
        return None if network_id is None else self._by_id[network_id]

    def matches(self, term: str) -> tuple[Network, ...]:
        """The network with that id, else that with that name, else all whose id begins with it."""
        network = self._by_id.get(term) or self.named(term)
        if network is not None:
            return (network,)
        return tuple(network for network in self if network.id.startswith(term))

    def find(self, term: str) -> Network:
        """The one that is meant (moby daemon/network.go FindNetwork).

        Raises:
            NotFound: none is.
            InvalidParameter: it is a prefix of several ids.
        """
        matches = self.matches(term)
        if len(matches) > 1:
            raise InvalidParameter(f"network {term} is ambiguous ({len(matches)} matches found based on ID prefix)")
        if not matches:
            raise network_not_found(term)
        return matches[0]

    def lookup(self, term: str) -> Network | None:
        """None where `find` would raise."""
        matches = self.matches(term)
        return matches[0] if len(matches) == 1 else None


def network_not_found(term: str) -> NotFound:
    return NotFound(f"network {term} not found")

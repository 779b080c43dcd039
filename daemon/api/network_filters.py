"""The filters of the network list and of its prune. Rules and texts: moby v28 daemon/network/filter.go, daemon/prune.go.

Unlike Moby: a type that does not exist is a 400, not a 500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from daemon.api.filters import Filters
from daemon.api.moments import parse_moment
from daemon.api.patterns import Match, any_found
from daemon.errors import InvalidParameter
from daemon.network import Network, is_predefined

LIST_FILTERS = frozenset("dangling driver id label name scope type".split())
PRUNE_FILTERS = frozenset(["label", "label!", "until"])

_TYPES = ("builtin", "custom")
_TRUE, _FALSE = ("1", "true"), ("0", "false")


def matching(networks: Iterable[Network], filters: Filters) -> list[Network]:
    """Raises InvalidParameter for a value that makes no sense."""
    names, ids = any_found(filters.get("name", ())), any_found(filters.get("id", ()))
    chosen = [network for network in networks if _matches(network, filters, names, ids)]
    dangling = _dangling(filters)
    if dangling is not None:  # as no container runs, no network but Docker's own counts as used
        chosen = [network for network in chosen if is_predefined(network.name) != dangling]
    if "type" not in filters:
        return chosen
    for kind in filters["type"]:
        if kind not in _TYPES:
            raise InvalidParameter(f"invalid filter: 'type'='{kind}'")
    return [network for network in chosen if _type(network) in filters["type"]]


def prunable(filters: Filters, now_ns: int) -> Callable[[Network], bool]:
    """Which networks a prune may take. Raises InvalidParameter."""
    until = filters.get("until", ())
    if len(until) > 1:
        raise InvalidParameter("more than one until filter specified")
    until_ns = parse_moment(until[0], now_ns) if until else None

    def is_wanted(network: Network) -> bool:
        is_old = until_ns is None or network.created_ns <= until_ns
        is_spared = bool(filters.get("label!")) and _has_labels(network, filters["label!"])
        return is_old and _has_labels(network, filters.get("label", ())) and not is_spared

    return is_wanted


def _matches(network: Network, filters: Filters, names: Match, ids: Match) -> bool:
    rules: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("driver", lambda value: value == network.driver),
        ("name", lambda value: value == network.name or names(network.name)),
        ("id", lambda value: value == network.id or ids(network.id)),
        ("scope", lambda value: value == network.scope),
    )
    for key, rule in rules:
        values = filters.get(key)
        if values and not any(map(rule, values)):
            return False
    return _has_labels(network, filters.get("label", ()))


def _dangling(filters: Filters) -> bool | None:
    values = filters.get("dangling")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter('got more than one value for filter key "dangling"')
    if values[0] not in (*_TRUE, *_FALSE):
        raise InvalidParameter('invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")')
    return values[0] in _TRUE


def _type(network: Network) -> str:
    return "builtin" if is_predefined(network.name) else "custom"


def _has_labels(network: Network, wanted: Iterable[str]) -> bool:
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in network.labels or (equals and network.labels[key] != value):
            return False
    return True

from __future__ import annotations

from typing import Any

import pytest

from daemon.api.network_filters import matching, prunable
from daemon.errors import InvalidParameter
from daemon.network.table import NetworkTable
from tests.daemon.network.making import network, predefined, with_planned

TABLE = with_planned(
    predefined(),
    {"name": "web", "labels": {"tier": "front", "env": "dev"}},
    {"name": "web-2", "labels": {"tier": "back"}},
    {"name": "vlan", "driver": "macvlan", "scope": "global"},
)
WEB = TABLE.find("web")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "bridge host none web web-2 vlan"),
        ({"driver": ("bridge",)}, "bridge web web-2"),
        ({"driver": ("null", "macvlan")}, "none vlan"),
        ({"driver": ("brid",)}, ""),
        ({"driver": ()}, "bridge host none web web-2 vlan"),
        ({"name": ("web",)}, "web web-2"),
        ({"name": ("^web$",)}, "web"),
        ({"name": ("o", "x")}, "host none"),
        ({"name": ("(",)}, ""),
        ({"id": (WEB.id[:12],)}, "web"),
        ({"id": (f"^{WEB.id}$",)}, "web"),
        ({"label": ("tier",)}, "web web-2"),
        ({"label": ("tier=front",)}, "web"),
        ({"label": ("tier=front", "env")}, "web"),
        ({"label": ("tier=back", "env")}, ""),
        ({"label": ("tier=",)}, ""),
        ({"scope": ("local",)}, "bridge host none web web-2"),
        ({"scope": ("global", "swarm")}, "vlan"),
        ({"type": ("builtin",)}, "bridge host none"),
        ({"type": ("custom",)}, "web web-2 vlan"),
        ({"type": ("custom", "builtin")}, "bridge host none web web-2 vlan"),
        ({"type": ()}, ""),
        ({"dangling": ("true",)}, "web web-2 vlan"),
        ({"dangling": ("1",)}, "web web-2 vlan"),
        ({"dangling": ("false",)}, "bridge host none"),
        ({"dangling": ("0",)}, "bridge host none"),
        ({"dangling": ()}, "bridge host none web web-2 vlan"),
        ({"driver": ("bridge",), "type": ("custom",), "label": ("env",)}, "web"),
    ],
)
def test_of_each_filter_any_value_will_do_of_labels_all_are_wanted(filters: dict[str, Any], names: str) -> None:
    assert " ".join(each.name for each in matching(TABLE, filters)) == names


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"dangling": ("true", "false")}, 'got more than one value for filter key "dangling"'),
        (
            {"dangling": ("True",)},
            'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
        ),
        ({"type": ("custom", "overlay")}, "invalid filter: 'type'='overlay'"),
    ],
)
def test_a_value_that_makes_no_sense_is_the_clients_mistake(filters: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        matching(TABLE, filters)
    assert str(refused.value) == text


HOUR_NS = 3600 * 10**9
NOW_NS = 100 * HOUR_NS
AGED = NetworkTable.of(
    [
        network(1, name="old", created_ns=NOW_NS - 48 * HOUR_NS, labels={"keep": "yes"}),
        network(2, name="young", created_ns=NOW_NS - HOUR_NS, labels={"env": "dev"}),
    ]
)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "old young"),
        ({"until": ("24h",)}, "old"),
        ({"until": ("1h",)}, "old young"),
        ({"until": ("59m60s",)}, "old young"),
        ({"until": ("1h1s",)}, "old"),
        ({"until": (str(52 * 3600),)}, "old"),
        ({"until": (str(52 * 3600 - 1),)}, ""),
        ({"until": ("1970-01-03T04:00:00Z",)}, "old"),
        ({"label": ("env",)}, "young"),
        ({"label": ("env=prod",)}, ""),
        ({"label!": ("keep",)}, "young"),
        ({"label!": ("keep=no",)}, "old young"),
        ({"label!": ("keep", "env")}, "old young"),  # it is spared if it has them all
        ({"label!": ("keep",), "until": ("24h",)}, ""),
    ],
)
def test_a_prune_takes_the_old_ones_and_spares_by_label(filters: dict[str, Any], names: str) -> None:
    is_wanted = prunable(filters, NOW_NS)
    assert " ".join(each.name for each in AGED if is_wanted(each)) == names


@pytest.mark.parametrize("until", [("24h", "1h"), ("",), ("yesterday",), ("2020-13-01T00:00:00Z",)])
def test_a_time_that_is_none_is_the_clients_mistake(until: tuple[str, ...]) -> None:
    with pytest.raises(InvalidParameter, match=r"until|failed to parse"):
        prunable({"until": until}, NOW_NS)

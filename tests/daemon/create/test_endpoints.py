from __future__ import annotations

from typing import Any

import pytest

from daemon.container import EndpointSettings
from daemon.create.endpoints import with_endpoints
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter
from tests.daemon.create.asking import asking

MAC, OTHER_MAC = "02:42:ac:11:00:02", "02:42:ac:11:00:03"
PLAIN, NAMED = EndpointSettings(), EndpointSettings(aliases=("db",))
WITH_MAC, WITH_OTHER = EndpointSettings(mac_address=MAC), EndpointSettings(mac_address=OTHER_MAC)

DEPRECATED = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
MISMATCH = (
    "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty"
)
NOWHERE = (
    "unable to migrate container-wide MAC address to a specific network: "
    "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
)
CONFLICT = "conflicting options: mac-address and the network mode"

Endpoints = dict[str, EndpointSettings | None]


def meant(request: CreateRequest) -> tuple[str, Endpoints, str, tuple[str, ...]]:
    """Network mode, endpoints, the container's MAC address, warnings."""
    meant, warnings = with_endpoints(request)
    assert with_endpoints(meant)[0] == meant, "twice is once"
    return (
        meant.host_config.network_mode,
        dict(meant.networking.endpoints_config or {}),
        meant.config.mac_address,
        warnings,
    )


@pytest.mark.parametrize(
    ("mode", "endpoints", "expected_mode", "expected"),
    [
        ("", None, "bridge", {}),
        ("default", {"default": NAMED}, "bridge", {"bridge": NAMED}),
        ("", {"default": NAMED, "backend": PLAIN}, "bridge", {"bridge": NAMED, "backend": PLAIN}),
        ("default", {"default": NAMED, "bridge": PLAIN}, "bridge", {"bridge": NAMED}),
        ("bridge", {"default": NAMED}, "bridge", {"default": NAMED}),
        ("backend", {"default": NAMED}, "backend", {"default": NAMED}),
        ("host", None, "host", {}),
    ],
)
def test_default_means_the_bridge_unless_another_network_is_the_main_one(
    mode: str, endpoints: Endpoints | None, expected_mode: str, expected: Endpoints
) -> None:
    assert meant(asking(network_mode=mode, endpoints=endpoints)) == (expected_mode, expected, "", ())


@pytest.mark.parametrize(("version", "is_allowed"), [((1, 43), False), ((1, 44), True), ((1, 50), True)])
def test_more_than_one_network_came_with_1_44(version: tuple[int, int], is_allowed: bool) -> None:
    request = asking(api_version=version, endpoints={"net1": PLAIN, "net2": PLAIN})
    if is_allowed:
        assert meant(request)[1] == {"net1": PLAIN, "net2": PLAIN}
        return
    with pytest.raises(InvalidParameter) as refused:
        with_endpoints(request)
    assert str(refused.value) == "Container cannot be created with multiple network endpoints: net1, net2"


@pytest.mark.parametrize(("version", "priority"), [((1, 24), 0), ((1, 47), 0), ((1, 48), 5), ((1, 50), 5)])
def test_the_priority_of_a_gateway_came_with_1_48(version: tuple[int, int], priority: int) -> None:
    request = asking(api_version=version, endpoints={"net": EndpointSettings(gw_priority=5)})
    assert meant(request)[1] == {"net": EndpointSettings(gw_priority=priority)}


OLD, NEW = (1, 43), (1, 44)

MAC_ADDRESSES: list[tuple[tuple[int, int], dict[str, Any], Endpoints, str | tuple[Endpoints, str, tuple[str, ...]]]] = [
    # Before 1.44 the container has one, and an endpoint's is ignored.
    (OLD, {}, {"net": WITH_MAC}, ({"net": PLAIN}, "", ())),
    (OLD, {"mac_address": MAC}, {}, ({"bridge": WITH_MAC}, MAC, ())),
    (OLD, {"mac_address": MAC}, {"net": WITH_OTHER}, ({"net": WITH_MAC}, MAC, ())),
    (OLD, {"mac_address": MAC, "network_mode": "backend"}, {}, ({"backend": WITH_MAC}, MAC, ())),
    (OLD, {"mac_address": MAC, "network_mode": "backend"}, {"net": PLAIN}, ({"net": WITH_MAC}, MAC, ())),
    (OLD, {"mac_address": MAC, "network_mode": "host"}, {}, CONFLICT),
    (OLD, {"mac_address": MAC, "network_mode": "none"}, {}, CONFLICT),
    (OLD, {"mac_address": MAC, "network_mode": "container:x"}, {}, CONFLICT),
    (OLD, {"network_mode": "host"}, {}, ({}, "", ())),
    # From then on it is the endpoint's.
    (NEW, {}, {"net": WITH_MAC}, ({"net": WITH_MAC}, "", ())),
    (NEW, {"mac_address": MAC}, {}, ({"bridge": WITH_MAC}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC}, {"bridge": PLAIN}, ({"bridge": WITH_MAC}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC}, {"bridge": WITH_MAC}, ({"bridge": WITH_MAC}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC}, {"default": PLAIN}, ({"bridge": WITH_MAC}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC}, {"bridge": WITH_OTHER}, MISMATCH),
    (NEW, {"mac_address": MAC}, {"net": PLAIN}, NOWHERE),
    (
        NEW,
        {"mac_address": MAC, "network_mode": "net"},
        {"other": WITH_OTHER, "net": PLAIN},
        ({"other": WITH_OTHER, "net": WITH_MAC}, "", (DEPRECATED,)),
    ),
    (NEW, {"mac_address": MAC, "network_mode": "net"}, {"net": None}, ({"net": None}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC, "network_mode": "host"}, {}, ({}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC, "network_mode": "none"}, {"net": WITH_OTHER}, ({"net": WITH_OTHER}, "", (DEPRECATED,))),
    (NEW, {"mac_address": MAC, "network_mode": "container:x"}, {}, ({}, "", (DEPRECATED,))),
]


@pytest.mark.parametrize(("version", "fields", "endpoints", "expected"), MAC_ADDRESSES)
def test_whose_a_mac_address_is_depends_on_the_version(
    version: tuple[int, int],
    fields: dict[str, Any],
    endpoints: Endpoints,
    expected: str | tuple[Endpoints, str, tuple[str, ...]],
) -> None:
    request = asking(api_version=version, endpoints=endpoints, **fields)
    if isinstance(expected, str):
        with pytest.raises(InvalidParameter) as refused:
            with_endpoints(request)
        assert str(refused.value) == expected
    else:
        assert meant(request)[1:] == expected


@pytest.mark.parametrize("version", [(1, 24), (1, 43), (1, 44), (1, 47), (1, 50)])
def test_an_endpoint_that_is_null_is_left_to_whoever_names_it(version: tuple[int, int]) -> None:
    assert meant(asking(api_version=version, endpoints={"net": None}))[1] == {"net": None}
    assert meant(asking(api_version=version, endpoints={"bridge": None}, mac_address=MAC))[1] == {"bridge": None}

from __future__ import annotations

import pytest

from daemon.container import EndpointIpam, EndpointSettings
from daemon.create.checks.network import PREDEFINED_NETWORKS, endpoints_are_valid
from tests.daemon.create.asking import HOST, asking

ON_USER_DEFINED = "user-specified IP address is supported on user-defined networks only"
NO_ALIASES = "network-scoped aliases are only supported for user-defined networks"


def refusal(network: str, *lines: str) -> str:
    return f"invalid config for network {network}: invalid endpoint settings:\n" + "\n".join(lines)


@pytest.mark.parametrize("endpoints", [None, {}, {"backend": EndpointSettings()}])
def test_an_endpoint_needs_no_settings(endpoints: dict[str, EndpointSettings | None] | None) -> None:
    assert endpoints_are_valid(asking(endpoints=endpoints), HOST) is None


def test_an_endpoint_of_null_is_refused() -> None:
    text = endpoints_are_valid(asking(endpoints={"backend": None}), HOST)
    assert text == "invalid config for network backend: EndpointsConfig is nil"


@pytest.mark.parametrize("network", PREDEFINED_NETWORKS)
@pytest.mark.parametrize(
    ("endpoint", "lines"),
    [
        (EndpointSettings(mac_address="02:42:ac:11:00:02", ipam_config=EndpointIpam()), ()),
        (EndpointSettings(ipam_config=EndpointIpam(link_local_ips=("169.254.0.1",))), ()),
        (EndpointSettings(ipam_config=EndpointIpam(ipv4_address="10.0.0.2")), (ON_USER_DEFINED,)),
        (EndpointSettings(ipam_config=EndpointIpam(ipv6_address="fd00::2")), (ON_USER_DEFINED,)),
        (EndpointSettings(aliases=("db",)), (NO_ALIASES,)),
        (
            EndpointSettings(aliases=("db",), ipam_config=EndpointIpam(ipv4_address="ten")),
            (ON_USER_DEFINED, NO_ALIASES, "invalid IPv4 address: ten"),
        ),
    ],
)
def test_a_predefined_network_gives_addresses_and_names_itself(
    network: str, endpoint: EndpointSettings, lines: tuple[str, ...]
) -> None:
    expected = refusal(network, *lines) if lines else None
    assert endpoints_are_valid(asking(endpoints={network: endpoint}), HOST) == expected


@pytest.mark.parametrize(
    ("ipam", "lines"),
    [
        (EndpointIpam(ipv4_address="10.0.0.2", ipv6_address="fd00::2", link_local_ips=("169.254.0.1", "fe80::1")), ()),
        (EndpointIpam(ipv4_address="fd00::2"), ("invalid IPv4 address: fd00::2",)),
        (EndpointIpam(ipv4_address="10.0.0.0/24"), ("invalid IPv4 address: 10.0.0.0/24",)),
        (EndpointIpam(ipv4_address="0.0.0.0"), ("invalid IPv4 address: 0.0.0.0",)),
        (EndpointIpam(ipv6_address="10.0.0.2"), ("invalid IPv6 address: 10.0.0.2",)),
        (EndpointIpam(ipv6_address="::"), ("invalid IPv6 address: ::",)),
        (EndpointIpam(ipv6_address="fe80::1%eth0"), ("invalid IPv6 address: fe80::1%eth0",)),
        (
            EndpointIpam(ipv4_address="x", ipv6_address="y", link_local_ips=("169.254.0.1", "", "z")),
            (
                "invalid IPv4 address: x",
                "invalid IPv6 address: y",
                "invalid link-local IP address: ",
                "invalid link-local IP address: z",
            ),
        ),
    ],
)
def test_a_user_defined_network_takes_addresses_that_are_some(ipam: EndpointIpam, lines: tuple[str, ...]) -> None:
    endpoints: dict[str, EndpointSettings | None] = {
        "bridge": EndpointSettings(),
        "backend": EndpointSettings(ipam_config=ipam, aliases=("db",)),
    }
    expected = refusal("backend", *lines) if lines else None
    assert endpoints_are_valid(asking(endpoints=endpoints), HOST) == expected

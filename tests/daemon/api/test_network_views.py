from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.api.network_views import network_view, with_network_history
from daemon.api.views import listed_networks, networks_view
from daemon.container import Container, ContainerConfig, EndpointIpam, EndpointSettings, HostConfig
from daemon.network import Ipam, SubnetConfig
from tests.daemon.network.making import IDS, id_of, planned, predefined


def test_the_bridge_is_shown_as_docker_shows_it() -> None:
    assert json.dumps(network_view(predefined().find("bridge"))) == json.dumps(
        {
            "Name": "bridge",
            "Id": IDS[0],
            "Created": "1970-01-01T00:00:00.000000001Z",
            "Scope": "local",
            "Driver": "bridge",
            "EnableIPv4": True,
            "EnableIPv6": False,
            "IPAM": {
                "Driver": "default",
                "Options": None,
                "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}],
            },
            "Internal": False,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {},
            "Options": {
                "com.docker.network.bridge.default_bridge": "true",
                "com.docker.network.bridge.enable_icc": "true",
                "com.docker.network.bridge.enable_ip_masquerade": "true",
                "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
                "com.docker.network.bridge.name": "docker0",
                "com.docker.network.driver.mtu": "1500",
            },
            "Labels": {},
        }
    )


def test_none_has_no_subnets() -> None:
    view = network_view(predefined().find("none"))
    assert (view["Driver"], view["IPAM"]) == ("null", {"Driver": "default", "Options": None, "Config": None})


def test_a_network_is_shown_as_it_was_asked_for() -> None:
    config = SubnetConfig(
        subnet="10.0.0.0/8", ip_range="10.5.0.0/16", gateway="10.5.0.1", auxiliary_addresses={"dns": "10.5.0.2"}
    )
    ipam = Ipam(driver="default", options={}, config=(config, SubnetConfig(subnet="fd05::/64")))
    view = network_view(planned(predefined(), ipam=ipam, enable_ipv6=True, internal=True, labels={"k": "v"}))
    assert view["IPAM"] == {
        "Driver": "default",
        "Options": {},
        "Config": [
            {
                "Subnet": "10.0.0.0/8",
                "IPRange": "10.5.0.0/16",
                "Gateway": "10.5.0.1",
                "AuxiliaryAddresses": {"dns": "10.5.0.2"},
            },
            {"Subnet": "fd05::/64"},
        ],
    }
    assert (view["EnableIPv6"], view["Internal"], view["Labels"]) == (True, True, {"k": "v"})


# A container's networks --------------------------------------------------------------------------------------------------

MAC = "02:42:ac:11:00:02"
WITH_MAC, PLAIN = EndpointSettings(mac_address=MAC), EndpointSettings()


def container(mode: str, networks: dict[str, EndpointSettings], **config: Any) -> Container:
    return Container(
        id=id_of(1),
        name="web",
        created_ns=1,
        path="sh",
        args=(),
        config=ContainerConfig(hostname="quay", **config),
        host_config=HostConfig(network_mode=mode),
        image_id="",
        networks=networks,
    )


@pytest.mark.parametrize(
    ("mode", "networks", "own", "shown"),
    [
        ("bridge", {"bridge": WITH_MAC}, "", MAC),
        ("backend", {"backend": WITH_MAC, "other": PLAIN}, "", MAC),
        ("backend", {"other": WITH_MAC}, "", ""),
        ("bridge", {"bridge": PLAIN}, "", ""),
        ("bridge", {"bridge": PLAIN}, MAC, MAC),
        ("host", {"host": WITH_MAC}, "", ""),
        ("bridge", {}, "", ""),
    ],
)
def test_a_containers_mac_address_is_that_of_its_main_network(
    mode: str, networks: dict[str, EndpointSettings], own: str, shown: str
) -> None:
    assert with_network_history(container(mode, networks, mac_address=own), (1, 50)).config.mac_address == shown


@pytest.mark.parametrize(
    ("version", "name", "given", "shown"),
    [
        ((1, 45), "backend", None, None),
        ((1, 44), "backend", None, (id_of(1)[:12], "quay")),
        ((1, 44), "backend", ("db", "quay"), ("db", "quay", id_of(1)[:12])),
        ((1, 24), "backend", (), (id_of(1)[:12], "quay")),
        ((1, 24), "bridge", None, None),
    ],
)
def test_before_1_45_aliases_were_shown_with_the_implied_ones(
    version: tuple[int, int], name: str, given: tuple[str, ...] | None, shown: tuple[str, ...] | None
) -> None:
    before = container("bridge", {name: EndpointSettings(aliases=given)})
    after = with_network_history(before, version)
    assert after.networks[name].aliases == shown
    assert before.networks[name].aliases == given


def test_the_list_shows_less_of_an_endpoint_than_inspect() -> None:
    ipam = EndpointIpam(ipv4_address="10.0.0.9", ipv6_address="fd05::9", link_local_ips=("169.254.1.1",))
    full = EndpointSettings(
        ipam_config=ipam,
        links=("db",),
        aliases=("web",),
        mac_address=MAC,
        driver_opts={"o": "1"},
        gw_priority=3,
        network_id="n",
        dns_names=("web",),
    )
    shown = listed_networks({"net": full, "bridge": PLAIN})
    assert shown == {
        "net": EndpointSettings(
            ipam_config=replace(ipam, link_local_ips=None), mac_address=MAC, gw_priority=3, network_id="n"
        ),
        "bridge": PLAIN,
    }
    assert networks_view(shown)["bridge"]["IPAMConfig"] is None

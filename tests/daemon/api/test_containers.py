from __future__ import annotations

from typing import Any

import pytest

from daemon.api.calls import Query
from daemon.api.containers import decode_create
from daemon.container import (
    ContainerConfig,
    EndpointIpam,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
)
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter

V1_50 = (1, 50)


def decoded(raw: Any, query: str = "", version: tuple[int, int] = V1_50) -> CreateRequest:
    request = decode_create(raw, Query(query), version)
    assert request is not None
    return request


def test_a_body_is_a_config_with_two_others_in_it() -> None:
    request = decoded(
        {
            "Image": "busybox",
            "Cmd": ["sh"],
            "HostConfig": {
                "Memory": 1,
                "PortBindings": {"80/tcp": [{"HostIp": "::1", "HostPort": "8080"}], "81/tcp": None},
                "RestartPolicy": {"Name": "always"},
            },
            "NetworkingConfig": {
                "EndpointsConfig": {"backend": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}, "nil": None}
            },
        },
        "name=/web&platform=linux/amd64",
    )
    assert request == CreateRequest(
        name="/web",
        platform="linux/amd64",
        config=ContainerConfig(image="busybox", cmd=("sh",), volumes=()),
        host_config=HostConfig(
            memory=1,
            port_bindings={"80/tcp": (PortBinding(host_ip="::1", host_port="8080"),), "81/tcp": None},
            restart_policy=RestartPolicy(name="always"),
        ),
        networking=NetworkingConfig(
            endpoints_config={
                "backend": EndpointSettings(ipam_config=EndpointIpam(ipv4_address="10.0.0.2")),
                "nil": None,
            }
        ),
        api_version=V1_50,
    )


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"HostConfig": {"Memory": 1}},
        {"NetworkingConfig": {}},
        {"hostconfig": None},
        {"Unknown": 1, "": 2},
    ],
)
def test_a_body_without_any_field_of_a_config_has_none(raw: Any) -> None:
    assert decode_create(raw, Query(""), V1_50) is None


@pytest.mark.parametrize("raw", [{"Image": None}, {"tty": False}, {"CMD": []}])
def test_any_field_of_a_config_makes_one_even_null(raw: Any) -> None:
    assert decoded(raw).config in (ContainerConfig(), ContainerConfig(cmd=()))


@pytest.mark.parametrize(
    "raw",
    [
        {"image": "a", "HOSTCONFIG": {"memory": 1}, "networkingconfig": {"endpointsconfig": {}}},
        {"IMAGE": "a", "hostConfig": {"MEMORY": 1}, "NetworkingConfig": {"EndpointsConfig": {}}, "HostConfig": None},
    ],
)
def test_keys_of_the_body_match_in_any_case(raw: Any) -> None:
    assert decoded(raw) == CreateRequest(
        config=ContainerConfig(image="a", volumes=()),
        host_config=HostConfig(memory=1),
        networking=NetworkingConfig(endpoints_config={}),
    )


def test_null_for_the_parts_of_a_body_is_as_good_as_absent() -> None:
    assert decoded({"Image": "a", "HostConfig": None, "NetworkingConfig": None}) == decoded({"Image": "a"})


@pytest.mark.parametrize(("version", "platform"), [((1, 40), ""), ((1, 41), "linux/arm64")])
def test_the_platform_is_known_since_1_41(version: tuple[int, int], platform: str) -> None:
    assert decoded({"Image": "a"}, "platform=linux/arm64", version).platform == platform


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ([], "array into Go value of type container.CreateRequest"),
        ("x", "string into Go value of type container.CreateRequest"),
        (1, "number into Go value of type container.CreateRequest"),
        (1.5, "number into Go value of type container.CreateRequest"),
        (False, "bool into Go value of type container.CreateRequest"),
        (
            {"Image": "a", "HostConfig": "x"},
            "string into Go struct field CreateRequest.HostConfig of type container.HostConfig",
        ),
        (
            {"Image": "a", "NetworkingConfig": []},
            "array into Go struct field CreateRequest.NetworkingConfig of type network.NetworkingConfig",
        ),
        (
            {"Image": "a", "hostconfig": {"memory": "1g"}},
            "string into Go struct field HostConfig.HostConfig.Resources.Memory of type int64",
        ),
        (
            {"Image": "a", "HostConfig": {"PidsLimit": 1.0}},
            "number 1.0 into Go struct field HostConfig.HostConfig.Resources.PidsLimit of type int64",
        ),
        ({"Image": 1}, "number into Go struct field CreateRequest.Config.Image of type string"),
        # Of two the first in the body is told.
        (
            {"HostConfig": [], "Image": 1},
            "array into Go struct field CreateRequest.HostConfig of type container.HostConfig",
        ),
        ({"Image": 1, "HostConfig": []}, "number into Go struct field CreateRequest.Config.Image of type string"),
        (
            {"NetworkingConfig": 1, "HostConfig": []},
            "number into Go struct field CreateRequest.NetworkingConfig of type network.NetworkingConfig",
        ),
    ],
)
def test_a_body_of_the_wrong_types_is_complained_of_in_gos_words(raw: Any, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        decoded(raw)
    assert str(caught.value) == f"invalid JSON: json: cannot unmarshal {complaint}"

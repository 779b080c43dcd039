from __future__ import annotations

from typing import Any

import pytest

from daemon.api.calls import Query
from daemon.api.containers import decode_create, decode_update, with_query
from daemon.container import (
    ContainerConfig,
    EndpointIpam,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
    Ulimit,
)
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter

V1_50 = (1, 50)


def decoded(raw: Any, query: str = "", version: tuple[int, int] = V1_50) -> CreateRequest:
    request = decode_create(raw, version)
    assert request is not None
    return with_query(request, Query(query))


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
    assert decode_create(raw, V1_50) is None


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


@pytest.mark.parametrize(
    ("raw", "version", "expected"),
    [
        (None, V1_50, HostConfig()),
        ({}, V1_50, HostConfig()),
        ({"Memory": 1, "MemorySwap": -1}, V1_50, HostConfig(memory=1, memory_swap=-1)),
        (
            {"memory": 1, "RESTARTPOLICY": {"name": "no"}},
            V1_50,
            HostConfig(memory=1, restart_policy=RestartPolicy(name="no")),
        ),
        ({"Ulimits": [{"Name": "nofile"}]}, V1_50, HostConfig(ulimits=(Ulimit(name="nofile"),))),
        # What is no limit is no part of such a body, whatever its type.
        ({"Binds": 7, "Privileged": True, "ShmSize": 5, "Unknown": 1, "NetworkMode": "host"}, V1_50, HostConfig()),
        ({"KernelMemory": 7}, (1, 41), HostConfig(kernel_memory=7)),
        ({"KernelMemory": 7}, (1, 42), HostConfig()),
        ({"PidsLimit": 7}, (1, 39), HostConfig()),
        ({"PidsLimit": 7}, (1, 40), HostConfig(pids_limit=7)),
        ({"PidsLimit": 0}, V1_50, HostConfig(pids_limit=0)),
        ({"PidsLimit": -5}, V1_50, HostConfig(pids_limit=0)),
        ({"PidsLimit": None}, V1_50, HostConfig()),
    ],
)
def test_an_update_has_limits_and_a_restart_policy(raw: Any, version: tuple[int, int], expected: HostConfig) -> None:
    assert decode_update(raw, version) == expected


@pytest.mark.parametrize("raw", [[], "x", 1, {"Memory": "1g"}, {"PidsLimit": 1.5}, {"RestartPolicy": "always"}])
def test_an_update_of_the_wrong_types_is_the_clients_mistake(raw: Any) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid JSON: json: cannot unmarshal "):
        decode_update(raw, V1_50)

from __future__ import annotations

from typing import Any

import pytest

from daemon.container import (
    BindOptions,
    EndpointSettings,
    Healthcheck,
    MountRequest,
    TmpfsOptions,
    VolumeDriver,
    VolumeOptions,
)
from daemon.create.request import CreateRequest
from daemon.create.versions import ENDPOINT_SYSCTLS, VOLUME_DRIVER_IGNORED, for_api_version
from daemon.errors import InvalidParameter
from daemon.host import Host
from tests.daemon.create.asking import HOST, MIB, OLD_HOST, Fields, asking

Version = tuple[int, int]
NEWEST = (1, 50)


def meant(request: CreateRequest, host: Host = HOST) -> CreateRequest:
    return for_api_version(request, host)[0]


def refusal(request: CreateRequest) -> str:
    with pytest.raises(InvalidParameter) as caught:
        for_api_version(request, HOST)
    return str(caught.value)


@pytest.mark.parametrize(("mode", "expected"), [("", "bridge"), ("default", "bridge"), ("host", "host"), ("a", "a")])
def test_the_network_called_default_is_the_bridge(mode: str, expected: str) -> None:
    own, default = EndpointSettings(aliases=("a",)), EndpointSettings()
    request = meant(asking(network_mode=mode, endpoints={"backend": own, "default": default}))
    assert request.host_config.network_mode == expected
    name = "bridge" if expected == "bridge" else "default"
    assert request.networking.endpoints_config == {"backend": own, name: default}


# The last version to which the left happens, what is asked for, what it means to that version and before, and after it.
TRANSLATED: list[tuple[Version, Fields, Fields, Fields]] = [
    ((1, 24), {"auto_remove": True}, {"auto_remove": False}, {"auto_remove": True}),
    ((1, 39), {}, {"ipc_mode": "shareable"}, {"ipc_mode": ""}),
    ((1, 39), {"ipc_mode": "host"}, {"ipc_mode": "host"}, {"ipc_mode": "host"}),
    ((1, 39), {"kernel_memory_tcp": 1}, {"kernel_memory_tcp": 0}, {"kernel_memory_tcp": 1}),
    ((1, 41), {"console_size": (24, 80)}, {"console_size": (0, 0)}, {"console_size": (24, 80)}),
    ((1, 41), {"kernel_memory": 8 * MIB}, {"kernel_memory": 8 * MIB}, {"kernel_memory": 0}),
    ((1, 42), {"annotations": {"a": "b"}}, {"annotations": None}, {"annotations": {"a": "b"}}),
    ((1, 49), {"pids_limit": 0}, {"pids_limit": None}, {"pids_limit": None}),
    ((1, 49), {"pids_limit": -1}, {"pids_limit": None}, {"pids_limit": None}),
    ((1, 49), {"pids_limit": 1}, {"pids_limit": 1}, {"pids_limit": 1}),
]


@pytest.mark.parametrize(("last", "fields", "before", "after"), TRANSLATED)
def test_an_old_client_gets_what_its_daemon_would_have_done(
    last: Version, fields: Fields, before: Fields, after: Fields
) -> None:
    versions = {(1, 24): before, last: before, (1, last[1] + 1): after, NEWEST: after}
    if last == (1, 24):
        del versions[1, 24]
        versions[last] = before
    for version, expected in versions.items():
        host_config = meant(asking(api_version=version, **fields)).host_config
        assert {name: getattr(host_config, name) for name in expected} == expected, version


@pytest.mark.parametrize(
    ("version", "host", "mode", "expected"),
    [
        ((1, 40), OLD_HOST, "", "host"),
        ((1, 40), OLD_HOST, "private", "private"),
        ((1, 41), OLD_HOST, "", ""),
        ((1, 40), HOST, "", ""),
    ],
)
def test_before_1_41_the_namespace_of_groups_was_the_hosts_where_they_are_of_version_1(
    version: Version, host: Host, mode: str, expected: str
) -> None:
    assert meant(asking(api_version=version, cgroupns_mode=mode), host).host_config.cgroupns_mode == expected


@pytest.mark.parametrize(("version", "expected"), [((1, 43), 0), ((1, 44), 7)])
def test_a_start_interval_is_known_since_1_44(version: Version, expected: int) -> None:
    config = meant(asking(api_version=version, healthcheck=Healthcheck(start_interval_ns=7, retries=2))).config
    assert config.healthcheck == Healthcheck(start_interval_ns=expected, retries=2)


BIND = BindOptions(non_recursive=True, create_mountpoint=True, propagation="shared")


@pytest.mark.parametrize(
    ("version", "mount", "expected"),
    [
        ((1, 39), {"type": "bind", "bind_options": BIND}, {"bind_options": BindOptions(propagation="shared")}),
        (
            (1, 41),
            {"type": "bind", "bind_options": BIND},
            {"bind_options": BindOptions(propagation="shared", non_recursive=True)},
        ),
        ((1, 42), {"type": "bind", "bind_options": BIND}, {"bind_options": BIND}),
        ((1, 41), {"type": "bind", "volume_options": VolumeOptions()}, {"volume_options": None}),
        ((1, 41), {"type": "volume", "volume_options": VolumeOptions()}, {"volume_options": VolumeOptions()}),
        ((1, 41), {"type": "volume", "tmpfs_options": TmpfsOptions()}, {"tmpfs_options": None}),
        ((1, 41), {"type": "tmpfs", "tmpfs_options": TmpfsOptions()}, {"tmpfs_options": TmpfsOptions()}),
    ],
)
def test_options_of_mounts_are_known_since_their_version(version: Version, mount: Fields, expected: Fields) -> None:
    request = meant(asking(api_version=version, mounts=(MountRequest(**mount),)))
    assert request.host_config.mounts == (MountRequest(**{**mount, **expected}),)


OPTIONS: dict[str, Fields] = {
    "volume": {"volume_options": VolumeOptions()},
    "bind": {"bind_options": BindOptions()},
    "tmpfs": {"tmpfs_options": TmpfsOptions()},
}


@pytest.mark.parametrize("options_of", OPTIONS)
@pytest.mark.parametrize("kind", [*OPTIONS, "cluster", 'a"b'])
def test_options_of_another_type_of_mount_are_refused_since_1_42(kind: str, options_of: str) -> None:
    mount = MountRequest(type=kind, source="/src", target="/dst", **OPTIONS[options_of])
    request = asking(mounts=(MountRequest(type="tmpfs"), mount), api_version=(1, 42))
    if kind == options_of:
        assert meant(request) == meant(meant(request))
    else:
        quoted = '"a\\"b"' if kind == 'a"b' else f'"{kind}"'
        assert refusal(request) == f"{options_of.capitalize()}Options must not be specified on mount type {quoted}"
    meant(asking(mounts=(mount,), api_version=(1, 41)))


FORCED = BindOptions(read_only_force_recursive=True)
SINCE: list[tuple[Version, MountRequest, str]] = [
    (
        (1, 44),
        MountRequest(type="bind", bind_options=FORCED),
        "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
    ),
    (
        (1, 45),
        MountRequest(type="volume", volume_options=VolumeOptions(subpath="a")),
        "VolumeOptions.Subpath needs API v1.45 or newer",
    ),
    ((1, 48), MountRequest(type="image"), 'Mount type "Image" needs API v1.48 or newer'),
]


@pytest.mark.parametrize(("since", "mount", "text"), SINCE)
def test_what_an_old_version_cannot_promise_is_refused(since: Version, mount: MountRequest, text: str) -> None:
    assert refusal(asking(api_version=(1, since[1] - 1), mounts=(mount,))) == text
    meant(asking(api_version=since, mounts=(mount,)))


def test_of_several_mounts_the_older_rule_speaks_first() -> None:
    mounts = (SINCE[2][1], SINCE[1][1], SINCE[0][1])
    assert refusal(asking(api_version=(1, 43), mounts=mounts)) == SINCE[0][2]
    assert refusal(asking(api_version=(1, 44), mounts=mounts)) == SINCE[1][2]


def of_volume(driver: str | None) -> MountRequest:
    options = None if driver is None else VolumeOptions(driver_config=VolumeDriver(name=driver))
    return MountRequest(type="volume", source="data", target="/d", volume_options=options)


@pytest.mark.parametrize(
    ("version", "fields", "is_warned"),
    [
        ((1, 48), {"volume_driver": "nfs", "mounts": (of_volume(None),)}, True),
        ((1, 48), {"volume_driver": "nfs", "mounts": (of_volume("a"), of_volume(""))}, True),
        ((1, 48), {"volume_driver": "nfs", "mounts": (of_volume("local"),)}, False),
        ((1, 48), {"volume_driver": "nfs", "mounts": (MountRequest(type="tmpfs", target="/t"),)}, False),
        ((1, 48), {"volume_driver": "nfs", "binds": ("data:/d",)}, False),
        ((1, 48), {"mounts": (of_volume(None),)}, False),
        ((1, 47), {"volume_driver": "nfs", "mounts": (of_volume(None),)}, False),
    ],
)
def test_a_volume_driver_that_no_mount_will_use_is_warned_of_since_1_48(
    version: Version, fields: Fields, is_warned: bool
) -> None:
    _, warnings = for_api_version(asking(api_version=version, **fields), HOST)
    assert warnings == ((VOLUME_DRIVER_IGNORED,) if is_warned else ())


FORWARDING = "net.ipv4.conf.eth0.forwarding"
MOVED = "net.ipv4.conf.IFNAME.forwarding=1"


def with_sysctls(sysctls: dict[str, str], **fields: Any) -> CreateRequest:
    return asking(**{"api_version": (1, 47), "sysctls": sysctls, **fields})


@pytest.mark.parametrize(
    ("fields", "network"),
    [
        ({}, "bridge"),
        ({"network_mode": "default"}, "bridge"),
        ({"network_mode": "backend"}, "backend"),
        ({"network_mode": "backend", "endpoints": {"backend": None, "b": EndpointSettings()}}, "backend"),
        ({"network_mode": "backend", "endpoints": {"b": EndpointSettings()}, "api_version": (1, 43)}, "b"),
    ],
)
def test_a_sysctl_of_eth0_goes_to_the_endpoint_that_will_be_eth0(fields: Fields, network: str) -> None:
    request, warnings = for_api_version(with_sysctls({FORWARDING: "1", "net.core.somaxconn": "9"}, **fields), HOST)
    assert request.host_config.sysctls == {"net.core.somaxconn": "9"}
    endpoint = (request.networking.endpoints_config or {})[network]
    assert endpoint == EndpointSettings(driver_opts={ENDPOINT_SYSCTLS: MOVED})
    assert warnings == (f'Migrated sysctl "{FORWARDING}" to DriverOpts{{"{ENDPOINT_SYSCTLS}":"{MOVED}"}}.',)


def test_several_sysctls_go_before_those_that_the_endpoint_has() -> None:
    own = EndpointSettings(driver_opts={"a": "b", ENDPOINT_SYSCTLS: "net.ipv6.conf.IFNAME.x=2"})
    sysctls = {FORWARDING: "1", "net.eth0.eth0.eth0.eth0.y": "3"}
    request, warnings = for_api_version(with_sysctls(sysctls, endpoints={"bridge": own}), HOST)
    endpoint = (request.networking.endpoints_config or {})["bridge"]
    assert endpoint is not None
    assert endpoint.driver_opts == {
        "a": "b",
        ENDPOINT_SYSCTLS: f"{MOVED},net.eth0.eth0.IFNAME.eth0.y=3,net.ipv6.conf.IFNAME.x=2",
    }
    assert warnings == (
        f'Migrated sysctl "{FORWARDING},net.eth0.eth0.eth0.eth0.y" to '
        f'DriverOpts{{"{ENDPOINT_SYSCTLS}":"{MOVED},net.eth0.eth0.IFNAME.eth0.y=3"}}.',
    )


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            with_sysctls({FORWARDING: "1"}, api_version=(1, 48)),
            f'interface specific sysctl setting "{FORWARDING}" must be supplied using driver option '
            f"'{ENDPOINT_SYSCTLS}'",
        ),
        (
            with_sysctls({"net.ipv4.conf.eth1.x": "1"}),
            f"unable to determine network endpoint for sysctl net.ipv4.conf.eth1.x, use driver option "
            f"'{ENDPOINT_SYSCTLS}' to set per-interface sysctls",
        ),
        (
            with_sysctls({FORWARDING: "1"}, endpoints={"b": EndpointSettings()}, api_version=(1, 44)),
            f"unable to find a network for sysctl {FORWARDING}: "
            "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
        ),
    ],
)
def test_a_sysctl_of_an_interface_that_cannot_be_moved_is_refused(request_: CreateRequest, text: str) -> None:
    assert refusal(request_) == text


@pytest.mark.parametrize(
    "request_",
    [
        with_sysctls({FORWARDING: "1"}, network_mode="host", api_version=NEWEST),
        with_sysctls({FORWARDING: "1"}, network_mode="container:web", api_version=NEWEST),
        *(
            with_sysctls({name: "1"}, api_version=NEWEST)
            for name in ("net.ipv4.eth0.x", "net.ipv4.conf.all.x", "kernel.a.b.eth0.x", "net.ipv4.conf.eth0", "net")
        ),
    ],
)
def test_a_sysctl_of_no_interface_of_its_own_stays_where_it_is(request_: CreateRequest) -> None:
    request, warnings = for_api_version(request_, HOST)
    assert (request.host_config.sysctls, warnings) == (request_.host_config.sysctls, ())


def test_to_translate_twice_is_to_translate_once() -> None:
    for version in ((1, 24), (1, 41), (1, 47), NEWEST):
        mounts = (MountRequest(type="bind", bind_options=BindOptions(create_mountpoint=True)),)
        once = meant(asking(api_version=version, mounts=mounts, endpoints={"default": EndpointSettings()}))
        assert for_api_version(once, HOST) == (once, ())

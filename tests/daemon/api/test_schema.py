from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.api.codec import INT_MAX, Record
from daemon.api.schema import CONFIG, ENDPOINT, HEALTHCHECK, HOST_CONFIG, NETWORKING
from daemon.container import (
    ContainerConfig,
    EndpointSettings,
    Healthcheck,
    HostConfig,
    ThrottleDevice,
    TmpfsOptions,
    WeightDevice,
)
from daemon.errors import InvalidParameter

# Docker's names, as `docker inspect` of a created container shows them.
CONFIG_NAMES = """
AttachStderr AttachStdin AttachStdout Cmd Domainname Entrypoint Env Hostname Image Labels OnBuild OpenStdin StdinOnce Tty
User Volumes WorkingDir
"""
CONFIG_NAMES_IF_SET = """
ArgsEscaped ExposedPorts Healthcheck MacAddress NetworkDisabled Shell StopSignal StopTimeout
"""
HOST_CONFIG_NAMES = """
AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeight
BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode ConsoleSize ContainerIDFile CpuCount CpuPercent CpuPeriod
CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems DeviceCgroupRules DeviceRequests Devices Dns
DnsOptions DnsSearch ExtraHosts GroupAdd IOMaximumBandwidth IOMaximumIOps IpcMode Isolation Links LogConfig MaskedPaths
Memory MemoryReservation MemorySwap MemorySwappiness NanoCpus NetworkMode OomKillDisable OomScoreAdj PidMode PidsLimit
PortBindings Privileged PublishAllPorts ReadonlyPaths ReadonlyRootfs RestartPolicy Runtime SecurityOpt ShmSize UTSMode
Ulimits UsernsMode VolumeDriver VolumesFrom
"""
HOST_CONFIG_NAMES_IF_SET = "Annotations Init KernelMemory KernelMemoryTCP Mounts StorageOpt Sysctls Tmpfs"
ENDPOINT_NAMES = """
Aliases DNSNames DriverOpts EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen GwPriority IPAMConfig IPAddress
IPPrefixLen IPv6Gateway Links MacAddress NetworkID
"""


@pytest.mark.parametrize(
    ("record", "kind", "shown", "shown_if_set"),
    [
        (CONFIG, ContainerConfig, CONFIG_NAMES, CONFIG_NAMES_IF_SET),
        (HOST_CONFIG, HostConfig, HOST_CONFIG_NAMES, HOST_CONFIG_NAMES_IF_SET),
        (ENDPOINT, EndpointSettings, ENDPOINT_NAMES, ""),
        (HEALTHCHECK, Healthcheck, "", "Interval Retries StartInterval StartPeriod Test Timeout"),
    ],
)
def test_fields_have_dockers_names(record: Record[Any], kind: type[Any], shown: str, shown_if_set: str) -> None:
    assert sorted(record.encode(kind())) == sorted(shown.split())
    assert all(record.has_field(name) for name in shown_if_set.split())
    assert len(msgspec.structs.fields(kind)) == len(shown.split()) + len(shown_if_set.split())


@pytest.mark.parametrize(
    ("record", "raw", "expected"),
    [
        (HOST_CONFIG, {"Init": False}, HostConfig(init=False)),
        (HOST_CONFIG, {"OomKillDisable": False}, HostConfig(oom_kill_disable=False)),
        (
            HOST_CONFIG,
            {"CapAdd": "NET_ADMIN", "CapDrop": ["ALL"]},
            HostConfig(cap_add=("NET_ADMIN",), cap_drop=("ALL",)),
        ),
        (HOST_CONFIG, {"UtsMode": "host", "containeridfile": "x"}, HostConfig(uts_mode="host", container_id_file="x")),
        (CONFIG, {"StopTimeout": 0}, ContainerConfig(stop_timeout=0)),
        (CONFIG, {"Entrypoint": "", "Cmd": "sh"}, ContainerConfig(entrypoint=("",), cmd=("sh",))),
        (CONFIG, {"Entrypoint": []}, ContainerConfig(entrypoint=())),
        (CONFIG, {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}, ContainerConfig(exposed_ports=("53/udp", "80/tcp"))),
        (CONFIG, {"Healthcheck": {"Interval": 5}}, ContainerConfig(healthcheck=Healthcheck(interval_ns=5))),
    ],
)
def test_what_is_set_to_little_is_set_and_is_shown(record: Record[Any], raw: Any, expected: object) -> None:
    decoded = record.decode(raw)
    assert decoded == expected
    assert record.decode(record.encode(decoded)) == decoded


@pytest.mark.parametrize(
    ("record", "raw", "complaint"),
    [
        (CONFIG, {"Tty": "yes"}, "string into Go struct field CreateRequest.Config.Tty of type bool"),
        (
            CONFIG,
            {"Healthcheck": {"Retries": 1.5}},
            "number 1.5 into Go struct field HealthcheckConfig.Config.Healthcheck.Retries of type int",
        ),
        (
            CONFIG,
            {"Healthcheck": {"Interval": "5s"}},
            "string into Go struct field HealthcheckConfig.Config.Healthcheck.Interval of type time.Duration",
        ),
        (CONFIG, {"Env": {"A": "1"}}, "object into Go struct field CreateRequest.Config.Env of type []string"),
        (CONFIG, {"Env": [1]}, "number into Go struct field CreateRequest.Config.Env of type string"),
        (CONFIG, {"Cmd": 5}, "number into Go struct field CreateRequest.Config.Cmd of type string"),
        (CONFIG, {"Cmd": ["a", 5]}, "array into Go struct field CreateRequest.Config.Cmd of type string"),
        (CONFIG, {"StopTimeout": 1.5}, "number 1.5 into Go struct field CreateRequest.Config.StopTimeout of type int"),
        (
            CONFIG,
            {"ExposedPorts": []},
            "array into Go struct field CreateRequest.Config.ExposedPorts of type nat.PortSet",
        ),
        (
            CONFIG,
            {"ExposedPorts": {"80/tcp": 1}},
            "number into Go struct field CreateRequest.Config.ExposedPorts of type struct {}",
        ),
        (
            CONFIG,
            {"Volumes": ["/a"]},
            "array into Go struct field CreateRequest.Config.Volumes of type map[string]struct {}",
        ),
        (
            HOST_CONFIG,
            {"Memory": "1g"},
            "string into Go struct field HostConfig.HostConfig.Resources.Memory of type int64",
        ),
        (
            HOST_CONFIG,
            {"BlkioWeight": 65536},
            "number 65536 into Go struct field HostConfig.HostConfig.Resources.BlkioWeight of type uint16",
        ),
        (
            HOST_CONFIG,
            {"IOMaximumIOps": -1},
            "number -1 into Go struct field HostConfig.HostConfig.Resources.IOMaximumIOps of type uint64",
        ),
        (
            HOST_CONFIG,
            {"BlkioDeviceReadBps": {}},
            "object into Go struct field HostConfig.HostConfig.Resources.BlkioDeviceReadBps "
            "of type []*blkiodev.ThrottleDevice",
        ),
        (
            HOST_CONFIG,
            {"NetworkMode": 1},
            "number into Go struct field HostConfig.HostConfig.NetworkMode of type container.NetworkMode",
        ),
        (
            HOST_CONFIG,
            {"ConsoleSize": "x"},
            "string into Go struct field HostConfig.HostConfig.ConsoleSize of type [2]uint",
        ),
        (
            HOST_CONFIG,
            {"ConsoleSize": [-1]},
            "number -1 into Go struct field HostConfig.HostConfig.ConsoleSize of type uint",
        ),
        (
            HOST_CONFIG,
            {"RestartPolicy": "always"},
            "string into Go struct field HostConfig.HostConfig.RestartPolicy of type container.RestartPolicy",
        ),
        (
            HOST_CONFIG,
            {"RestartPolicy": {"MaximumRetryCount": "3"}},
            "string into Go struct field RestartPolicy.HostConfig.RestartPolicy.MaximumRetryCount of type int",
        ),
        (
            HOST_CONFIG,
            {"LogConfig": {"Config": {"max-file": 3}}},
            "number into Go struct field LogConfig.HostConfig.LogConfig.Config of type string",
        ),
        (
            HOST_CONFIG,
            {"PortBindings": {"80/tcp": {}}},
            "object into Go struct field HostConfig.HostConfig.PortBindings of type []nat.PortBinding",
        ),
        (
            HOST_CONFIG,
            {"PortBindings": {"80/tcp": [{"HostPort": 80}]}},
            "number into Go struct field PortBinding.HostConfig.PortBindings.HostPort of type string",
        ),
        (
            HOST_CONFIG,
            {"Mounts": [{"Type": 1}]},
            "number into Go struct field Mount.HostConfig.Mounts.Type of type mount.Type",
        ),
        (
            HOST_CONFIG,
            {"Mounts": [{"TmpfsOptions": {"Mode": -1}}]},
            "number -1 into Go struct field TmpfsOptions.HostConfig.Mounts.TmpfsOptions.Mode of type fs.FileMode",
        ),
        (
            NETWORKING,
            {"EndpointsConfig": {"a": {"IPAMConfig": []}}},
            "array into Go struct field EndpointSettings.NetworkingConfig.EndpointsConfig.IPAMConfig "
            "of type network.EndpointIPAMConfig",
        ),
    ],
)
def test_a_complaint_says_where(record: Record[Any], raw: Any, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        if record is CONFIG:  # it is embedded in the body
            record.decode(raw, "CreateRequest.Config", "CreateRequest")
        else:
            record.decode(raw, f"CreateRequest.{record.go_name}")
    assert str(caught.value) == f"invalid JSON: json: cannot unmarshal {complaint}"


@pytest.mark.parametrize(
    ("raw", "expected"), [([], (0, 0)), ([24], (24, 0)), ([24, 80], (24, 80)), ([24, 80, "x"], (24, 80))]
)
def test_an_array_of_fixed_length_takes_what_fits(raw: list[Any], expected: tuple[int, int]) -> None:
    assert HOST_CONFIG.decode({"ConsoleSize": raw}).console_size == expected


# Any value of a record, by its types. Texts are few: what is in them does not matter here.
TEXTS = st.sampled_from(["", "a", "\u00e9\n", "80/tcp"])
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.sampled_from([0, 1, -1, INT_MAX, -INT_MAX - 1]),
}
UNSIGNED = {
    (HostConfig, "blkio_weight"),
    (HostConfig, "io_maximum_iops"),
    (HostConfig, "io_maximum_bandwidth"),
    (WeightDevice, "weight"),
    (ThrottleDevice, "rate"),
    (TmpfsOptions, "mode"),
}
SETS = {(ContainerConfig, "exposed_ports"), (ContainerConfig, "volumes")}


def any_of_type(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(any_of_type(argument) for argument in arguments))
    if hint is type(None):
        return st.none()
    if hint in SCALARS:
        return SCALARS[hint]
    if origin is tuple:
        return st.lists(any_of_type(arguments[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXTS, any_of_type(arguments[1]), max_size=2)
    return any_record(hint)


def any_record(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    fields = {name: any_of_field(kind, name, hint) for name, hint in hints.items()}
    # Mostly nothing is said: that is how requests look, and keeps examples small.
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: kind(**values))


def any_of_field(kind: type[Any], name: str, hint: Any) -> st.SearchStrategy[Any]:
    if (kind, name) in SETS:
        return st.none() | st.sets(TEXTS).map(sorted).map(tuple)
    if (kind, name) in UNSIGNED:
        return st.sampled_from([0, 1, 65535])
    return st.just((24, 80)) if name == "console_size" else any_of_type(hint)


def shown(record: Record[Any], value: Any) -> Any:
    """Through bytes, as a client sees it."""
    return msgspec.json.decode(msgspec.json.encode(record.encode(value)))


@pytest.mark.parametrize("record", [CONFIG, HOST_CONFIG, NETWORKING, ENDPOINT], ids=lambda record: record.go_name)
def test_what_is_shown_is_read_back_and_shown_again(record: Record[Any]) -> None:
    @given(any_record(record.kind))
    @settings(derandomize=True, max_examples=60)
    def check(value: Any) -> None:
        once = shown(record, value)
        decoded = record.decode(once)
        assert shown(record, decoded) == once
        for field in msgspec.structs.fields(record.kind):
            before, after = getattr(value, field.name), getattr(decoded, field.name)
            # An empty list or mapping that is left out comes back as none at all, as in Go.
            assert after == before or (not before and after is None) or _is_left_out_inside(before)

    check()


def _is_left_out_inside(value: Any) -> bool:
    """Whether a nested record has an empty list or mapping, or holds one that has."""
    if isinstance(value, msgspec.Struct):
        return any(inner in ((), {}) or _is_left_out_inside(inner) for inner in msgspec.structs.asdict(value).values())
    if isinstance(value, Mapping):
        return any(map(_is_left_out_inside, value.values()))
    return isinstance(value, tuple) and any(map(_is_left_out_inside, value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda raw: (
            st.lists(raw, max_size=3)
            | st.dictionaries(st.sampled_from("Cmd cmd Env Labels Healthcheck Test Volumes StopTimeout x".split()), raw)
        ),
        max_leaves=8,
    )
)
@settings(derandomize=True, max_examples=200)
def test_any_json_is_a_config_or_refused(raw: Any) -> None:
    try:
        config = CONFIG.decode(raw)
    except InvalidParameter:
        return
    assert CONFIG.decode(CONFIG.encode(config)).cmd == config.cmd

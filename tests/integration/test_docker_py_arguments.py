"""Every argument of docker-py's `containers.create`: what inspect then shows."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path

import attrs
import docker
import docker.errors
import pytest
from docker.models.containers import RUN_CREATE_KWARGS, RUN_HOST_CONFIG_KWARGS, ContainerCollection
from docker.types import DeviceRequest, EndpointConfig, Healthcheck, HostConfig, LogConfig, Mount, Ulimit

from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import running
from tests.integration.shown import Json, KernelMayLack, at

pytestmark = pytest.mark.integration

MB = 1 << 20
S_NS = 1_000_000_000
RATE = [{"Path": "/dev/null", "Rate": 5}]


@attrs.frozen
class Row:
    value: Json
    shown: Mapping[str, Json] = attrs.field(factory=dict)
    """By the path in what inspect shows, with dots."""
    beside: Mapping[str, Json] = attrs.field(factory=dict)
    """Arguments that have to be there, too."""
    refused: str = ""
    """What docker-py or the daemon says instead."""


def _host(value: Json, field: str, shown: Json = ...) -> Row:
    return Row(value, {f"HostConfig.{field}": value if shown is ... else shown})


def _config(value: Json, field: str, shown: Json = ...) -> Row:
    return Row(value, {f"Config.{field}": value if shown is ... else shown})


ARGUMENTS: Mapping[str, Row] = {
    "auto_remove": _host(True, "AutoRemove"),
    "blkio_weight": _host(300, "BlkioWeight", KernelMayLack(300, 0)),
    "blkio_weight_device": _host(
        [{"Path": "/dev/null", "Weight": 300}],
        "BlkioWeightDevice",
        KernelMayLack([{"Path": "/dev/null", "Weight": 300}], []),
    ),
    "cap_add": _host(["SYS_ADMIN"], "CapAdd"),
    "cap_drop": _host(["MKNOD"], "CapDrop"),
    "cgroup_parent": _host("/parent", "CgroupParent"),
    "cgroupns": _host("host", "CgroupnsMode"),
    "command": _config(["a", "b c"], "Cmd"),
    "cpu_count": _host(1, "CpuCount"),
    "cpu_percent": _host(50, "CpuPercent", 0),
    "cpu_period": _host(100_000, "CpuPeriod"),
    "cpu_quota": _host(50_000, "CpuQuota"),
    "cpu_rt_period": _host(0, "CpuRealtimePeriod"),
    "cpu_rt_runtime": _host(0, "CpuRealtimeRuntime"),
    "cpu_shares": _host(512, "CpuShares"),
    "cpuset_cpus": _host("0", "CpusetCpus"),
    "cpuset_mems": _host("0", "CpusetMems"),
    "detach": _config(True, "AttachStdout", False),
    "device_cgroup_rules": _host(["c 1:3 rwm"], "DeviceCgroupRules"),
    "device_read_bps": _host(RATE, "BlkioDeviceReadBps"),
    "device_read_iops": _host(RATE, "BlkioDeviceReadIOps"),
    "device_requests": _host(
        [DeviceRequest(count=-1, capabilities=[["gpu"]])],
        "DeviceRequests",
        [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}],
    ),
    "device_write_bps": _host(RATE, "BlkioDeviceWriteBps"),
    "device_write_iops": _host(RATE, "BlkioDeviceWriteIOps"),
    "devices": _host(
        ["/dev/null:/dev/x:rw"],
        "Devices",
        [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}],
    ),
    "dns": _host(["1.1.1.1"], "Dns"),
    "dns_opt": _host(["ndots:3"], "DnsOptions"),
    "dns_search": _host(["example.com"], "DnsSearch"),
    "domainname": _config("example.com", "Domainname"),
    "entrypoint": _config(["/e", "-x"], "Entrypoint"),
    "environment": _config({"A": "1"}, "Env", ["A=1"]),
    "extra_hosts": _host({"a": "1.2.3.4"}, "ExtraHosts", ["a:1.2.3.4"]),
    "group_add": _host(["100"], "GroupAdd"),
    "healthcheck": _config(
        Healthcheck(test=["CMD", "x"], interval=S_NS, timeout=2 * S_NS, retries=3, start_period=4 * S_NS),
        "Healthcheck",
        {"Test": ["CMD", "x"], "Interval": S_NS, "Timeout": 2 * S_NS, "Retries": 3, "StartPeriod": 4 * S_NS},
    ),
    "hostname": _config("web", "Hostname"),
    "image": _config("busybox", "Image"),
    "init": _host(True, "Init"),
    "init_path": Row("/init", refused="init_path param is not supported in API versions > 1.29"),
    "ipc_mode": _host("shareable", "IpcMode"),
    "isolation": _host("default", "Isolation"),
    "kernel_memory": _host(8 * MB, "KernelMemory", None),
    "labels": _config({"a": "b"}, "Labels"),
    "links": Row({"base": "alias"}, {"HostConfig.Links": ["/base:/linked/alias"]}, beside={"name": "linked"}),
    "log_config": _host(LogConfig(type="local", config={}), "LogConfig", {"Type": "local", "Config": {}}),
    "lxc_conf": _host({"a": "b"}, "LxcConf", None),
    "mac_address": _config("02:42:ac:11:00:09", "MacAddress"),
    "mem_limit": Row("64m", {"HostConfig.Memory": 64 * MB, "HostConfig.MemorySwap": 128 * MB}),
    "mem_reservation": _host("32m", "MemoryReservation", 32 * MB),
    "mem_swappiness": _host(60, "MemorySwappiness"),
    "memswap_limit": Row(-1, {"HostConfig.MemorySwap": -1}, beside={"mem_limit": "64m"}),
    "mounts": _host(
        [Mount("/data", "vol", read_only=True)],
        "Mounts",
        [{"Type": "volume", "Source": "vol", "Target": "/data", "ReadOnly": True}],
    ),
    "name": Row("a-name-of-its-own", {"Name": "/a-name-of-its-own"}),
    "nano_cpus": _host(S_NS // 2, "NanoCpus"),
    "network": _host("mynet", "NetworkMode"),
    "network_disabled": _config(True, "NetworkDisabled"),
    "network_mode": _host("none", "NetworkMode"),
    "networking_config": Row(
        {"mynet": EndpointConfig("1.44", aliases=["web"], ipv4_address="172.30.0.9")},
        {
            "NetworkSettings.Networks.mynet.Aliases": ["web"],
            "NetworkSettings.Networks.mynet.IPAMConfig": {"IPv4Address": "172.30.0.9"},
        },
        beside={"network": "mynet"},
    ),
    "oom_kill_disable": Row(False, {"HostConfig.OomKillDisable": False}, beside={"mem_limit": "64m"}),
    "oom_score_adj": _host(-5, "OomScoreAdj"),
    "pid_mode": _host("host", "PidMode"),
    "pids_limit": _host(10, "PidsLimit"),
    "platform": Row("linux", {"Platform": "linux"}),
    "ports": Row(
        {"80/tcp": ("127.0.0.1", 8080), "53/udp": None},
        {
            "HostConfig.PortBindings": {
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
                "53/udp": [{"HostIp": "", "HostPort": ""}],
            },
            "Config.ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        },
    ),
    "privileged": Row(True, {"HostConfig.Privileged": True, "HostConfig.MaskedPaths": None}),
    "publish_all_ports": _host(True, "PublishAllPorts"),
    "read_only": _host(True, "ReadonlyRootfs"),
    "restart_policy": _host({"Name": "on-failure", "MaximumRetryCount": 3}, "RestartPolicy"),
    "runtime": _host("runc", "Runtime"),
    "security_opt": _host(["no-new-privileges"], "SecurityOpt"),
    "shm_size": _host("128m", "ShmSize", 128 * MB),
    "stdin_open": _config(True, "OpenStdin"),
    "stop_signal": _config("SIGINT", "StopSignal"),
    "storage_opt": Row({"size": "1G"}, refused="supported only for overlay over xfs with 'pquota' mount option"),
    "sysctls": _host({"net.ipv4.ip_forward": "1"}, "Sysctls"),
    "tmpfs": _host({"/run": "size=1m"}, "Tmpfs"),
    "tty": _config(True, "Tty"),
    "ulimits": _host([Ulimit(name="nofile", soft=1, hard=2)], "Ulimits", [{"Name": "nofile", "Soft": 1, "Hard": 2}]),
    "use_config_proxy": _config(False, "Env", None),
    "user": _config("1000:1000", "User"),
    "userns_mode": _host("host", "UsernsMode"),
    "uts_mode": _host("host", "UTSMode"),
    "version": Row("1.44", {"Config.Image": "busybox"}),
    "volume_driver": _host("local", "VolumeDriver"),
    "volumes": Row(
        {"/etc": {"bind": "/bound", "mode": "ro"}},
        {"HostConfig.Binds": ["/etc:/bound:ro"], "Config.Volumes": {"/bound": {}}},
    ),
    "volumes_from": _host(["base:ro"], "VolumesFrom"),
    "working_dir": _config("/srv/app", "WorkingDir"),
}

ONLY_OF_RUN = {"remove", "stdout", "stderr", "stream"}
SPLIT = {"network", "networking_config", "ports", "volumes"}
"""Those that docker-py splits up itself."""


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    with tempfile.TemporaryDirectory(prefix="by-") as name, running(Path(name)) as daemon:
        client = docker.DockerClient(base_url=daemon.host)
        try:
            client.api.import_image_from_data(rootfs_tar(), repository="busybox", tag="latest")
            client.containers.create("busybox", "true", name="base")
            yield client
        finally:
            client.close()


def _create(client: docker.DockerClient, argument: str, row: Row) -> Json:
    arguments = {"image": "busybox", "command": "true", **row.beside, argument: row.value}
    return client.containers.create(**arguments).attrs


def test_every_argument_has_its_row() -> None:
    documented = set(re.findall(r"^            (\w+) \(", ContainerCollection.run.__doc__ or "", re.MULTILINE))
    assert ARGUMENTS.keys() == set(RUN_CREATE_KWARGS) | set(RUN_HOST_CONFIG_KWARGS) | SPLIT
    assert documented - ONLY_OF_RUN <= ARGUMENTS.keys()


def test_the_layer_below_has_no_arguments_but_these_and_a_timeout(client: docker.DockerClient) -> None:
    below = {*signature(docker.APIClient.create_container).parameters, *signature(HostConfig).parameters}
    assert below - ARGUMENTS.keys() == {"self", "host_config", "binds", "port_bindings", "stop_timeout"}
    container = client.api.create_container("busybox", "true", stop_timeout=15)
    assert at(client.api.inspect_container(container), "Config.StopTimeout") == 15


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_inspect_shows_what_the_argument_says(argument: str, client: docker.DockerClient) -> None:
    row = ARGUMENTS[argument]
    if row.refused:
        with pytest.raises((docker.errors.DockerException, docker.errors.APIError), match=re.escape(row.refused)):
            _create(client, argument, row)
        return
    shown = _create(client, argument, row)
    assert {path: at(shown, path) for path in row.shown} == row.shown

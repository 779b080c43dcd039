"""Docker's field names: the only file that knows them. What is not listed is the attribute's name in CamelCase.

Names, and which fields are left out when empty, are those of moby v28 api/types/container and api/types/network.
"""

from __future__ import annotations

import msgspec

from daemon.api.codec import SET, STRING_OR_LIST, Record, array_of_integers, set_of
from daemon.container import (
    BindOptions,
    ContainerConfig,
    DeviceMapping,
    DeviceRequest,
    EndpointIpam,
    EndpointSettings,
    Healthcheck,
    HostConfig,
    ImageOptions,
    LogConfig,
    MountRequest,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
    ThrottleDevice,
    TmpfsOptions,
    Ulimit,
    VolumeDriver,
    VolumeOptions,
    WeightDevice,
)
from daemon.network import ConfigReference, ConnectRequest, DisconnectRequest, Ipam, NetworkRequest, SubnetConfig
from daemon.volume import VolumeRequest

HEALTHCHECK = Record(
    Healthcheck,
    go_name="HealthcheckConfig",
    package="v1",
    names={
        "interval_ns": "Interval",
        "timeout_ns": "Timeout",
        "start_period_ns": "StartPeriod",
        "start_interval_ns": "StartInterval",
    },
    go_types={
        **dict.fromkeys(("interval_ns", "timeout_ns", "start_period_ns", "start_interval_ns"), "time.Duration"),
        "retries": "int",
    },
    left_out_if_empty=frozenset(
        {"test", "interval_ns", "timeout_ns", "start_period_ns", "start_interval_ns", "retries"}
    ),
)
CONFIG = Record(
    ContainerConfig,
    go_name="Config",
    codecs={
        "exposed_ports": set_of("nat.PortSet"),
        "volumes": SET,
        "cmd": STRING_OR_LIST,
        "entrypoint": STRING_OR_LIST,
        "shell": STRING_OR_LIST,
    },
    go_types={"stop_timeout": "int"},
    left_out_if_empty=frozenset(
        "exposed_ports healthcheck args_escaped network_disabled mac_address stop_signal stop_timeout shell".split()
    ),
)
Record(
    RestartPolicy,
    go_name="RestartPolicy",
    go_types={"name": "container.RestartPolicyMode", "maximum_retry_count": "int"},
)
Record(LogConfig, go_name="LogConfig")
Record(PortBinding, go_name="PortBinding", package="nat", names={"host_ip": "HostIp"})
Record(WeightDevice, go_name="WeightDevice", package="blkiodev", go_types={"weight": "uint16"})
Record(ThrottleDevice, go_name="ThrottleDevice", package="blkiodev", go_types={"rate": "uint64"})
Record(DeviceMapping, go_name="DeviceMapping")
Record(DeviceRequest, go_name="DeviceRequest", names={"device_ids": "DeviceIDs"}, go_types={"count": "int"})
Record(Ulimit, go_name="Ulimit", package="units")
Record(
    BindOptions,
    go_name="BindOptions",
    package="mount",
    go_types={"propagation": "mount.Propagation"},
    left_out_if_empty=frozenset(
        "propagation non_recursive create_mountpoint read_only_non_recursive read_only_force_recursive".split()
    ),
)
Record(VolumeDriver, go_name="Driver", package="mount", left_out_if_empty=frozenset({"name", "options"}))
Record(
    VolumeOptions,
    go_name="VolumeOptions",
    package="mount",
    left_out_if_empty=frozenset({"no_copy", "labels", "subpath", "driver_config"}),
)
Record(ImageOptions, go_name="ImageOptions", package="mount", left_out_if_empty=frozenset({"subpath"}))
Record(
    TmpfsOptions,
    go_name="TmpfsOptions",
    package="mount",
    go_types={"mode": "fs.FileMode"},
    left_out_if_empty=frozenset({"size_bytes", "mode", "options"}),
)
Record(
    MountRequest,
    go_name="Mount",
    package="mount",
    go_types={"type": "mount.Type", "consistency": "mount.Consistency"},
    left_out_if_empty=frozenset(attribute.name for attribute in msgspec.structs.fields(MountRequest)),
)
HOST_CONFIG = Record(
    HostConfig,
    go_name="HostConfig",
    names={
        "container_id_file": "ContainerIDFile",
        "uts_mode": "UTSMode",
        "kernel_memory_tcp": "KernelMemoryTCP",
        "io_maximum_iops": "IOMaximumIOps",
        "io_maximum_bandwidth": "IOMaximumBandwidth",
        "blkio_device_read_iops": "BlkioDeviceReadIOps",
        "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    },
    codecs={
        "cap_add": STRING_OR_LIST,
        "cap_drop": STRING_OR_LIST,
        "console_size": array_of_integers(2, "uint"),
    },
    go_types={
        "network_mode": "container.NetworkMode",
        "port_bindings": "nat.PortMap",
        "cgroupns_mode": "container.CgroupnsMode",
        "ipc_mode": "container.IpcMode",
        "cgroup": "container.CgroupSpec",
        "oom_score_adj": "int",
        "pid_mode": "container.PidMode",
        "uts_mode": "container.UTSMode",
        "userns_mode": "container.UsernsMode",
        "isolation": "container.Isolation",
        "blkio_weight": "uint16",
        "blkio_weight_device": "[]*blkiodev.WeightDevice",
        **dict.fromkeys(
            (f"blkio_device_{way}_{unit}" for way in ("read", "write") for unit in ("bps", "iops")),
            "[]*blkiodev.ThrottleDevice",
        ),
        "ulimits": "[]*units.Ulimit",
        "io_maximum_iops": "uint64",
        "io_maximum_bandwidth": "uint64",
    },
    embedded={
        "Resources": frozenset(
            (
                "cpu_shares memory nano_cpus cgroup_parent blkio_weight blkio_weight_device blkio_device_read_bps "
                "blkio_device_write_bps blkio_device_read_iops blkio_device_write_iops cpu_period cpu_quota "
                "cpu_realtime_period cpu_realtime_runtime cpuset_cpus cpuset_mems devices device_cgroup_rules "
                "device_requests kernel_memory kernel_memory_tcp memory_reservation memory_swap memory_swappiness "
                "oom_kill_disable pids_limit ulimits cpu_count cpu_percent io_maximum_iops io_maximum_bandwidth"
            ).split()
        )
    },
    left_out_if_empty=frozenset(
        "annotations storage_opt tmpfs sysctls mounts init kernel_memory kernel_memory_tcp".split()
    ),
)
Record(
    EndpointIpam,
    go_name="EndpointIPAMConfig",
    package="network",
    names={"ipv4_address": "IPv4Address", "ipv6_address": "IPv6Address", "link_local_ips": "LinkLocalIPs"},
    left_out_if_empty=frozenset({"ipv4_address", "ipv6_address", "link_local_ips"}),
)
ENDPOINT = Record(
    EndpointSettings,
    go_name="EndpointSettings",
    package="network",
    go_types=dict.fromkeys(("gw_priority", "ip_prefix_len", "global_ipv6_prefix_len"), "int"),
    names={
        "ipam_config": "IPAMConfig",
        "network_id": "NetworkID",
        "endpoint_id": "EndpointID",
        "ip_address": "IPAddress",
        "ip_prefix_len": "IPPrefixLen",
        "ipv6_gateway": "IPv6Gateway",
        "global_ipv6_address": "GlobalIPv6Address",
        "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
        "dns_names": "DNSNames",
    },
)
NETWORKING = Record(
    NetworkingConfig,
    go_name="NetworkingConfig",
    package="network",
    go_types={"endpoints_config": "map[string]*network.EndpointSettings"},
)
SUBNET = Record(
    SubnetConfig,
    go_name="IPAMConfig",
    package="network",
    names={"ip_range": "IPRange"},
    left_out_if_empty=frozenset({"subnet", "ip_range", "gateway", "auxiliary_addresses"}),
)
Record(Ipam, go_name="IPAM", package="network")
Record(ConfigReference, go_name="ConfigReference", package="network")
NETWORK_REQUEST = Record(
    NetworkRequest,
    go_name="CreateRequest",
    package="network",
    names={"enable_ipv4": "EnableIPv4", "enable_ipv6": "EnableIPv6", "ipam": "IPAM"},
)
CONNECT = Record(ConnectRequest, go_name="ConnectOptions", package="network")
DISCONNECT = Record(DisconnectRequest, go_name="DisconnectOptions", package="network")
VOLUME_REQUEST = Record(VolumeRequest, go_name="CreateOptions", package="volume")

HOST_CONFIG_KEY = "HostConfig"
NETWORKING_KEY = "NetworkingConfig"
CLUSTER_VOLUME_KEY = "ClusterVolumeSpec"

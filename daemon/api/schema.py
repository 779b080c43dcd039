"""Docker's field names: the only file that knows them. What is not listed is the attribute's name in CamelCase.

Names, and which fields are left out when empty, are those of moby v28 api/types/container and api/types/network.
"""

from __future__ import annotations

from daemon.api.codec import SET, STRING_OR_LIST, Record
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
    go_name="HealthConfig",
    names={
        "interval_ns": "Interval",
        "timeout_ns": "Timeout",
        "start_period_ns": "StartPeriod",
        "start_interval_ns": "StartInterval",
    },
    left_out_if_empty=frozenset(
        {"test", "interval_ns", "timeout_ns", "start_period_ns", "start_interval_ns", "retries"}
    ),
)
CONFIG = Record(
    ContainerConfig,
    go_name="Config",
    codecs={
        "exposed_ports": SET,
        "volumes": SET,
        "cmd": STRING_OR_LIST,
        "entrypoint": STRING_OR_LIST,
        "shell": STRING_OR_LIST,
    },
    left_out_if_empty=frozenset(
        "exposed_ports healthcheck args_escaped network_disabled mac_address stop_signal stop_timeout shell".split()
    ),
)
Record(RestartPolicy, go_name="RestartPolicy")
Record(LogConfig, go_name="LogConfig")
Record(PortBinding, go_name="PortBinding", names={"host_ip": "HostIp"})
Record(WeightDevice, go_name="WeightDevice")
Record(ThrottleDevice, go_name="ThrottleDevice")
Record(DeviceMapping, go_name="DeviceMapping")
Record(DeviceRequest, go_name="DeviceRequest", names={"device_ids": "DeviceIDs"})
Record(Ulimit, go_name="Ulimit")
Record(
    BindOptions,
    go_name="BindOptions",
    left_out_if_empty=frozenset(
        "propagation non_recursive create_mountpoint read_only_non_recursive read_only_force_recursive".split()
    ),
)
Record(VolumeDriver, go_name="Driver", left_out_if_empty=frozenset({"name", "options"}))
Record(
    VolumeOptions,
    go_name="VolumeOptions",
    left_out_if_empty=frozenset({"no_copy", "labels", "subpath", "driver_config"}),
)
Record(ImageOptions, go_name="ImageOptions", left_out_if_empty=frozenset({"subpath"}))
Record(TmpfsOptions, go_name="TmpfsOptions", left_out_if_empty=frozenset({"size_bytes", "mode", "options"}))
Record(
    MountRequest,
    go_name="Mount",
    left_out_if_empty=frozenset(
        "type source target read_only consistency bind_options volume_options image_options tmpfs_options".split()
    ),
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
    codecs={"cap_add": STRING_OR_LIST, "cap_drop": STRING_OR_LIST},
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
NETWORKING = Record(NetworkingConfig, go_name="NetworkingConfig", package="network")
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

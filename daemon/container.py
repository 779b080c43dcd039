"""A container as the daemon knows it: frozen records with Docker's meaning and Python's names.

They are msgspec's, as is all that is made anew for each create: in a tenth of the time that attrs takes, and written as JSON in
half of it.

Owns the nouns and nothing else; `api/schema` knows what Docker calls each field, `create/` decides what goes into them,
`storage/database` keeps them. Meanings and defaults are those of the Engine API 1.50 (moby api/types/container).

`None` and an empty tuple or mapping are different things here, because Docker shows them differently: `null` and `[]`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import msgspec

from daemon.entropy import hex_names

SHORT_ID_LENGTH = 12
"""Characters of an id that people see, and that are its default host name."""


ID_LENGTH = 64


def new_container_id() -> str:
    """64 hex digits. Redrawn while the first twelve are all decimal: such a short id would pass for a number (moby#3869)."""
    return new_container_ids(1)[0]


def new_container_ids(count: int) -> list[str]:
    """As `new_container_id`, drawn together."""
    drawn = hex_names(count, ID_LENGTH)
    return [new_container_id() if short_id(container_id).isdecimal() else container_id for container_id in drawn]


def short_id(container_id: str) -> str:
    return container_id[:SHORT_ID_LENGTH]


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True):
    """How to find out whether a container is healthy. Durations are nanoseconds; 0 means "as the image says"."""

    test: tuple[str, ...] | None = None
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is independent of the host: the part that an image carries, too."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: tuple[str, ...] | None = None
    """Ports as `80/tcp`, sorted."""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] | None = None
    """`KEY=value` in the order given; `KEY` alone removes it."""
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    """The reference exactly as the user typed it; the id that it meant is `Container.image_id`."""
    volumes: tuple[str, ...] | None = None
    """Paths inside the container, sorted."""
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    """`None` inherits the image's, `()` clears it."""
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    """Seconds."""
    shell: tuple[str, ...] | None = None


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    maximum_retry_count: int = 0


class LogConfig(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""
    config: Mapping[str, str] | None = None


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    host_ip: str = ""
    host_port: str = ""


class WeightDevice(msgspec.Struct, frozen=True, kw_only=True):
    path: str = ""
    weight: int = 0


class ThrottleDevice(msgspec.Struct, frozen=True, kw_only=True):
    path: str = ""
    rate: int = 0


class DeviceMapping(msgspec.Struct, frozen=True, kw_only=True):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True):
    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] | None = None
    capabilities: tuple[tuple[str, ...], ...] | None = None
    options: Mapping[str, str] | None = None


class Ulimit(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(msgspec.Struct, frozen=True, kw_only=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriver(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    options: Mapping[str, str] | None = None


class VolumeOptions(msgspec.Struct, frozen=True, kw_only=True):
    no_copy: bool = False
    labels: Mapping[str, str] | None = None
    subpath: str = ""
    driver_config: VolumeDriver | None = None


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    subpath: str = ""


class TmpfsOptions(msgspec.Struct, frozen=True, kw_only=True):
    size_bytes: int = 0
    mode: int = 0
    options: tuple[tuple[str, ...], ...] | None = None
    """Flags as `(name,)`, others as `(name, value)`."""


class MountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `HostConfig.Mounts`: a mount as it was asked for."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What depends on the host: resources, mounts, networking, security. Sizes are bytes unless the name says otherwise."""

    binds: tuple[str, ...] | None = None
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: Mapping[str, tuple[PortBinding, ...] | None] | None = None
    """Bindings by container port, `80/tcp`; no binding at all means "any free port"."""
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] | None = None
    console_size: tuple[int, ...] = (0, 0)
    annotations: Mapping[str, str] | None = None
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    cgroupns_mode: str = ""
    dns: tuple[str, ...] | None = None
    dns_options: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None
    group_add: tuple[str, ...] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] | None = None
    storage_opt: Mapping[str, str] | None = None
    tmpfs: Mapping[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: Mapping[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    """Billionths of a CPU."""
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_iops: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_iops: tuple[ThrottleDevice, ...] | None = None
    cpu_period: int = 0
    """Microseconds, as `cpu_quota`, `cpu_realtime_period` and `cpu_realtime_runtime`."""
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] | None = None
    device_cgroup_rules: tuple[str, ...] | None = None
    device_requests: tuple[DeviceRequest, ...] | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0
    mounts: tuple[MountRequest, ...] | None = None
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None


class EndpointIpam(msgspec.Struct, frozen=True, kw_only=True):
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] | None = None


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A container's place in one network. Addresses are filled when it runs; until then they are empty."""

    ipam_config: EndpointIpam | None = None
    links: tuple[str, ...] | None = None
    aliases: tuple[str, ...] | None = None
    mac_address: str = ""
    driver_opts: Mapping[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: tuple[str, ...] | None = None


class NetworkingConfig(msgspec.Struct, frozen=True, kw_only=True):
    endpoints_config: Mapping[str, EndpointSettings | None] | None = None


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A mount as it was made: where it comes from is settled."""

    type: str
    """`volume`, `bind`, `tmpfs` or `image`."""
    destination: str
    name: str = ""
    source: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    is_recursively_read_only: bool = True
    """Of a bind that is read-only: whether what is mounted below its source is, too, where the kernel can do that."""
    is_anonymous: bool = False
    """A volume that was asked for without a name, here or where it is inherited from: `rm -v` removes it with its last user."""


class SecurityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `HostConfig.SecurityOpt` means, parsed."""

    apparmor_profile: str = ""
    seccomp_profile: str = ""
    no_new_privileges: bool = False
    writable_cgroups: bool | None = None
    process_label: str = ""
    mount_label: str = ""


class Link(msgspec.Struct, frozen=True):
    """Another container, and the name by which this one knows it."""

    alias: str
    container_id: str


def link_name(name: str, alias: str) -> str:
    """What a link is called in the table of all names: `web/db`, without the leading slash, as Go's path.Join makes it."""
    return posixpath.normpath(f"/{name}/{alias}").lstrip("/")


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One created container: what its record on disk says and what inspect shows. It changes by rename and removal only."""

    id: str
    """64 lower-case hex digits."""
    name: str
    """Without the leading slash that the API puts before it."""
    created_ns: int
    """Since the epoch."""
    path: str
    args: tuple[str, ...]
    config: ContainerConfig
    host_config: HostConfig
    image_id: str
    """`sha256:<hex>` of the image's configuration."""
    platform: str = "linux"
    mounts: tuple[Mount, ...] = ()
    networks: Mapping[str, EndpointSettings] = msgspec.field(default_factory=dict)
    security: SecurityOptions = SecurityOptions()
    links: tuple[Link, ...] = ()
    """What `HostConfig.Links` means; its names in the table of all names are `name/alias`."""

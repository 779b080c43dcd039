"""Options that exclude each other. Rules and texts: moby v28 runconfig/hostconfig_unix.go."""

from __future__ import annotations

from daemon.create.request import CreateRequest
from daemon.host import Host

LINKS_TO_HOST_NETWORK = (
    "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
)


def is_container_mode(mode: str) -> bool:
    return mode == "container" or mode.startswith("container:")


def network_mode_names_a_container(request: CreateRequest, host: Host) -> str | None:
    if request.host_config.network_mode in ("container", "container:"):
        return "invalid network mode: invalid container format container:<name|id>"
    return None


def a_shared_network_has_no_settings_of_its_own(request: CreateRequest, host: Host) -> str | None:
    config, host_config = request.config, request.host_config
    if not is_container_mode(host_config.network_mode):
        return None
    conflicts = (
        (config.hostname, "conflicting options: hostname and the network mode"),
        (
            host_config.links,
            "conflicting options: container type network can't be used with links. "
            "This would result in undefined behavior",
        ),
        (host_config.dns, "conflicting options: dns and the network mode"),
        (host_config.extra_hosts, "conflicting options: custom host-to-IP mapping and the network mode"),
        (
            host_config.port_bindings or host_config.publish_all_ports,
            "conflicting options: port publishing and the container type network mode",
        ),
        (config.exposed_ports, "conflicting options: port exposing and the container type network mode"),
    )
    return next((text for is_set, text in conflicts if is_set), None)


def a_shared_uts_namespace_has_no_hostname(request: CreateRequest, host: Host) -> str | None:
    if request.host_config.uts_mode == "host" and request.config.hostname:
        return "conflicting options: hostname and the UTS mode"
    return None


def the_hosts_network_has_no_links(request: CreateRequest, host: Host) -> str | None:
    if request.host_config.network_mode == "host" and request.host_config.links:
        return LINKS_TO_HOST_NETWORK
    return None


def isolation_is_default(request: CreateRequest, host: Host) -> str | None:
    isolation = request.host_config.isolation
    if isolation.lower() not in ("", "default"):
        return f"invalid isolation ({isolation}): linux only supports 'default'"
    return None


def io_limits_of_windows_are_absent(request: CreateRequest, host: Host) -> str | None:
    if request.host_config.io_maximum_bandwidth:
        return "invalid option: QoS maximum bandwidth configuration is not supported on linux"
    if request.host_config.io_maximum_iops:
        return "invalid option: QoS maximum IOPs configuration is not supported on linux"
    return None


def cpu_realtime_is_possible(request: CreateRequest, host: Host) -> str | None:
    period, runtime = request.host_config.cpu_realtime_period, request.host_config.cpu_realtime_runtime
    if (period or runtime) and not host.abilities.cpu_realtime:
        return "kernel does not support CPU real-time scheduler"
    if period and runtime and runtime > period:
        return "cpu real-time runtime cannot be higher than cpu real-time period"
    return None


def cpu_shares_are_positive(request: CreateRequest, host: Host) -> str | None:
    if host.abilities.cpu_shares and request.host_config.cpu_shares < 0:
        return f"invalid CPU shares ({request.host_config.cpu_shares}): value must be a positive integer"
    return None

"""What a client of an older API means by what it says, and what it could not have meant; pure.

One function per row of moby v28 container_routes.go postContainersCreate, in its order: it takes the request and gives it back
as the newest version would put it. `for_api_version` goes through all of them; those about networks are in `endpoints`.
Texts are Moby's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from daemon.container import EndpointSettings, HostConfig, MountRequest, NetworkingConfig
from daemon.create.endpoints import with_endpoints
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter, quoted
from daemon.host import Host

ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
VOLUME_DRIVER_IGNORED = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)


def for_api_version(request: CreateRequest, host: Host) -> tuple[CreateRequest, tuple[str, ...]]:
    """The request as it is meant, and warnings for the client. To do it twice is to do it once.

    Raises:
        InvalidParameter: it has something that its version does not allow.
    """
    host_config = request.host_config
    for translate in TRANSLATIONS:
        host_config = translate(host_config, request.api_version, host)
    if host_config is not request.host_config:
        request = replace(request, host_config=host_config)
    if request.api_version < (1, 44) and request.config.healthcheck is not None:
        healthcheck = replace(request.config.healthcheck, start_interval_ns=0)
        request = replace(request, config=replace(request.config, healthcheck=healthcheck))
    _refuse_mounts(host_config.mounts or (), request.api_version)
    warnings = _volume_driver_warnings(host_config, request.api_version)
    request, endpoint_warnings = with_endpoints(request)
    request, sysctl_warnings = with_sysctls_of_interfaces(request)
    pids_limit = request.host_config.pids_limit
    if pids_limit is not None and pids_limit <= 0:  # unlimited
        request = replace(request, host_config=replace(request.host_config, pids_limit=None))
    return request, (*warnings, *endpoint_warnings, *sysctl_warnings)


# Translations of the host config -----------------------------------------------------------------------------------------

Version = tuple[int, int]


def _before_1_25(given: HostConfig, version: Version, host: Host) -> HostConfig:
    """Then clients removed containers themselves."""
    return replace(given, auto_remove=False) if version < (1, 25) else given


def _before_1_40(given: HostConfig, version: Version, host: Host) -> HostConfig:
    if version >= (1, 40):
        return given
    return replace(
        given,
        mounts=_each(given.mounts, lambda mount: _with_bind_options(mount, {"non_recursive": False})),
        kernel_memory_tcp=0,
        ipc_mode=given.ipc_mode or "shareable",
    )


def _before_1_41(given: HostConfig, version: Version, host: Host) -> HostConfig:
    if version >= (1, 41) or host.is_cgroup_v2 or given.cgroupns_mode:
        return given
    return replace(given, cgroupns_mode="host")


def _before_1_42(given: HostConfig, version: Version, host: Host) -> HostConfig:
    if version >= (1, 42):
        return replace(given, kernel_memory=0) if given.kernel_memory else given

    def translate(mount: MountRequest) -> MountRequest:  # options on the wrong type were ignored then
        return replace(
            _with_bind_options(mount, {"create_mountpoint": False}),
            volume_options=mount.volume_options if mount.type == "volume" else None,
            tmpfs_options=mount.tmpfs_options if mount.type == "tmpfs" else None,
        )

    return replace(given, mounts=_each(given.mounts, translate), console_size=(0, 0))


def _before_1_43(given: HostConfig, version: Version, host: Host) -> HostConfig:
    return replace(given, annotations=None) if version < (1, 43) else given


TRANSLATIONS: tuple[Callable[[HostConfig, Version, Host], HostConfig], ...] = (
    _before_1_25,
    _before_1_40,
    _before_1_41,
    _before_1_42,
    _before_1_43,
)


def _each(
    mounts: tuple[MountRequest, ...] | None, translate: Callable[[MountRequest], MountRequest]
) -> tuple[MountRequest, ...] | None:
    return mounts and tuple(map(translate, mounts))


def _with_bind_options(mount: MountRequest, changes: Mapping[str, Any]) -> MountRequest:
    """Any: attrs checks the fields by name."""
    if mount.bind_options is None:
        return mount
    return replace(mount, bind_options=replace(mount.bind_options, **changes))


# Refusals and warnings ---------------------------------------------------------------------------------------------------


def _refuse_mounts(mounts: tuple[MountRequest, ...], version: Version) -> None:
    for complain in (_of_another_type, _force_recursive, _subpath, _image):
        for mount in mounts:
            if (text := complain(mount, version)) is not None:
                raise InvalidParameter(text)


def _of_another_type(mount: MountRequest, version: Version) -> str | None:
    if version < (1, 42):
        return None
    options = {"Volume": mount.volume_options, "Bind": mount.bind_options, "Tmpfs": mount.tmpfs_options}
    for kind, option in options.items():
        if option is not None and mount.type != kind.lower():
            return f"{kind}Options must not be specified on mount type {quoted(mount.type)}"
    return None


def _force_recursive(mount: MountRequest, version: Version) -> str | None:
    # Refused, not ignored: a client that says so relies on it.
    is_forced = mount.type == "bind" and mount.bind_options is not None and mount.bind_options.read_only_force_recursive
    return "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer" if version < (1, 44) and is_forced else None


def _subpath(mount: MountRequest, version: Version) -> str | None:
    has_subpath = mount.volume_options is not None and mount.volume_options.subpath
    return "VolumeOptions.Subpath needs API v1.45 or newer" if version < (1, 45) and has_subpath else None


def _image(mount: MountRequest, version: Version) -> str | None:
    return 'Mount type "Image" needs API v1.48 or newer' if version < (1, 48) and mount.type == "image" else None


def _volume_driver_warnings(host_config: HostConfig, version: Version) -> tuple[str, ...]:
    if not host_config.volume_driver or version < (1, 48):
        return ()
    return (VOLUME_DRIVER_IGNORED,) if any(map(_is_without_driver, host_config.mounts or ())) else ()


def _is_without_driver(mount: MountRequest) -> bool:
    driver = mount.volume_options.driver_config if mount.volume_options else None
    return mount.type == "volume" and not (driver and driver.name)


# Sysctls of one interface ------------------------------------------------------------------------------------------------


def with_sysctls_of_interfaces(request: CreateRequest) -> tuple[CreateRequest, tuple[str, ...]]:
    """`net.ipv4.conf.eth0.x` moved from the container to the endpoint that will be eth0, and a warning that says so.

    Only eth0 is known before a container runs. Unlike Moby, where a client of 1.48 and later gets a 500 for it: a 400.

    Raises:
        InvalidParameter: it cannot be moved, or the client must say it to the endpoint itself.
    """
    mode, sysctls = request.host_config.network_mode, request.host_config.sysctls or {}
    moved = {name: value for name, value in sysctls.items() if _interface_of(name)}
    if not moved or mode == "host" or mode.startswith("container:"):
        return request, ()
    first = next(iter(moved))
    if request.api_version > (1, 47):
        raise InvalidParameter(
            f"interface specific sysctl setting {quoted(first)} must be supplied using driver option '{ENDPOINT_SYSCTLS}'"
        )
    network = _endpoint_of_mode(request, first)
    for name in moved:
        if _interface_of(name) != "eth0":
            raise InvalidParameter(
                f"unable to determine network endpoint for sysctl {name}, use driver option '{ENDPOINT_SYSCTLS}' "
                "to set per-interface sysctls"
            )
    return _with_moved(request, network, moved)


def _with_moved(request: CreateRequest, network: str, moved: dict[str, str]) -> tuple[CreateRequest, tuple[str, ...]]:
    option = ",".join(f"{_of_any_interface(name)}={value}" for name, value in moved.items())
    warning = f"Migrated sysctl {quoted(','.join(moved))} to DriverOpts{{{quoted(ENDPOINT_SYSCTLS)}:{quoted(option)}}}."
    endpoints = dict(request.networking.endpoints_config or {})
    endpoint = endpoints.get(network) or EndpointSettings()
    options = dict(endpoint.driver_opts or {})
    options[ENDPOINT_SYSCTLS] = ",".join(filter(None, (option, options.get(ENDPOINT_SYSCTLS))))
    endpoints[network] = replace(endpoint, driver_opts=options)
    left = {name: value for name, value in (request.host_config.sysctls or {}).items() if name not in moved}
    request = replace(
        request,
        host_config=replace(request.host_config, sysctls=left),
        networking=NetworkingConfig(endpoints_config=endpoints),
    )
    return request, (warning,)


def _endpoint_of_mode(request: CreateRequest, sysctl: str) -> str:
    """The network among the endpoints that the mode means; one that is to be made where there is none at all."""
    mode, endpoints = request.host_config.network_mode, request.networking.endpoints_config or {}
    if not endpoints or mode in endpoints:
        return mode
    if request.api_version < (1, 44):  # there is one at most, and it was taken whatever its name
        return next(iter(endpoints))
    raise InvalidParameter(
        f"unable to find a network for sysctl {sysctl}: "
        "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
    )


def _interface_of(sysctl: str) -> str:
    """`eth0` of `net.ipv4.conf.eth0.forwarding`; empty for one that is of no interface."""
    parts = sysctl.split(".", 4)
    return parts[3] if len(parts) == 5 and parts[0] == "net" and parts[3].startswith("eth") else ""


def _of_any_interface(sysctl: str) -> str:
    """With the word that stands for an interface whose name is not known yet."""
    net, family, group, _, rest = sysctl.split(".", 4)
    return f"{net}.{family}.{group}.IFNAME.{rest}"

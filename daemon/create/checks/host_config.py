"""What depends on the host. Rules and texts: moby v28 daemon/container.go validateHostConfig."""

from __future__ import annotations

import ipaddress
import re

from daemon.container import MountRequest
from daemon.create.mounts import missing_source, mount_complaint
from daemon.create.request import CreateRequest
from daemon.errors import quoted
from daemon.host import CAPABILITIES, Host

RESTART_POLICIES = ("", "no", "always", "on-failure", "unless-stopped")

_PORT = re.compile(r"[0-9]{1,20}", re.ASCII)
PORT_MAX = 65535


def auto_remove_excludes_restart(request: CreateRequest, host: Host) -> str | None:
    if request.host_config.auto_remove and request.host_config.restart_policy.name not in ("", "no"):
        return "can't create 'AutoRemove' container with restart policy"
    return None


def mounts_make_sense(request: CreateRequest, host: Host) -> str | None:
    for mount in request.host_config.mounts or ():
        complaint = mount_complaint(mount) or _source_complaint(mount, request)
        if complaint is not None:
            return f"invalid mount config for type {quoted(mount.type)}: {complaint}"
    return None


def extra_hosts_are_pairs(request: CreateRequest, host: Host) -> str | None:
    for entry in request.host_config.extra_hosts or ():
        name, colon, address = entry.partition(":")
        if not colon or not name:
            return f"bad format for add-host: {quoted(entry)}"
        if address != "host-gateway" and not _is_address(address.strip()):
            return f"invalid IP address in add-host: {quoted(address)}"
    return None


def port_bindings_are_ports(request: CreateRequest, host: Host) -> str | None:
    """Their protocols are not looked at, as in Docker."""
    for port, bindings in (request.host_config.port_bindings or {}).items():
        number = _port_of(port)
        if number and not _is_port(number):
            return f"invalid port specification: {quoted(number)}"
        for binding in bindings or ():
            if not _is_port_range(_port_of(binding.host_port)):
                return f"invalid port specification: {quoted(binding.host_port)}"
    return None


def restart_policy_is_known(request: CreateRequest, host: Host) -> str | None:
    policy = request.host_config.restart_policy
    if policy.name not in RESTART_POLICIES:
        return (
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    is_negative = policy.maximum_retry_count < 0
    if policy.name != "on-failure" and policy.maximum_retry_count != 0:
        text = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        return text + (" and cannot be negative" if is_negative else "")
    return "invalid restart policy: maximum retry count cannot be negative" if is_negative else None


def capabilities_exist(request: CreateRequest, host: Host) -> str | None:
    for field, names in (("CapAdd", request.host_config.cap_add), ("CapDrop", request.host_config.cap_drop)):
        for name in names or ():
            bare = name.upper().removeprefix("CAP_")
            if name.upper() == "ALL" or bare in host.capabilities:
                continue
            problem = "unknown capability"
            if bare in CAPABILITIES:
                problem = "capability not supported by your kernel or not available in the current environment"
            return f"invalid {field}: {problem}: {quoted(f'CAP_{bare}')}"
    return None


def annotations_have_keys(request: CreateRequest, host: Host) -> str | None:
    if "" in (request.host_config.annotations or {}):
        return "invalid Annotations: the empty string is not permitted as an annotation key"
    return None


def _is_address(text: str) -> bool:
    """As Go's net.ParseIP: without a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def warnings(request: CreateRequest) -> tuple[str, ...]:
    mounts = request.host_config.mounts or ()
    return tuple("Image mount is an experimental feature" for mount in mounts if mount.type == "image")


def _source_complaint(mount: MountRequest, request: CreateRequest) -> str | None:
    if mount.type != "bind" or mount.source not in request.bad_sources:
        return None
    complaint = request.bad_sources[mount.source]
    is_made = mount.bind_options is not None and mount.bind_options.create_mountpoint
    return None if is_made and complaint == missing_source(mount.source) else complaint


def _port_of(text: str) -> str:
    """The port of `80/tcp` (go-connections nat.SplitProtoPort)."""
    return text.partition("/")[0]


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= PORT_MAX


def _is_port_range(text: str) -> bool:
    """`80`, `8000-8010`, or nothing. What follows a second dash does not count (go-connections nat.ParsePortRange)."""
    if not text:
        return True
    first, *rest = text.split("-")
    last = rest[0] if rest else first
    return _is_port(first) and _is_port(last) and int(first) <= int(last)

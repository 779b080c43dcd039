"""What depends on the host. Rules and texts: moby v28 daemon/container.go validateHostConfig."""

from __future__ import annotations

import ipaddress
import re

from daemon.create.mounts import mount_complaint
from daemon.create.request import CreateRequest
from daemon.host import Host

CAPABILITIES = frozenset(
    (
        "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH "
        "FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN "
        "NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT "
        "SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
    ).split()
)
RESTART_POLICIES = ("", "no", "always", "on-failure", "unless-stopped")

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_PROTOCOLS = ("tcp", "udp", "sctp")
PORT_MAX = 65535


def auto_remove_excludes_restart(request: CreateRequest, host: Host) -> str | None:
    if request.host_config.auto_remove and request.host_config.restart_policy.name not in ("", "no"):
        return "can't create 'AutoRemove' container with restart policy"
    return None


def mount_options_fit_their_type(request: CreateRequest, host: Host) -> str | None:
    """Refused by the router of API 1.42 and later, before anything else looks at mounts."""
    if request.api_version < (1, 42):
        return None
    for mount in request.host_config.mounts or ():
        options = {"volume": mount.volume_options, "bind": mount.bind_options, "tmpfs": mount.tmpfs_options}
        for kind, option in options.items():
            if option is not None and mount.type != kind:
                return f'{kind.capitalize()}Options must not be specified on mount type "{mount.type}"'
    return None


def mounts_make_sense(request: CreateRequest, host: Host) -> str | None:
    for mount in request.host_config.mounts or ():
        if (complaint := mount_complaint(mount)) is not None:
            return f'invalid mount config for type "{mount.type}": {complaint}'
    return None


def extra_hosts_are_pairs(request: CreateRequest, host: Host) -> str | None:
    for entry in request.host_config.extra_hosts or ():
        name, colon, address = entry.partition(":")
        if not colon or not name:
            return f'bad format for add-host: "{entry}"'
        if address != "host-gateway" and not _is_address(address.strip()):
            return f'invalid IP address in add-host: "{address}"'
    return None


def port_bindings_are_ports(request: CreateRequest, host: Host) -> str | None:
    for port in request.config.exposed_ports or ():
        if not _is_port(port):
            return f'invalid port specification: "{port}"'
    for port in request.host_config.port_bindings or ():
        number = port.partition("/")[0]
        if "-" in number or not _is_port(port):
            return f'invalid port specification: "{port if _is_port(number) and "-" not in number else number}"'
    for bindings in (request.host_config.port_bindings or {}).values():
        for binding in bindings or ():
            if binding.host_port and not _is_port(binding.host_port):
                return f'invalid port specification: "{binding.host_port}"'
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
            if bare not in CAPABILITIES and name.upper() != "ALL":
                return f'invalid {field}: unknown capability: "CAP_{bare}"'
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


def _is_port(text: str) -> bool:
    """`80`, `80/tcp`, `8000-8010/udp`."""
    port, _, protocol = text.partition("/")
    match = _PORT.fullmatch(port)
    if match is None or protocol.lower() not in ("", *_PROTOCOLS):
        return False
    first, last = int(match[1]), int(match[2] or match[1])
    return first <= last <= PORT_MAX

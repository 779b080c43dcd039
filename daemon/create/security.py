"""What `--security-opt` means, pure. Rules and texts: moby v28 daemon_unix.go parseSecurityOpt."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from daemon.container import HostConfig, SecurityOptions
from daemon.errors import InvalidParameter, quoted

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_NONE = SecurityOptions()
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def parse_security_options(options: Iterable[str]) -> SecurityOptions:
    """Raises InvalidParameter for one that is not understood. Unlike Moby, where that is a 500."""
    security = _NONE
    for option in options:
        security = _with(security, option)
    return security


def _with(security: SecurityOptions, option: str) -> SecurityOptions:
    if option == "no-new-privileges":
        return replace(security, no_new_privileges=True)
    if option == "writable-cgroups":
        return replace(security, writable_cgroups=True)
    if option == "disable":  # of SELinux labels, which this daemon does not set
        return security
    separator = "=" if "=" in option else ":"  # the colon is the form of Docker 1.10 and before
    key, found, value = option.partition(separator)
    if not found:
        raise InvalidParameter(f"invalid --security-opt 1: {quoted(option)}")
    match key:
        case "label":
            return security
        case "apparmor":
            return replace(security, apparmor_profile=value)
        case "seccomp":
            return replace(security, seccomp_profile=value)
        case "no-new-privileges" if value in (*_TRUE, *_FALSE):
            return replace(security, no_new_privileges=value in _TRUE)
        case "writable-cgroups" if value in (*_TRUE, *_FALSE):
            return replace(security, writable_cgroups=value in _TRUE)
    raise InvalidParameter(f"invalid --security-opt 2: {quoted(option)}")


def shares_labels(host_config: HostConfig) -> bool:
    """Whether the SELinux labels of containers whose namespaces it shares would be its own (generateSecurityOpt)."""
    return not (
        any(option.partition("=")[0] == "label" for option in host_config.security_opt or ())
        or host_config.privileged
        or host_config.ipc_mode == "host"
        or host_config.pid_mode == "host"
    )

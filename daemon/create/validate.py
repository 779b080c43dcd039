"""Every check of a request that needs nothing but the request and the machine, in Docker's order.

They run before anything is looked up or done, so a bad option together with a missing image is a 400, not a 404. To add a check
is to write a function in `checks/` and name it here. What the kernel cannot do is not always refused: some of it is given up
with a warning (`checks/resources`), and what an old client says is first put as the newest would put it (`versions`).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from daemon.create.checks import config, conflicts, host_config, platform
from daemon.create.checks.resources import fit_limits
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter
from daemon.host import Host

Check = Callable[[CreateRequest, Host], str | None]

OPTIONS: tuple[Check, ...] = (
    conflicts.network_mode_names_a_container,
    conflicts.a_shared_network_has_no_settings_of_its_own,
    conflicts.a_shared_uts_namespace_has_no_hostname,
    conflicts.the_hosts_network_has_no_links,
    conflicts.isolation_is_default,
    conflicts.io_limits_of_windows_are_absent,
    conflicts.cpu_realtime_is_possible,
    conflicts.cpu_shares_are_positive,
)
"""Made of the request as it was decoded (runconfig)."""

SETTINGS: tuple[Check, ...] = (
    config.working_dir_is_absolute,
    config.stop_signal_exists,
    config.environment_variables_have_names,
    config.healthcheck_is_not_too_fast,
    host_config.auto_remove_excludes_restart,
    host_config.mounts_make_sense,
    host_config.extra_hosts_are_pairs,
    host_config.port_bindings_are_ports,
    host_config.restart_policy_is_known,
    host_config.capabilities_exist,
    host_config.annotations_have_keys,
)
"""Made before the limits are fitted (verifyContainerSettings)."""

PLATFORM: tuple[Check, ...] = (
    platform.ipc_mode_is_known,
    platform.pid_mode_is_known,
    platform.shm_size_is_not_negative,
    platform.uts_mode_is_known,
    platform.oom_score_is_in_range,
    platform.cgroup_parent_is_a_slice,
    platform.runtime_is_known,
    platform.tmpfs_destinations_are_absolute,
    platform.cgroup_namespace_mode_is_known,
)
"""Made after it."""


def validate_options(request: CreateRequest, host: Host) -> None:
    """Raises InvalidParameter with the first text that a check answers."""
    _refuse(request, host, OPTIONS)


def verify(request: CreateRequest, host: Host) -> tuple[CreateRequest, tuple[str, ...]]:
    """The request as this machine can carry it out, and the warnings for the client. Raises as `validate_options`."""
    _refuse(request, host, SETTINGS)
    fitted, warnings = fit_limits(request.host_config, host)
    if fitted is not request.host_config:
        request = replace(request, host_config=fitted)
    _refuse(request, host, PLATFORM)
    return request, (*host_config.warnings(request), *warnings, *platform.warnings(request, host))


def _refuse(request: CreateRequest, host: Host, checks: tuple[Check, ...]) -> None:
    for check in checks:
        if (text := check(request, host)) is not None:
            raise InvalidParameter(text)

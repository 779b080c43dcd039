"""Every check of a request that needs nothing but the request and the machine, in Docker's order.

They run before anything is looked up or done, so a bad option together with a missing image is a 400, not a 404. To add a check
is to write a function in `checks/` and name it here.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.create.checks import config, conflicts, host_config, network, platform, resources
from daemon.create.request import CreateRequest
from daemon.create.settings import for_api_version
from daemon.errors import InvalidParameter
from daemon.host import Host

CHECKS: tuple[Callable[[CreateRequest, Host], str | None], ...] = (
    conflicts.network_mode_names_a_container,
    conflicts.a_shared_network_has_no_settings_of_its_own,
    conflicts.a_shared_uts_namespace_has_no_hostname,
    conflicts.the_hosts_network_has_no_links,
    conflicts.isolation_is_default,
    conflicts.io_limits_of_windows_are_absent,
    conflicts.cpu_realtime_is_possible,
    conflicts.cpu_shares_are_positive,
    host_config.mount_options_fit_their_type,
    network.endpoints_fit_the_version,
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
    resources.memory_limits_fit_each_other,
    resources.cpu_limits_fit_each_other,
    resources.blkio_weight_is_in_range,
    platform.namespace_modes_are_known,
    platform.shm_size_is_not_negative,
    platform.oom_score_is_in_range,
    platform.runtime_is_known,
    platform.tmpfs_destinations_are_absolute,
)


def validate(request: CreateRequest, host: Host) -> None:
    """Raises InvalidParameter with the first text that a check answers.

    Judged is what the request means in its version of the API: what an old client cannot have meant is not held against it.
    """
    request = for_api_version(request)
    for check in CHECKS:
        text = check(request, host)
        if text is not None:
            raise InvalidParameter(text)

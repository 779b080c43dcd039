"""The container's own configuration. Rules and texts: moby v28 daemon/container.go validateContainerConfig."""

from __future__ import annotations

from daemon.create.request import CreateRequest
from daemon.create.signals import is_signal
from daemon.host import Host

HEALTHCHECK_NS_MIN = 1_000_000


def working_dir_is_absolute(request: CreateRequest, host: Host) -> str | None:
    working_dir = request.config.working_dir
    if working_dir and not working_dir.startswith("/"):
        return f"the working directory '{working_dir}' is invalid, it needs to be an absolute path"
    return None


def stop_signal_exists(request: CreateRequest, host: Host) -> str | None:
    text = request.config.stop_signal
    return f"invalid signal: {text}" if text and not is_signal(text) else None


def environment_variables_have_names(request: CreateRequest, host: Host) -> str | None:
    for entry in request.config.env or ():
        if not entry.partition("=")[0]:
            return f"invalid environment variable: {entry}"
    return None


def healthcheck_is_not_too_fast(request: CreateRequest, host: Host) -> str | None:
    check = request.config.healthcheck
    if check is None:
        return None
    rows = (
        (_is_too_short(check.interval_ns), "Interval in Healthcheck cannot be less than 1ms"),
        (_is_too_short(check.timeout_ns), "Timeout in Healthcheck cannot be less than 1ms"),
        (check.retries < 0, "Retries in Healthcheck cannot be negative"),
        (_is_too_short(check.start_period_ns), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (_is_too_short(check.start_interval_ns), "StartInterval in Healthcheck cannot be less than 1ms"),
    )
    return next((text for is_broken, text in rows if is_broken), None)


def _is_too_short(duration_ns: int) -> bool:
    """0 is as good as not given."""
    return duration_ns != 0 and duration_ns < HEALTHCHECK_NS_MIN

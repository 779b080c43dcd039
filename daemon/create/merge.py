"""What the image says where the user does not. Pure; the user wins.

Rules: moby v28 daemon/commit.go merge, daemon/create.go mergeAndVerifyConfig, daemon/logs.go mergeAndVerifyLogConfig.
"""

from __future__ import annotations

from msgspec.structs import replace

from daemon.container import ContainerConfig, Healthcheck, LogConfig
from daemon.create.log_drivers import log_complaint
from daemon.errors import InvalidParameter


def merge_config(user: ContainerConfig, image: ContainerConfig | None) -> ContainerConfig:
    """The container's configuration.

    Raises:
        InvalidParameter: there is nothing to run.
    """
    if image is not None and image != ContainerConfig():  # one that says nothing is not merged
        user = completed(user, image)
    entrypoint = None if user.entrypoint == ("",) else user.entrypoint
    if not entrypoint and not user.cmd:
        raise InvalidParameter("no command specified")
    return replace(user, entrypoint=entrypoint)


def completed(user: ContainerConfig, image: ContainerConfig) -> ContainerConfig:
    """What the user says, and what the image says where the user says nothing."""
    entrypoint, cmd = _merge_command(user, image)
    return replace(
        user,
        entrypoint=entrypoint,
        cmd=cmd,
        user=user.user or image.user,
        exposed_ports=_union(user.exposed_ports, image.exposed_ports),
        env=_merge_env(user.env, image.env),
        labels={**(image.labels or {}), **(user.labels or {})},
        healthcheck=_merge_healthcheck(user.healthcheck, image.healthcheck),
        working_dir=user.working_dir or image.working_dir,
        volumes=_union(user.volumes, image.volumes),
        stop_signal=user.stop_signal or image.stop_signal,
    )


def path_and_args(config: ContainerConfig) -> tuple[str, tuple[str, ...]]:
    """What is run: the entrypoint with the command as its arguments, or else the command."""
    entrypoint, cmd = config.entrypoint or (), config.cmd or ()
    path, *args = (*entrypoint, *cmd)
    return path, tuple(args)


def merge_log_config(user: LogConfig, default_driver: str) -> LogConfig:
    """The log configuration with the daemon's default driver where none is named.

    Raises:
        InvalidParameter: there is no such driver, or it has no such option.
    """
    driver = user.type or default_driver
    options = user.config or {}
    if (complaint := log_complaint(driver, options)) is not None:
        raise InvalidParameter(complaint)
    return LogConfig(type=driver, config=options)


def _merge_command(
    user: ContainerConfig, image: ContainerConfig
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Entrypoint and command. A user's entrypoint suppresses the image's command; `()` clears the image's entrypoint."""
    entrypoint, cmd = user.entrypoint, user.cmd
    if not entrypoint:
        if not cmd:
            cmd = image.cmd
        if entrypoint is None:
            entrypoint = image.entrypoint
    return entrypoint, cmd


def _merge_env(user: tuple[str, ...] | None, image: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if not user:
        return image
    known = {entry.partition("=")[0] for entry in user}
    return (*user, *(entry for entry in image or () if entry.partition("=")[0] not in known))


def _merge_healthcheck(user: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    if user is None or image is None:
        return user or image
    return Healthcheck(
        test=user.test or image.test,
        interval_ns=user.interval_ns or image.interval_ns,
        timeout_ns=user.timeout_ns or image.timeout_ns,
        start_period_ns=user.start_period_ns or image.start_period_ns,
        start_interval_ns=user.start_interval_ns or image.start_interval_ns,
        retries=user.retries or image.retries,
    )


def _union(user: tuple[str, ...] | None, image: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """An empty set gives way to the image's, even to none at all."""
    return tuple(sorted({*user, *(image or ())})) if user else image

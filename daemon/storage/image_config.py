"""An image's configuration blob: JSON in, frozen record out, and back.

With `oci.py` the only place that knows these field names: OCI image-spec v1.1 config.md and Docker's additions to it
(moby docker-image-spec: Healthcheck, OnBuild, Shell, ArgsEscaped). The bytes are a stranger's and are treated as
`oci.py` says; what the values mean for a container is decided at create, not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import attrs
import msgspec

from daemon.container import ContainerConfig, Healthcheck
from daemon.errors import InvalidParameter
from daemon.image import History
from daemon.storage.oci import LAYERS_MAX, checked_digest, decode_json

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339, section 5.6."""

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@attrs.frozen(kw_only=True)
class ImageConfig:
    """What the configuration blob says; `Image` has the same plus what the store knows."""

    created: str = ""
    architecture: str
    os: str
    variant: str = ""
    author: str = ""
    comment: str = ""
    config: ContainerConfig
    diff_ids: tuple[str, ...]
    """Lowest first."""
    history: tuple[History, ...] = ()


def decode_config(content: bytes) -> ImageConfig:
    """The record of a configuration blob. Raises InvalidParameter."""
    document = decode_json(content, _Image, "image configuration")
    diff_ids = document.rootfs.diff_ids or []
    if len(diff_ids) > LAYERS_MAX:
        raise InvalidParameter(f"invalid image configuration: {len(diff_ids)} layers, more than {LAYERS_MAX}")
    return ImageConfig(
        created=_checked_time(document.created),
        architecture=document.architecture or "",
        os=document.os or "",
        variant=document.variant or "",
        author=document.author or "",
        comment=document.comment or "",
        config=_container_config(document.config or _Config()),
        diff_ids=tuple(checked_digest(diff_id) for diff_id in diff_ids),
        history=tuple(_history(entry) for entry in document.history or []),
    )


def encode_config(image: ImageConfig) -> bytes:
    """A configuration blob; fields that say nothing are left out, but for those the specification requires."""
    document = {
        **_stated(
            {
                "created": image.created,
                "author": image.author,
                "comment": image.comment,
                "variant": image.variant,
                "history": [_encoded_history(entry) for entry in image.history],
            }
        ),
        "architecture": image.architecture,
        "os": image.os,
        "config": _encoded_config(image.config),
        "rootfs": {"type": "layers", "diff_ids": list(image.diff_ids)},
    }
    return msgspec.json.encode(document, order="deterministic")


def _container_config(config: _Config) -> ContainerConfig:
    return ContainerConfig(
        user=config.user or "",
        exposed_ports=_keys(config.exposed_ports),
        env=_strings(config.env),
        entrypoint=_strings(config.entrypoint),
        cmd=_strings(config.cmd),
        healthcheck=_healthcheck(config.healthcheck),
        args_escaped=config.args_escaped or False,
        volumes=_keys(config.volumes),
        working_dir=config.working_dir or "",
        labels=config.labels,
        stop_signal=config.stop_signal or "",
        stop_timeout=config.stop_timeout,
        on_build=_strings(config.on_build),
        shell=_strings(config.shell),
    )


def _encoded_config(config: ContainerConfig) -> dict[str, object]:
    return {
        **_stated(
            {
                "User": config.user,
                "ExposedPorts": _as_set(config.exposed_ports),
                "ArgsEscaped": config.args_escaped,
                "Healthcheck": _encoded_healthcheck(config.healthcheck),
                "Labels": config.labels,
                "OnBuild": config.on_build,
                "Shell": config.shell,
                "StopSignal": config.stop_signal,
                "StopTimeout": config.stop_timeout,
                "Volumes": _as_set(config.volumes),
                "WorkingDir": config.working_dir,
            }
        ),
        "Env": config.env,
        "Entrypoint": config.entrypoint,
        "Cmd": config.cmd,
    }


def _healthcheck(check: _Healthcheck | None) -> Healthcheck | None:
    if check is None:
        return None
    return Healthcheck(
        test=_strings(check.test),
        interval_ns=check.interval or 0,
        timeout_ns=check.timeout or 0,
        start_period_ns=check.start_period or 0,
        start_interval_ns=check.start_interval or 0,
        retries=check.retries or 0,
    )


def _encoded_healthcheck(check: Healthcheck | None) -> Mapping[str, object] | None:
    if check is None:
        return None
    return _stated(
        {
            "Test": check.test,
            "Interval": check.interval_ns,
            "Timeout": check.timeout_ns,
            "StartPeriod": check.start_period_ns,
            "StartInterval": check.start_interval_ns,
            "Retries": check.retries,
        }
    )


def _history(entry: _History) -> History:
    return History(
        created=_checked_time(entry.created),
        created_by=entry.created_by or "",
        author=entry.author or "",
        comment=entry.comment or "",
        is_empty_layer=entry.empty_layer or False,
    )


def _encoded_history(entry: History) -> dict[str, object]:
    return _stated(
        {
            "created": entry.created,
            "created_by": entry.created_by,
            "author": entry.author,
            "comment": entry.comment,
            "empty_layer": entry.is_empty_layer,
        }
    )


def _checked_time(text: str | None) -> str:
    if text and not _TIME.fullmatch(text):
        raise InvalidParameter(f"invalid image configuration: {text[:100]!r} is not an RFC 3339 time")
    return text or ""


def _stated(fields: Mapping[str, object]) -> dict[str, object]:
    """Without the fields that are empty, zero or absent: Go's `omitempty`."""
    return {name: value for name, value in fields.items() if value}


def _strings(value: str | list[str] | None) -> tuple[str, ...] | None:
    # A bare string stands for a list of one, as in Go's strslice: images of before 2016 have them.
    if isinstance(value, str):
        return (value,)
    return None if value is None else tuple(value)


def _keys(value: _Set | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(sorted(value))


def _as_set(value: tuple[str, ...] | None) -> dict[str, dict[str, str]] | None:
    return None if value is None else {item: {} for item in value}


class _Empty(msgspec.Struct):
    """Go's `struct{}`: an object, whatever is in it."""


_Set = dict[str, _Empty | None]
"""How Go writes a set."""


class _Healthcheck(msgspec.Struct):
    test: str | list[str] | None = msgspec.field(default=None, name="Test")
    interval: _Int64 | None = msgspec.field(default=None, name="Interval")
    timeout: _Int64 | None = msgspec.field(default=None, name="Timeout")
    start_period: _Int64 | None = msgspec.field(default=None, name="StartPeriod")
    start_interval: _Int64 | None = msgspec.field(default=None, name="StartInterval")
    retries: _Int64 | None = msgspec.field(default=None, name="Retries")


class _Config(msgspec.Struct):
    user: str | None = msgspec.field(default=None, name="User")
    exposed_ports: _Set | None = msgspec.field(default=None, name="ExposedPorts")
    env: list[str] | None = msgspec.field(default=None, name="Env")
    entrypoint: str | list[str] | None = msgspec.field(default=None, name="Entrypoint")
    cmd: str | list[str] | None = msgspec.field(default=None, name="Cmd")
    healthcheck: _Healthcheck | None = msgspec.field(default=None, name="Healthcheck")
    args_escaped: bool | None = msgspec.field(default=None, name="ArgsEscaped")
    volumes: _Set | None = msgspec.field(default=None, name="Volumes")
    working_dir: str | None = msgspec.field(default=None, name="WorkingDir")
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")
    stop_signal: str | None = msgspec.field(default=None, name="StopSignal")
    stop_timeout: _Int64 | None = msgspec.field(default=None, name="StopTimeout")
    on_build: str | list[str] | None = msgspec.field(default=None, name="OnBuild")
    shell: str | list[str] | None = msgspec.field(default=None, name="Shell")


class _RootFs(msgspec.Struct):
    diff_ids: list[str] | None = None


class _History(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class _Image(msgspec.Struct):
    rootfs: _RootFs
    created: str | None = None
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    author: str | None = None
    comment: str | None = None
    config: _Config | None = None
    history: list[_History] | None = None

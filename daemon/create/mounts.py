"""Which mounts a container gets, from the three ways to ask for one; pure. Nothing is mounted at create.

Order and rules: moby v28 daemon/volumes.go registerMountPoints, volume/mounts/linux_parser.go. Unlike Moby, a bind that cannot be
parsed is a 400, not a 500.
"""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterable, Mapping

import attrs

from daemon.container import BindOptions, ContainerConfig, HostConfig, Mount, MountRequest, VolumeOptions
from daemon.errors import InvalidParameter
from daemon.services.volumes import VolumeUse, check_volume_name

ANONYMOUS_LABEL = "com.docker.volume.anonymous"

_ACCESS = frozenset({"rw", "ro"})
_LABEL = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_COPY = frozenset({"nocopy"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated"})
_MODES = (_ACCESS, _LABEL, _PROPAGATION, _COPY, _CONSISTENCY)


@attrs.frozen(kw_only=True)
class MountPlan:
    mounts: tuple[Mount, ...]
    volumes: tuple[VolumeUse, ...]
    """The volumes among them, to be made where there are none."""


@attrs.define
class _Planner:
    tmpfs: Mapping[str, str]
    mounts: dict[str, Mount] = attrs.field(factory=dict)
    inherited: set[str] = attrs.field(factory=set)
    volumes: dict[str, VolumeUse] = attrs.field(factory=dict)

    def inherit(self, mount: Mount) -> None:
        self.mounts[mount.destination] = mount
        self.inherited.add(mount.destination)
        self.volumes.pop(mount.destination, None)
        if mount.name:
            self.volumes[mount.destination] = VolumeUse(
                name=mount.name, destination=mount.destination, is_anonymous=False, is_filled=False
            )

    def add(self, mount: Mount) -> None:
        """What comes later overrides what is inherited, and nothing else."""
        destination = mount.destination
        if destination in self.tmpfs or (destination in self.mounts and destination not in self.inherited):
            raise InvalidParameter(f"Duplicate mount point: {destination}")
        self.inherited.discard(destination)
        self.volumes.pop(destination, None)
        self.mounts[destination] = mount

    def add_volume(self, mount: Mount, use: VolumeUse) -> None:
        if not use.is_anonymous:
            check_volume_name(use.name)
        self.add(mount)
        self.volumes[mount.destination] = use


def plan_mounts(
    config: ContainerConfig, host_config: HostConfig, inherited: Iterable[tuple[Iterable[Mount], str]]
) -> MountPlan:
    """`inherited` are the mounts of each container of `volumes_from`, and the mode to take them over with.

    Raises:
        InvalidParameter: one of them makes no sense, or two are for the same place.
    """
    planner = _Planner(host_config.tmpfs or {})
    for mounts, mode in inherited:
        for mount in mounts:
            rw = mount.rw and "ro" not in mode.split(",")
            planner.inherit(attrs.evolve(mount, mode="", rw=rw, is_anonymous=False))
    for text in host_config.binds or ():
        _plan_bind(planner, text, host_config.volume_driver)
    for request in host_config.mounts or ():
        _plan_mount(planner, request)
    for destination in config.volumes or ():
        destination = _clean(f"/{destination}")  # a path in the container, whatever an image's VOLUME says
        if destination not in planner.mounts and destination not in planner.tmpfs:
            _plan_anonymous(planner, destination, is_filled=True)
    return MountPlan(
        mounts=tuple(planner.mounts[destination] for destination in sorted(planner.mounts)),
        volumes=tuple(planner.volumes.values()),
    )


def bind_sources(host_config: HostConfig) -> tuple[str, ...]:
    """The paths on this host that must exist: those of `mounts`. Those of `binds` are made at start."""
    return tuple(
        mount.source
        for mount in host_config.mounts or ()
        if mount.type == "bind" and not (mount.bind_options and mount.bind_options.create_mountpoint)
    )


def parse_volumes_from(text: str) -> tuple[str, str]:
    """Container and mode of `name[:mode]`. Propagation and copying are the other container's affair."""
    if not text:
        raise InvalidParameter("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    if not _is_mode(mode) or not (_PROPAGATION | _COPY).isdisjoint(mode.split(",")):
        raise InvalidParameter(f"invalid mode: {mode}")
    return name, mode or "rw"


def mount_complaint(request: MountRequest) -> str | None:
    """What is wrong with an entry of `Mounts` (volume/mounts/linux_parser.go validateMountConfigImpl)."""
    if not request.target:
        return "field Target must not be empty"
    if (complaint := destination_complaint(request.target)) is not None:
        return complaint
    match request.type:
        case "bind":
            return _bind_complaint(request)
        case "volume":
            return _volume_complaint(request)
        case "tmpfs":
            return _tmpfs_complaint(request)
    return "mount type unknown"


def destination_complaint(destination: str) -> str | None:
    if not destination.startswith("/"):
        return f"invalid mount path: '{destination}' mount path must be absolute"
    return "invalid specification: destination can't be '/'" if _clean(destination) == "/" else None


def _plan_bind(planner: _Planner, text: str, driver: str) -> None:
    source, destination, mode = _split_bind(text)
    if not _is_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    letters = set(mode.split(","))
    propagation = next(iter(letters & _PROPAGATION), "")
    request = MountRequest(
        type="bind" if source.startswith("/") else "volume",
        source=source,
        target=destination,
        bind_options=BindOptions(propagation=propagation) if propagation else None,
        volume_options=VolumeOptions(no_copy=True) if "nocopy" in letters else None,
    )
    if (complaint := mount_complaint(request)) is not None:
        raise InvalidParameter(
            f"invalid volume specification: '{text}': invalid mount config for type \"{request.type}\": {complaint}"
        )
    destination = _clean(destination)
    if request.type == "bind":
        planner.add(
            Mount(
                type="bind",
                source=_clean(source),
                destination=destination,
                mode=mode,
                rw="ro" not in letters,
                propagation=propagation or "rprivate",
            )
        )
    elif not source:
        _plan_anonymous(planner, destination, is_filled=True, mode="z")
    else:
        use = VolumeUse(name=source, destination=destination, is_anonymous=False, is_filled="nocopy" not in letters)
        mount = Mount(
            type="volume",
            name=source,
            destination=destination,
            driver=driver or "local",
            mode=mode or "z",
            rw="ro" not in letters,
        )
        planner.add_volume(mount, use)


def _split_bind(text: str) -> tuple[str, str, str]:
    """Source, destination and mode of `/src:/dst:mode`, `name:/dst`, `/dst`."""
    match text.split(":"):
        case [destination] if destination:
            return "", destination, ""
        case [source, destination] if source and not _is_mode(destination):
            return source, destination, ""
        case [source, destination, mode] if source:
            return source, destination, mode
    raise InvalidParameter(f"invalid volume specification: '{text}'")


def _plan_mount(planner: _Planner, request: MountRequest) -> None:
    complaint = mount_complaint(request)
    if complaint is not None:
        raise InvalidParameter(f'invalid mount config for type "{request.type}": {complaint}')
    destination, rw = _clean(request.target), not request.read_only
    if request.type == "bind":
        options = request.bind_options
        propagation = (options.propagation if options else "") or "rprivate"
        planner.add(
            Mount(type="bind", source=_clean(request.source), destination=destination, rw=rw, propagation=propagation)
        )
    elif request.type == "tmpfs":
        planner.add(Mount(type="tmpfs", destination=destination, rw=rw))
    else:
        _plan_volume_mount(planner, request, destination, rw=rw)


def _plan_volume_mount(planner: _Planner, request: MountRequest, destination: str, *, rw: bool) -> None:
    options = request.volume_options
    is_filled = options is None or not options.no_copy
    labels = options.labels if options else None
    if not request.source:
        _plan_anonymous(planner, destination, is_filled=is_filled, rw=rw, labels=labels, mode="z")
        return
    driver = options.driver_config if options else None
    use = VolumeUse(
        name=request.source,
        destination=destination,
        is_anonymous=False,
        is_filled=is_filled,
        labels=labels,
        options=driver.options if driver else None,
    )
    planner.add_volume(
        Mount(
            type="volume",
            name=request.source,
            destination=destination,
            driver=(driver.name if driver else "") or "local",
            mode="z",
            rw=rw,
        ),
        use,
    )


def _plan_anonymous(
    planner: _Planner,
    destination: str,
    *,
    is_filled: bool,
    rw: bool = True,
    labels: Mapping[str, str] | None = None,
    mode: str = "",
) -> None:
    name = secrets.token_hex(32)
    planner.add_volume(
        Mount(type="volume", name=name, destination=destination, driver="local", mode=mode, rw=rw, is_anonymous=True),
        VolumeUse(
            name=name,
            destination=destination,
            is_anonymous=True,
            is_filled=is_filled,
            labels={**(labels or {}), ANONYMOUS_LABEL: ""},
        ),
    )


def _bind_complaint(request: MountRequest) -> str | None:
    if not request.source:
        return "field Source must not be empty"
    if request.bind_options and request.bind_options.propagation not in ("", *_PROPAGATION):
        return f"invalid propagation mode: {request.bind_options.propagation}"
    if request.volume_options is not None:
        return "field VolumeOptions must not be specified"
    if request.tmpfs_options is not None:
        return "field TmpfsOptions must not be specified"
    if not request.source.startswith("/"):
        return f"invalid mount path: '{request.source}' mount path must be absolute"
    return None


def _volume_complaint(request: MountRequest) -> str | None:
    if request.bind_options is not None:
        return "field BindOptions must not be specified"
    if request.tmpfs_options is not None:
        return "field TmpfsOptions must not be specified"
    subpath = request.volume_options.subpath if request.volume_options else ""
    if subpath and not request.source:
        return "must not set Subpath when using anonymous volumes"
    if subpath and (subpath.startswith("/") or _clean(subpath).partition("/")[0] == ".."):
        return "subpath must be a relative path within the volume"
    if request.read_only and not request.source:
        return "must not set ReadOnly mode when using anonymous volumes"
    return None


def _tmpfs_complaint(request: MountRequest) -> str | None:
    if request.bind_options is not None:
        return "field BindOptions must not be specified"
    if request.volume_options is not None:
        return "field VolumeOptions must not be specified"
    return "field Source must not be specified" if request.source else None


def _is_mode(text: str) -> bool:
    """At most one letter of each kind, as in `ro,z`."""
    letters = text.split(",") if text else []
    return all(any(letter in kind for kind in _MODES) for letter in letters) and all(
        sum(letter in kind for letter in letters) <= 1 for kind in _MODES
    )


def _clean(path: str) -> str:
    return posixpath.normpath(path).replace("//", "/", 1)

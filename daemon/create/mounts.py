"""Which mounts a container gets, from the three ways to ask for one; pure. Nothing is mounted at create.

Order and rules: moby v28 daemon/volumes.go registerMountPoints, volume/mounts/linux_parser.go. Unlike Moby, a bind that cannot be
parsed is a 400, not a 500, and so is a volume driver that does not exist, not a 404: that makes clients pull an image.
"""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Collection, Iterable, Mapping

import attrs
from msgspec.structs import replace

from daemon.container import (
    BindOptions,
    ContainerConfig,
    HostConfig,
    Mount,
    MountRequest,
    VolumeDriver,
    VolumeOptions,
)
from daemon.errors import InvalidParameter, quoted
from daemon.services.volume_index import VolumeUse
from daemon.volume import ANONYMOUS_LABEL, LOCAL, check_volume_name, driver_complaint

_ACCESS = frozenset({"rw", "ro"})
_LABEL = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_COPY = frozenset({"nocopy"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated"})
_TMPFS_OPTIONS = frozenset({"exec", "noexec"})
_MODES = (_ACCESS, _LABEL, _PROPAGATION, _COPY, _CONSISTENCY)


@attrs.frozen(kw_only=True)
class MountPlan:
    mounts: tuple[Mount, ...]
    volumes: tuple[VolumeUse, ...]
    """The volumes among them, to be made where there are none."""


NO_MOUNTS = MountPlan(mounts=(), volumes=())


@attrs.define
class _Planner:
    tmpfs: Mapping[str, str]
    data_root: str
    is_recursively_read_only: bool
    mounts: dict[str, Mount] = attrs.field(factory=dict)
    inherited: set[str] = attrs.field(factory=set)
    volumes: dict[str, VolumeUse] = attrs.field(factory=dict)

    def inherit(self, mount: Mount) -> None:
        self.mounts[mount.destination] = mount
        self.inherited.add(mount.destination)
        self.volumes.pop(mount.destination, None)
        if mount.type == "volume":
            self.volumes[mount.destination] = VolumeUse(
                name=mount.name, destination=mount.destination, is_filled=False, is_inherited=True
            )

    def check_free(self, destination: str, asked_for: str) -> None:
        """What comes later overrides what is inherited, and nothing else. `asked_for` is the place as the client wrote it."""
        if destination in self.mounts and destination not in self.inherited:
            raise InvalidParameter(f"Duplicate mount point: {asked_for}")

    def add(self, mount: Mount) -> None:
        destination = mount.destination
        self.check_free(destination, destination)
        self.inherited.discard(destination)
        self.volumes.pop(destination, None)
        if mount.type == "bind":
            propagation = self._propagation(mount.source, mount.propagation)
            is_recursive = mount.rw or self.is_recursively_read_only
            mount = replace(mount, propagation=propagation, is_recursively_read_only=is_recursive)
        self.mounts[destination] = mount

    def add_volume(self, mount: Mount, use: VolumeUse) -> None:
        self.add(replace(mount, driver=LOCAL))
        if (complaint := driver_complaint(mount.name, mount.driver)) is not None:
            raise InvalidParameter(complaint)
        if not mount.is_anonymous:
            check_volume_name(mount.name)
        self.volumes[mount.destination] = use

    def _propagation(self, source: str, asked_for: str) -> str:
        """A private mount within the data root, or of something around it, would keep what is mounted there from going away."""
        if not source.startswith(self.data_root) and not self.data_root.startswith(source):
            return asked_for or "rprivate"
        if asked_for not in ("", "rslave", "rshared"):
            raise InvalidParameter(
                'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within '
                f"the daemon root, daemon root: {quoted(self.data_root)}, bind mount source: {quoted(source)}, "
                f"propagation: {quoted(asked_for)}"
            )
        return asked_for or "rslave"


def plan_mounts(
    config: ContainerConfig,
    host_config: HostConfig,
    inherited: Collection[tuple[Iterable[Mount], str]],
    *,
    data_root: str,
    api_version: tuple[int, int],
) -> MountPlan:
    """`inherited` are the mounts of each container of `volumes_from`, and the mode to take them over with.

    Raises:
        InvalidParameter: one of them makes no sense, or two are for the same place.
    """
    if not (inherited or host_config.binds or host_config.mounts or config.volumes):
        return NO_MOUNTS
    # Before 1.44 only the bind itself was read-only, not what is mounted below its source.
    planner = _Planner(host_config.tmpfs or {}, data_root, is_recursively_read_only=api_version >= (1, 44))
    for mounts, mode in inherited:
        for mount in mounts:
            rw = mount.rw and "ro" not in mode.split(",")
            planner.inherit(replace(mount, mode="", rw=rw))
    for text in host_config.binds or ():
        _plan_bind(planner, text, host_config.volume_driver)
    for request in host_config.mounts or ():
        _plan_mount(planner, request)
    for destination in config.volumes or ():
        destination = _clean(f"/{destination}")  # a path in the container, whatever an image's VOLUME says
        if destination not in planner.mounts and destination not in planner.tmpfs:
            _plan_anonymous(planner, destination, driver=host_config.volume_driver, mode="", is_of_config=True)
    return MountPlan(
        mounts=tuple(planner.mounts[destination] for destination in sorted(planner.mounts)),
        volumes=tuple(planner.volumes.values()),
    )


def missing_source(path: str) -> str:
    return f"bind source path does not exist: {path}"


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
        case "image":
            return _image_complaint(request)
    return "mount type unknown"


def destination_complaint(destination: str) -> str | None:
    if _clean(destination.replace("\\", "/")) == "/":
        return "invalid specification: destination can't be '/'"
    return _relative_complaint(destination)


def _relative_complaint(path: str) -> str | None:
    path = path.replace("\\", "/")
    return None if path.startswith("/") else f"invalid mount path: '{path}' mount path must be absolute"


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
            f"invalid volume specification: '{text}': invalid mount config for type {quoted(request.type)}: {complaint}"
        )
    destination = _clean(destination)
    if destination in planner.tmpfs:
        raise InvalidParameter(f"Duplicate mount point: {destination}")
    rw, is_filled = "ro" not in letters, "nocopy" not in letters
    if request.type == "bind":
        planner.add(
            Mount(
                type="bind", source=_clean(source), destination=destination, mode=mode, rw=rw, propagation=propagation
            )
        )
    elif not source:
        _plan_anonymous(planner, destination, driver=driver, mode="z")
    else:
        use = VolumeUse(name=source, destination=destination, is_filled=is_filled)
        mount = Mount(type="volume", name=source, destination=destination, driver=driver, mode=mode or "z", rw=rw)
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
        raise InvalidParameter(f"invalid mount config for type {quoted(request.type)}: {complaint}")
    destination, rw = _clean(request.target), not request.read_only
    planner.check_free(destination, request.target)
    if request.type == "bind":
        propagation = request.bind_options.propagation if request.bind_options else ""
        planner.add(
            Mount(type="bind", source=_clean(request.source), destination=destination, rw=rw, propagation=propagation)
        )
    elif request.type == "tmpfs":
        planner.add(Mount(type="tmpfs", destination=destination, rw=rw))
    elif request.type == "image":
        planner.add(
            Mount(type="image", source=request.source, destination=destination, rw=False, propagation="rprivate")
        )
    else:
        _plan_volume_mount(planner, request, destination, rw=rw)


def _plan_volume_mount(planner: _Planner, request: MountRequest, destination: str, *, rw: bool) -> None:
    options = request.volume_options or VolumeOptions()
    driver = options.driver_config or VolumeDriver()
    is_filled = not options.no_copy and not options.subpath
    if not request.source:
        _plan_anonymous(
            planner,
            destination,
            driver=driver.name,
            mode="z",
            is_filled=is_filled,
            labels=options.labels,
            options=driver.options,
        )
        return
    use = VolumeUse(
        name=request.source,
        destination=destination,
        is_filled=is_filled,
        labels=options.labels,
        options=driver.options,
    )
    mount = Mount(type="volume", name=request.source, destination=destination, driver=driver.name, mode="z", rw=rw)
    planner.add_volume(mount, use)


def _plan_anonymous(
    planner: _Planner,
    destination: str,
    *,
    driver: str,
    mode: str,
    is_filled: bool = True,
    is_of_config: bool = False,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> None:
    name = secrets.token_hex(32)
    planner.add_volume(
        Mount(type="volume", name=name, destination=destination, driver=driver, mode=mode, is_anonymous=True),
        VolumeUse(
            name=name,
            destination=destination,
            is_filled=is_filled,
            is_of_config=is_of_config,
            labels={**(labels or {}), ANONYMOUS_LABEL: ""},
            options=options,
        ),
    )


def _bind_complaint(request: MountRequest) -> str | None:
    """Whether its source exists is looked up elsewhere."""
    if not request.source:
        return "field Source must not be empty"
    if request.bind_options and request.bind_options.propagation not in ("", *_PROPAGATION):
        return f"invalid propagation mode: {request.bind_options.propagation}"
    if (extra := _extra_field(request, "bind_options")) is not None:
        return extra
    return _relative_complaint(request.source)


def _volume_complaint(request: MountRequest) -> str | None:
    if (extra := _extra_field(request, "volume_options")) is not None:
        return extra
    subpath = request.volume_options.subpath if request.volume_options else ""
    if subpath and not request.source:
        return "must not set Subpath when using anonymous volumes"
    if subpath and not _is_local(subpath):
        return "subpath must be a relative path within the volume"
    if request.read_only and not request.source:
        return "must not set ReadOnly mode when using anonymous volumes"
    return None


def _tmpfs_complaint(request: MountRequest) -> str | None:
    if (extra := _extra_field(request, "tmpfs_options")) is not None:
        return extra
    if request.source:
        return "field Source must not be specified"
    for option in (request.tmpfs_options and request.tmpfs_options.options) or ():
        if len(option) not in (1, 2):
            return "invalid option array length"
        if option[0] not in _TMPFS_OPTIONS:
            return f"invalid option: {option[0]}"
    return None


def _image_complaint(request: MountRequest) -> str | None:
    if (extra := _extra_field(request, "image_options")) is not None:
        return extra
    if not request.source:
        return "field Source must not be empty"
    subpath = request.image_options.subpath if request.image_options else ""
    return "subpath must be a relative path within the volume" if subpath and not _is_local(subpath) else None


def _extra_field(request: MountRequest, own: str) -> str | None:
    """The options of another type."""
    options = {
        "bind_options": ("BindOptions", request.bind_options),
        "volume_options": ("VolumeOptions", request.volume_options),
        "image_options": ("ImageOptions", request.image_options),
        "tmpfs_options": ("TmpfsOptions", request.tmpfs_options),
    }
    others = (name for kind, (name, value) in options.items() if kind != own and value is not None)
    return next((f"field {name} must not be specified" for name in others), None)


def _is_local(path: str) -> bool:
    """Below where it starts (Go's filepath.IsLocal)."""
    return not path.startswith("/") and _clean(path).partition("/")[0] != ".."


def _is_mode(text: str) -> bool:
    """At most one letter of each kind, as in `ro,z`."""
    letters = text.split(",") if text else []
    return all(any(letter in kind for kind in _MODES) for letter in letters) and all(
        sum(letter in kind for letter in letters) <= 1 for kind in _MODES
    )


def _clean(path: str) -> str:
    return posixpath.normpath(path).replace("//", "/", 1)

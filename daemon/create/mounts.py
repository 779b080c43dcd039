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
from daemon.errors import InvalidParameter, quoted
from daemon.services.volumes import VolumeUse, check_volume_name

ANONYMOUS_LABEL = "com.docker.volume.anonymous"

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
        if mount.name:
            self.volumes[mount.destination] = VolumeUse(
                name=mount.name, destination=mount.destination, is_anonymous=False, is_filled=False
            )

    def check_free(self, destination: str, shown: str) -> None:
        """What comes later overrides what is inherited, and nothing else."""
        if destination in self.mounts and destination not in self.inherited:
            raise InvalidParameter(f"Duplicate mount point: {shown}")

    def add(self, mount: Mount) -> None:
        destination = mount.destination
        self.check_free(destination, destination)
        self.inherited.discard(destination)
        self.volumes.pop(destination, None)
        if mount.type == "bind":
            propagation = self._propagation(mount)
            is_recursive = mount.rw or self.is_recursively_read_only
            mount = attrs.evolve(mount, propagation=propagation, is_recursively_read_only=is_recursive)
        self.mounts[destination] = mount

    def _propagation(self, mount: Mount) -> str:
        """Of a bind; of one that shares a path with the daemon's own directory, so that it does not hold mounts there.

        Rules: moby v28 daemon/volumes_linux.go validateBindDaemonRoot.
        """
        source, root = mount.source, self.data_root
        if not source.startswith(root) and not root.startswith(source):
            return mount.propagation or "rprivate"
        if mount.propagation not in ("", "rslave", "rshared"):
            raise InvalidParameter(
                'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within '
                f"the daemon root, daemon root: {quoted(root)}, bind mount source: {quoted(source)}, "
                f"propagation: {quoted(mount.propagation)}"
            )
        return mount.propagation or "rslave"

    def add_volume(self, mount: Mount, use: VolumeUse) -> None:
        if not use.is_anonymous:
            check_volume_name(use.name)
        self.add(mount)
        self.volumes[mount.destination] = use


def plan_mounts(
    config: ContainerConfig,
    host_config: HostConfig,
    inherited: Iterable[tuple[Iterable[Mount], str]],
    *,
    data_root: str,
    api_version: tuple[int, int],
) -> MountPlan:
    """`inherited` are the mounts of each container of `volumes_from`, and the mode to take them over with.

    Raises:
        InvalidParameter: one of them makes no sense, or two are for the same place.
    """
    # Before 1.44 only the bind itself was read-only, not what is mounted below its source.
    planner = _Planner(host_config.tmpfs or {}, data_root, is_recursively_read_only=api_version >= (1, 44))
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
    if request.type == "bind":
        planner.add(
            Mount(
                type="bind",
                source=_clean(source),
                destination=destination,
                mode=mode,
                rw="ro" not in letters,
                propagation=propagation,
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
        raise InvalidParameter(f"invalid mount config for type {quoted(request.type)}: {complaint}")
    destination, rw = _clean(request.target), not request.read_only
    planner.check_free(destination, request.target)
    if request.type == "bind":
        options = request.bind_options
        propagation = options.propagation if options else ""
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
    """Whether its source exists is looked up elsewhere."""
    if not request.source:
        return "field Source must not be empty"
    if request.bind_options and request.bind_options.propagation not in ("", *_PROPAGATION):
        return f"invalid propagation mode: {request.bind_options.propagation}"
    if request.volume_options is not None:
        return "field VolumeOptions must not be specified"
    if request.image_options is not None:
        return "field ImageOptions must not be specified"
    return _relative_complaint(request.source)


def _volume_complaint(request: MountRequest) -> str | None:
    if request.bind_options is not None:
        return "field BindOptions must not be specified"
    if request.image_options is not None:
        return "field ImageOptions must not be specified"
    subpath = request.volume_options.subpath if request.volume_options else ""
    if subpath and not request.source:
        return "must not set Subpath when using anonymous volumes"
    if subpath and not _is_local(subpath):
        return "subpath must be a relative path within the volume"
    if request.read_only and not request.source:
        return "must not set ReadOnly mode when using anonymous volumes"
    return None


def _tmpfs_complaint(request: MountRequest) -> str | None:
    if request.bind_options is not None:
        return "field BindOptions must not be specified"
    if request.image_options is not None:
        return "field ImageOptions must not be specified"
    if request.source:
        return "field Source must not be specified"
    for option in (request.tmpfs_options and request.tmpfs_options.options) or ():
        if not 1 <= len(option) <= 2:
            return "invalid option array length"
        if option[0] not in _TMPFS_OPTIONS:
            return f"invalid option: {option[0]}"
    return None


def _image_complaint(request: MountRequest) -> str | None:
    if request.bind_options is not None:
        return "field BindOptions must not be specified"
    if request.volume_options is not None:
        return "field VolumeOptions must not be specified"
    if not request.source:
        return "field Source must not be empty"
    subpath = request.image_options.subpath if request.image_options else ""
    return "subpath must be a relative path within the volume" if subpath and not _is_local(subpath) else None


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

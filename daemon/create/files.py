"""`docker cp`, `docker export`, `docker diff`: the files of a container that is created, without mounting anything.

The work is done in worker threads, piece by piece, and a piece is made when the one before has been sent: memory is flat, and no
thread waits for a slow reader. Writing is a change of the container like its renaming: one at a time. Reading is none. Unlike
Moby, where whoever reads slowly holds up a removal (daemon/archive_unix.go): the removal goes through, and the archive breaks off
without an end, as it does if the disk fails.
"""

from __future__ import annotations

import contextlib
import posixpath
import stat
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import attrs

from daemon.container import Container, Mount
from daemon.create.events import container_event, publish
from daemon.create.records import record_of
from daemon.create.streaming import Reading
from daemon.create.turns import released
from daemon.errors import NotFound
from daemon.services import Services
from daemon.services.claims import Claim
from daemon.services.image_store import ImageStore
from daemon.services.intake_process import ByteStream
from daemon.services.registrar import Registrar
from daemon.services.volumes import Volumes
from daemon.storage.changes import Change, changes_of
from daemon.storage.container_view import ContainerView, Mounting, path_of
from daemon.storage.copy_in import Rules, copy_in
from daemon.storage.disk import disk, size_of_tree
from daemon.storage.overlay import MergedFile
from daemon.storage.recovery import Stores
from daemon.storage.streams import Plain
from daemon.storage.tar_out import tar_of_tree
from daemon.storage.users import owner_of
from daemon.summary import ContainerSummary
from daemon.volume import is_mounted_from_elsewhere

WRITERS_MAX = 16
"""Copies into containers at a time. Each has a thread for as long as the client sends; others wait."""

PATH_BYTES_MAX = 4095
NAME_BYTES_MAX = 255
"""Linux' PATH_MAX and NAME_MAX: nothing can be at a longer path."""


@attrs.frozen(kw_only=True)
class PathStat:
    """What is at a path, itself and not what it points at."""

    name: str
    """The last component of the path as it was asked for."""
    size: int
    mode: int
    """As stat(2) has it."""
    mtime_ns: int
    link_target: str
    """Where a symbolic link finally leads, in the container; else empty."""


@attrs.frozen(kw_only=True)
class ContainerFiles:
    """Every method raises NotFound where there is no such container."""

    services: Services
    stores: Stores
    reading: Reading
    now_ns: Callable[[], int]
    _writers: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(WRITERS_MAX))

    async def stat(self, name_or_id: str, path: str) -> PathStat:
        """Raises NotFound, with Docker's text, where nothing is at `path`; System."""
        target = await self._target(name_or_id)
        described, _, _ = await self.reading.run(lambda: _found(target.view(), name_or_id, path))
        return described

    async def archive(self, name_or_id: str, path: str) -> tuple[PathStat, AsyncGenerator[bytes, None]]:
        """What is at `path`, and a tar of it. Raises as `stat`; the tar breaks off with Cancelled."""
        target = await self._target(name_or_id)

        def look() -> tuple[PathStat, Generator[bytes, None, None]]:
            view = target.view()
            described, trail, name = _found(view, name_or_id, path)
            return described, tar_of_tree(view, trail, name)

        described, pieces = await self.reading.run(look)
        await self._publish(target.summary, "archive-path")
        return described, self.reading.stream(pieces)

    async def extract(
        self, name_or_id: str, path: str, body: ByteStream, *, keeps_kinds: bool, owner_is_user: bool
    ) -> None:
        """Unpack a tar, gzipped or not, into the directory at `path`; durable on return.

        Args:
            keeps_kinds: refuse to replace a directory by something else, or the other way round.
            owner_is_user: give everything to the container's user, whatever the tar says.

        Raises:
            NotFound: nothing is at `path`.
            InvalidParameter: no directory is, it is read-only, or the archive is refused; what came before stays.
            Conflict: the container is being removed.
            System: the disk failed.
        """
        registrar, claim = self.services.registrar, Claim("copying")
        async with released(registrar, claim):  # not shielded: it takes as long as the client does
            summary = await registrar.ask(Registrar.claim, name_or_id, claim)
            target = await self._target(summary.id)

            def unpack() -> None:
                view = target.view()
                if _is_too_long(path) or view.resolve(path).missing:
                    raise _not_found(name_or_id, path)
                user = target.container.config.user
                rules = Rules(
                    keeps_kinds=keeps_kinds,
                    owner=owner_of(view, user) if owner_is_user and user else None,
                    is_rootfs_writable=not target.container.host_config.readonly_rootfs,
                )
                copy_in(Plain(_BlockingReader(body)), view, path, rules)

            await anyio.to_thread.run_sync(unpack, limiter=self._writers)
        await self._publish(summary, "extract-to-dir")

    async def export(self, name_or_id: str) -> AsyncGenerator[bytes, None]:
        """A tar of all its files, without those of volumes; it breaks off with Cancelled. Raises System."""
        target = await self._target(name_or_id)

        def look() -> Generator[bytes, None, None]:
            view = ContainerView(target.layers)
            return tar_of_tree(view, (view.root,), "", with_top=False)

        pieces = await self.reading.run(look)

        async def stream() -> AsyncGenerator[bytes, None]:
            async for batch in self.reading.stream(pieces):
                yield batch
            await self._publish(target.summary, "export")

        return stream()

    async def changes(self, name_or_id: str) -> tuple[Change, ...]:
        """What differs from its image, sorted by path. Raises System."""
        target = await self._target(name_or_id)
        return await self.reading.run(lambda: changes_of(target.layers))

    async def sizes(self, container_ids: Sequence[str]) -> Mapping[str, int]:
        """Bytes in the files of each container's own layer; of those that are gone, none. Raises System."""
        uppers = {container_id: self.stores.containers.upper(container_id) for container_id in container_ids}
        return await self.reading.run(lambda: _sizes(uppers))

    async def volume_sizes(self, names: Sequence[str]) -> Mapping[str, int]:
        """The same for volumes."""
        directories = {name: self.stores.volumes.data(name) for name in names}
        return await self.reading.run(lambda: _sizes(directories))

    async def _target(self, name_or_id: str) -> _Target:
        services = self.services
        summary = await services.registrar.ask(Registrar.find, name_or_id)
        container = await record_of(services, summary, name_or_id)
        chain_ids: tuple[str, ...] = ()
        if container.image_id:
            chain_ids = (await services.images.ask(ImageStore.find, container.image_id)).chain_ids
        return _Target(
            summary=summary,
            container=container,
            layers=(self.stores.containers.upper(container.id), *self.stores.layers.lower(chain_ids)),
            mountings=tuple([await self._mounting(mount) for mount in container.mounts if mount.type != "tmpfs"]),
        )

    async def _mounting(self, mount: Mount) -> Mounting:
        source: Path | None = Path(mount.source)
        if mount.name:
            volume = await self.services.volumes.ask(Volumes.find, mount.name)
            source = None if is_mounted_from_elsewhere(volume.options) else self.stores.volumes.data(mount.name)
        return Mounting(destination=mount.destination, source=source, is_writable=mount.rw)

    async def _publish(self, summary: ContainerSummary, action: str) -> None:
        await publish(self.services.events, container_event(summary, action, self.now_ns()))


@attrs.frozen(kw_only=True)
class _Target:
    """A container and where its files are."""

    summary: ContainerSummary
    container: Container
    layers: tuple[Path, ...]
    """Its own first."""
    mountings: tuple[Mounting, ...]

    def view(self) -> ContainerView:
        return ContainerView(self.layers, self.mountings)


class _BlockingReader:
    """A body as a file, for the worker thread that unpacks it."""

    def __init__(self, body: ByteStream) -> None:
        self._body = body
        self._left = b""

    def read(self, size: int, /) -> bytes:
        if not self._left:
            self._left = anyio.from_thread.run(self._body.receive)
        data, self._left = self._left[:size], self._left[size:]
        return data


def _sizes(directories: Mapping[str, Path]) -> Mapping[str, int]:
    sizes = {}
    with disk("measure files"):
        for name, directory in directories.items():
            with contextlib.suppress(FileNotFoundError):
                sizes[name] = size_of_tree(directory)
    return sizes


def _found(view: ContainerView, called: str, path: str) -> tuple[PathStat, tuple[MergedFile, ...], str]:
    """What is at a path, the way to it, and what it is called in a tar (moby daemon/archive_unix.go).

    A path that ends in `/` or `/.` is a directory's, and a link there is followed.
    """
    cleaned, base = _split(path)
    wants_directory = base == "." or (path.endswith("/") and cleaned != "/")
    if _is_too_long(path):
        raise _not_found(called, path)
    resolution = view.resolve(cleaned, follow=wants_directory)
    found = resolution.trail[-1]
    if resolution.missing or (wants_directory and not found.is_directory):
        raise _not_found(called, path)
    target = ""
    if stat.S_ISLNK(found.status.st_mode):
        end = view.resolve(cleaned)
        target = f"{path_of(end.trail)}{''.join(f'/{name}' for name in end.missing)}" or "/"
    described = PathStat(
        name=base,
        size=found.status.st_size,
        mode=found.status.st_mode,
        mtime_ns=found.status.st_mtime_ns,
        link_target=target,
    )
    return described, resolution.trail, base


def _split(path: str) -> tuple[str, str]:
    """The path without `.` and `..`, and its last component: that stays `.` where it is so put, and of the root it is `/`."""
    cleaned = posixpath.normpath(f"/{path.lstrip('/')}")
    last = path.rpartition("/")[2]
    return cleaned, "." if last == "." else posixpath.basename(cleaned) or "/"


def _is_too_long(path: str) -> bool:
    encoded = path.encode("utf-8", "surrogateescape")
    return len(encoded) > PATH_BYTES_MAX or any(len(name) > NAME_BYTES_MAX for name in encoded.split(b"/"))


def _not_found(called: str, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {called}")

"""Makes tars, image archives and layers for the tests of storage, and looks at what became of them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from daemon.container import ContainerConfig
from daemon.image import LoadedImage
from daemon.storage.archive import Rootfs, receive_archive, receive_rootfs, stage_archive, stage_rootfs
from daemon.storage.attributes import make_opaque, make_whiteout
from daemon.storage.content import ContentStore, Ingest
from daemon.storage.layers import LayerBuild, LayerStore
from daemon.storage.oci import (
    CONFIG_TYPE,
    LAYER_GZIP_TYPE,
    MANIFEST_TYPE,
    chain_ids,
    decode_manifest,
    digest_of,
    machine_platform,
)
from daemon.storage.ready import CONTAINER, Kind, ReadyTrees
from daemon.storage.staged import Area, commit
from daemon.storage.tree_maker import TreeMaker
from daemon.storage.unpack import Limits

Layers = tuple[Path, Path, Path]
"""Upper, middle, lower."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners, devices and mounts are for root only")

Build = Callable[[tarfile.TarFile], None]
Files = dict[str, bytes]
HERE = machine_platform().architecture


def ready_at(root: Path, count: int, kind: Kind = CONTAINER) -> ReadyTrees:
    """Room for so many trees, and none made yet."""
    return ReadyTrees(root, count, kind, TreeMaker())


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def tar_by(build: Build, *, form: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        build(archive)
    stream.seek(0)
    return stream


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(content) if info.isreg() else None)


def add_files(archive: tarfile.TarFile, *names: str) -> None:
    for name in names:
        add(archive, name)


def adding(*names: str, content: bytes = b"x") -> Build:
    """Of an archive with these files."""

    def build(archive: tarfile.TarFile) -> None:
        for name in names:
            add(archive, name, content)

    return build


def add_directory(archive: tarfile.TarFile, name: str, mode: int = 0o755, mtime: int = 0) -> None:
    add(archive, name, type=tarfile.DIRTYPE, mode=mode, mtime=mtime)


def add_symlink(archive: tarfile.TarFile, name: str, target: str) -> None:
    add(archive, name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)


def add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    add(archive, name, type=tarfile.LNKTYPE, linkname=target)


def tar_of(files: dict[str, bytes], links: dict[str, str] | None = None, *, order: int | None = None) -> bytes:
    """A tar of files and symbolic links, shuffled by the seed `order`."""
    stream = io.BytesIO()
    entries: list[tuple[str, bytes | str]] = [*files.items(), *(links or {}).items()]
    if order is not None:
        random.Random(order).shuffle(entries)
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, body in entries:
            info = tarfile.TarInfo(name)
            if isinstance(body, str):
                info.type, info.linkname = tarfile.SYMTYPE, body
                archive.addfile(info)
            else:
                info.size = len(body)
                archive.addfile(info, io.BytesIO(body))
    return stream.getvalue()


BASE = tar_of({"bin/sh": b"shell", "etc/passwd": b"root"})
TOP = tar_of({"etc/.wh.passwd": b"", "app": b"program"})


def config_of(*layers: bytes, **fields: object) -> bytes:
    return json.dumps(
        {
            "architecture": HERE,
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"], "Env": ["A=1"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            **fields,
        }
    ).encode()


def docker_archive(*, compress: Callable[[bytes], bytes] = bytes, tags: list[str] | None = None) -> Files:
    """As `docker save` wrote it until 24."""
    config = config_of(BASE, TOP)
    packed = [compress(layer) for layer in (BASE, TOP)]
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": tags or ["a:1", "b:2"], "Layers": ["x/layer.tar", "y/layer.tar"]}]
    return {
        "x/VERSION": b"1.0",
        "x/json": b"{}",
        "x/layer.tar": packed[0],
        "y/layer.tar": packed[1],
        name: config,
        "repositories": b"{}",
        "manifest.json": json.dumps(manifest).encode(),
    }


def archive_of(*layers: bytes) -> bytes:
    """A docker-archive of one image without a name, of these layers, lowest first."""
    config = config_of(*layers)
    name = hashlib.sha256(config).hexdigest() + ".json"
    files = {f"{number}.tar": layer for number, layer in enumerate(layers)}
    return tar_of({**files, name: config, "manifest.json": json.dumps([{"Config": name, "Layers": [*files]}]).encode()})


def pointer(blobs: Files, content: bytes, media_type: str, **fields: object) -> dict[str, object]:
    digest = digest_of(content)
    blobs[f"blobs/sha256/{digest.removeprefix('sha256:')}"] = content
    return {"mediaType": media_type, "digest": digest, "size": len(content), **fields}


def manifest_pointer(blobs: Files, config: bytes, *layers: bytes, **fields: object) -> dict[str, object]:
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "config": pointer(blobs, config, CONFIG_TYPE),
        "layers": [pointer(blobs, layer, LAYER_GZIP_TYPE) for layer in packed],
    }
    return pointer(blobs, json.dumps(manifest).encode(), MANIFEST_TYPE, **fields)


def layout(blobs: Files, *manifests: dict[str, object]) -> Files:
    index = {"schemaVersion": 2, "manifests": list(manifests)}
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}


def named(name: str) -> dict[str, str]:
    return {"io.containerd.image.name": name}


def platform_of(architecture: str) -> dict[str, str]:
    return {"os": "linux", "architecture": architecture}


def make_layers(root: Path) -> Layers:
    """Empty directories."""
    layers = root / "2", root / "1", root / "0"
    for layer in layers:
        layer.mkdir()
    return layers


def target_of(link: Path) -> str:
    return os.readlink(link)  # noqa: PTH115 - a Path would tidy the target up


def write(layer: Path, name: str, content: str = "", mode: int = 0o644) -> None:
    path = layer / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def whiteout(layer: Path, name: str) -> None:
    path = layer / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened(path.parent) as parent:
        make_whiteout(parent, path.name)


def mark_opaque(layer: Path, name: str = ".") -> None:
    (layer / name).mkdir(parents=True, exist_ok=True)
    with opened(layer / name) as directory:
        make_opaque(directory)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def put_blob(store: ContentStore, content: bytes, root: Path) -> str:
    """Its digest; it arrives in `root`."""
    ingest = Ingest(root)
    ingest.write(content)
    store.adopt(ingest.path, digest := ingest.seal().digest)
    return digest


def put_layer(store: LayerStore, chain_id: str, fill: Callable[[Path], object]) -> None:
    build = LayerBuild.made_in(store.root)
    fill(build.target)
    store.adopt(build.home, chain_id)


@attrs.frozen
class Stores:
    root: Path
    content: ContentStore
    layers: LayerStore

    def load(self, archive: bytes, limits: Limits | None = None) -> tuple[LoadedImage, ...]:
        """What the daemon and its worker do between them, in one process."""
        with self.area() as area:
            files = receive_archive(io.BytesIO(archive), area)
            staged = stage_archive(files, self.layers, area, limits=limits)
            commit(staged, area, self.content, self.layers)
        return staged.images

    def import_rootfs(self, rootfs: bytes, into: Rootfs, limits: Limits | None = None) -> LoadedImage:
        """The same for a root file system."""
        with self.area() as area:
            files, layer = receive_rootfs(io.BytesIO(rootfs), area)
            staged = stage_rootfs(files, layer, into, self.layers, area, limits=limits)
            commit(staged, area, self.content, self.layers)
        (loaded,) = staged.images
        return loaded

    @contextlib.contextmanager
    def area(self) -> Iterator[Area]:
        (self.root / "staging").mkdir(exist_ok=True)
        area = Area.made_in(self.root)
        try:
            yield area
        finally:
            area.remove()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir())


def stores_in(root: Path) -> Stores:
    return Stores(root, ContentStore(root / "content"), LayerStore(root / "layers"))


EMPTY = ["content/index.json", "content/oci-layout"]


def check_is_whole(stores: Stores, loaded: LoadedImage) -> None:
    """Everything that the record of an image of BASE and TOP promises is on the disk."""
    image = loaded.image
    assert digest_of(stores.content.read(image.id, bytes_max=10**6)) == image.id
    manifest_blob = stores.content.read(image.manifest_digest, bytes_max=image.manifest_bytes)
    manifest = decode_manifest(manifest_blob)
    assert manifest.config.digest == image.id
    assert [layer.digest for layer in manifest.layers] == [layer.digest for layer in image.layers]
    assert [layer.diff_id for layer in image.layers] == [digest_of(BASE), digest_of(TOP)]
    assert tuple(layer.chain_id for layer in image.layers) == chain_ids([digest_of(BASE), digest_of(TOP)])
    assert [layer.unpacked_bytes for layer in image.layers] == [9, 7]
    for layer in image.layers:
        assert len(stores.content.read(layer.digest, bytes_max=layer.blob_bytes)) == layer.blob_bytes
    base, top = (stores.layers.path(layer.chain_id) for layer in image.layers)
    assert (base / "bin/sh").read_bytes() == b"shell"
    assert (top / "app").read_bytes() == b"program"
    assert image.config == ContainerConfig(cmd=("sh",), env=("A=1",))
    assert (image.architecture, image.os, image.created) == (HERE, "linux", "2024-01-02T03:04:05Z")
    assert names_in(stores.root / "staging") == []

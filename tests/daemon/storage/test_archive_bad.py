"""A bad archive is refused with a reason and leaves the stores as they were, wherever it goes wrong."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter, System
from daemon.storage import intake
from daemon.storage import staged as staged_module
from daemon.storage.archive import receive_archive
from daemon.storage.oci import (
    JSON_BYTES_MAX,
    MANIFEST_TYPE,
    digest_of,
)
from daemon.storage.unpack import Limits
from tests.daemon.storage.making import (
    BASE,
    EMPTY,
    TOP,
    Files,
    Stores,
    check_is_whole,
    config_of,
    docker_archive,
    layout,
    manifest_pointer,
    names_in,
    stores_in,
    tar_of,
)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return stores_in(tmp_path / "data")


def changed(change: Callable[[Files], object]) -> bytes:
    files = docker_archive()
    change(files)
    return tar_of(files)


def with_manifest(**fields: object) -> bytes:
    files = docker_archive()
    manifest = json.loads(files["manifest.json"])
    manifest[0] |= fields
    files["manifest.json"] = json.dumps(manifest).encode()
    return tar_of(files)


def with_config(config: bytes) -> bytes:
    manifest = [{"Config": "c.json", "Layers": ["x/layer.tar", "y/layer.tar"]}]
    return tar_of(docker_archive() | {"c.json": config, "manifest.json": json.dumps(manifest).encode()})


def bad_layout(change: Callable[[Files], object]) -> bytes:
    blobs: Files = {}
    files = layout(blobs, manifest_pointer(blobs, config_of(BASE), BASE)) | blobs
    change(files)
    return tar_of(files)


def flip_blobs(files: Files) -> None:
    for name in [name for name in files if name.startswith("blobs/")]:
        files[name] = files[name][:-1] + b"\xff"


def drop_blobs(files: Files) -> None:
    for name in [name for name in files if name.startswith("blobs/")]:
        del files[name]


EVIL = tar_of({"../../../evil": b"x"})

BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "neither manifest.json"),
    "no tar": (b"not a tar, but long enough to be read as a header" * 20, "invalid archive"),
    "a tar of something else": (tar_of({"a": b"b"}), "neither manifest.json"),
    "a truncated archive": (tar_of(docker_archive())[:3000], "truncated"),
    "a truncated gzip": (gzip.compress(tar_of(docker_archive()))[:-20], "truncated"),
    "another compression": (b"BZh9" + bytes(600), "bzip2 compression is not supported"),
    "another compression of a layer": (
        changed(lambda files: files.update({"x/layer.tar": b"BZh9" + bytes(600)})),
        "bzip2 compression is not supported",
    ),
    "a null manifest": (changed(lambda files: files.update({"manifest.json": b"null"})), "manifest cannot be null"),
    "a manifest that is no JSON": (changed(lambda files: files.update({"manifest.json": b"{"})), "manifest.json"),
    "a manifest that is too large": (
        changed(lambda files: files.update({"manifest.json": b" " * (JSON_BYTES_MAX + 1)})),
        "larger than",
    ),
    "a config outside": (with_manifest(Config="../../etc/passwd"), "'../../etc/passwd' is missing"),
    "an absolute config": (with_manifest(Config="/etc/passwd"), "'/etc/passwd' is missing"),
    "a missing layer": (changed(lambda files: files.pop("y/layer.tar")), "'y/layer.tar' is missing"),
    "swapped layers": (with_manifest(Layers=["y/layer.tar", "x/layer.tar"]), "invalid diffID for layer 0: expected"),
    "too few layers": (with_manifest(Layers=["x/layer.tar"]), "layers length mismatch: expected 1, got 2"),
    "a changed config": (
        changed(lambda files: files.update({name: b"{}" for name in files if len(name) > 64})),
        "has digest",
    ),
    "a config with a bad diff id": (
        with_config(b'{"rootfs": {"diff_ids": ["sha256:../../x"]}}'),
        "invalid digest 'sha256:../../x'",
    ),
    "another system": (with_config(config_of(BASE, TOP, os="windows")), "cannot load windows image on linux"),
    "a hostile layer": (
        tar_of({"c": config_of(EVIL), "l": EVIL, "manifest.json": b'[{"Config":"c","Layers":["l"]}]'}),
        "entry '../../../evil'",
    ),
    "a name that leads out": (tar_of({"../evil": b"x"}), "'..'"),
    "a link that leads out": (tar_of({}, {"manifest.json": "../../etc/passwd"}), "out of the archive"),
    "an absolute link": (tar_of({}, {"manifest.json": "/etc/passwd"}), "out of the archive"),
    "a layer that is compressed twice": (
        changed(lambda files: files.update({"x/layer.tar": gzip.compress(gzip.compress(BASE))})),
        "invalid archive: it is truncated",
    ),
    "a digest that is a path": (
        tar_of(layout({}, {"mediaType": MANIFEST_TYPE, "digest": "sha256:../../x", "size": 0})),
        "invalid digest 'sha256:../../x'",
    ),
    "noise": (random.Random(1).randbytes(20_000), "invalid archive: damaged header"),
    "links in a circle": (tar_of({}, {"manifest.json": "b", "b": "manifest.json"}), "too many links"),
    "a layout with other content": (bad_layout(flip_blobs), "in place of sha256:"),
    "a layout without its content": (bad_layout(drop_blobs), "is missing"),
    "a layout of something else": (
        tar_of(layout({}, {"mediaType": "text/plain", "digest": digest_of(b""), "size": 0})),
        "media type 'text/plain' is not supported",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_refused_and_leaves_nothing(case: str, stores: Stores) -> None:
    archive, text = BAD[case]
    with pytest.raises(InvalidParameter) as refused:
        stores.load(archive)
    assert text in str(refused.value)
    assert str(stores.root) not in str(refused.value)
    assert stores.files() == EMPTY
    assert names_in(stores.root / "layers") == []


def test_a_bad_archive_leaves_what_was_there_before(stores: Stores) -> None:
    [loaded] = stores.load(tar_of(docker_archive()))
    before = stores.files()
    with pytest.raises(InvalidParameter, match="invalid diffID for layer 1"):
        stores.load(with_config(config_of(BASE, BASE)))
    assert stores.files() == before
    check_is_whole(stores, loaded)


def test_a_blob_that_is_not_the_layer_is_refused_although_the_layer_is_there(stores: Stores) -> None:
    stores.load(tar_of(docker_archive()))
    before = stores.files()
    with pytest.raises(InvalidParameter, match="invalid diffID for layer 1"):
        stores.load(changed(lambda files: files.update({"y/layer.tar": BASE})))
    assert stores.files() == before


@pytest.mark.parametrize("failing", range(7))
def test_a_disk_that_fails_at_any_commit_leaves_nothing(
    failing: int, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    rename = Path.rename

    def fail_once(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    if failing == 6:  # Two layers, each a blob and a directory, a config and a manifest: six renames.
        check_is_whole(stores, stores.load(tar_of(docker_archive()))[0])
        return
    with pytest.raises(System, match=r"(?i)no space left on device"):
        stores.load(tar_of(docker_archive()))
    assert stores.files() == EMPTY
    assert names_in(stores.root / "layers") == []


def test_a_failed_sync_is_not_tried_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def fail(path: Path) -> None:
        calls.append(path)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(staged_module, "sync_file_system", fail)
    with pytest.raises(System, match="Input/output error"):
        stores.load(tar_of(docker_archive()))
    assert len(calls) == 1
    assert stores.files() == EMPTY


def test_limits_of_a_layer_hold_for_archives(stores: Stores) -> None:
    with pytest.raises(InvalidParameter, match="more than 2 entries"):
        stores.load(tar_of(docker_archive()), Limits(entries=2))
    assert stores.files() == EMPTY


def test_a_stream_that_breaks_off_leaves_nothing(stores: Stores) -> None:
    class Broken:
        def __init__(self) -> None:
            self._stream = io.BytesIO(tar_of(docker_archive())[:4000])

        def read(self, size: int, /) -> bytes:
            data = self._stream.read(size)
            if not data:
                raise ConnectionResetError(104, "Connection reset by peer")
            return data

    with pytest.raises(ConnectionResetError), stores.area() as area:
        receive_archive(Broken(), area)
    assert stores.files() == EMPTY


def test_one_blob_as_many_layers_is_refused_where_it_grows_too_large(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "INTAKE_FILE_BYTES_MAX", 9 * 10)
    layers = [BASE] * 11
    manifest = [{"Config": "c", "Layers": ["l"] * len(layers)}]
    archive = tar_of({"c": config_of(*layers), "l": BASE, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(InvalidParameter, match="the files are larger than 0 bytes"):
        stores.load(archive)
    assert stores.files() == EMPTY

"""Content is there whole, under its digest and durable, or not at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import DiskFull, InvalidParameter, System
from daemon.storage import content as content_module
from daemon.storage import failpoints
from daemon.storage.content import ContentStore, Descriptor, Ingest
from daemon.storage.failpoints import Plan
from daemon.storage.oci import IndexEntry, Platform, digest_of
from tests.daemon.storage.making import names_in, put_blob

HELLO = digest_of(b"hello")


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


@pytest.fixture
def arriving(tmp_path: Path) -> Path:
    """Where content is before it is in the store."""
    directory = tmp_path / "arriving"
    directory.mkdir(mode=0o700)
    return directory


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


EMPTY = ["index.json", "oci-layout"]


def test_a_new_store_is_an_empty_image_layout(tmp_path: Path) -> None:
    ContentStore(tmp_path / "content")
    root = tmp_path / "content"
    assert json.loads((root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((root / "index.json").read_bytes())["manifests"] == []


def test_directories_are_0700_and_files_0600_whatever_the_umask(tmp_path: Path, arriving: Path) -> None:
    before = os.umask(0)
    try:
        put_blob(ContentStore(tmp_path / "content"), b"hello", arriving)
    finally:
        os.umask(before)
    for path in [tmp_path / "content", *(tmp_path / "content").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_adopted_content_is_read_back_by_its_digest(store: ContentStore, tmp_path: Path, arriving: Path) -> None:
    ingest = Ingest(arriving)
    ingest.write(b"hel")
    ingest.write(b"lo")
    assert ingest.size == 5
    assert ingest.seal() == Descriptor(HELLO, 5)
    store.adopt(ingest.path, HELLO)
    assert store.read(HELLO, bytes_max=5) == b"hello"
    assert store.contains(HELLO)
    assert list(store.digests()) == [HELLO]
    assert (tmp_path / "content/blobs/sha256" / HELLO.removeprefix("sha256:")).read_bytes() == b"hello"
    assert names_in(arriving) == []


def test_large_content_is_written_out_as_it_comes_unchanged(arriving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "WRITING_BYTES", 4096)
    large = bytes(range(256)) * 100
    ingest = Ingest(arriving)
    for at in range(0, len(large), 1000):
        ingest.write(large[at : at + 1000])
    assert ingest.seal() == Descriptor(digest_of(large), len(large))
    assert ingest.path.read_bytes() == large


def test_a_discarded_ingest_leaves_nothing(arriving: Path) -> None:
    ingest = Ingest(arriving)
    ingest.write(b"hello")
    ingest.discard()
    ingest.discard()
    assert names_in(arriving) == []


def test_what_is_borrowed_outlives_the_blob_and_can_be_given_back(store: ContentStore, arriving: Path) -> None:
    put_blob(store, b"hello", arriving)
    borrowed = store.borrow(HELLO, arriving)
    assert borrowed is not None
    store.delete(HELLO)
    assert borrowed.read_bytes() == b"hello"
    store.adopt(borrowed, HELLO)
    assert store.read(HELLO, bytes_max=5) == b"hello"
    assert names_in(arriving) == []


def test_what_is_not_there_cannot_be_borrowed(store: ContentStore, arriving: Path) -> None:
    assert store.borrow(HELLO, arriving) is None
    assert names_in(arriving) == []


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:../../../etc/passwd", HELLO.upper(), HELLO + "\n", HELLO[:-1], "sha512:" + "0" * 64, "a/b"],
)
def test_what_is_no_digest_never_becomes_a_path(store: ContentStore, digest: str, tmp_path: Path) -> None:
    uses: tuple[Callable[[str], object], ...] = (
        store.open,
        store.contains,
        store.delete,
        lambda digest: store.read(digest, bytes_max=1),
        lambda digest: store.borrow(digest, tmp_path),
        lambda digest: store.adopt(tmp_path / "file", digest),
    )
    for use in uses:
        with pytest.raises(InvalidParameter, match="invalid digest"):
            use(digest)


def test_missing_content_is_the_systems_failure_and_names_no_host_path(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(System, match=f"cannot read content {HELLO}") as failed:
        store.open(HELLO)
    assert str(tmp_path) not in str(failed.value)


def test_content_longer_than_asked_for_is_not_read_into_memory(store: ContentStore, arriving: Path) -> None:
    put_blob(store, b"hello", arriving)
    with pytest.raises(System, match="larger than 4 bytes"):
        store.read(HELLO, bytes_max=4)


def test_deleting_is_harmless_twice(store: ContentStore, arriving: Path) -> None:
    put_blob(store, b"hello", arriving)
    store.delete(HELLO)
    store.delete(HELLO)
    assert not store.contains(HELLO)


def test_a_full_disk_is_no_fault_of_the_caller(arriving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_plan", Plan("content.before_write=error(ENOSPC)"))
    ingest = Ingest(arriving)
    with pytest.raises(DiskFull, match=r"^no space left on device$"):
        ingest.write(b"hello")
    ingest.discard()


def test_the_index_names_every_reference_of_a_manifest(store: ContentStore, tmp_path: Path) -> None:
    entry = IndexEntry(
        manifest=Descriptor(HELLO, 5),
        references=("docker.io/library/busybox:latest", f"localhost:5000/x@{HELLO}"),
        platform=Platform(os="linux", architecture="arm64", variant="v8"),
    )
    store.write_index([entry])
    index = json.loads((tmp_path / "content/index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert index["manifests"] == [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": HELLO,
            "size": 5,
            "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
            "annotations": annotations,
        }
        for annotations in (
            {
                "io.containerd.image.name": "docker.io/library/busybox:latest",
                "org.opencontainers.image.ref.name": "latest",
            },
            {"io.containerd.image.name": f"localhost:5000/x@{HELLO}"},
        )
    ]


def test_an_index_that_cannot_be_written_leaves_the_old_one(
    store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (tmp_path / "content/index.json").read_bytes()
    monkeypatch.setattr(failpoints, "_plan", Plan("content.index_written=error(EIO)"))
    with pytest.raises(System, match="cannot write the image index: Input/output error"):
        store.write_index([])
    assert (tmp_path / "content/index.json").read_bytes() == before
    assert files(tmp_path / "content") == EMPTY


def test_a_sweep_removes_the_blobs_that_nobody_names(store: ContentStore, tmp_path: Path, arriving: Path) -> None:
    kept, orphan = (put_blob(store, content, arriving) for content in (b"kept", b"orphan"))
    (tmp_path / "content/blobs/sha256/not-a-digest").write_bytes(b"?")
    assert {"not-a-digest", orphan.removeprefix("sha256:")} == set(store.sweep({kept}))
    assert files(tmp_path / "content") == [f"blobs/sha256/{kept.removeprefix('sha256:')}", *EMPTY]

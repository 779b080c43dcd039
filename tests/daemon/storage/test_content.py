"""Content is there whole, under its digest and durable, or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter, SyncFailed, System
from daemon.storage import failpoints
from daemon.storage.content import ContentStore, Descriptor, Ingest
from daemon.storage.failpoints import Plan
from daemon.storage.oci import IndexEntry, Platform, digest_of

HELLO = digest_of(b"hello")


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


def put(store: ContentStore, content: bytes) -> str:
    with store.ingest() as ingest:
        ingest.write(content)
        return ingest.commit().digest


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


EMPTY = ["index.json", "oci-layout"]


def test_a_new_store_is_an_empty_image_layout(tmp_path: Path) -> None:
    ContentStore(tmp_path / "content")
    root = tmp_path / "content"
    assert json.loads((root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((root / "index.json").read_bytes())["manifests"] == []


def test_directories_are_0700_and_files_0600_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        put(ContentStore(tmp_path / "content"), b"hello")
    finally:
        os.umask(before)
    for path in [tmp_path / "content", *(tmp_path / "content").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_committed_content_is_read_back_by_its_digest(store: ContentStore, tmp_path: Path) -> None:
    with store.ingest() as ingest:
        ingest.write(b"hel")
        ingest.write(b"lo")
        assert ingest.commit(HELLO) == Descriptor(HELLO, 5)
    assert store.read(HELLO, bytes_max=5) == b"hello"
    assert store.contains(HELLO)
    assert list(store.digests()) == [HELLO]
    assert (tmp_path / "content/blobs/sha256" / HELLO.removeprefix("sha256:")).read_bytes() == b"hello"


def test_the_same_content_twice_is_stored_once(store: ContentStore, tmp_path: Path) -> None:
    assert put(store, b"hello") == put(store, b"hello")
    assert len(files(tmp_path / "content")) == len(EMPTY) + 1


def test_other_content_than_expected_is_refused_and_leaves_nothing(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="expected sha256:"), store.ingest() as ingest:
        ingest.write(b"hellO")
        ingest.commit(HELLO)
    assert files(tmp_path / "content") == EMPTY


def test_an_abandoned_ingest_leaves_nothing(store: ContentStore, tmp_path: Path) -> None:
    with store.ingest() as ingest:
        ingest.write(b"hello")
    ingest.discard()
    assert files(tmp_path / "content") == EMPTY


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:../../../etc/passwd", HELLO.upper(), HELLO + "\n", HELLO[:-1], "sha512:" + "0" * 64, "a/b"],
)
def test_what_is_no_digest_never_becomes_a_path(store: ContentStore, digest: str) -> None:
    for use in (store.open, store.contains, store.delete, lambda d: store.read(d, bytes_max=1)):
        with pytest.raises(InvalidParameter, match="invalid digest"):
            use(digest)
    with pytest.raises(InvalidParameter, match="invalid digest"), store.ingest() as ingest:
        ingest.commit(digest)


def test_missing_content_is_the_systems_failure_and_names_no_host_path(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(System, match=f"cannot read content {HELLO}") as failed:
        store.open(HELLO)
    assert str(tmp_path) not in str(failed.value)


def test_content_longer_than_asked_for_is_not_read_into_memory(store: ContentStore) -> None:
    put(store, b"hello")
    with pytest.raises(System, match="larger than 4 bytes"):
        store.read(HELLO, bytes_max=4)


def test_deleting_is_harmless_twice(store: ContentStore) -> None:
    put(store, b"hello")
    store.delete(HELLO)
    store.delete(HELLO)
    assert not store.contains(HELLO)


@pytest.mark.parametrize(
    ("point", "kind"),
    [("content.before_write", System), ("disk.sync_file", SyncFailed), ("content.before_rename", System)],
)
def test_a_failing_disk_is_no_fault_of_the_caller_and_leaves_no_blob(
    store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, kind: type[Exception]
) -> None:
    monkeypatch.setattr(failpoints, "_plan", Plan(f"{point}=error(ENOSPC)"))
    with pytest.raises(kind, match=r"(?i)no space left on device") as failed, store.ingest() as ingest:
        ingest.write(b"hello")
        ingest.commit()
    assert str(tmp_path) not in str(failed.value)
    assert files(tmp_path / "content") == EMPTY


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


def test_a_sweep_removes_the_blobs_that_nobody_names(store: ContentStore, tmp_path: Path) -> None:
    kept, orphan = put(store, b"kept"), put(store, b"orphan")
    (tmp_path / "content/blobs/sha256/not-a-digest").write_bytes(b"?")
    assert {"not-a-digest", orphan.removeprefix("sha256:")} == set(store.sweep({kept}))
    assert files(tmp_path / "content") == [f"blobs/sha256/{kept.removeprefix('sha256:')}", *EMPTY]


def test_a_borrowed_blob_stays_when_the_blob_goes_and_comes_back_with_its_commit(
    store: ContentStore, tmp_path: Path
) -> None:
    with store.ingest() as ingest:
        ingest.write(b"content")
        blob = ingest.commit()
    borrowed = store.borrow(blob.digest)
    assert borrowed is not None
    with borrowed:
        store.delete(blob.digest)
        assert borrowed.seal() == blob
        with borrowed.open() as opened:
            assert opened.read() == b"content"
        borrowed.commit(blob.digest)
    assert store.read(blob.digest, bytes_max=100) == b"content"
    again = store.borrow(blob.digest)
    assert again is not None
    with again:
        again.commit(blob.digest)  # it is there
    assert store.read(blob.digest, bytes_max=100) == b"content"
    assert list((tmp_path / "content" / "ingest").iterdir()) == []


def test_what_is_not_there_cannot_be_borrowed(store: ContentStore, tmp_path: Path) -> None:
    assert store.borrow("sha256:" + "0" * 64) is None
    assert list((tmp_path / "content" / "ingest").iterdir()) == []


def test_a_sweep_leaves_what_is_arriving(store: ContentStore) -> None:
    with store.ingest() as kept, store.ingest() as ingest, store.ingest() as other:
        blob, gone = _commit(kept, b"kept"), _commit(other, b"gone")
        ingest.write(b"arriving")
        assert store.sweep({blob}) == (gone.removeprefix("sha256:"),)
        assert list(store.digests()) == [blob]
        ingest.commit()


def _commit(ingest: Ingest, content: bytes) -> str:
    ingest.write(content)
    return ingest.commit().digest

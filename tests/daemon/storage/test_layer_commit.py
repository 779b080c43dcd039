"""What a commit stores: an image that is whole, durable and read like any other, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from msgspec.structs import replace

from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter, System
from daemon.image import History, Image
from daemon.storage.content import ContentStore, Ingest
from daemon.storage.image_config import decode_config
from daemon.storage.layer_commit import Draft, commit_layer
from daemon.storage.layers import LayerStore
from daemon.storage.oci import LAYERS_MAX, chain_ids, decode_manifest
from daemon.storage.recovery import Stores, open_stores
from tests.daemon.storage.making import names_in
from tests.daemon.storage.records import image, layer

CREATED = "2026-01-01T00:00:00Z"


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return open_stores(tmp_path, ready_trees_max=0)


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    upper = tmp_path / "upper"
    upper.mkdir()
    return upper


def draft(parent: Image | None = None, **fields: Any) -> Draft:
    return attrs.evolve(
        Draft(parent=parent, config=ContainerConfig(cmd=("sh",)), created=CREATED, author="me", comment="c"),
        **fields,
    )


def commit(upper: Path, drafted: Draft, stores: Stores) -> Image:
    return commit_layer(upper, drafted, stores)


def stored(root: Path) -> tuple[list[str], list[str], list[str]]:
    content = root / "content"
    return names_in(content / "blobs" / "sha256"), names_in(root / "layers"), names_in(root / "staging")


def test_the_image_has_the_parents_layers_and_one_of_what_was_written(
    tmp_path: Path, stores: Stores, upper: Path
) -> None:
    (upper / "new").write_text("hello")
    first = commit(upper, draft(created_by="sh"), stores)
    (upper / "more").write_text("x")
    second = commit(upper, draft(first), stores)
    assert second.layers[:1] == first.layers
    assert second.chain_ids == chain_ids(tuple(each.diff_id for each in second.layers))
    assert (second.parent_id, first.parent_id) == (first.id, "")
    assert (stores.layers.path(first.chain_ids[0]) / "new").read_text() == "hello"
    assert [each.unpacked_bytes for each in second.layers] == [5, 6]
    assert second.history == (
        History(created=CREATED, created_by="sh", author="me", comment="c"),
        History(created=CREATED, author="me", comment="c"),
    )
    blobs, layers, arriving = stored(tmp_path)
    digests = first.digests | second.digests
    assert set(blobs) == {digest.removeprefix("sha256:") for digest in digests}
    assert set(layers) == {chain_id.removeprefix("sha256:") for chain_id in second.chain_ids}
    assert arriving == []


def test_the_blobs_say_what_the_record_says(stores: Stores, upper: Path) -> None:
    (upper / "new").touch()
    made = commit(upper, draft(), stores)
    config = decode_config(stores.content.read(made.id, bytes_max=10_000))
    manifest = decode_manifest(stores.content.read(made.manifest_digest, bytes_max=10_000))
    assert (config.config, config.author, config.created) == (made.config, "me", CREATED)
    assert config.diff_ids == tuple(each.diff_id for each in made.layers)
    assert manifest.config.digest == made.id
    assert [each.digest for each in manifest.layers] == [each.digest for each in made.layers]


def test_of_a_container_that_was_not_written_to_only_the_configuration_is_new(
    tmp_path: Path, stores: Stores, upper: Path
) -> None:
    (upper / "new").touch()
    first = commit(upper, draft(), stores)
    empty = tmp_path / "empty"
    empty.mkdir()
    second = commit(empty, draft(first, config=ContainerConfig(cmd=("other",))), stores)
    assert second.layers == first.layers
    assert second.history[-1].is_empty_layer
    assert len(stored(tmp_path)[0]) == 5  # one layer, two configurations, two manifests
    assert commit(empty, draft(), stores).layers == ()


@pytest.mark.parametrize(
    ("name", "parent", "config", "complaint"),
    [
        ("new", replace(image(), layers=(layer(b""),) * LAYERS_MAX), ContainerConfig(), "max depth exceeded"),
        (".wh.x", None, ContainerConfig(), "removes another"),
        ("new", None, ContainerConfig(cmd=("\0",)), "NUL"),
    ],
)
def test_what_is_refused_leaves_nothing(
    name: str,
    parent: Image | None,
    config: ContainerConfig,
    complaint: str,
    tmp_path: Path,
    stores: Stores,
    upper: Path,
) -> None:
    (upper / name).touch()
    with pytest.raises(InvalidParameter, match=complaint):
        commit(upper, draft(parent, config=config), stores)
    assert stored(tmp_path) == ([], [], [])


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (Ingest, "seal"),
        (ContentStore, "contains"),
        (ContentStore, "adopt"),
        (LayerStore, "adopt"),
        (LayerStore, "sync"),
    ],
)
def test_a_disk_that_fails_leaves_nothing(
    owner: type, method: str, tmp_path: Path, stores: Stores, upper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise System("the disk is full")

    (upper / "new").touch()
    monkeypatch.setattr(owner, method, fail)
    with pytest.raises(System, match="the disk is full"):
        commit(upper, draft(), stores)
    assert stored(tmp_path) == ([], [], [])

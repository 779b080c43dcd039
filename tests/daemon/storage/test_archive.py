"""An archive becomes images that are stored and unpacked, whichever way it is written; a bad one leaves nothing."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from daemon.container import ContainerConfig
from daemon.errors import InvalidParameter
from daemon.image import History, LoadedImage
from daemon.storage.archive import Rootfs
from daemon.storage.image_config import decode_config
from daemon.storage.oci import (
    INDEX_TYPE,
    LAYER_TYPES,
    digest_of,
)
from daemon.storage.unpack import Limits
from tests.daemon.storage.making import (
    BASE,
    EMPTY,
    HERE,
    TOP,
    Files,
    Stores,
    check_is_whole,
    config_of,
    docker_archive,
    layout,
    manifest_pointer,
    named,
    names_in,
    platform_of,
    pointer,
    stores_in,
    tar_of,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return stores_in(tmp_path / "data")


class TestDockerArchives:
    @pytest.mark.parametrize("order", range(5))
    @pytest.mark.parametrize("compression", COMPRESSIONS)
    def test_one_is_loaded_whatever_the_order_and_compression(
        self, order: int, compression: str, stores: Stores
    ) -> None:
        compress = COMPRESSIONS[compression]
        [loaded] = stores.load(compress(tar_of(docker_archive(compress=compress), order=order)))
        check_is_whole(stores, loaded)
        assert loaded.references == ("a:1", "b:2")
        assert {layer.media_type for layer in loaded.image.layers} == {LAYER_TYPES[compression]}

    @pytest.mark.parametrize("order", range(3))
    def test_layers_may_be_links_to_others(self, order: int, stores: Stores) -> None:
        files = docker_archive()
        files["z/layer.tar"] = files.pop("y/layer.tar")
        [loaded] = stores.load(tar_of(files, {"y/layer.tar": "../z/layer.tar"}, order=order))
        check_is_whole(stores, loaded)

    def test_loading_again_changes_nothing(self, stores: Stores) -> None:
        first = stores.load(tar_of(docker_archive()))
        before = stores.files()
        assert stores.load(tar_of(docker_archive())) == first
        assert stores.files() == before

    def test_images_that_share_layers_unpack_them_once(self, stores: Stores) -> None:
        files = docker_archive()
        other = config_of(BASE, author="other")
        files["other.json"] = other
        manifest = json.loads(files["manifest.json"])
        manifest.append({"Config": "other.json", "RepoTags": None, "Layers": ["x/layer.tar"]})
        files["manifest.json"] = json.dumps(manifest).encode()
        first, second = stores.load(tar_of(files))
        check_is_whole(stores, first)
        assert second.image.layers == first.image.layers[:1]
        assert second.references == ()
        assert len(names_in(stores.root / "layers")) == 2

    def test_an_image_without_layers_is_an_image(self, stores: Stores) -> None:
        config = config_of()
        manifest = json.dumps([{"Config": "c.json", "Layers": []}]).encode()
        [loaded] = stores.load(tar_of({"c.json": config, "manifest.json": manifest}))
        assert loaded.image.layers == ()


class TestLayouts:
    def test_one_is_loaded_with_its_own_manifest(self, stores: Stores) -> None:
        blobs: Files = {}
        found = manifest_pointer(
            blobs, config_of(BASE, TOP), BASE, TOP, annotations=named("docker.io/library/busybox:latest")
        )
        [loaded] = stores.load(tar_of(layout(blobs, found), order=1))
        check_is_whole(stores, loaded)
        assert loaded.image.manifest_digest == found["digest"]
        assert loaded.references == ("docker.io/library/busybox:latest",)

    def test_several_names_of_one_image_are_one_image(self, stores: Stores) -> None:
        blobs: Files = {}
        config = config_of(BASE, TOP)
        first = manifest_pointer(blobs, config, BASE, TOP, annotations=named("docker.io/library/a:1"))
        second = manifest_pointer(blobs, config, BASE, TOP, annotations=named("docker.io/library/b:1"))
        files = layout(blobs, first, second)
        files["manifest.json"] = json.dumps(
            [{"Config": f"blobs/sha256/{digest_of(config)[7:]}", "RepoTags": ["c:1"], "Layers": []}]
        ).encode()
        [loaded] = stores.load(tar_of(files))
        assert loaded.references == ("docker.io/library/a:1", "c:1", "docker.io/library/b:1")

    def test_a_nested_index_gives_the_image_of_this_machine(self, stores: Stores) -> None:
        blobs: Files = {}
        inner = {
            "manifests": [
                manifest_pointer(blobs, config_of(TOP, architecture="s390x"), TOP, platform=platform_of("s390x")),
                manifest_pointer(blobs, b"{}", annotations={"vnd.docker.reference.type": "attestation-manifest"}),
                manifest_pointer(blobs, config_of(BASE, TOP), BASE, TOP, platform=platform_of(HERE)),
            ]
        }
        outer = pointer(blobs, json.dumps(inner).encode(), INDEX_TYPE, annotations=named("docker.io/library/m:1"))
        [loaded] = stores.load(tar_of(layout(blobs, outer)))
        check_is_whole(stores, loaded)
        assert loaded.references == ("docker.io/library/m:1",)

    def test_no_platform_that_fits_is_an_error(self, stores: Stores) -> None:
        blobs: Files = {}
        inner = {"manifests": [manifest_pointer(blobs, b"{}", platform=platform_of(a)) for a in ("s390x", "ppc64le")]}
        outer = pointer(blobs, json.dumps(inner).encode(), INDEX_TYPE)
        with pytest.raises(InvalidParameter, match=f"no image for platform linux/{HERE} in the archive"):
            stores.load(tar_of(layout(blobs, outer)))
        assert stores.files() == EMPTY

    def test_indexes_nested_without_end_are_an_error(self, stores: Stores) -> None:
        blobs: Files = {}
        found = manifest_pointer(blobs, config_of(BASE), BASE)
        for _ in range(5):
            found = pointer(blobs, json.dumps({"manifests": [found]}).encode(), INDEX_TYPE)
        with pytest.raises(InvalidParameter, match="nested more than"):
            stores.load(tar_of(layout(blobs, found)))
        assert stores.files() == EMPTY


EVIL = tar_of({"../../../evil": b"x"})


class TestImport:
    CREATED = "2024-01-02T03:04:05.6Z"

    def take(self, stores: Stores, rootfs: bytes, limits: Limits | None = None) -> LoadedImage:
        into = Rootfs(
            config=ContainerConfig(cmd=("sh",)), created=self.CREATED, message="Imported from -", references=("a:1",)
        )
        return stores.import_rootfs(rootfs, into, limits)

    @pytest.mark.parametrize("compression", COMPRESSIONS)
    def test_a_root_file_system_is_an_image_of_one_layer(self, compression: str, stores: Stores) -> None:
        loaded = self.take(stores, COMPRESSIONS[compression](BASE))
        image = loaded.image
        [layer] = image.layers
        assert (stores.layers.path(layer.chain_id) / "bin/sh").read_bytes() == b"shell"
        assert layer.diff_id == layer.chain_id == digest_of(BASE)
        assert layer.media_type == LAYER_TYPES[compression]
        assert (image.architecture, image.os, image.comment) == (HERE, "linux", "Imported from -")
        assert (image.created, loaded.references) == (self.CREATED, ("a:1",))
        assert image.history == (History(created=self.CREATED, comment="Imported from -"),)
        stored = decode_config(stores.content.read(image.id, bytes_max=10**6))
        assert (stored.config.cmd, stored.diff_ids) == (("sh",), (digest_of(BASE),))

    def test_the_same_again_is_the_same_image(self, stores: Stores) -> None:
        first = self.take(stores, BASE)
        before = stores.files()
        assert self.take(stores, BASE) == first
        assert stores.files() == before

    @pytest.mark.parametrize(
        ("rootfs", "text"),
        [
            (b"", "truncated"),
            (b"no tar", "truncated"),
            (BASE[:1024], "truncated"),
            (BASE[:1300], "truncated"),
            (gzip.compress(BASE)[:-9], "truncated"),
            (EVIL, "'../../../evil'"),
        ],
    )
    def test_a_bad_one_is_refused_and_leaves_nothing(self, rootfs: bytes, text: str, stores: Stores) -> None:
        with pytest.raises(InvalidParameter) as refused:
            self.take(stores, rootfs)
        assert text in str(refused.value)
        assert stores.files() == EMPTY
        assert names_in(stores.root / "layers") == []

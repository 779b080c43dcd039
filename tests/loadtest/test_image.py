from __future__ import annotations

import hashlib
import io
import json
import tarfile

from loadtest.image import REFERENCE, image_tar, rootfs_tar


def entries(archive: bytes) -> dict[str, bytes]:
    """The regular files of a tar."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {}
        for member in tar:
            reader = tar.extractfile(member) if member.isreg() else None
            if reader is not None:
                files[member.name] = reader.read()
        return files


def test_the_image_is_the_same_bytes_every_time() -> None:
    assert image_tar() == image_tar()
    assert rootfs_tar() == rootfs_tar()


def test_the_manifest_names_the_reference_the_configuration_and_the_layer() -> None:
    files = entries(image_tar())
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == [REFERENCE]
    assert manifest["Config"] in files
    assert [layer in files for layer in manifest["Layers"]] == [True]


def test_the_configuration_is_named_by_its_digest_and_names_the_layer_by_its_own() -> None:
    files = entries(image_tar())
    (manifest,) = json.loads(files["manifest.json"])
    config = files[manifest["Config"]]
    layer = files[manifest["Layers"][0]]
    assert manifest["Config"] == hashlib.sha256(config).hexdigest() + ".json"
    assert json.loads(config)["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]


def test_another_reference_changes_the_tag_and_not_the_image() -> None:
    (manifest,) = json.loads(entries(image_tar("other:2"))["manifest.json"])
    (usual,) = json.loads(entries(image_tar())["manifest.json"])
    assert manifest["RepoTags"] == ["other:2"]
    assert manifest["Config"] == usual["Config"]


def test_the_layer_is_the_root_file_system_with_a_shell_and_etc() -> None:
    files = entries(image_tar())
    (manifest,) = json.loads(files["manifest.json"])
    assert files[manifest["Layers"][0]] == rootfs_tar()
    with tarfile.open(fileobj=io.BytesIO(rootfs_tar())) as tar:
        modes = {member.name: member.mode for member in tar}
        assert tar.getmember("bin/ash").linkname == "sh"
    assert {"bin/sh", "etc/passwd", "etc/group"} <= modes.keys()
    assert (modes["bin/sh"], modes["tmp"], modes["root"]) == (0o755, 0o1777, 0o700)


def test_the_image_is_small() -> None:
    assert len(image_tar()) < 32 * 1024

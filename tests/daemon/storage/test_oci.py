"""The JSON of images: what is right is understood, what is wrong is refused with a reason."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import InvalidParameter
from daemon.storage.oci import (
    JSON_BYTES_MAX,
    LAYERS_MAX,
    MANIFESTS_MAX,
    ArchivedImage,
    Manifest,
    Platform,
    Reference,
    chain_ids,
    checked_digest,
    decode_archive_manifest,
    decode_index,
    decode_manifest,
    digest_of,
    encode_manifest,
    is_digest,
)

A, B, C = (digest_of(text) for text in (b"a", b"b", b"c"))


def test_chain_ids_are_those_of_the_specification() -> None:
    assert chain_ids([]) == ()
    second = digest_of(f"{A} {B}".encode())
    assert chain_ids([A, B, C]) == (A, second, digest_of(f"{second} {C}".encode()))


def test_a_digest_is_sha256_in_lower_case_hex_and_nothing_else() -> None:
    assert checked_digest(A) == A
    for text in ("", A + "\n", A.upper(), A[:-1], "sha256:" + "\u0660" * 64, "sha256:../" + "0" * 61):
        assert not is_digest(text)
        with pytest.raises(InvalidParameter, match="invalid digest"):
            checked_digest(text)


def test_a_manifest_survives_the_way_out_and_back() -> None:
    manifest = Manifest(
        config=Reference(media_type="application/vnd.oci.image.config.v1+json", digest=A, size=1),
        layers=(Reference(media_type="application/vnd.oci.image.layer.v1.tar", digest=B, size=2),),
    )
    assert decode_manifest(encode_manifest(manifest)) == manifest


def test_an_index_tells_platforms_names_and_attestations() -> None:
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": "m",
                "digest": A,
                "size": 1,
                "platform": {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "x"},
                "annotations": {"io.containerd.image.name": "docker.io/library/a:b", "other": "x"},
            },
            {"digest": B, "size": 2, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        ],
    }
    assert decode_index(json.dumps(index).encode()) == (
        Reference(
            media_type="m",
            digest=A,
            size=1,
            platform=Platform(os="linux", architecture="arm64", variant="v8"),
            name="docker.io/library/a:b",
        ),
        Reference(media_type="", digest=B, size=2, is_attestation=True),
    )


def test_absent_and_null_lists_are_empty() -> None:
    assert decode_index(b"{}") == decode_index(b'{"manifests": null}') == ()
    assert decode_archive_manifest(b"[]") == ()
    item = b'[{"Config": "c", "RepoTags": null, "Layers": null, "Parent": "x"}]'
    assert decode_archive_manifest(item) == (ArchivedImage(config="c", references=(), layers=()),)


def test_a_null_manifest_json_is_refused_with_mobys_text() -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid manifest, manifest cannot be null \(but can be \[\]\)$"):
        decode_archive_manifest(b"null")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "invalid index"),
        (b"{", "invalid index"),
        (b"{} {}", "invalid index"),
        (b"[]", "invalid index"),
        (b'{"manifests": {}}', "invalid index"),
        (b'{"manifests": [{"digest": "sha256:../../x", "size": 1}]}', "invalid digest 'sha256:../../x'"),
        (b'{"manifests": [{"digest": "%s", "size": -1}]}' % A.encode(), "invalid index"),
        (b'{"manifests": [{"digest": "%s", "size": 1.5}]}' % A.encode(), "invalid index"),
        (b'{"manifests": [{"digest": "%s", "size": 9223372036854775808}]}' % A.encode(), "invalid index"),
        (b'{"manifests": [{"digest": "%s", "size": 1, "mediaType": "a\\u0000"}]}' % A.encode(), "NUL"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid index"),
        (b" " * (JSON_BYTES_MAX + 1), "larger than"),
        (b'{"manifests": [' + b",".join([b'{"digest":"","size":0}'] * (MANIFESTS_MAX + 1)) + b"]}", "more than"),
        (b'{"manifests": "\xff"}', "invalid index"),
    ],
)
def test_a_bad_index_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        decode_index(content)
    assert text in str(refused.value)


def test_too_many_layers_are_refused() -> None:
    layer = {"digest": A, "size": 1}
    manifest = {"config": layer, "layers": [layer] * (LAYERS_MAX + 1)}
    with pytest.raises(InvalidParameter, match="128 layers, more than 127"):
        decode_manifest(json.dumps(manifest).encode())
    items = [{"Config": "c", "Layers": ["l"] * (LAYERS_MAX + 1)}]
    with pytest.raises(InvalidParameter, match="128 layers, more than 127"):
        decode_archive_manifest(json.dumps(items).encode())


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_invalid_parameter(content: bytes) -> None:
    for decode in (decode_index, decode_manifest, decode_archive_manifest):
        with contextlib.suppress(InvalidParameter):
            decode(content)

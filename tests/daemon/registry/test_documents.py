from __future__ import annotations

import json

import pytest

from daemon.errors import DaemonError
from daemon.reference import parse_reference
from daemon.registry.documents import (
    SCHEMA1,
    TOKEN_LENGTH_MAX,
    FetchedManifest,
    decode_tags,
    decode_token,
    image_manifest,
    index_entries,
    media_type_of,
    platforms_of,
)
from daemon.storage.oci import DOCKER_MANIFEST_LIST_TYPE, DOCKER_MANIFEST_TYPE, INDEX_TYPE, MANIFEST_TYPE
from tests.daemon.registry.scripted import index_of, remote_image
from tests.daemon.storage.making import BASE

REFERENCE = parse_reference("busybox:latest")


@pytest.mark.parametrize(
    ("header", "document", "expected"),
    [
        (MANIFEST_TYPE, {}, MANIFEST_TYPE),
        (DOCKER_MANIFEST_TYPE + "; charset=utf-8", {}, DOCKER_MANIFEST_TYPE),
        ("application/json", {"schemaVersion": 2, "mediaType": INDEX_TYPE}, INDEX_TYPE),
        ("", {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST_LIST_TYPE}, DOCKER_MANIFEST_LIST_TYPE),
        ("text/plain", {"schemaVersion": 2, "manifests": []}, INDEX_TYPE),
        ("", {"schemaVersion": 2, "config": {}}, MANIFEST_TYPE),
        ("", {"config": {"mediaType": "application/vnd.docker.container.image.v1+json"}}, DOCKER_MANIFEST_TYPE),
        ("application/json", {"schemaVersion": 1}, SCHEMA1),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", {"schemaVersion": 1}, SCHEMA1),
        ("", {"mediaType": "a/b"}, "a/b"),
    ],
)
def test_a_manifest_is_what_the_header_says_or_else_what_it_says_itself(
    header: str, document: object, expected: str
) -> None:
    assert media_type_of(header, json.dumps(document).encode()) == expected


def fetched(document: object, media_type: str) -> FetchedManifest:
    return FetchedManifest(media_type=media_type, content=json.dumps(document).encode())


PLUGIN = {"mediaType": "application/vnd.docker.plugin.v1+json", "digest": "sha256:" + "0" * 64, "size": 1}


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        (fetched({"schemaVersion": 1}, SCHEMA1), "schema 1 support is disabled by default"),
        (fetched({}, "a/b"), "unsupported manifest format: 'a/b'"),
        (
            fetched({"config": PLUGIN}, MANIFEST_TYPE),
            r'Encountered remote "application/vnd\.docker\.plugin\.v1\+json"\(unknown\) when fetching',
        ),
        (fetched({}, MANIFEST_TYPE), "invalid manifest"),
        (fetched({"config": {"digest": "../../etc", "size": 1}}, MANIFEST_TYPE), "invalid digest"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(manifest: FetchedManifest, complaint: str) -> None:
    with pytest.raises(DaemonError, match=complaint):
        image_manifest(manifest, REFERENCE)


def test_attestations_are_no_choice() -> None:
    image = remote_image(BASE)
    content, media_type = index_of((image, {"os": "linux", "architecture": "arm64", "variant": "v8"}), (image, None))
    document = json.loads(content)
    document["manifests"][1]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    entries = index_entries(fetched(document, media_type))
    assert entries is not None
    assert platforms_of(entries) == [{"architecture": "arm64", "os": "linux", "variant": "v8"}]
    assert index_entries(fetched({}, MANIFEST_TYPE)) is None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"name": "x", "tags": ["a", "1.0_x-y"]}, ("a", "1.0_x-y")),
        ({"tags": None}, ()),
        ({}, ()),
    ],
)
def test_tags_are_listed(document: object, expected: tuple[str, ...]) -> None:
    assert decode_tags(json.dumps(document).encode()) == expected


@pytest.mark.parametrize("tags", [["../x"], ["a/b"], [""], [1], ["a"] * 10_001, ["x" * 129], ["a\n"]])
def test_a_tag_that_is_none_is_refused(tags: list[object]) -> None:
    with pytest.raises(DaemonError, match="invalid list of tags"):
        decode_tags(json.dumps({"tags": tags}).encode())


def test_a_token_has_two_names() -> None:
    assert decode_token(b'{"token": "t", "access_token": "a"}') == ("t", "")
    assert decode_token(b'{"access_token": "a", "refresh_token": "r", "expires_in": 60}') == ("a", "r")


@pytest.mark.parametrize("token", ["", None, "a b", "a\r\nX: y", "t\xf6ken", "x" * (TOKEN_LENGTH_MAX + 1)])
def test_a_token_that_could_not_be_sent_is_refused(token: object) -> None:
    with pytest.raises(DaemonError, match="authorization server"):
        decode_token(json.dumps({"token": token}).encode())

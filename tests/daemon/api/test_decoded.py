"""The same body is decoded once, and a body is what its bytes and the version of the API say."""

from __future__ import annotations

from msgspec.structs import replace

from daemon.api.decoded import BODIES_MAX, BODY_BYTES_MAX, DecodedBodies
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest

V1_50, V1_41 = (1, 50), (1, 41)


def request(image: str) -> CreateRequest:
    return CreateRequest(config=ContainerConfig(image=image))


def test_a_body_that_was_kept_is_the_same_record_again() -> None:
    bodies, first = DecodedBodies(), request("a")
    kept = bodies.kept(b"a", V1_50, first)
    assert replace(kept, origin=None) == first
    assert kept.origin is not None
    assert bodies.get(b"a", V1_50) is kept
    assert bodies.get(b"b", V1_50) is None
    assert bodies.get(b"a", V1_41) is None


def test_the_latest_are_kept_and_those_that_are_asked_for() -> None:
    bodies = DecodedBodies()
    for number in range(BODIES_MAX):
        bodies.kept(b"%d" % number, V1_50, request(str(number)))
    assert bodies.get(b"0", V1_50) is not None
    bodies.kept(b"more", V1_50, request("more"))
    assert bodies.get(b"0", V1_50) is not None
    assert bodies.get(b"1", V1_50) is None


def test_a_large_body_is_not_kept() -> None:
    bodies = DecodedBodies()
    for size in (BODY_BYTES_MAX, BODY_BYTES_MAX + 1):
        kept = bodies.kept(b"x" * size, V1_50, request("large"))
        assert (kept.origin is not None) == (size == BODY_BYTES_MAX), (
            "or drafts of large ones would be kept in its place"
        )
    assert bodies.get(b"x" * BODY_BYTES_MAX, V1_50) is not None
    assert bodies.get(b"x" * (BODY_BYTES_MAX + 1), V1_50) is None

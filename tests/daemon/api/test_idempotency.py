from __future__ import annotations

from typing import Any

import pytest

from daemon.api.calls import Query
from daemon.api.containers import decode_create, with_query
from daemon.api.idempotency import IDEMPOTENCY_LABEL, KEY_LENGTH_MAX, with_idempotency
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter


def decoded(body: dict[str, Any], query: str = "name=web", version: tuple[int, int] = (1, 50)) -> CreateRequest:
    request = decode_create({"Image": "busybox", **body}, version)
    assert request is not None
    return with_query(request, Query(query))


def labelled(key: str) -> dict[str, Any]:
    return {"Labels": {IDEMPOTENCY_LABEL: key}}


def test_without_a_key_a_request_has_none() -> None:
    assert with_idempotency(decoded({"Labels": {"a": "b"}}), None).idempotency is None


@pytest.mark.parametrize("key", ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "!" * KEY_LENGTH_MAX])
def test_the_key_is_that_of_the_header_or_of_the_label(key: str) -> None:
    for request, header in ((decoded({}), key), (decoded(labelled(key)), None), (decoded(labelled(key)), key)):
        found = with_idempotency(request, header).idempotency
        assert found is not None
        assert found.key == key


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\u00e9", "\x7f", "!" * (KEY_LENGTH_MAX + 1)])
def test_a_key_is_short_and_printable(key: str) -> None:
    for request, header in ((decoded({}), key), (decoded(labelled(key)), None)):
        with pytest.raises(InvalidParameter, match="an idempotency key is 1 to 255 printable ASCII characters"):
            with_idempotency(request, header)


def test_two_keys_for_one_request_are_a_mistake() -> None:
    with pytest.raises(InvalidParameter, match=f"the header Idempotency-Key and the label {IDEMPOTENCY_LABEL} differ"):
        with_idempotency(decoded(labelled("a")), "b")


def fingerprint(request: CreateRequest) -> str:
    found = with_idempotency(request, "key").idempotency
    assert found is not None
    return found.fingerprint


def test_requests_that_ask_for_the_same_have_one_fingerprint_however_they_are_written() -> None:
    one = decoded({"HostConfig": {"Memory": 8 << 20, "Init": None}, "Labels": {"a": "1", "b": "2"}, "Cmd": "sh"})
    other = decoded({"Cmd": ["sh"], "labels": {"b": "2", "a": "1"}, "HOSTCONFIG": {"memory": 8 << 20}, "Unknown": 1})
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    "request_",
    [
        decoded({}, "name=web2"),
        decoded({}, "name=web&platform=linux/amd64"),
        decoded({}, version=(1, 49)),
        decoded({"Tty": True}),
        decoded({"HostConfig": {"Memory": 1}}),
        decoded({"NetworkingConfig": {"EndpointsConfig": {"a": None}}}),
    ],
)
def test_requests_that_differ_in_anything_have_different_fingerprints(request_: CreateRequest) -> None:
    assert fingerprint(request_) != fingerprint(decoded({}))

from __future__ import annotations

import pytest

from daemon.errors import NotFound
from daemon.reference import parse_reference
from daemon.registry.refusals import RegistryRefusal, explained, refusal_of
from tests.daemon.registry.scripted import error_body

REFERENCE = parse_reference("me/app:v1")


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (404, error_body("MANIFEST_UNKNOWN", "manifest unknown"), "manifest unknown: manifest unknown"),
        (400, error_body("NAME_INVALID", ""), "name invalid: name invalid"),
        (401, b"", "unauthorized: authentication required"),
        (401, error_body("UNAUTHORIZED", "incorrect"), "unauthorized: incorrect"),
        (403, b"<html>", "denied: requested access to the resource is denied"),
        (429, b"{}", "toomanyrequests: too many requests"),
        (404, b"not json", "received unexpected HTTP status: 404 Not Found"),
        (418, b"[" * 5000, "received unexpected HTTP status: 418 I'm a Teapot"),
        (499, b"\xff", "received unexpected HTTP status: 499"),
        (502, error_body("X", "y"), "received unexpected HTTP status: 502 Bad Gateway"),
    ],
)
def test_an_answer_becomes_the_text_that_dockers_client_makes_of_it(status: int, body: bytes, text: str) -> None:
    error = refusal_of(status, body)
    assert str(error) == text
    assert error.is_worth_another_try == (status >= 500)


def test_a_token_with_too_few_rights_is_a_denial() -> None:
    challenge = 'Bearer realm="r",error="insufficient_scope"'
    assert str(refusal_of(401, b"", [challenge])) == "denied: requested access to the resource is denied"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("DENIED", "pull access denied for me/app, repository does not exist or may require 'docker login': denied: x"),
        ("MANIFEST_UNKNOWN", "manifest for me/app:v1 not found: manifest unknown: x"),
        ("NAME_UNKNOWN", "repository me/app not found: name unknown: x"),
    ],
)
def test_what_is_not_there_is_told_in_dockers_words(code: str, text: str) -> None:
    error = refusal_of(400, error_body(code, "x"))
    told = explained(error, REFERENCE)
    assert isinstance(told, NotFound)
    assert str(told) == text


def test_other_refusals_stay_what_they_are() -> None:
    error = refusal_of(401, b"")
    assert isinstance(error, RegistryRefusal)
    assert explained(error, REFERENCE) is error


def test_a_registry_cannot_fill_the_log() -> None:
    assert len(str(refusal_of(400, error_body("X", "y" * 50_000)))) == 1000

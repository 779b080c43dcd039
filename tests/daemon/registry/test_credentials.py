from __future__ import annotations

import base64
import json

import pytest

from daemon.registry.credentials import ANONYMOUS, HEADER_LENGTH_MAX, Credentials, decode_header


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


PLAIN = Credentials(username="me", password="p\xe4?>", server_address="quay.io")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ANONYMOUS),
        (encoded({}), ANONYMOUS),
        (encoded({"username": "me", "password": "p\xe4?>", "serveraddress": "quay.io", "email": "x"}), PLAIN),
        (encoded({"username": "me", "password": "p\xe4?>", "serveraddress": "quay.io"}).rstrip("="), PLAIN),
        (
            base64.b64encode(json.dumps({"username": "me", "password": "p"}).encode()).decode(),
            Credentials(username="me", password="p"),
        ),
        (
            encoded({"auth": base64.b64encode(b"me:p:q\0").decode()}),
            Credentials(username="me", password="p:q"),
        ),
        (encoded({"identitytoken": "i", "registrytoken": "r"}), Credentials(identity_token="i", registry_token="r")),
        (encoded({"username": None}), ANONYMOUS),
        (encoded({"username": 1}), ANONYMOUS),
        (encoded([]), ANONYMOUS),
        (encoded("x"), ANONYMOUS),
        ("not base64 at all", ANONYMOUS),
        ("bm8ganNvbg==", ANONYMOUS),
        ("\xe4", ANONYMOUS),
        ("A" * (HEADER_LENGTH_MAX + 1), ANONYMOUS),
        (encoded({"auth": "%"}), ANONYMOUS),
    ],
)
def test_what_cannot_be_read_is_nobody(text: str, expected: Credentials) -> None:
    assert decode_header(text) == expected


def test_secrets_do_not_show() -> None:
    shown = repr(Credentials(username="me", password="secret", identity_token="secret", registry_token="secret"))
    assert "secret" not in shown
    assert "me" in shown


def test_basic_credentials_need_a_user() -> None:
    assert Credentials(password="p").basic == ""
    assert Credentials(username="a", password="b").basic == "Basic YTpi"

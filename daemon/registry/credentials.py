"""Who a client of the Engine API says that he is: `X-Registry-Auth`, and the body of `POST /auth`. Pure.

Fields: moby v28 api/types/registry/authconfig.go. What cannot be read counts as nothing, as in Docker.
"""

from __future__ import annotations

import base64
import binascii

import attrs
import msgspec

HEADER_LENGTH_MAX = 64 << 10
"""Of `X-Registry-Auth`: identity tokens have some thousand characters."""


@attrs.frozen(kw_only=True)
class Credentials:
    """No part of this may get into a log: it has no readable form."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    identity_token: str = attrs.field(default="", repr=False)
    """Exchanged for a token where the registry names a token server."""
    registry_token: str = attrs.field(default="", repr=False)
    """Presented as it is."""
    server_address: str = ""

    @property
    def basic(self) -> str:
        """The value of `Authorization`, empty without a user name."""
        if not self.username:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


ANONYMOUS = Credentials()


def decode_header(text: str) -> Credentials:
    """The credentials in `X-Registry-Auth`: base64url of JSON."""
    if not text or len(text) > HEADER_LENGTH_MAX:
        return ANONYMOUS
    try:
        # Clients write it with padding and without, and some in the other alphabet.
        content = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        return decode_document(content)
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        return ANONYMOUS


def decode_document(content: bytes) -> Credentials:
    """The credentials in a JSON document. Raises msgspec.DecodeError, UnicodeDecodeError."""
    return credentials_of(msgspec.json.decode(content, type=_Document))


def credentials_of(document: _Document) -> Credentials:
    username, password = document.username or "", document.password or ""
    if not username and document.auth:
        username, password = _user_and_password(document.auth)
    return Credentials(
        username=username,
        password=password,
        identity_token=document.identity_token or "",
        registry_token=document.registry_token or "",
        server_address=document.server_address or "",
    )


def _user_and_password(auth: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password.strip("\0")


class _Document(msgspec.Struct):
    username: str | None = None
    password: str | None = None
    auth: str | None = None
    server_address: str | None = msgspec.field(default=None, name="serveraddress")
    identity_token: str | None = msgspec.field(default=None, name="identitytoken")
    registry_token: str | None = msgspec.field(default=None, name="registrytoken")

"""A request and a response as the rest of the house sees them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

import msgspec


class Body(Protocol):
    """The body of a request, read once."""

    async def receive(self) -> bytes:
        """The next bytes, empty at the end.

        Raises:
            Cancelled: the client has gone away.
            InvalidParameter: what arrives is no HTTP.
            TooSlow: nothing arrives any more.
        """
        ...

    async def read(self, bytes_max: int) -> bytes:
        """All of it. Raises TooLarge, before reading if the length was declared; and as `receive`."""
        ...


class Peer(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Who is at the other end, as the kernel says, or over TCP a certificate. None is unknown."""

    pid: int | None = None
    uid: int | None = None
    gid: int | None = None
    address: str = ""
    """Of who has come over TCP."""
    name: str = ""
    """That the certificate of such a one is for."""
    certificate: bytes = b""
    """As DER."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    path: str
    """As it was sent, still percent-encoded."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case; of a header that comes twice, the last."""
    body: Body
    has_body: bool
    peer: Peer = Peer()
    id: str = ""
    """What it is called in the log."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncGenerator[bytes, None] = b""
    """Bytes, sent with their length; or chunks, sent as they come, and closed when the client goes."""
    is_last: bool = False
    """Whether the connection is closed after it."""
    pause_s: float = 0.0
    """How long the connection is not read from after it."""
    is_raw: bool = False
    """Whether a body of chunks is sent as it is, without framing: the connection is the stream's from then on."""
    is_endless: bool = False
    """Whether a body of chunks has no end of its own: when the server is to stop it is ended, while others are sent whole."""

    refusal: str = ""
    """For the log: why it is no, in words of ours only, where the text for the client may repeat what the client has sent."""

"""A daemon's overviews over its socket: one after the other as a program reads them, or as the bytes that a browser reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import msgspec

from daemon.overview import Overview

SILENCE_S_MAX = 10.0
"""A daemon says something every second; after this it hangs, or its machine does."""

FRAME_BYTES_MAX = 1 << 20
"""Of an overview: above the largest, and short of what hurts."""

URL = "http://docker/boatyard/overview"
FRAME_END = b"\n\n"
_STREAM = {"Accept": "text/event-stream"}


class NoDaemon(Exception):
    """Nobody answers, or it is no boatyardd, or it does not want to; the text says which."""


def overviews(socket: Path) -> Generator[Overview]:
    """One a second, until the daemon stops. Raises NoDaemon."""
    transport = httpx.HTTPTransport(uds=str(socket))
    try:
        with (
            httpx.Client(transport=transport, timeout=SILENCE_S_MAX) as client,
            client.stream("GET", URL, headers=_STREAM) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise NoDaemon(refusal(socket, response.status_code, response.read()))
            frames = Frames()
            for chunk in response.iter_bytes():
                yield from map(decoded, frames.feed(chunk))
    except httpx.HTTPError as error:
        raise NoDaemon(silence(socket, error)) from error


async def stream(socket: Path) -> AsyncGenerator[bytes, None]:
    """Server-sent events as the daemon sends them, each whole. Raises NoDaemon, at any time."""
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    try:
        async with (
            httpx.AsyncClient(transport=transport, timeout=SILENCE_S_MAX) as client,
            client.stream("GET", URL, headers=_STREAM) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise NoDaemon(refusal(socket, response.status_code, await response.aread()))
            frames = Frames()
            async for chunk in response.aiter_bytes():
                for frame in frames.feed(chunk):
                    yield frame + FRAME_END
    except httpx.HTTPError as error:
        raise NoDaemon(silence(socket, error)) from error


class Frames:
    """Cuts a stream into its events, which are one line each."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Those that are complete now. Raises NoDaemon: there is no end to one."""
        *complete, self._rest = (self._rest + chunk).split(FRAME_END)
        if len(self._rest) > FRAME_BYTES_MAX:
            raise NoDaemon(f"what it says is longer than {FRAME_BYTES_MAX} bytes")
        return complete


def decoded(frame: bytes) -> Overview:
    """Raises NoDaemon: it is of another version than ours, or no boatyardd's."""
    try:
        return msgspec.json.decode(frame.removeprefix(b"data: "), type=Overview)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NoDaemon(f"the daemon is of another version: {error}") from error


def refusal(socket: Path, status: int, body: bytes) -> str:
    if status == httpx.codes.NOT_FOUND:
        return f"what answers at {socket} is no boatyardd, or one too old to be watched"
    try:
        message = msgspec.json.decode(body, type=dict[str, str])["message"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        message = "no reason given"
    return f"the daemon at {socket} refuses: {message} ({status})"


def silence(socket: Path, error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"nobody answers at {socket}: {error}"
    if isinstance(error, httpx.ReadTimeout):
        return f"the daemon at {socket} has said nothing for {SILENCE_S_MAX:.0f} s"
    return f"the daemon at {socket} has gone"

"""When there is something to read from a connection.

On asyncio and uvloop a connection is watched for as long as it lasts: to begin and to end that for each request would take four
system calls and a twentieth of a create. On trio waiting is cheap.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager
from typing import Protocol, Self

import anyio

from daemon.errors import Cancelled


class Readable(Protocol):
    async def wait(self) -> None:
        """For one task at a time. May return without reason. Raises Cancelled if the connection has been closed."""
        ...


def watching(peer: socket.socket) -> AbstractContextManager[Readable]:
    """In the task that serves the connection; at the end whoever still waits is told."""
    return _Watch(peer.fileno()) if _is_asyncio_task() else _Anew(peer)


def _is_asyncio_task() -> bool:
    """In trio's guest mode a loop of asyncio is running, too, but no task of it is."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class _Anew:
    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        anyio.notify_closing(self._peer)

    async def wait(self) -> None:
        try:
            await anyio.wait_readable(self._peer)
        except anyio.ClosedResourceError as error:
            raise Cancelled("the connection has been closed") from error


class _Watch:
    __slots__ = ("_descriptor", "_has_unread", "_is_closed", "_is_on", "_loop", "_waiter")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._is_on = False
        self._has_unread = False
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        self._turn_off()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        assert self._waiter is None, "one task reads a connection"
        if self._is_closed:
            raise Cancelled("the connection has been closed")
        self._has_unread = False
        if not self._is_on:
            self._loop.add_reader(self._descriptor, self._on_readable)
            self._is_on = True
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._is_closed:
            raise Cancelled("the connection has been closed")

    def _on_readable(self) -> None:
        """Called in each turn of the loop until it is read: when nobody does, this is called off."""
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
        elif self._has_unread:
            self._turn_off()
        else:
            self._has_unread = True  # the loop may have looked once more before it was read

    def _turn_off(self) -> None:
        if self._is_on:
            self._loop.remove_reader(self._descriptor)
            self._is_on = False

"""Accepts connections and serves each in one task: read a request, call the handler, write its response, again.

A client that closes its socket cancels the handler of its request. What a handler raises is its own affair: it returns a Response
for everything a client may be told.
"""

from __future__ import annotations

import email.utils
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import anyio
import anyio.abc

from daemon.errors import Cancelled, InvalidParameter
from daemon.http.connection import LAST_CHUNK, Connection, Head, HeadTooLarge, TooSlow, encode_chunk, encode_head
from daemon.http.exchange import Exchange
from daemon.http.message import Request, Response
from daemon.http.sockets import OUT_OF_DESCRIPTORS, HangupWatcher, closing_peer, linger, send

Handler = Callable[[Request], Awaitable[Response]]
ErrorResponse = Callable[[int, str], Response]

_log = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 0.1
"""When there are no descriptors left: accepting again at once would only spin."""


class Server:
    """Serves `listener` until its `run` is cancelled.

    Args:
        handler: answers a request.
        error_response: makes the answer to what is no request: a status and a text.
    """

    def __init__(
        self,
        handler: Handler,
        error_response: ErrorResponse,
        *,
        head_bytes_max: int,
        headers_max: int,
        connections_max: int,
        read_timeout_s: float,
    ) -> None:
        self._handler = handler
        self._error_response = error_response
        self._head_bytes_max = head_bytes_max
        self._headers_max = headers_max
        self._connections_max = connections_max
        self._read_timeout_s = read_timeout_s
        self._connections = 0
        self._hangups = HangupWatcher()
        self._date = (0, "")

    async def run(self, listener: socket.socket) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hangups.run)
            while True:
                await anyio.wait_readable(listener)
                try:
                    peer, _ = listener.accept()
                except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                    continue
                except OSError as error:
                    if error.errno not in OUT_OF_DESCRIPTORS:
                        raise
                    _log.warning("cannot accept connections: %s", error.strerror)
                    await anyio.sleep(ACCEPT_PAUSE_S)
                    continue
                peer.setblocking(False)
                tasks.start_soon(self._serve, peer)

    async def _serve(self, peer: socket.socket) -> None:
        self._connections += 1
        try:
            with (
                suppress(Cancelled),  # the client has gone: there is nobody to tell
                closing_peer(peer),
                anyio.CancelScope() as scope,
                self._hangups.watching(peer, scope.cancel),
            ):
                await self._serve_requests(peer)
        except Exception:  # noqa: BLE001 - a defect of ours: one connection lost, not the daemon
            _log.exception("serving a connection failed")
        finally:
            self._connections -= 1

    async def _serve_requests(self, peer: socket.socket) -> None:
        if self._connections > self._connections_max:
            await self._refuse(peer, 503, "too many connections")
            return
        connection = Connection(head_bytes_max=self._head_bytes_max, headers_max=self._headers_max)
        exchange = Exchange(peer, connection, self._read_timeout_s)
        while (head := await self._next_head(peer, exchange)) is not None:
            response = await self._handler(exchange.request(head))
            keeps_alive = (
                head.keeps_alive
                and exchange.is_complete
                and not (response.is_last or response.is_raw or head.is_upgrade)
                # In HTTP/1.0 the end of a stream is the end of the connection.
                and (isinstance(response.body, bytes) or not head.is_http10)
            )
            await self._respond(peer, head, response, keeps_alive=keeps_alive)
            if not keeps_alive:
                if not exchange.is_complete:
                    await linger(peer)
                return

    async def _next_head(self, peer: socket.socket, exchange: Exchange) -> Head | None:
        """None when there will be no more; what is no request has then been answered."""
        try:
            return await exchange.next_head()
        except HeadTooLarge as error:
            await self._refuse(peer, 431, str(error))
        except InvalidParameter as error:
            await self._refuse(peer, 400, str(error))
        except TooSlow as error:
            await self._refuse(peer, 408, str(error))
        return None

    async def _refuse(self, peer: socket.socket, status: int, text: str) -> None:
        await self._respond(peer, None, self._error_response(status, text), keeps_alive=False)

    async def _respond(self, peer: socket.socket, head: Head | None, response: Response, *, keeps_alive: bool) -> None:
        is_head = head is not None and head.method == "HEAD"
        is_http10 = head is not None and head.is_http10
        encoded = encode_head(
            response, is_head=is_head, is_http10=is_http10, keeps_alive=keeps_alive, date=self._http_date()
        )
        if isinstance(response.body, bytes):
            await send(peer, encoded if is_head else encoded + response.body)
            return
        is_framed = not (is_http10 or response.is_raw)
        async with aclosing(response.body) as body:
            await send(peer, encoded)
            if is_head:
                return
            async for content in body:
                if content:  # an empty chunk would be the last
                    await send(peer, encode_chunk(content) if is_framed else content)
        if is_framed:
            await send(peer, LAST_CHUNK)

    def _http_date(self) -> str:
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, email.utils.formatdate(now, usegmt=True))
        return self._date[1]

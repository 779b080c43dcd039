"""Accepts connections and serves each in one task: read a request, call the handler, write its response, again.

A client that closes its socket cancels the handler of its request. What a handler raises is its own affair: it returns a Response
for everything a client may be told.
"""

from __future__ import annotations

import email.utils
import logging
import math
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, closing, suppress

import anyio
import anyio.abc
from msgspec.structs import replace

from daemon.errors import Cancelled, DaemonError, InvalidParameter
from daemon.http.account import Account, Accountant
from daemon.http.admission import Admission, Refusal
from daemon.http.connection import LAST_CHUNK, Connection, Head, HeadTooLarge, TooSlow, encode_chunk, encode_head
from daemon.http.exchange import Exchange
from daemon.http.limits import Limits
from daemon.http.listeners import Listener
from daemon.http.message import Peer, Request, Response
from daemon.http.readable import watching
from daemon.http.sockets import (
    LINGER_S,
    OUT_OF_DESCRIPTORS,
    HangupWatcher,
    Reserve,
    close_peer,
    linger,
    peer_of,
    send,
    stop_receiving,
)
from daemon.http.tls import shake_hands

Handler = Callable[[Request], Awaitable[Response]]
ErrorResponse = Callable[[int, str], Response]

_log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE = 4
"""One a turn of the event loop, and of a thousand who come at once the last would wait for a thousand turns of a busy daemon. As
each takes a tenth of a millisecond, and its first request comes with it, more would hold up everybody else's; and of more that
come while there is no room for their requests all are refused, where the last of them might have found some."""

REFUSAL_PAUSE_S = 0.001
"""For each client that is told to come again later and whose connection ends with that, before more are accepted. Others pause on
their own connections; such a one may come again at once, over the next. A thousand refusals a second take a tenth of the daemon's
time, and all that come would take it from those who are served."""

ACCEPT_PAUSE_S = 0.1
"""When there are no descriptors left, not even the last; and the longest pause after refusals."""

SHORT_LINGER_S = 0.1
"""For who is turned away with the last descriptor, one after the other: enough for a client that sends its request at once."""

LINGERING_MAX = 16
"""Clients that are turned away and still listened to, so that they get to read why: each has a descriptor."""

IDLE_PATIENCE_S = 0.05
"""When the server stops: a client that asks one thing after the other is told so within this time, and not cut off."""

OUT_OF_DESCRIPTORS_REFUSAL = Refusal(503, "too many open files")
STOPPING = Refusal(503, "the daemon is stopping")


class Server:
    """Serves a listener until its `run` is cancelled, or has been told to `drain`.

    Args:
        handler: answers a request.
        error_response: makes the answer to what is no request, or is not wanted: a status and a text.
        on_answered: is told of each request when it is over.
    """

    def __init__(
        self,
        handler: Handler,
        error_response: ErrorResponse,
        limits: Limits,
        on_answered: Callable[[Account], None] = lambda _: None,
    ) -> None:
        self._handler = handler
        self._error_response = error_response
        self._limits = limits
        self._admission = Admission(limits)
        self._accountant = Accountant(on_answered)
        self._reserve = Reserve()
        self._turning_away = 0
        self._accepting_from = -math.inf
        """The event loop's time until which no more connections are accepted."""
        self._idle: dict[socket.socket, tuple[Peer, float]] = {}
        """Connections without a request that is being answered, and since when, the longest first."""
        self._leaving: set[socket.socket] = set()
        """Those that have made room for others, and are not counted any more."""
        self._answering = 0
        self._all_answered = anyio.Event()
        self._endless: set[anyio.CancelScope] = set()
        """Streams that wait for something to tell."""
        self._accepting = anyio.CancelScope()
        self._serving = anyio.CancelScope()
        self._is_running = False
        self._is_draining = False
        self._hangups = HangupWatcher()
        self._date = (0, "")

    async def run(self, *listeners: Listener) -> None:
        """Closes the listeners when it accepts no more."""
        self._is_running = True
        with self._reserve, self._serving:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._hangups.run)
                async with anyio.create_task_group() as connections:
                    with self._accepting:
                        async with anyio.create_task_group() as accepting:
                            for listener in listeners:
                                accepting.start_soon(self._accept, listener, connections)
                    for listener in listeners:
                        for peer in listener.withdraw():
                            self._start(peer, listener, connections)
                    if self._answering:
                        await self._all_answered.wait()
                    await anyio.sleep(self._patience_with_idle())
                    for peer in self._idle:
                        self._stop_receiving(peer)
                tasks.cancel_scope.cancel()

    @property
    def is_serving(self) -> bool:
        """Whether requests are answered: it runs, and is not to stop."""
        return self._is_running and not self._is_draining

    def change_limits(self, limits: Limits) -> None:
        """For connections that come from now on; who may use the daemon at all, for each request."""
        self._limits = self._admission.limits = limits

    def drain(self, timeout_s: float) -> None:
        """Make `run` return, in good order: accept no more, answer what is under way, and 503 to what comes after it.

        Connections without a request are closed last, so that no client finds its own gone in the moment it asks. What is not
        done after `timeout_s` is cancelled.
        """
        self._is_draining = True
        self._serving.deadline = anyio.current_time() + timeout_s
        self._accepting.cancel()
        for scope in self._endless:
            scope.cancel()

    async def _accept(self, listener: Listener, connections: anyio.abc.TaskGroup) -> None:
        while True:
            await anyio.wait_readable(listener.socket)
            while self._accepting_from > anyio.current_time():  # noqa: ASYNC110 - that is all there is to wait for
                await anyio.sleep_until(self._accepting_from)
            try:
                for _ in range(ACCEPTED_AT_ONCE):
                    self._start(listener.socket.accept()[0], listener, connections)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                continue
            except OSError as error:
                if error.errno not in OUT_OF_DESCRIPTORS:
                    raise
                _log.warning("cannot accept connections: %s", error.strerror)
                await self._turn_one_away(listener)

    async def _turn_one_away(self, listener: Listener) -> None:
        """With the one descriptor that is kept for this, or not now: trying again at once would spin."""
        with self._reserve.given_up():
            try:
                peer, _ = listener.socket.accept()
            except OSError:
                await anyio.sleep(ACCEPT_PAUSE_S)
                return
            if listener.tls is not None:
                peer.close()
                return
            peer.setblocking(False)
            await self._turn_away(peer, peer_of(peer), OUT_OF_DESCRIPTORS_REFUSAL, linger_s=SHORT_LINGER_S)

    def _start(self, peer: socket.socket, listener: Listener, connections: anyio.abc.TaskGroup) -> None:
        peer.setblocking(False)
        client = peer_of(peer)
        refusal = self._admission.refusal(client)
        if refusal is not None and not self._make_room(refusal):
            if listener.tls is None:
                connections.start_soon(self._turn_away, peer, client, refusal)
            else:
                peer.close()  # there are no words for it before the handshake
            return
        if listener.tls is not None:
            try:
                peer = listener.tls.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            except (OSError, ValueError):  # it has gone already
                peer.close()
                return
        self._admission.admit(client)
        self._idle[peer] = client, time.monotonic()  # before its task has begun: it may be told to stop before that
        task = connections.create_task(self._serve(peer, client))
        try:
            self._hangups.watch(peer, task.cancel)
        except OSError as error:
            _log.warning("cannot watch a connection: %s", error.strerror)
            task.cancel()

    def _make_room(self, refusal: Refusal) -> bool:
        """Whether a connection goes instead: the longest idle. If it has just asked, it is answered first."""
        latest = time.monotonic() - self._limits.idle_grace_s
        for peer, (client, since) in self._idle.items():
            if since > latest:
                return False
            if refusal.would_make_room(client):
                del self._idle[peer]
                self._leaving.add(peer)
                self._admission.leave(client)
                self._stop_receiving(peer)
                return True
        return False

    async def _turn_away(self, peer: socket.socket, client: Peer, refusal: Refusal, linger_s: float = LINGER_S) -> None:
        self._turning_away += 1
        self._accept_later()
        try:
            with suppress(Cancelled):
                await self._refuse(peer, client, refusal.status, refusal.text)
                if self._turning_away <= LINGERING_MAX:
                    await linger(peer, linger_s)
        finally:
            close_peer(peer)
            self._turning_away -= 1

    async def _serve(self, peer: socket.socket, client: Peer) -> None:
        try:
            known = await self._introduced(peer, client)
            await self._serve_requests(peer, known)
        except (Cancelled, TooSlow):
            pass  # the client has gone, or never said who it is: there is nobody to tell
        except Exception:  # noqa: BLE001 - a defect of ours: one connection lost, not the daemon
            _log.exception("serving a connection failed")
        finally:
            self._hangups.forget(peer)
            close_peer(peer)
            self._idle.pop(peer, None)
            if peer in self._leaving:
                self._leaving.remove(peer)
            else:
                self._admission.leave(client)

    async def _introduced(self, peer: socket.socket, client: Peer) -> Peer:
        """Who it is; of who speaks TLS that takes a while. Raises as `shake_hands`."""
        if not isinstance(peer, ssl.SSLSocket):
            return client
        try:
            return await shake_hands(peer, client, self._limits.head_timeout_s)
        except DaemonError as error:
            with self._accountant.account(client) as account:
                account.refusal = str(error)
            raise

    def _stop_receiving(self, peer: socket.socket) -> None:
        self._hangups.expect_end(peer)
        stop_receiving(peer)

    async def _serve_requests(self, peer: socket.socket, client: Peer) -> None:
        limits = self._limits
        with (
            watching(peer) as readable,
            closing(Connection(head_bytes_max=limits.head_bytes_max, headers_max=limits.headers_max)) as connection,
        ):
            exchange = Exchange(peer, readable, connection, limits, client)
            await self._serve_exchange(peer, client, exchange)
        if not exchange.is_complete:
            await linger(peer)

    async def _serve_exchange(self, peer: socket.socket, client: Peer, exchange: Exchange) -> None:
        keeps_alive = True
        while keeps_alive and (head := await self._next_head(peer, client, exchange)) is not None:
            if (refusal := STOPPING if self._is_draining else self._admission.denial(client)) is not None:
                await self._refuse(peer, client, refusal.status, refusal.text, head)
                break
            self._idle.pop(peer, None)
            self._answering += 1
            try:
                with self._accountant.account(client, head.method, head.path) as account:
                    keeps_alive = await self._answer(peer, exchange, head, account)
            finally:
                self._note_answered(peer, client)

    def _patience_with_idle(self) -> float:
        """How long to listen on to connections, in seconds: whoever has just been answered may be about to ask again."""
        latest = next((since for _, since in reversed(self._idle.values())), -math.inf)
        return max(0, latest + IDLE_PATIENCE_S - time.monotonic())

    def _note_answered(self, peer: socket.socket, client: Peer) -> None:
        self._answering -= 1
        if peer not in self._leaving:
            self._idle[peer] = client, time.monotonic()
        if self._is_draining and not self._answering:
            self._all_answered.set()

    async def _answer(self, peer: socket.socket, exchange: Exchange, head: Head, account: Account) -> bool:
        """Whether the connection is kept."""
        response = await self._handler(exchange.request(head, account.request_id))
        exchange.drop_received()
        exchange.pause_s = response.pause_s
        keeps_alive = (
            head.keeps_alive
            and exchange.is_complete
            and not (response.is_last or response.is_raw or head.is_upgrade or self._is_draining)
            # In HTTP/1.0 the end of a stream is the end of the connection.
            and (isinstance(response.body, bytes) or not head.is_http10)
        )
        if response.pause_s and not keeps_alive:
            self._accept_later()
        await self._respond(peer, head, response, account, keeps_alive=keeps_alive)
        return keeps_alive

    def _accept_later(self) -> None:
        now = anyio.current_time()
        self._accepting_from = min(max(self._accepting_from, now) + REFUSAL_PAUSE_S, now + ACCEPT_PAUSE_S)

    async def _next_head(self, peer: socket.socket, client: Peer, exchange: Exchange) -> Head | None:
        """None when there will be no more; what is no request has then been answered."""
        try:
            return await exchange.next_head()
        except HeadTooLarge as error:
            await self._refuse(peer, client, 431, str(error))
        except InvalidParameter as error:
            await self._refuse(peer, client, 400, str(error))
        except TooSlow as error:
            await self._refuse(peer, client, 408, str(error))
        return None

    async def _refuse(
        self, peer: socket.socket, client: Peer, status: int, text: str, head: Head | None = None
    ) -> None:
        """Before any handler has seen it, and for good. `text` is in words of ours only."""
        asked = (head.method, head.path) if head is not None else ()
        with self._accountant.account(client, *asked) as account:
            response = replace(self._error_response(status, text), refusal=text)
            await self._respond(peer, None, response, account, keeps_alive=False)

    async def _respond(
        self, peer: socket.socket, head: Head | None, response: Response, account: Account, *, keeps_alive: bool
    ) -> None:
        account.status, account.refusal = response.status, response.refusal
        patience_s = self._limits.write_timeout_s
        is_head = head is not None and head.method == "HEAD"
        is_http10 = head is not None and head.is_http10
        encoded = encode_head(
            response, is_head=is_head, is_http10=is_http10, keeps_alive=keeps_alive, date=self._http_date()
        )
        if isinstance(response.body, bytes):
            await send(peer, encoded if is_head else encoded + response.body, patience_s)
            account.sent_bytes = 0 if is_head else len(response.body)
            return
        is_framed = not (is_http10 or response.is_raw)
        async with aclosing(response.body) as body:
            await send(peer, encoded, patience_s)
            if is_head:
                return
            async with aclosing(self._until_drained(body) if response.is_endless else body) as chunks:
                async for content in chunks:
                    if content:  # an empty chunk would be the last
                        await send(peer, encode_chunk(content) if is_framed else content, patience_s)
                        account.sent_bytes += len(content)
        if is_framed:
            await send(peer, LAST_CHUNK, patience_s)

    async def _until_drained(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """It is only stopped where it waits: what it has to say is sent whole."""
        while not self._is_draining:
            content = None
            with anyio.CancelScope() as scope:
                self._endless.add(scope)
                try:
                    content = await anext(body, None)
                finally:
                    self._endless.discard(scope)
            if content is None:
                return
            yield content

    def _http_date(self) -> str:
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, email.utils.formatdate(now, usegmt=True))
        return self._date[1]

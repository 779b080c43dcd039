"""What one client sends over one connection: a head after the other, and between them the bodies, each read once."""

from __future__ import annotations

import math
import socket
from contextlib import suppress

import anyio

from daemon.errors import Cancelled, DaemonError
from daemon.http.connection import CONTINUE, Connection, Data, End, Event, Head, TooLarge, TooSlow
from daemon.http.limits import Limits, in_part, spread_of
from daemon.http.message import Peer, Request
from daemon.http.readable import Readable
from daemon.http.sockets import receive, send

CRUMB_BYTES = 64
"""A read of less, when a request has begun to come, is a crumb. Heads and bodies come in a few large pieces."""

CRUMBS_MAX = 2
"""That are read at once in a request: a short body after its head, and its last chunk. Whoever sends more is read once in a
while: a crumb takes as much time as a head, and hundreds of such clients that send theirs in the same moment would hold up
everybody's creates."""

CRUMB_PAUSE_S = 1.0
"""Up to twice that, another time for each connection."""


class Exchange:
    """The reading half of a connection: the next head, and as a request's body what follows it."""

    def __init__(
        self, peer: socket.socket, readable: Readable, connection: Connection, limits: Limits, client: Peer
    ) -> None:
        self._peer = peer
        self._readable = readable
        self._client = client
        self._connection = connection
        self._limits = limits
        self._spread = spread_of(peer.fileno())
        self._crumbs = 0
        self._head: Head | None = None
        self._head_deadline: float | None = None
        """When the head must be here that has begun to come and was then waited for."""
        self._body_deadline: float | None = math.inf
        """When a body that is read whole must be here; None until it is waited for."""
        self._is_continue_owed = False
        self.is_complete = True
        """Whether the request has been read to its end."""
        self.pause_s = 0.0
        """How long to wait before the next head is read; up to twice that, another time for each connection."""

    async def next_head(self) -> Head | None:
        """None when the client is done."""
        if self.pause_s:
            # Those who are refused together do not come again together.
            await anyio.sleep(self.pause_s * (1 + self._spread))
            self.pause_s = 0.0
        event = await self._next_event()
        if event is None:
            return None
        assert isinstance(event, Head), "a body is read before the next head is asked for"
        self._head, self.is_complete, self._is_continue_owed = event, False, event.expects_continue
        self._head_deadline, self._body_deadline = None, math.inf
        self._crumbs = 0
        if event.content_length == 0 or event.is_upgrade:
            self._take_end()
        return event

    def request(self, head: Head, request_id: str) -> Request:
        return Request(
            method=head.method,
            path=head.path,
            query=head.query,
            headers=head.headers,
            body=self,
            has_body=head.content_length != 0,
            peer=self._client,
            id=request_id,
        )

    async def receive(self) -> bytes:
        if self.is_complete:
            return b""
        if self._is_continue_owed:
            self._is_continue_owed = False
            await send(self._peer, CONTINUE, self._limits.write_timeout_s)
        event = await self._next_event()
        if event is None:
            raise Cancelled("the client has gone away in the middle of a request")
        if isinstance(event, Data):
            return event.content
        self.is_complete = True
        return b""

    async def read(self, bytes_max: int) -> bytes:
        assert self._head is not None
        self._body_deadline = None
        if self._head.content_length is not None and self._head.content_length > bytes_max:
            raise TooLarge(f"request body is larger than {bytes_max} bytes")
        chunks = bytearray()
        while content := await self.receive():
            chunks += content
            if len(chunks) > bytes_max:
                raise TooLarge(f"request body is larger than {bytes_max} bytes")
        return bytes(chunks)

    def drop_received(self) -> None:
        """What has come of a body that nobody has read: if that is all of it the connection can be kept."""
        with suppress(DaemonError):  # what is no HTTP is no end of a body either
            while not (self.is_complete or self._is_continue_owed):
                event = self._connection.next_event()
                if event is None:
                    return
                self.is_complete = isinstance(event, End)

    def _take_end(self) -> None:
        event = self._connection.next_event()
        assert event is None or isinstance(event, End), "there is no body"
        self.is_complete = True

    async def _next_event(self) -> Event | None:
        while (event := self._connection.next_event()) is None:
            data = await self._receive()
            if not data:
                return None
            self._connection.receive(data)
        return event

    async def _receive(self) -> bytes:
        """What comes next. Only between two requests may it take any time: a head, and what is read of a body, has its limit."""
        if self._connection.is_idle:
            return await receive(self._peer, self._readable)
        now = anyio.current_time()
        pause_s = CRUMB_PAUSE_S * (1 + self._spread) if self._crumbs >= CRUMBS_MAX else 0.0
        if not self.is_complete:
            if self._body_deadline is None:
                self._body_deadline = now + self._limits.body_timeout_s
            deadline = min(now + pause_s + in_part(self._limits.read_timeout_s, self._spread), self._body_deadline)
        elif self._head_deadline is None:
            deadline = self._head_deadline = now + in_part(self._limits.head_timeout_s, self._spread)
        else:
            deadline = self._head_deadline
        with anyio.CancelScope(deadline=deadline):
            if pause_s:
                await anyio.sleep(pause_s)
            data = await receive(self._peer, self._readable)
            self._crumbs = self._crumbs + 1 if len(data) < CRUMB_BYTES else 0
            return data
        raise TooSlow("the request did not arrive in time")

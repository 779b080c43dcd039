"""The process that reads what strangers have packed: forked for one intake, confined to its area, gone afterwards.

Parsing and decompressing hostile bytes is what has gone wrong in every container engine, so it is not done in the daemon: here it
has little memory, one directory and an end (`confine.py`), may crash or be killed, and holds up nobody's event loop.

    daemon -> worker     frames: 4 bytes of length, big endian, then that much
        an Order, as JSON
        the body, in pieces; an empty frame is its end. A delivery has none: its files are there
        an empty frame: the intake's turn has come, the stores stand still until it is over
    worker -> daemon     `UNPACKING`, 4 bytes of length, how far it is as JSON; any number of these
                         `ANSWERED`, 4 bytes of length, an Outcome as JSON
                         or, from whoever started it (`worker_host.py`), `DIED` and its wait status

A refusal may come before the body's end: whoever writes then finds the socket broken. The commit is the daemon's (`staged.py`):
a worker has no right to change a store.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from daemon.errors import DaemonError, DiskFull, InvalidParameter, SyncFailed, System, Unavailable
from daemon.storage.archive import (
    Delivery,
    Rootfs,
    receive_archive,
    receive_rootfs,
    stage_archive,
    stage_delivery,
    stage_rootfs,
)
from daemon.storage.confine import MEMORY_BYTES_MAX, confine
from daemon.storage.intake import Unpacking
from daemon.storage.layers import LayerStore
from daemon.storage.staged import Area, Staged
from daemon.storage.streams import drain

FRAME_BYTES_MAX = 1 << 24
"""An order with its configuration, which came in a request of at most 4 MB; pieces of a body are far smaller."""

OUTCOME_BYTES_MAX = 8 << 20
"""What the records of all images of one archive may take: two with the largest configurations there can be, or 800 real ones."""

UNPACKING, ANSWERED, DIED = b"U", b"A", b"D"

UNPACKING_BYTES_MAX = 1024
"""Two digests and two numbers."""

TELL_EVERY_S = 0.1
"""A progress bar need not move more often."""


class Order(msgspec.Struct, frozen=True):
    area: str
    layers: str
    """The root of the store."""
    rootfs: Rootfs | None = None
    """What the body is to become if it is a root file system."""
    delivery: Delivery | None = None
    """What is in the area already. Neither means that an archive of images is the body."""


class Failure(StrEnum):
    """Whose fault it is that nothing was staged."""

    ARCHIVE = "archive"
    DISK = "disk"
    FULL = "full"
    BUSY = "busy"
    SYNC = "sync"


_RAISED: Mapping[Failure, type[DaemonError | SyncFailed]] = {
    Failure.ARCHIVE: InvalidParameter,
    Failure.DISK: System,
    Failure.FULL: DiskFull,
    Failure.BUSY: Unavailable,
    Failure.SYNC: SyncFailed,
}


class Outcome(msgspec.Struct, frozen=True):
    """One of the two."""

    staged: Staged | None = None
    refused: str = ""
    failure: Failure = Failure.ARCHIVE


def encode_frame(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def encode_order(order: Order) -> bytes:
    return encode_frame(msgspec.json.encode(order))


def decode_unpacking(content: bytes) -> Unpacking:
    """Raises System for what is none."""
    try:
        return msgspec.json.decode(content, type=Unpacking)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise System("what unpacks archives has told what makes no sense") from error


def decode_outcome(content: bytes) -> Staged:
    """What was staged.

    Raises:
        InvalidParameter, Unavailable, System: as the worker did; System also for what is no outcome.
        SyncFailed: the worker's disk is the daemon's, too. A hostile worker could say so; then there is a restart too many.
    """
    try:
        outcome = msgspec.json.decode(content, type=Outcome)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise System("what unpacks archives gave no answer") from error
    if outcome.staged is None:
        raise _RAISED[outcome.failure](outcome.refused)
    return outcome.staged


def work(connection: int) -> None:
    """Carry out the one order that comes over a socket. The process can do nothing else afterwards."""
    frames = _Frames(connection)
    order = msgspec.json.decode(frames.order(), type=Order)
    area = Area(Path(order.area))
    layers = LayerStore(Path(order.layers))
    confine(writable=(area.blobs, area.layers), readable=(area.given,))
    frames.write(ANSWERED, _outcome(frames, order, area, layers))


def _outcome(frames: _Frames, order: Order, area: Area, layers: LayerStore) -> bytes:
    try:
        outcome = Outcome(staged=_staged(frames, order, area, layers))
    except (DaemonError, SyncFailed) as error:
        failure = next((failure for failure, kind in _RAISED.items() if type(error) is kind), Failure.ARCHIVE)
        outcome = Outcome(refused=str(error), failure=failure)
    except MemoryError:
        outcome = Outcome(refused=f"invalid archive: reading it takes more than {MEMORY_BYTES_MAX} bytes of memory")
    encoded = msgspec.json.encode(outcome)
    if len(encoded) > OUTCOME_BYTES_MAX:
        text = f"invalid archive: the configurations of its images are larger than {OUTCOME_BYTES_MAX} bytes"
        return msgspec.json.encode(Outcome(refused=text))
    return encoded


def _staged(frames: _Frames, order: Order, area: Area, layers: LayerStore) -> Staged:
    if order.delivery is not None:
        frames.wait_turn()
        return stage_delivery(order.delivery, layers, area, told=_Telling(frames))
    if order.rootfs is not None:
        files, rootfs = receive_rootfs(frames, area)
        drain(frames)
        frames.wait_turn()
        return stage_rootfs(files, rootfs, order.rootfs, layers, area)
    files = receive_archive(frames, area)
    drain(frames)
    frames.wait_turn()
    return stage_archive(files, layers, area, told=_Telling(frames))


class _Telling:
    """Passes on how far it is, now and then, and that a layer has been read to its end."""

    def __init__(self, frames: _Frames) -> None:
        self._frames = frames
        self._told_at = time.monotonic()
        self._last: Unpacking | None = None

    def __call__(self, now: Unpacking) -> None:
        at = time.monotonic()
        is_at_end = now.read_bytes == now.blob_bytes
        if now != self._last and (is_at_end or at - self._told_at >= TELL_EVERY_S):
            self._told_at, self._last = at, now
            self._frames.write(UNPACKING, msgspec.json.encode(now))


class _Frames:
    """The connection with the daemon: whole frames either way, and what comes as the body as a Source."""

    def __init__(self, connection: int) -> None:
        self._connection = connection
        self._left = 0
        self._is_body_over = False

    def order(self) -> bytes:
        return self._exactly(self._size())

    def write(self, kind: bytes, content: bytes) -> None:
        rest = memoryview(kind + encode_frame(content))
        while rest:
            rest = rest[os.write(self._connection, rest) :]

    def wait_turn(self) -> None:
        self._exactly(self._size())

    def read(self, size: int, /) -> bytes:
        if not self._left and not self._is_body_over:
            self._left = self._size()
            self._is_body_over = not self._left
        if self._is_body_over or not size:
            return b""
        data = self._read(min(size, self._left))
        self._left -= len(data)
        return data

    def _size(self) -> int:
        size = int.from_bytes(self._exactly(4), "big")
        assert size <= FRAME_BYTES_MAX, "the daemon sends small frames"
        return size

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            data += self._read(size - len(data))
        return bytes(data)

    def _read(self, size: int) -> bytes:
        data = os.read(self._connection, size)
        if not data:
            os._exit(1)  # the daemon has died, or does not want this any more
        return data

"""The process that reads what strangers have packed: forked for one intake, confined to its area, gone afterwards.

Parsing and decompressing hostile bytes is what has gone wrong in every container engine, so it is not done in the daemon: here it
has little memory, one directory and an end (`confine.py`), may crash or be killed, and holds up nobody's event loop.

    daemon -> worker     frames: 4 bytes of length, big endian, then that much
        an Order, as JSON
        the body, in pieces; an empty frame is its end
        an empty frame: the intake's turn has come, the stores stand still until it is over
    worker -> daemon     `ANSWERED`, 4 bytes of length, an Outcome as JSON
                         or, from whoever started it (`worker_host.py`), `DIED` and its wait status

A refusal may come before the body's end: whoever writes then finds the socket broken. The commit is the daemon's (`staged.py`):
a worker has no right to change a store.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from daemon.errors import DaemonError, InvalidParameter, System
from daemon.storage.archive import Rootfs, receive_archive, receive_rootfs, stage_archive, stage_rootfs
from daemon.storage.confine import MEMORY_BYTES_MAX, confine
from daemon.storage.content import ContentStore
from daemon.storage.layers import LayerStore
from daemon.storage.staged import Area, Staged
from daemon.storage.streams import drain

FRAME_BYTES_MAX = 1 << 24
"""An order with its configuration, which came in a request of at most 4 MB; pieces of a body are far smaller."""

OUTCOME_BYTES_MAX = 8 << 20
"""What the records of all images of one archive may take: two with the largest configurations there can be, or 800 real ones."""

ANSWERED, DIED = b"A", b"D"


class Order(msgspec.Struct, frozen=True):
    area: str
    content: str
    layers: str
    """The roots of the two stores."""
    rootfs: Rootfs | None = None
    """What the body is to become if it is a root file system; None for an archive of images."""


class Outcome(msgspec.Struct, frozen=True):
    """One of the two."""

    staged: Staged | None = None
    refused: str = ""
    is_system: bool = False
    """Whether what is refused is the disk's fault, and not the archive's."""


def encode_frame(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def encode_order(order: Order) -> bytes:
    return encode_frame(msgspec.json.encode(order))


def decode_outcome(content: bytes) -> Staged:
    """What was staged. Raises what the worker refused: InvalidParameter, System; System also for what is no outcome."""
    try:
        outcome = msgspec.json.decode(content, type=Outcome)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise System("what unpacks archives gave no answer") from error
    if outcome.staged is None:
        raise (System if outcome.is_system else InvalidParameter)(outcome.refused)
    return outcome.staged


def work(connection: int) -> None:
    """Carry out the one order that comes over a socket. The process can do nothing else afterwards."""
    frames = _Frames(connection)
    order = msgspec.json.decode(frames.order(), type=Order)
    area = Area(Path(order.area))
    content, layers = ContentStore(Path(order.content)), LayerStore(Path(order.layers))
    confine(area.path)
    outcome = _outcome(frames, order, area, content, layers)
    rest = memoryview(ANSWERED + encode_frame(outcome))
    while rest:
        rest = rest[os.write(connection, rest) :]


def _outcome(frames: _Frames, order: Order, area: Area, content: ContentStore, layers: LayerStore) -> bytes:
    try:
        outcome = Outcome(staged=_staged(frames, order, area, content, layers))
    except DaemonError as error:
        outcome = Outcome(refused=str(error), is_system=isinstance(error, System))
    except MemoryError:
        outcome = Outcome(refused=f"invalid archive: reading it takes more than {MEMORY_BYTES_MAX} bytes of memory")
    encoded = msgspec.json.encode(outcome)
    if len(encoded) > OUTCOME_BYTES_MAX:
        text = f"invalid archive: the configurations of its images are larger than {OUTCOME_BYTES_MAX} bytes"
        return msgspec.json.encode(Outcome(refused=text))
    return encoded


def _staged(frames: _Frames, order: Order, area: Area, content: ContentStore, layers: LayerStore) -> Staged:
    if order.rootfs is None:
        files = receive_archive(frames, content, area)
        frames.wait_turn()
        return stage_archive(files, layers, area)
    files, rootfs = receive_rootfs(frames, content, area)
    frames.wait_turn()
    return stage_rootfs(files, rootfs, order.rootfs, layers, area)


class _Frames:
    """What the daemon sends: whole frames, and the body as a Source."""

    def __init__(self, connection: int) -> None:
        self._connection = connection
        self._left = 0
        self._is_body_over = False

    def order(self) -> bytes:
        return self._exactly(self._size())

    def wait_turn(self) -> None:
        drain(self)
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

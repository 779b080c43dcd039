"""Streams of bytes that come from strangers: read exactly, hash, count and decompress, each within limits.

Nothing here holds more than a chunk, and a window of zstd. Only gzip and zstd are decompressed, by the standard library (zstd,
until Python 3.14, by its backport): never by an external program, and never by anything that an image brought along.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from daemon.errors import InvalidParameter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 256 * 1024
"""One read: large enough that the calls do not count, small enough that a hundred streams do not either."""

STREAM_BYTES_MAX = 64 * 1024**3
"""A stream after decompression. Four times the largest layers known (machine-learning images have layers of 15 GiB)."""

RATIO_MAX = 200
"""Bytes out per byte in. Programs and text give 3 to 10; gzip's ceiling, which only a bomb comes near, is 1,032."""

RATIO_FREE_BYTES = 64 * 1024**2
"""The ratio counts past this only: a short run of zeros is no bomb."""

ZSTD_WINDOW_LOG_MAX = 25
"""32 MB of memory: what `zstd` itself needs up to level 20. A frame may ask for 2 GB."""

_GZIP_MAGIC = b"\x1f\x8b\x08"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_OTHER_MAGICS = {b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}
_MAGIC_BYTES = 6


class Source(Protocol):
    """Anything that is read like a file; a short read is no end, an empty one is."""

    def read(self, size: int, /) -> bytes: ...


class Hashed:
    """A source that knows the digest and the length of what has been read from it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class Watched:
    """A source that tells after each read how much has been read from it."""

    def __init__(self, source: Source, tell: Callable[[int], None]) -> None:
        self._source = source
        self._tell = tell
        self._size = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._size += len(data)
        self._tell(self._size)
        return data


class Plain:
    """A source, decompressed if it is gzip or zstd, that ends in an error where it grows beyond its limits.

    `read` raises InvalidParameter for a bomb, a truncated or damaged stream, or another compression.
    """

    def __init__(self, source: Source, *, bytes_max: int = STREAM_BYTES_MAX, ratio_max: int = RATIO_MAX) -> None:
        self._bytes_max = bytes_max
        self._ratio_max = ratio_max
        self._compressed = _Peeked(source, _MAGIC_BYTES)
        self.compression = ""
        """`gzip`, `zstd`, or empty."""
        self._reader: Source = self._compressed
        if self._compressed.head.startswith(_GZIP_MAGIC):
            self.compression = "gzip"
            self._reader = _Gunzipped(self._compressed)
        elif self._compressed.head.startswith(_ZSTD_MAGIC):
            self.compression = "zstd"
            options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX}
            self._reader = zstd.ZstdFile(self._compressed, options=options)  # type: ignore[call-overload]  # as above
        self._size = 0
        for magic, name in _OTHER_MAGICS.items():
            if self._compressed.head.startswith(magic):
                raise InvalidParameter(f"{name} compression is not supported")

    def read(self, size: int, /) -> bytes:
        try:
            data = self._reader.read(size)
        except EOFError as error:
            raise InvalidParameter(f"the {self.compression} stream is truncated") from error
        except (zlib.error, zstd.ZstdError) as error:
            raise InvalidParameter(f"the {self.compression} stream is damaged: {error}") from error
        self._size += len(data)
        if self._size > self._bytes_max:
            raise InvalidParameter(f"the stream is larger than {self._bytes_max} bytes")
        if self._size > RATIO_FREE_BYTES and self._size > self._ratio_max * self._compressed.size:
            raise InvalidParameter(f"the stream expands more than {self._ratio_max} times")
        return data


class _Gunzipped:
    """A gzip stream of one or more members, zeros after them ignored (RFC 1952, 2.2; gzip's manual for the zeros).

    The standard library's `gzip` feeds zlib 8 KB at a time until Python 3.12, and computes every checksum once more.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._member = self._next_member()
        self._pending = b""
        self._ready = b""
        self._taken = 0

    def read(self, size: int, /) -> bytes:
        """Raises EOFError in the middle of a member, zlib.error for what is none."""
        if self._taken == len(self._ready):
            self._ready, self._taken = self._decompressed(), 0
        data = self._ready[self._taken : self._taken + size]
        self._taken += len(data)
        return data

    def _decompressed(self) -> bytes:
        """The next piece, empty at the end."""
        while not self._member.eof or self._begin_member():
            compressed = self._pending or self._member.unconsumed_tail or self._source.read(CHUNK_BYTES)
            if not compressed:
                raise EOFError
            self._pending = b""
            data = self._member.decompress(compressed, CHUNK_BYTES)
            if data:
                return data
        return b""

    def _begin_member(self) -> bool:
        """Whether there is another one."""
        self._pending = self._member.unused_data.lstrip(b"\0")
        while not self._pending:
            data = self._source.read(CHUNK_BYTES)
            if not data:
                return False
            self._pending = data.lstrip(b"\0")
        self._member = self._next_member()
        return True

    @staticmethod
    def _next_member() -> zlib._Decompress:
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


class _Peeked:
    """A source whose first bytes are known before they are read."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.head = read_up_to(source, size)
        self._pending = self.head
        self.size = 0

    def read(self, size: int, /) -> bytes:
        if self._pending:
            data, self._pending = self._pending[:size], self._pending[size:]
        else:
            data = self._source.read(size)
        self.size += len(data)
        return data


def read_up_to(source: Source, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the source."""
    data = source.read(size)
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data


def chunks(source: Source) -> Iterator[bytes]:
    """Everything that is left, in pieces of at most CHUNK_BYTES."""
    while data := source.read(CHUNK_BYTES):
        yield data


def drain(source: Source) -> None:
    """Read to the end, for the sake of a hash or a check."""
    for _ in chunks(source):
        pass

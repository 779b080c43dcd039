"""Compressed streams are read within limits, and damaged ones are refused with a reason."""

from __future__ import annotations

import gzip
import io
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from daemon.errors import InvalidParameter
from daemon.storage import streams
from daemon.storage.streams import Hashed, Plain, chunks, drain, read_up_to

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compress = Callable[[bytes], bytes]


class Trickle:
    """A source that gives one byte at a time, as a network may."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 1))


def everything(source: streams.Source) -> bytes:
    return b"".join(chunks(source))


@pytest.mark.parametrize("content", [b"", b"x", b"\x1f\x8b", b"plain text that is longer"])
def test_a_plain_stream_passes_unchanged(content: bytes) -> None:
    for source in (io.BytesIO(content), Trickle(content)):
        plain = Plain(source)
        assert (plain.compression, everything(plain)) == ("", content)


BY_COMPRESSION = pytest.mark.parametrize(
    ("name", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)], ids=["gzip", "zstd"]
)


@BY_COMPRESSION
def test_what_is_compressed_is_decompressed_also_in_several_parts(name: str, compress: Compress) -> None:
    compressed = compress(b"one ") + compress(b"two")
    for source in (io.BytesIO(compressed), Trickle(compressed)):
        plain = Plain(source)
        assert (plain.compression, everything(plain)) == (name, b"one two")


@BY_COMPRESSION
def test_a_truncated_stream_is_refused_wherever_it_is_cut(name: str, compress: Compress) -> None:
    compressed = compress(b"some text that is compressed")
    for cut in range(4, len(compressed)):
        with pytest.raises(InvalidParameter, match="truncated"):
            drain(Plain(io.BytesIO(compressed[:cut])))


@pytest.mark.parametrize("position", [3, 12, 20, -8, -1])
def test_a_damaged_gzip_is_refused(position: int) -> None:
    compressed = bytearray(gzip.compress(b"some text that is compressed", mtime=0))
    compressed[position] ^= 0xFF
    with pytest.raises(InvalidParameter, match="gzip stream is"):
        drain(Plain(io.BytesIO(bytes(compressed))))


def test_a_damaged_zstd_is_refused() -> None:
    compressed = bytearray(zstd.compress(b"some text that is compressed"))
    compressed[6] ^= 0xFF
    with pytest.raises(InvalidParameter, match="zstd stream is"):
        drain(Plain(io.BytesIO(bytes(compressed))))


def test_a_zstd_that_asks_for_too_much_memory_is_refused() -> None:
    for window_log, is_refused in ((streams.ZSTD_WINDOW_LOG_MAX, False), (streams.ZSTD_WINDOW_LOG_MAX + 1, True)):
        compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
        compressed = compressor.compress(b"some text") + compressor.flush()
        if is_refused:
            with pytest.raises(InvalidParameter, match=r"zstd stream is damaged: .*too much memory"):
                drain(Plain(io.BytesIO(compressed)))
        else:
            drain(Plain(io.BytesIO(compressed)))


@BY_COMPRESSION
def test_a_bomb_is_refused_by_its_ratio(name: str, compress: Compress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RATIO_FREE_BYTES", 1024 * 1024)
    bomb = compress(bytes(4 * 1024 * 1024))
    with pytest.raises(InvalidParameter, match="expands more than 200 times"):
        drain(Plain(io.BytesIO(bomb)))
    drain(Plain(io.BytesIO(bomb), ratio_max=100_000))


def test_a_zstd_bomb_is_read_in_chunks() -> None:
    bomb = zstd.compress(bytes(300 * 1024 * 1024))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidParameter, match="expands more than 200 times"):
            drain(Plain(io.BytesIO(bomb)))
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_short_run_of_zeros_is_no_bomb() -> None:
    drain(Plain(io.BytesIO(gzip.compress(bytes(4 * 1024 * 1024)))))


def test_a_stream_is_refused_where_it_grows_too_long() -> None:
    for content in (b"x" * 1001, gzip.compress(b"x" * 1001)):
        with pytest.raises(InvalidParameter, match="larger than 1000 bytes"):
            drain(Plain(io.BytesIO(content), bytes_max=1000))


@pytest.mark.parametrize(("magic", "name"), [(b"\xfd7zXZ\0", "xz"), (b"BZh9", "bzip2")])
def test_other_compressions_are_named_and_refused(magic: bytes, name: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{name} compression is not supported$"):
        Plain(io.BytesIO(magic + b"rest"))


def test_a_hashed_source_knows_what_went_through() -> None:
    hashed = Hashed(Trickle(b"hello"))
    assert read_up_to(hashed, 10) == b"hello"
    assert hashed.size == 5
    assert hashed.digest == "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

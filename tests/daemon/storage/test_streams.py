"""Compressed streams are read within limits, and damaged ones are refused with a reason."""

from __future__ import annotations

import gzip
import io

import pytest

from daemon.errors import InvalidParameter
from daemon.storage import streams
from daemon.storage.streams import Hashed, Plain, chunks, drain, read_up_to


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
        assert (plain.is_gzip, everything(plain)) == (False, content)


def test_gzip_is_decompressed_also_in_several_members() -> None:
    compressed = gzip.compress(b"one ") + gzip.compress(b"two")
    for source in (io.BytesIO(compressed), Trickle(compressed)):
        plain = Plain(source)
        assert (plain.is_gzip, everything(plain)) == (True, b"one two")


def test_a_truncated_gzip_is_refused_wherever_it_is_cut() -> None:
    compressed = gzip.compress(b"some text that is compressed")
    for cut in range(3, len(compressed)):
        with pytest.raises(InvalidParameter, match="truncated"):
            drain(Plain(io.BytesIO(compressed[:cut])))


@pytest.mark.parametrize("position", [3, 12, 20, -8, -1])
def test_a_damaged_gzip_is_refused(position: int) -> None:
    compressed = bytearray(gzip.compress(b"some text that is compressed", mtime=0))
    compressed[position] ^= 0xFF
    with pytest.raises(InvalidParameter, match="gzip stream is"):
        drain(Plain(io.BytesIO(bytes(compressed))))


def test_a_bomb_is_refused_by_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RATIO_FREE_BYTES", 1024 * 1024)
    bomb = gzip.compress(bytes(4 * 1024 * 1024))
    with pytest.raises(InvalidParameter, match="expands more than 200 times"):
        drain(Plain(io.BytesIO(bomb)))
    drain(Plain(io.BytesIO(bomb), ratio_max=2000))


def test_a_short_run_of_zeros_is_no_bomb() -> None:
    drain(Plain(io.BytesIO(gzip.compress(bytes(4 * 1024 * 1024)))))


def test_a_stream_is_refused_where_it_grows_too_long() -> None:
    for content in (b"x" * 1001, gzip.compress(b"x" * 1001)):
        with pytest.raises(InvalidParameter, match="larger than 1000 bytes"):
            drain(Plain(io.BytesIO(content), bytes_max=1000))


@pytest.mark.parametrize(("magic", "name"), [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh9", "bzip2")])
def test_other_compressions_are_named_and_refused(magic: bytes, name: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{name} compression is not supported$"):
        Plain(io.BytesIO(magic + b"rest"))


def test_a_hashed_source_knows_what_went_through() -> None:
    hashed = Hashed(Trickle(b"hello"))
    assert read_up_to(hashed, 10) == b"hello"
    assert hashed.size == 5
    assert hashed.digest == "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

"""Every tar that the standard library writes is read as it meant it; any other stream is refused, and soon."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import InvalidParameter
from daemon.storage.tar import EXTENSION_BYTES_MAX, EXTENSIONS_MAX, Entry, Kind, TarReader

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.LNKTYPE: Kind.LINK,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.CHAR_DEVICE,
    tarfile.BLKTYPE: Kind.BLOCK_DEVICE,
}


def written(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def read(archive: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(archive))
    return [(entry, b"".join(reader.chunks())) for entry in reader]


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=300),
    target=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200),
    kind=st.sampled_from(sorted(KINDS)),
    numbers=st.tuples(st.integers(0, 0o7777), st.integers(0, 2**32 - 2), st.integers(0, 2**32 - 2)),
    mtime=st.integers(0, 2**33),
    content=st.binary(max_size=2000),
)
def test_an_entry_means_what_tarfile_meant(
    form: int, name: str, target: str, kind: bytes, numbers: tuple[int, int, int], mtime: int, content: bytes
) -> None:
    mode, uid, gid = numbers
    content = content if kind == tarfile.REGTYPE else b""
    info = member(name, type=kind, mode=mode, uid=uid, gid=gid, mtime=mtime, linkname=target, devmajor=8, devminor=1)
    [(entry, body)] = read(written((info, content), form=form))
    assert (entry.name.rstrip("/"), entry.kind, body) == (name.rstrip("/"), KINDS[kind], content)
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (mode, uid, gid, mtime * 10**9)
    if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        assert entry.target == target
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        assert entry.device == (8, 1)


@pytest.mark.parametrize("form", FORMATS)
def test_long_names_are_read_in_every_format(form: int) -> None:
    name = "d" * 90 + "/" + "f" * 90
    [(entry, _)] = read(written((member(name), b""), form=form))
    assert entry.name == name


def test_content_not_asked_for_is_skipped() -> None:
    archive = written((member("a"), b"x" * 1000), (member("b"), b"y"))
    assert [entry.name for entry in TarReader(io.BytesIO(archive))] == ["a", "b"]


def test_names_that_are_not_utf8_survive() -> None:
    archive = written((member("a\udcff"), b""), form=tarfile.GNU_FORMAT)
    assert read(archive)[0][0].name == "a\udcff"


def test_fractions_of_seconds_and_attributes_come_from_pax() -> None:
    headers = {"mtime": "1.5", "SCHILY.xattr.user.x": "value", "comment": "ignored"}
    [(entry, _)] = read(written((member("a", pax_headers=headers), b"")))
    assert entry.mtime_ns == 1_500_000_000
    assert entry.xattrs == {"user.x": b"value"}


@pytest.mark.parametrize("mtime", ["-1", "-0.5", "99999999999"])
def test_times_out_of_range_are_the_epoch_as_in_moby(mtime: str) -> None:
    assert read(written((member("a", pax_headers={"mtime": mtime}), b"")))[0][0].mtime_ns == 0


def test_global_headers_are_skipped() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", pax_headers={"comment": "a commit", "uid": "7"}) as archive:
        archive.addfile(member("a"))
    assert read(stream.getvalue())[0][0].uid == 0


def test_an_old_directory_is_a_name_with_a_slash() -> None:
    archive = bytearray(written((member("d/"), b""), form=tarfile.USTAR_FORMAT))
    archive[148:157] = b"%06o\0 \0" % (sum(archive[:148]) + 8 * 32 + sum(archive[157:512]))
    assert read(bytes(archive))[0][0].kind is Kind.DIRECTORY


def extension(kind: bytes, payload: bytes, size: int | None = None) -> bytes:
    info = member("x", type=kind)
    info.size = len(payload) if size is None else size
    return info.tobuf(tarfile.USTAR_FORMAT) + payload + bytes(-len(payload) % 512)


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (b"x" * 512, "a number in it is not octal"),
        (extension(b"0", b"")[:-1] + b"x", "damaged header"),
        (extension(b"x", b"", size=EXTENSION_BYTES_MAX + 1), "at most"),
        (extension(b"L", b"", size=8 * 1024**3 - 1), "at most"),
        (extension(b"x", b"10 path=a\n") + bytes(1024), ""),
        (extension(b"x", b"99 path=a\n"), "damaged PAX header"),
        (extension(b"x", b"0 path=a\n"), "damaged PAX header"),
        (extension(b"x", b"-1 path=a\n"), "damaged PAX header"),
        (extension(b"x", b"5 =a\n"), "damaged PAX header"),
        (extension(b"x", b"7 path\n"), "damaged PAX header"),
        (extension(b"x", b"10 path=a\n") * (EXTENSIONS_MAX + 1), "in a row"),
        (extension(b"g", b"10 path=a\n") * (EXTENSIONS_MAX + 1), "in a row"),
        (extension(b"x", b"22 GNU.sparse.major=1\n"), "sparse"),
        (extension(b"S", b""), "sparse"),
        (extension(b"x", b"10 path=a\n", size=2000), "truncated"),
    ],
)
def test_a_damaged_archive_is_refused(archive: bytes, text: str) -> None:
    if not text:
        assert read(archive) == []
        return
    with pytest.raises(InvalidParameter, match="invalid archive") as refused:
        read(archive)
    assert text in str(refused.value)


@pytest.mark.parametrize("payload", [b"1" * EXTENSION_BYTES_MAX, b" " * EXTENSION_BYTES_MAX, b"1 " * 2**19])
def test_the_largest_header_is_refused_at_once(payload: bytes) -> None:
    began = time.process_time()
    with pytest.raises(InvalidParameter, match="damaged PAX header"):
        read(extension(b"x", payload))
    assert time.process_time() - began < 1.0


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=2048))
def test_no_bytes_raise_anything_but_invalid_parameter(archive: bytes) -> None:
    with contextlib.suppress(InvalidParameter):
        read(archive)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(position=st.integers(0, 4095), value=st.integers(0, 255))
def test_a_changed_byte_raises_nothing_but_invalid_parameter(position: int, value: int) -> None:
    archive = bytearray(written((member("a" * 120, pax_headers={"mtime": "1.5"}), b"x" * 600)))
    archive[position] = value
    with contextlib.suppress(InvalidParameter):
        read(bytes(archive))

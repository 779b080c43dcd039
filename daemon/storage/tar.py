"""A tar stream as entries, read once, forwards, in flat memory.

Reads V7, ustar, GNU (long names, base-256 numbers), star and PAX. The standard library's `tarfile` is not used to read what
strangers wrote: it takes an extension header of any size into memory, recurses from header to header, keeps every entry it has
seen, ends in silence at a damaged header, and its PAX parser was quadratic until 3.11.10 (CVE-2024-6232). The tests compare the
two on archives that `tarfile` writes. Global PAX headers are skipped and sparse files refused, as by Go's archive/tar.

Names are bytes that need not be UTF-8; they travel as `str` with surrogate escapes, as everywhere in Python. Nothing here touches
the disk: `unpack.py` decides what an entry may do.
Sources: POSIX.1-2017 pax (ustar and pax interchange formats), GNU tar manual "Basic Tar Format".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import attrs

from daemon.errors import InvalidParameter
from daemon.storage.streams import CHUNK_BYTES, Source, read_up_to

EXTENSION_BYTES_MAX = 1024 * 1024
"""One PAX or GNU extension header; the limit of Go's archive/tar, which every image has passed."""

EXTENSIONS_MAX = 8
"""Extension headers before one entry: writers use at most a global one, one PAX, one long name and one long link."""

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_MTIME_NS_MAX = 2**63 - 1
_OWNER_MAX = 2**32 - 2
"""4294967295 means "leave it" to chown(2)."""

_OCTAL = re.compile(rb"[0-7]+")
_DECIMAL = re.compile(rb"\d{1,19}")
_TIME = re.compile(rb"(-?)(\d{1,12})(?:\.(\d*))?")
_XATTR = b"SCHILY.xattr."
_KEPT_RECORDS = frozenset({b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"})
_NO_XATTRS: Mapping[str, bytes] = MappingProxyType({})


class Kind(enum.Enum):
    FILE = enum.auto()
    LINK = enum.auto()
    SYMLINK = enum.auto()
    CHAR_DEVICE = enum.auto()
    BLOCK_DEVICE = enum.auto()
    DIRECTORY = enum.auto()
    FIFO = enum.auto()


_KINDS = {
    b"\0": Kind.FILE,
    b"0": Kind.FILE,
    b"1": Kind.LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHAR_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
    b"7": Kind.FILE,
}


@attrs.frozen(kw_only=True)
class Entry:
    name: str
    """As it stands in the archive, unchecked."""
    kind: Kind
    mode: int
    """Permission bits, 0o7777."""
    uid: int
    gid: int
    size: int
    """Bytes of content; 0 for everything but files."""
    mtime_ns: int
    """Since the epoch; 0 for what is before it or after the year 2262, as Moby's boundTime."""
    target: str = ""
    """Of a link; unchecked."""
    device: tuple[int, int] = (0, 0)
    """Major and minor."""
    xattrs: Mapping[str, bytes] = _NO_XATTRS


def bad_entry(name: str, why: str) -> InvalidParameter:
    """The error for an archive that cannot be accepted, naming the entry."""
    return InvalidParameter(f"invalid archive: entry {name[:200]!r}: {why}")


class TarReader:
    """Iterate over the entries once; `chunks()` is the content of the one that came last. Content not asked for is skipped.

    With `is_end_required` an archive must end with its end-of-archive block: without another way to see that a stream
    was cut between two entries, this is it. Every method raises InvalidParameter.
    """

    def __init__(self, source: Source, *, is_end_required: bool = False) -> None:
        self._source = source
        self._is_end_required = is_end_required
        self._content = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next_entry()) is not None:
            yield entry

    def chunks(self) -> Iterator[bytes]:
        """The content of the current entry, in pieces."""
        while self._content:
            data = self._source.read(min(self._content, CHUNK_BYTES))
            if not data:
                raise InvalidParameter("invalid archive: it is truncated")
            self._content -= len(data)
            yield data

    def _next_entry(self) -> Entry | None:
        records: dict[bytes, bytes] = {}
        names: dict[bytes, bytes] = {}
        for _ in range(EXTENSIONS_MAX + 1):
            block = self._next_header()
            if block is None:
                return None
            kind = block[156:157]
            if kind not in b"xgLK" or not kind:
                return self._entry(block, names | records)
            extension = self._extension(block)
            if kind == b"x":
                records = _pax_records(extension)
            elif kind != b"g":
                names[b"path" if kind == b"L" else b"linkpath"] = extension.partition(b"\0")[0]
        raise InvalidParameter(f"invalid archive: more than {EXTENSIONS_MAX} extension headers in a row")

    def _next_header(self) -> bytes | None:
        """The next header, its checksum verified; None at the end."""
        for _ in self.chunks():
            pass
        self._read_exactly(self._padding)
        self._padding = 0
        block = read_up_to(self._source, _BLOCK)
        if block == _ZEROS:
            return None
        if not block and not self._is_end_required:
            return None
        if len(block) < _BLOCK:
            raise InvalidParameter("invalid archive: it is truncated")
        if not _is_checksum_right(block):
            raise InvalidParameter("invalid archive: damaged header")
        return block

    def _extension(self, block: bytes) -> bytes:
        size = _number(block[124:136])
        if not 0 <= size <= EXTENSION_BYTES_MAX:
            raise InvalidParameter(f"invalid archive: extension header of {size} bytes, at most {EXTENSION_BYTES_MAX}")
        extension = self._read_exactly(size)
        self._padding = -size % _BLOCK
        return extension

    def _read_exactly(self, size: int) -> bytes:
        data = read_up_to(self._source, size) if size else b""
        if len(data) < size:
            raise InvalidParameter("invalid archive: it is truncated")
        return data

    def _entry(self, block: bytes, records: Mapping[bytes, bytes]) -> Entry:
        name = _text(records.get(b"path") or _header_name(block))
        kind = _kind(block[156:157], name)
        size = _decimal(records, b"size", block[124:136], name) if kind is Kind.FILE else 0
        if not 0 <= size < 2**63:
            raise bad_entry(name, f"its size is {size}")
        self._content = size
        self._padding = -size % _BLOCK
        return Entry(
            name=name,
            kind=kind,
            mode=_number(block[100:108]) & 0o7777,
            uid=_owner(_decimal(records, b"uid", block[108:116], name), name),
            gid=_owner(_decimal(records, b"gid", block[116:124], name), name),
            size=size,
            mtime_ns=_mtime_ns(records.get(b"mtime"), block[136:148], name),
            target=_text(records.get(b"linkpath") or _until_nul(block[157:257])),
            device=_device(block, name) if kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE) else (0, 0),
            xattrs={_text(key[len(_XATTR) :]): value for key, value in records.items() if key.startswith(_XATTR)},
        )


def _is_checksum_right(block: bytes) -> bool:
    stated = _number(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    # Some writers of the eighties summed signed characters.
    return stated == sum(rest) or stated == sum(byte - 256 if byte > 127 else byte for byte in rest)


def _kind(flag: bytes, name: str) -> Kind:
    if flag == b"\0" and name.endswith("/"):
        return Kind.DIRECTORY  # V7 had no other way to say so.
    if flag == b"S":
        raise bad_entry(name, "sparse files are not supported")
    kind = _KINDS.get(flag)
    if kind is None:
        raise bad_entry(name, f"entries of type {_text(flag)!r} are not supported")
    return kind


def _header_name(block: bytes) -> bytes:
    name = _until_nul(block[:100])
    if block[257:263] != b"ustar\0":
        return name  # GNU and V7 keep other things where ustar has the prefix.
    is_star = block[508:512] == b"tar\0"
    prefix = _until_nul(block[345:476] if is_star else block[345:500])
    return prefix + b"/" + name if prefix else name


def _number(field: bytes) -> int:
    """A numeric field: octal digits, or GNU's base 256 where the first bit is set. May be negative."""
    if field[0] & 0x80:
        sign = 1 << 8 * len(field) - 2
        # Two's complement in all bits but the first.
        return (int.from_bytes(field, "big") & 2 * sign - 1 ^ sign) - sign
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not _OCTAL.fullmatch(digits):
        raise InvalidParameter("invalid archive: damaged header: a number in it is not octal")
    return int(digits, 8)


def _decimal(records: Mapping[bytes, bytes], keyword: bytes, field: bytes, name: str) -> int:
    value = records.get(keyword)
    if not value:
        return _number(field)
    if not _DECIMAL.fullmatch(value):
        raise bad_entry(name, f"its {_text(keyword)} is {_text(value[:40])!r}")
    return int(value)


def _owner(number: int, name: str) -> int:
    if not 0 <= number <= _OWNER_MAX:
        raise bad_entry(name, f"its owner is {number}")
    return number


def _mtime_ns(record: bytes | None, field: bytes, name: str) -> int:
    if record:
        match = _TIME.fullmatch(record)
        if match is None:
            raise bad_entry(name, f"its mtime is {_text(record[:40])!r}")
        sign, seconds, fraction = match.groups()
        mtime_ns = int(seconds) * 10**9 + int((fraction or b"")[:9].ljust(9, b"0"))
        mtime_ns = -mtime_ns if sign else mtime_ns
    else:
        mtime_ns = _number(field) * 10**9
    return mtime_ns if 0 <= mtime_ns <= _MTIME_NS_MAX else 0


def _device(block: bytes, name: str) -> tuple[int, int]:
    major, minor = _number(block[329:337]), _number(block[337:345])
    # Linux has 12 bits for the one and 20 for the other (linux/kdev_t.h).
    if not (0 <= major < 2**12 and 0 <= minor < 2**20):
        raise bad_entry(name, f"its device number is {major}:{minor}")
    return major, minor


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """The records that mean something here: `<length> <keyword>=<value>\\n`, the length counting the whole record."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + len(str(EXTENSION_BYTES_MAX)) + 1)
        length = data[position : max(space, position)]
        end = position + int(length) if length.isdigit() else -1
        if not space < end - 1 < len(data) or data[end - 1 : end] != b"\n":
            raise InvalidParameter("invalid archive: damaged PAX header")
        keyword, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not keyword or not equals:
            raise InvalidParameter("invalid archive: damaged PAX header")
        if keyword.startswith(b"GNU.sparse."):
            raise InvalidParameter("invalid archive: sparse files are not supported")
        if keyword in _KEPT_RECORDS or keyword.startswith(_XATTR):
            records[keyword] = value
        position = end
    return records


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")

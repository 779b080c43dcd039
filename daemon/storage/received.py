"""The files of an image: of an archive, received in one pass, or fetched one by one. Each is hashed while it is written.

The entries of such an archive come in any order, and what one of them means may be known only after the last. So everything is
kept aside until then, on the disk and in flat memory; what no image turns out to need goes with the area that it is in. Links
exist as names only.
Knows tar and files, not images.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from daemon.errors import InvalidParameter
from daemon.storage.content import ContentStore, Descriptor, Ingest
from daemon.storage.disk import disk
from daemon.storage.oci import JSON_BYTES_MAX
from daemon.storage.streams import Plain, Source, chunks
from daemon.storage.tar import Entry, Kind, TarReader, bad_entry
from daemon.storage.unpack import components_of

ARCHIVE_BYTES_MAX = 256 * 1024**3
"""An archive of several images, after decompression."""

ARCHIVE_ENTRIES_MAX = 20_000
"""Docker's old format has four entries per layer: forty images of the most layers there can be."""

LINKS_MAX = 8
"""Links from one file name to another. Docker writes one."""


@attrs.frozen
class ReceivedFile:
    """One that has arrived to its end."""

    path: Path
    content: Descriptor

    def open(self) -> BinaryIO:
        with disk("read content"):
            return self.path.open("rb")


class ReceivedFiles:
    """The files of an image, in `directory`; those of an archive by name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, ReceivedFile] = {}
        self._links: dict[str, str] = {}

    def receive(self, stream: Source) -> None:
        """Read a tar, which may be compressed, to its end. Raises InvalidParameter for a bad one, System if the disk fails."""
        plain = Plain(stream, bytes_max=ARCHIVE_BYTES_MAX)
        reader = TarReader(plain)
        for number, entry in enumerate(reader, start=1):
            if number > ARCHIVE_ENTRIES_MAX:
                raise bad_entry(entry.name, f"more than {ARCHIVE_ENTRIES_MAX} entries")
            name = "/".join(components_of(entry.name))
            if entry.kind is Kind.FILE:
                self._files[name] = self.add_pieces(reader.chunks())
                self._links.pop(name, None)
            elif entry.kind in (Kind.LINK, Kind.SYMLINK):
                self._links[name] = _link_target(name, entry)
                self._files.pop(name, None)
            elif entry.kind is not Kind.DIRECTORY:
                raise bad_entry(entry.name, "an image archive has files, directories and links only")

    def add(self, content: bytes) -> ReceivedFile:
        """Keep `content`, which was made here, as if it had been received."""
        return self.add_pieces((content,))

    def add_pieces(self, content: Iterable[bytes]) -> ReceivedFile:
        """The same for content that comes in pieces."""
        file = self.begin()
        try:
            for data in content:
                file.write(data)
            return self.complete(file)
        except BaseException:
            file.discard()
            raise

    def add_stream(self, stream: Source, *, bytes_max: int) -> ReceivedFile:
        """Keep a whole stream as one file. Raises InvalidParameter if it is too long."""
        return self.add_pieces(_limited(stream, bytes_max))

    def begin(self) -> Ingest:
        """A file without a name, for whoever writes it, and then says that it is `complete`."""
        return Ingest(self._directory)

    def complete(self, file: Ingest) -> ReceivedFile:
        """What has been written."""
        return ReceivedFile(file.path, file.seal())

    def borrow(self, digest: str, store: ContentStore) -> ReceivedFile | None:
        """A file without a name that is a blob of the store; None if it has none. It stays when the blob goes."""
        path = store.borrow(digest, self._directory)
        if path is None:
            return None
        with disk("borrow content"):
            return ReceivedFile(path, Descriptor(digest, path.stat().st_size))

    def find(self, name: str) -> ReceivedFile | None:
        """The file of that name, links followed; None if there is none."""
        target = posixpath.normpath(name)
        for _ in range(LINKS_MAX):
            if target not in self._links:
                return self._files.get(target)
            target = self._links[target]
        raise InvalidParameter(f"invalid archive: too many links from {name[:200]!r}")

    def get(self, name: str) -> ReceivedFile:
        """The file of that name. Raises InvalidParameter if there is none."""
        file = self.find(name)
        if file is None:
            raise InvalidParameter(f"invalid archive: {name[:200]!r} is missing")
        return file


def read_json(file: ReceivedFile, what: str) -> bytes:
    """The bytes of a file that is to be parsed. Raises InvalidParameter if it is too large for that."""
    if file.content.size > JSON_BYTES_MAX:
        raise InvalidParameter(f"invalid {what}: larger than {JSON_BYTES_MAX} bytes")
    with file.open() as opened:
        return opened.read(JSON_BYTES_MAX)


def _limited(stream: Source, bytes_max: int) -> Iterator[bytes]:
    size = 0
    for data in chunks(stream):
        size += len(data)
        if size > bytes_max:
            raise InvalidParameter(f"the stream is larger than {bytes_max} bytes")
        yield data


def _link_target(name: str, entry: Entry) -> str:
    """The name in the archive that a link means: hard links are relative to its root, symbolic ones to themselves."""
    base = posixpath.dirname(name) if entry.kind is Kind.SYMLINK else ""
    target = posixpath.normpath(posixpath.join(base, entry.target))
    if not entry.target or target.startswith(("/", "../")) or target in (".", ".."):
        raise bad_entry(entry.name, f"a link to {entry.target[:200]!r}, out of the archive")
    return target

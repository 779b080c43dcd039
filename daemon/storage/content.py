"""Content named by its digest: an OCI image layout that other tools read, too.

    root/               0700, as every directory in it
      oci-layout        the layout's version
      index.json        the manifests and their names: written from the database, which is the truth
      blobs/sha256/<hex>

A blob is there whole or not at all: it arrives elsewhere and is hashed meanwhile (`received.py`), is synced, renamed into place,
and the directory is synced before anybody is told (`staged.py`). A digest is validated before it becomes a path. Knows bytes and
digests, not images. Source of the format: OCI image-spec v1.1, image-layout.md.

One thread at a time changes what is stored (`adopt`, `delete`, `write_index`, `sweep`): the image loader sees to it. Ingests
are private to their writer, so any number of them may run beside that.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from daemon.errors import System
from daemon.storage.disk import WRITING_BYTES, disk, sync_directory, sync_file, write_out
from daemon.storage.failpoints import failpoint
from daemon.storage.oci import LAYOUT_FILE, Descriptor, IndexEntry, checked_digest, encode_index, is_digest

INDEX_NAME = "index.json"
REPLACEMENT = ".replace-"
"""How the name of a file begins that is to become the index."""

__all__ = ["ContentStore", "Descriptor", "Ingest"]


class ContentStore:
    """The image layout below `root`, which is made if it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs = root / "blobs" / "sha256"
        with disk("open the content store"):
            self._blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
            # `parents=True` makes parents with the umask's mode.
            for directory in (root, root / "blobs"):
                directory.chmod(0o700)
            if not (root / "oci-layout").exists():
                self._replace("oci-layout", LAYOUT_FILE)
            if not (root / INDEX_NAME).exists():
                self._replace(INDEX_NAME, encode_index(()))

    def borrow(self, digest: str, directory: Path) -> Path | None:
        """The blob under another name, in `directory`, so that it stays when it is deleted here. None when there is none."""
        blob = self._path(digest)
        borrowed = directory / blob.name
        with disk("borrow content"):
            try:
                borrowed.hardlink_to(blob)
            except FileNotFoundError:
                return None
        return borrowed

    def adopt(self, path: Path, digest: str) -> None:
        """Move a file that has been synced, and is what the digest names, into the store. Durable after `sync`. Raises System."""
        target = self._path(digest)
        with disk("commit content"):
            failpoint("content.before_rename")
            path.rename(target)
            failpoint("content.after_rename")

    def sync(self) -> None:
        """Make the names of the blobs durable. Raises System."""
        with disk("commit content"):
            sync_directory(self._blobs)

    def open(self, digest: str) -> BinaryIO:
        """The blob for reading. Raises System when it is not there: the record that led here says that it is."""
        with disk(f"read content {digest[:100]}"):
            return self._path(digest).open("rb")

    def read(self, digest: str, *, bytes_max: int) -> bytes:
        """The whole blob. Raises System when it is missing or longer than `bytes_max`."""
        with self.open(digest) as blob, disk(f"read content {digest}"):
            content = blob.read(bytes_max + 1)
        if len(content) > bytes_max:
            raise System(f"content {digest} is larger than {bytes_max} bytes")
        return content

    def contains(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def delete(self, digest: str) -> None:
        """Remove the blob; harmless when there is none. Not synced: recovery removes what a power cut brings back."""
        with disk(f"delete content {digest[:100]}"):
            failpoint("content.before_delete")
            self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """The digest of every blob, in no order."""
        with disk("list the content store"), os.scandir(self._blobs) as blobs:
            for blob in blobs:
                digest = f"sha256:{blob.name}"
                if is_digest(digest):
                    yield digest

    def write_index(self, entries: Iterable[IndexEntry]) -> None:
        """Replace `index.json` so that it lists `entries`: a reader sees the old one or the new one, whole."""
        with disk("write the image index"):
            self._replace(INDEX_NAME, encode_index(entries))

    def sweep(self, keep: Collection[str]) -> tuple[str, ...]:
        """Remove the blobs that are not in `keep`, and return their names."""
        with disk("sweep the content store"):
            residue = [blob for blob in self._blobs.iterdir() if f"sha256:{blob.name}" not in keep]
            for path in residue:
                path.unlink()
        return tuple(path.name for path in residue)

    def _path(self, digest: str) -> Path:
        return self._blobs / checked_digest(digest).removeprefix("sha256:")

    def _replace(self, name: str, content: bytes) -> None:
        descriptor, temporary_name = tempfile.mkstemp(prefix=REPLACEMENT, dir=self._root)
        temporary = Path(temporary_name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            sync_file(temporary)
            failpoint("content.index_written")
            temporary.replace(self._root / name)
            failpoint("content.index_renamed")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(self._root)


class Ingest:
    """A file that is arriving in `directory`: hashed while it is written."""

    def __init__(self, directory: Path) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._written_out = 0
        with disk("begin an ingest"):
            descriptor, name = tempfile.mkstemp(dir=directory)
            self._path = Path(name)
            self._file = os.fdopen(descriptor, "wb", buffering=0)

    @property
    def path(self) -> Path:
        return self._path

    @property
    def size(self) -> int:
        """Bytes that have been written."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append all of `data`. Raises System."""
        self._hash.update(data)
        self._size += len(data)
        rest = memoryview(data)
        with disk("write content"):
            while rest:
                failpoint("content.before_write")
                rest = rest[self._file.write(rest) :]
            if self._size - self._written_out >= WRITING_BYTES:
                self._written_out += WRITING_BYTES
                write_out(self._file.fileno(), self._written_out)

    def seal(self) -> Descriptor:
        """Close the file to further writes: what has been written. Many sealed ingests cost no file descriptor."""
        with disk("write content"):
            self._file.close()
        return Descriptor(f"sha256:{self._hash.hexdigest()}", self._size)

    def discard(self) -> None:
        """Remove it; harmless twice."""
        with disk("discard content"):
            self._file.close()
            self._path.unlink(missing_ok=True)

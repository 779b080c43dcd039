"""An archive of one image with one layer, as `docker save` writes it: written in flat memory, while its digests are computed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import random
import tarfile
from pathlib import Path
from typing import IO, cast

FILE_BYTES = 1 << 20
_PATTERNS = 16
_SEED = 5


class _Hashed:
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def write_archive(path: Path, *, layer_bytes: int, is_compressed: bool) -> None:
    """An image `bench:1` with a layer of about `layer_bytes` before compression."""
    layer = path.with_suffix(".layer")
    with layer.open("wb") as stored:
        packed = gzip.GzipFile(fileobj=stored, mode="wb", compresslevel=1, mtime=0) if is_compressed else None
        hashed = _Hashed(cast("IO[bytes]", packed or stored))
        _write_layer(hashed, layer_bytes)
        if packed is not None:
            packed.close()
    here = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    diff_ids = [f"sha256:{hashed.hash.hexdigest()}"]
    config = {
        "architecture": here,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2026-01-01T00:00:00Z"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": ["bench:1"], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        archive.add(layer, "layer.tar")
        for name, document in (("config.json", config), ("manifest.json", manifest)):
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    layer.unlink()


def _write_layer(file: _Hashed, layer_bytes: int) -> None:
    rng = random.Random(_SEED)
    contents = [_content(rng) for _ in range(_PATTERNS)]
    with tarfile.open(fileobj=cast("IO[bytes]", file), mode="w|") as tar:
        for number in range(max(layer_bytes // FILE_BYTES, 1)):
            entry = tarfile.TarInfo(f"usr/lib/d{number // 100}/f{number}")
            entry.size, entry.mode = FILE_BYTES, 0o755
            tar.addfile(entry, io.BytesIO(contents[number % _PATTERNS]))


def _content(rng: random.Random) -> bytes:
    """A megabyte of which a third is noise: it compresses to about a third, as programs and libraries do."""
    words = [rng.randbytes(48) for _ in range(64)]
    pieces = (
        rng.randbytes(512) + b"".join(rng.choices(words, k=21)) + bytes(16) for _ in range(FILE_BYTES // 1536 + 1)
    )
    return b"".join(pieces)[:FILE_BYTES]

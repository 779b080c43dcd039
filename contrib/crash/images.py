"""Small images, each a function of its mark: one layer with a shell, a directory for volumes, and the mark in a file."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping

import attrs

MARK = "mark"
"""The file's name, at the root."""

_HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@attrs.frozen
class SmallImage:
    mark: str

    def rootfs(self) -> bytes:
        """A tar, and the one layer."""
        return tar_of({"bin/sh": b"#!", "full/content": b"full", MARK: self.mark.encode()})

    def config(self) -> bytes:
        rootfs = {"type": "layers", "diff_ids": [digest_of(self.rootfs())]}
        return json.dumps({"architecture": _HERE, "os": "linux", "config": {}, "rootfs": rootfs}).encode()

    def manifest(self) -> bytes:
        """As a registry has it."""
        base = "application/vnd.oci.image"
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": _pointer(f"{base}.config.v1+json", self.config()),
                "layers": [_pointer(f"{base}.layer.v1.tar", self.rootfs())],
            }
        ).encode()

    def archive(self, reference: str) -> bytes:
        """As `docker save` writes it."""
        listed = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
        manifest = json.dumps(listed).encode()
        return tar_of({"config.json": self.config(), "layer.tar": self.rootfs(), "manifest.json": manifest})


MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar_of(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for directory in sorted({name.rpartition("/")[0] for name in files} - {""}):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def files_in(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry)) is not None}


def _pointer(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

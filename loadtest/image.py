"""The harness's own image, made in memory, the same bytes every time on one architecture.

It is small, so that creating is what gets measured, and never started, so its shell is a text file. The archive is what
`docker save` wrote before it turned to OCI layouts, which every engine still loads: manifest.json, the image's configuration
named by its digest, one layer (moby image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format").
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable

REFERENCE = "loadtest/tiny:1"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's words to Go's; the others are the same or nearly
_SHELL = b"#!/nonexistent\nContainers of this image are created and removed, never started.\n"
_DIRECTORIES = {"bin": 0o755, "etc": 0o755, "home": 0o755, "root": 0o700, "tmp": 0o1777, "usr": 0o755, "var": 0o755}
_FILES = {
    "bin/sh": (0o755, _SHELL),
    "etc/group": (0o644, b"root:x:0:\nnobody:x:65534:\n"),
    "etc/passwd": (0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/sh\n"),
}


def rootfs_tar() -> bytes:
    """A plain tar of a tiny root file system: the image's only layer, and fit for `docker import -`."""
    directories = [_entry(name, tarfile.DIRTYPE, mode) for name, mode in _DIRECTORIES.items()]
    files = [_entry(name, tarfile.REGTYPE, mode, content) for name, (mode, content) in _FILES.items()]
    link = _entry("bin/ash", tarfile.SYMTYPE, 0o777)
    link[0].linkname = "sh"
    return _tar([*directories, *files, link])


def image_tar(reference: str = REFERENCE) -> bytes:
    """A docker archive of the tiny image under `reference`, for `POST /images/load` or `docker load`."""
    layer = rootfs_tar()
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/bin:/bin"]},
            "created": "1970-01-01T00:00:00Z",
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "loadtest"}],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = _json([{"Config": config_name, "RepoTags": [reference], "Layers": [f"{layer_digest}/layer.tar"]}])
    return _tar(
        [
            _entry(layer_digest, tarfile.DIRTYPE, 0o755),
            _entry(f"{layer_digest}/layer.tar", tarfile.REGTYPE, 0o644, layer),
            _entry(config_name, tarfile.REGTYPE, 0o644, config),
            _entry("manifest.json", tarfile.REGTYPE, 0o644, manifest),
        ]
    )


def _entry(name: str, kind: bytes, mode: int, content: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)  # owner 0:0 and time 0 by default
    info.type, info.mode, info.size = kind, mode, len(content)
    return info, content


def _tar(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()

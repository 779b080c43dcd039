"""The images that both sides get, made in memory: the same bytes, so the same ids.

Each is a docker-archive, as `docker save` wrote it before it turned to OCI layouts; every engine still loads it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping

import attrs

FULL = "conformance/full:1"
"""Says something about everything that an image can say."""
PLAIN = "conformance/plain:latest"
"""Has a command and nothing else."""
BARE = "conformance/bare:latest"
"""Has no configuration at all."""
VOLUME = "conformance/volume:latest"
"""Has a volume over a directory with content, one over nothing, and one whose path is not clean."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's words to Go's; the others are the same or nearly
ARCHITECTURE = _ARCHITECTURES.get(platform.machine(), platform.machine())

_SECOND_NS = 1_000_000_000
_PATH = "PATH=/usr/local/bin:/usr/bin:/bin"

CONFIGS: Mapping[str, Mapping[str, object]] = {
    FULL: {
        "Env": [_PATH, "A=image", "B=image", "EMPTY="],
        "Entrypoint": ["/bin/entry"],
        "Cmd": ["serve", "--all"],
        "Labels": {"maintainer": "image", "a": "image"},
        "Volumes": {"/full": {}, "/empty": {}},
        "WorkingDir": "/srv/app",
        "Healthcheck": {
            "Test": ["CMD-SHELL", "true"],
            "Interval": 30 * _SECOND_NS,
            "Timeout": 5 * _SECOND_NS,
            "StartPeriod": _SECOND_NS,
            "Retries": 3,
        },
        "User": "1000:1000",
        "StopSignal": "SIGQUIT",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    },
    PLAIN: {"Env": [_PATH], "Cmd": ["/bin/sh"]},
    BARE: {},
    VOLUME: {"Cmd": ["/bin/sh"], "Volumes": {"/full": {}, "/nothing/there": {}, "/srv/../unclean/": {}}},
}


def archive(reference: str) -> bytes:
    """A docker-archive of the image of that name, for `POST /images/load`."""
    layer = _rootfs()
    layer_digest = hashlib.sha256(layer).hexdigest()
    config: dict[str, object] = {
        "architecture": ARCHITECTURE,
        "created": "1970-01-01T00:00:00Z",
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": reference}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
    }
    if CONFIGS[reference]:
        config["config"] = CONFIGS[reference]
    encoded = _json(config)
    name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [f"{layer_digest}/layer.tar"]}]
    return _tar(
        [
            _Entry(layer_digest, kind=tarfile.DIRTYPE, mode=0o755),
            _Entry(f"{layer_digest}/layer.tar", content=layer),
            _Entry(name, content=encoded),
            _Entry("manifest.json", content=_json(manifest)),
        ]
    )


def image_id(reference: str) -> str:
    """`sha256:<hex>` of the image's configuration, as both sides must have it."""
    with tarfile.open(fileobj=io.BytesIO(archive(reference))) as tar:
        (name,) = (name for name in tar.getnames() if name.endswith(".json") and name != "manifest.json")
    return f"sha256:{name.removesuffix('.json')}"


@attrs.frozen
class _Entry:
    name: str
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    content: bytes = b""
    link: str = ""
    owner: int = 0


def _rootfs() -> bytes:
    """What copying into a volume has to keep: modes, owners, links, an empty directory, a file in a subdirectory."""
    return _tar(
        [
            *(_Entry(name, kind=tarfile.DIRTYPE, mode=0o755) for name in ("bin", "etc", "srv")),
            _Entry("bin/sh", mode=0o755, content=b"#!/nonexistent\n"),
            _Entry("etc/file", content=b"a file, where a directory may be asked for\n"),
            _Entry("full", kind=tarfile.DIRTYPE, mode=0o2750, owner=1000),
            _Entry("full/content", mode=0o640, content=b"from the image\n", owner=1000),
            _Entry("full/sub", kind=tarfile.DIRTYPE, mode=0o1777),
            _Entry("full/sub/tool", mode=0o4755, content=b"#!/nonexistent\n"),
            _Entry("full/link", kind=tarfile.SYMTYPE, mode=0o777, link="content"),
            _Entry("full/hard", kind=tarfile.LNKTYPE, mode=0o640, link="full/content", owner=1000),
            _Entry("empty", kind=tarfile.DIRTYPE, mode=0o700, owner=1001),
            _Entry("linked", kind=tarfile.SYMTYPE, mode=0o777, link="/full"),
        ]
    )


def _tar(entries: list[_Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.mode, info.linkname = entry.kind, entry.mode, entry.link
            info.uid = info.gid = entry.owner
            info.size = len(entry.content)
            tar.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()

"""Debian's docker-registry on a port of this machine that the kernel has chosen, its storage in a temporary directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

STOP_TIMEOUT_S = 30

USER, PASSWORD = "me", "secret"
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
"""Bcrypt of the password, at the lowest cost there is."""

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:[0-9]+)")

_CONFIG = """
version: 0.1
log: {{level: info, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0"}}
"""
_AUTH = "auth: {{htpasswd: {{realm: tests, path: {path}}}}}\n"


@attrs.frozen
class Registry:
    host: str
    root: Path

    def blobs(self) -> set[str]:
        """Their digests."""
        blobs = self.root / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return {f"sha256:{path.parent.name}" for path in blobs.glob("*/*/data")}


@contextmanager
def running_registry(home: Path, *, has_password: bool = False) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        if os.environ.get("CI"):
            pytest.fail("docker-registry is missing: a skipped test would prove nothing here")
        pytest.skip("docker-registry is not installed")
    home.mkdir()
    config = _CONFIG.format(root=home / "storage")
    if has_password:
        (home / "htpasswd").write_text(_HTPASSWD)
        config += _AUTH.format(path=home / "htpasswd")
    (home / "config.yml").write_text(config)
    command = ["docker-registry", "serve", str(home / "config.yml")]
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with (home / "log").open("w+") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )
        stderr = process.stderr
        assert stderr is not None
        reader = threading.Thread(target=lambda: log.write(stderr.read()))  # else it would block at a full pipe
        try:
            for line in stderr:
                log.write(line)
                if match := _LISTENING.search(line):
                    break
            else:
                pytest.fail(f"docker-registry did not start:\n{(home / 'log').read_text()}")
            reader.start()
            yield Registry(match[1], home / "storage")
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
            if reader.ident is not None:
                reader.join()
            stderr.close()

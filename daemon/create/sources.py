"""Whether what a bind mounts is there: the one question about a request that only the disk can answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from actors import run_in_thread
from daemon.container import HostConfig
from daemon.create.mounts import missing_source


async def bad_sources(host_config: HostConfig) -> Mapping[str, str]:
    """The sources of `mounts` that cannot be mounted, and what Docker says of each. Those of `binds` are made at start."""
    sources = [mount.source for mount in host_config.mounts or () if mount.type == "bind" and mount.source]
    if not sources:
        return {}
    return await run_in_thread(_bad_among, sources)


def _bad_among(sources: list[str]) -> dict[str, str]:
    complaints = {source: source_complaint(source) for source in sources}
    return {source: complaint for source, complaint in complaints.items() if complaint is not None}


def source_complaint(path: str) -> str | None:
    try:
        Path(path).stat()
    except FileNotFoundError:
        return missing_source(path)
    except OSError as error:
        return f"stat {path}: {os.strerror(error.errno or 0).lower()}"
    except ValueError:  # a NUL, or what is no Unicode
        return f"stat {path}: invalid argument"
    return None

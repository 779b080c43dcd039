"""`--storage-opt`: what Docker can limit on some disks and this daemon on none. Texts: moby v28 overlay2 parseStorageOpt."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.errors import InvalidParameter


def refuse_storage_options(options: Mapping[str, str]) -> None:
    """Raises InvalidParameter if there are any. Unlike Moby, where that is a 500."""
    if "size" in options:
        raise InvalidParameter("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
    for name in options:
        raise InvalidParameter(f"Unknown option {name.lower()}")

"""Which version of Boatyard this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _own_version() -> str:
    try:
        return version("boatyard")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"


VERSION = _own_version()

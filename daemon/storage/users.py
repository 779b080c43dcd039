"""Who a container's `User` is, by the container's own /etc/passwd and /etc/group: never by this host's.

Rules and texts: moby v28.5 daemon/archive_tarcopyoptions_unix.go, github.com/moby/sys/user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from daemon.errors import InvalidParameter
from daemon.storage.container_view import ContainerView, open_file
from daemon.storage.disk import disk

FILE_BYTES_MAX = 1 << 20
"""Of a file of users or groups: ten thousand of them. What is beyond is not read."""

_ID = re.compile(r"[0-9]{1,10}", re.ASCII)
_ID_MAX = 2**31 - 1


def owner_of(view: ContainerView, user: str) -> tuple[int, int]:
    """User and group id of `user[:group]`, names or numbers; a user that has an entry there is of the group it says.

    Raises:
        InvalidParameter: there is no such name.
    """
    user_name, _, group_name = user.partition(":")
    uid, gid = _user(view, user_name) if user_name else (0, 0)
    return uid, _group(view, group_name) if group_name else gid


def _user(view: ContainerView, name: str) -> tuple[int, int]:
    number = _number(name)
    for entry in _entries(view, "/etc/passwd", 4):
        uid, gid = _number(entry[2]), _number(entry[3])
        if uid is not None and gid is not None and (entry[0] == name if number is None else uid == number):
            return uid, gid
    if number is None:
        raise InvalidParameter(f'failed to look up user "{name}" in container: no matching entries in passwd file')
    return number, 0


def _group(view: ContainerView, name: str) -> int:
    number = _number(name)
    if number is not None:
        return number
    for entry in _entries(view, "/etc/group", 3):
        if entry[0] == name and (gid := _number(entry[2])) is not None:
            return gid
    raise InvalidParameter(f'failed to look up group "{name}" in container: no matching entries in group file')


def _entries(view: ContainerView, path: str, fields: int) -> Iterator[list[str]]:
    entries = (line.strip().split(":") for line in _read(view, path).splitlines())
    return (entry for entry in entries if len(entry) >= fields)


def _read(view: ContainerView, path: str) -> str:
    """Nothing where there is no such file."""
    resolution = view.resolve(path)
    if resolution.missing:
        return ""
    with disk("read the container's users"):
        descriptor = open_file(resolution.trail[-1])
        if descriptor is None:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            return file.read(FILE_BYTES_MAX).decode("utf-8", "surrogateescape")


def _number(text: str) -> int | None:
    number = int(text) if _ID.fullmatch(text) else None
    return number if number is not None and number <= _ID_MAX else None

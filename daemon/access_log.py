"""The audit trail: one line a request, with who, what and how that went, and nothing of what was said in it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from daemon.config import AccessLog as Wanted
from daemon.config import LogFormat
from daemon.http.account import Account
from daemon.http.message import Peer
from daemon.logs import LogWriter, log_line, printable

PATH_LENGTH_MAX = 400
"""A name has at most 255 characters, a digest 71."""

NAME_LENGTH_MAX = 200

PEERS_KEPT_MAX = 1024
"""Whose part of a line is made once."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED = 400
"""The first status that says no."""


class AccessLog:
    """`note` is called for each request; what is `wanted` may change at any time."""

    def __init__(self, writer: LogWriter, log_format: LogFormat, wanted: Wanted) -> None:
        self._writer = writer
        self._format = log_format
        self.wanted = wanted

    def note(self, account: Account) -> None:
        if is_wanted(account, self.wanted):
            self._writer.put(lambda: log_line(self._format, account.began, "info", fields_of(account)))


def is_wanted(account: Account, wanted: Wanted) -> bool:
    if wanted == "changes":
        is_refused = account.status is not None and account.status >= _REFUSED
        return account.method not in _READING or is_refused
    return wanted == "all"


def fields_of(account: Account) -> dict[str, object]:
    """Only those that say anything."""
    fields = {
        "logger": "access",
        "message": "answered" if account.method else "refused",
        "request": account.request_id,
        **_fields_of_peer(account.peer),
    }
    if account.method:
        fields["method"] = account.method
        fields["path"] = printable(account.path, PATH_LENGTH_MAX)
        fields["status"] = account.status or "gone"
    elif account.status is not None:
        fields["status"] = account.status
    fields["ms"] = round(account.duration_s * 1000, 2)
    fields["bytes"] = account.sent_bytes
    if account.refusal:
        fields["refusal"] = account.refusal
    return fields


@functools.lru_cache(maxsize=PEERS_KEPT_MAX)
def _fields_of_peer(peer: Peer) -> Mapping[str, object]:
    fields: dict[str, object] = {
        "uid": peer.uid,
        "gid": peer.gid,
        "pid": peer.pid,
        "address": peer.address,
        "certificate": printable(peer.name, NAME_LENGTH_MAX),
    }
    return {key: value for key, value in fields.items() if value not in (None, "")}

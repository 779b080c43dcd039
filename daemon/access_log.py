"""The audit trail: one line a request, with who, what and how that went, and nothing of what was said in it."""

from __future__ import annotations

from daemon.config import AccessLog as Wanted
from daemon.config import LogFormat
from daemon.http.account import Account
from daemon.logs import LogWriter, log_line, printable

PATH_LENGTH_MAX = 400
"""A name has at most 255 characters, a digest 71."""

NAME_LENGTH_MAX = 200

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
    peer = account.peer
    fields: dict[str, object] = {
        "logger": "access",
        "message": "answered" if account.method else "refused",
        "request": account.request_id,
        "uid": peer.uid,
        "gid": peer.gid,
        "pid": peer.pid,
        "address": peer.address,
        "certificate": printable(peer.name, NAME_LENGTH_MAX),
        "method": account.method,
        "path": printable(account.path, PATH_LENGTH_MAX),
        "status": "gone" if account.status is None and account.method else account.status,
        "ms": round(account.duration_s * 1000, 2),
        "bytes": account.sent_bytes,
        "refusal": account.refusal,
    }
    return {key: value for key, value in fields.items() if value not in (None, "")}

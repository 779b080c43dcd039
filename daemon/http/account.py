"""What is known of a request when it is over: for a log of who did what, and how that went."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from daemon.http.message import Peer


class Account(msgspec.Struct, kw_only=True, eq=False):
    """One request, or a connection that was refused before there was one, from its head to the last byte of its answer.

    Nothing of its query, headers and bodies is here: those may hold secrets.
    """

    request_id: str
    peer: Peer
    method: str = ""
    """Empty where there was no request."""
    path: str = ""
    """As it was sent."""
    began: float
    """Since the epoch."""
    duration_s: float = 0.0
    status: int | None = None
    """None: the client had gone before there was an answer."""
    sent_bytes: int = 0
    """Of the answer's body."""
    refusal: str = ""
    """Why it was refused, in words of ours only."""


class Accountant:
    """Opens accounts, and hands each to `on_closed` when its request is over."""

    def __init__(self, on_closed: Callable[[Account], None]) -> None:
        self._on_closed = on_closed
        self._prefix = os.urandom(4).hex()  # another at each start, as logs are longer than daemons live
        self._numbers = itertools.count(1)

    def account(self, peer: Peer, method: str = "", path: str = "") -> AbstractContextManager[Account]:
        request_id = f"{self._prefix}-{next(self._numbers)}"
        account = Account(request_id=request_id, peer=peer, method=method, path=path, began=time.time())
        return _Open(account, self._on_closed)


class _Open:
    """A class, as a generator in its place costs a hundredth of a create."""

    __slots__ = ("_account", "_began", "_on_closed")

    def __init__(self, account: Account, on_closed: Callable[[Account], None]) -> None:
        self._account = account
        self._on_closed = on_closed
        self._began = time.perf_counter()

    def __enter__(self) -> Account:
        return self._account

    def __exit__(self, *_: object) -> None:
        self._account.duration_s = time.perf_counter() - self._began
        self._on_closed(self._account)

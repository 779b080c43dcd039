"""What an operator decides, frozen: paths, access, limits, timeouts. Every limit has its reason here.

How it is said, and what an operator reads of it, is in `options/table.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import attrs

Backend = Literal["uvloop", "asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
AccessLog = Literal["off", "changes", "all"]

SOCKET_PATH_BYTES_MAX = 107
"""What fits into `sockaddr_un` (unix(7)); a longer one cannot be bound."""

LOG_BYTES_MAX = 36 << 20
"""What the database's log has before it is copied into the database (storage/schema.py), and a large batch."""

READY_TREES_MAX = 2048
"""A burst of so many creates finds its directories made; 24 MB on ext4, where a directory takes a block of 4 KB."""


@attrs.frozen(kw_only=True)
class Config:
    data_root: Path
    """Everything durable; created 0700 if it is missing."""
    socket: Path | None = None
    """Where `boatyardd` listens; None for the one that systemd passes. An engine inside another program is told when it is to
    serve (`Engine.serving`)."""
    socket_mode: int = 0o660
    """With more than that everybody is root on this machine, unless `allowed_uids` says who is."""
    socket_group: str = ""
    """By default `docker`, where there is such a group."""
    tls_listen: tuple[str, int] | None = None
    """Host and port where clients with a certificate are served, too; with the three files below, or not at all."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    authorization_plugins: tuple[str, ...] = ()
    """Names, or paths of their sockets, of plugins that must all allow a request."""
    backend: Backend = "uvloop"
    default_log_driver: str = "json-file"
    default_runtime: str = "runc"
    body_bytes_max: int = 4 << 20
    """Of a JSON request: far above the largest real create, far below what hurts."""
    head_bytes_max: int = 64 << 10
    headers_max: int = 200
    head_timeout_s: float = 10.0
    """From the first byte of a head to its last: clients send it in one go. A connection that is idle between requests has no
    limit, as in Docker, until its place is needed. Of this and the next, some have up to a tenth less (`limits.SPREAD`)."""
    read_timeout_s: float = 30.0
    """Between two reads of a body. In all an image may take as long as it takes."""
    body_timeout_s: float = 60.0
    """For all of a JSON body: the largest one at 70 KB/s."""
    write_timeout_s: float = 60.0
    """How long a client may take nothing of its answer: whoever has stopped reading has a connection, and memory of ours."""
    ask_timeout_s: float = 30.0
    """How long a request may wait for a service that restarts or is overloaded before it is answered 503."""
    drain_timeout_s: float = 10.0
    """How long requests under way at SIGTERM may take: many times the slowest create, and short of what systemd waits (90 s)."""
    undo_timeout_s: float = 30.0
    """How long the clean-up of a failed create may take: it is shielded, and a shield needs an end."""
    events_kept_max: int = 256
    """Past events for `since`, as in Docker."""
    insecure_registries: tuple[str, ...] = ()
    """Hosts, with or without a port, and networks as `10.0.0.0/8`, that are spoken to without TLS, besides this machine."""
    connections_max: int = 1024
    """At once. When it is reached the connection that has been idle for longest makes room, and if none is idle the new one is
    refused. It is lower where the process may not have so many descriptors."""
    connections_per_uid_max: int = 896
    """Of one user: the last eighth is for others, so that nobody can lock them out, root least of all."""
    idle_grace_s: float = 1.0
    """How long a connection keeps its place without a request: who has just come, or has just read an answer, is about to ask."""
    allowed_uids: frozenset[int] | None = None
    """Who may use the daemon, of those whom the socket's mode lets in; None for all of them."""
    creates_max: int = 256
    """Creates under way at once. More are not done sooner together: they only wait, and who waits gives up and asks again."""
    log_bytes_max: int = LOG_BYTES_MAX
    """Of the database's log, made before the first commit; beyond that it grows as it needs to."""
    metrics: Path | tuple[str, int] | None = None
    """The socket, or host and port, where `boatyardd` answers `GET /metrics`."""
    ready_trees_max: int = READY_TREES_MAX
    """Containers whose directories are made beforehand."""
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    access_log: AccessLog = "changes"
    """Which requests are logged, one line each: those that may change something or are refused, or all, or none. What is only
    looked at is asked for far more often than anybody reads about it."""

"""Every option, once: flags, variables, keys of a file, their help and what is checked of them all come from this table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from daemon.config import BACKENDS
from daemon.options import kinds
from daemon.options.kinds import Kind

PREFIX = "BOATYARD_"


@attrs.frozen(kw_only=True)
class Option:
    name: str
    """Of the field of Config, which is the key in a file."""
    kind: Kind
    help: str
    flag_name: str = ""
    """Where it is not the name of the field: of those that were there before there were files, or that are said several times."""
    is_reloadable: bool = False
    """Whether a running daemon can take over another value."""

    @property
    def flag(self) -> str:
        return f"--{self.flag_name or self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


def _option(name: str, kind: Kind, text: str, *, flag: str = "", reloadable: bool = False) -> Option:
    return Option(name=name, kind=kind, help=text, flag_name=flag, is_reloadable=reloadable)


_PLACES = (
    _option("data_root", kinds.path("DIR"), "where everything durable is; made if it is missing"),
    _option(
        "socket",
        kinds.SOCKET_PATH,
        "where to listen; a stale socket there is replaced (without it: the socket that systemd passes)",
    ),
    _option("backend", kinds.choice(*BACKENDS), "the event loop"),
)

_ACCESS = (
    _option("socket_mode", kinds.MODE, "of the socket: whoever may write to it is root on this machine"),
    _option(
        "socket_group",
        kinds.text("GROUP", "the name of a group"),
        "who may use the socket (without it: docker, if there is such a group)",
    ),
    _option(
        "allowed_uids",
        kinds.UIDS,
        "who may use the daemon, of those whom the socket's mode lets in; may be given several times",
        flag="allowed-uid",
        reloadable=True,
    ),
    _option("tls_listen", kinds.ADDRESS, "serve TLS there, too, to clients whose certificate the authority has signed"),
    _option("tls_cert", kinds.path("FILE"), "our certificate, as PEM; read again at SIGHUP, as the other two"),
    _option("tls_key", kinds.path("FILE"), "its key, as PEM"),
    _option("tls_ca", kinds.path("FILE"), "the authority of clients' certificates, as PEM"),
    _option(
        "authorization_plugins",
        kinds.PLUGINS,
        "a plugin that is asked about each request and must allow it, as Docker's (/run/docker/plugins/NAME.sock); "
        "may be given several times",
        flag="authorization-plugin",
    ),
    _option(
        "insecure_registries",
        kinds.REGISTRIES,
        "a registry that is spoken to without TLS; may be given several times. This machine always is",
        flag="insecure-registry",
        reloadable=True,
    ),
)

_LOGS = (
    _option("log_level", kinds.choice("debug", "info", "warning", "error"), "what is logged at least", reloadable=True),
    _option("log_format", kinds.choice("text", "json"), "how it is written, one line each"),
    _option(
        "access_log",
        kinds.choice("off", "changes", "all"),
        "which requests are logged: those that may change something or are refused, or all, or none",
        reloadable=True,
    ),
)

_CREATES = (
    _option(
        "ready_trees_max",
        kinds.number(0),
        "containers whose directories are made beforehand, so that a burst of as many is fast",
        flag="ready-trees",
    ),
    _option("creates_max", kinds.number(), "creates under way at once; beyond that 503", reloadable=True),
    _option("default_log_driver", kinds.text("NAME", "the name of a log driver"), "of a container that asks for none"),
    _option("default_runtime", kinds.text("NAME", "the name of a runtime"), "of a container that asks for none"),
    _option("events_kept_max", kinds.number(0), "past events that can still be asked for"),
    _option("log_bytes_max", kinds.size(0), "of the database's log, made beforehand"),
)

_LIMITS = (
    _option("body_bytes_max", kinds.size(), "a JSON body; beyond that 413", reloadable=True),
    _option("head_bytes_max", kinds.size(), "a request's line and headers; beyond that 431", reloadable=True),
    _option("headers_max", kinds.number(), "headers of a request; beyond that 431", reloadable=True),
    _option("connections_max", kinds.number(), "connections at once; beyond that 503", reloadable=True),
    _option("connections_per_uid_max", kinds.number(), "of those, one user's", reloadable=True),
    _option(
        "idle_grace_s", kinds.SECONDS, "a connection without a request keeps its place for so long", reloadable=True
    ),
    _option("head_timeout_s", kinds.SECONDS, "for a head, from its first byte on; then 408", reloadable=True),
    _option("read_timeout_s", kinds.SECONDS, "between two reads of a body; then 408", reloadable=True),
    _option("body_timeout_s", kinds.SECONDS, "for all of a JSON body; then 408", reloadable=True),
    _option("write_timeout_s", kinds.SECONDS, "that a client may read nothing of its answer", reloadable=True),
    _option("ask_timeout_s", kinds.SECONDS, "that a request may wait for a service; then 503"),
    _option("drain_timeout_s", kinds.SECONDS, "for what is under way when the daemon is told to stop", reloadable=True),
    _option("undo_timeout_s", kinds.SECONDS, "for the clean-up of a create that failed"),
)

_METRICS = (
    _option(
        "metrics", kinds.METRICS, "answer GET /metrics, for Prometheus, at a Unix socket or a port of this machine"
    ),
)

GROUPS: Mapping[str, Sequence[Option]] = {
    "places": _PLACES,
    "access": _ACCESS,
    "logs": _LOGS,
    "metrics": _METRICS,
    "containers": _CREATES,
    "limits of a request": _LIMITS,
}

OPTIONS: Mapping[str, Option] = {option.name: option for group in GROUPS.values() for option in group}

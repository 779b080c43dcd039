"""What can go wrong for a caller, one kind per cause. Knows no HTTP: `api/errors` turns a kind into a status.

Every kind is a `Refused`: raised inside an actor it is an answer to whoever asked, not a crash. Texts that reach a client
of the Docker API are Moby's, byte for byte; ours are lower case, end without a full stop and name the thing.
The kinds are those of Moby's `errdefs` package (api/server/httpstatus/status.go).
"""

from __future__ import annotations

from collections.abc import Sequence

from actors import Refused


class DaemonError(Refused):
    """The base of everything a caller may be told; `str(error)` is the whole text."""


class NotFound(DaemonError):
    """The thing named by the caller does not exist."""


class InvalidParameter(DaemonError):
    """The request can never succeed as it was put."""


class Conflict(DaemonError):
    """The request collides with the present state: a taken name, an image in use."""


class RemovalInProgress(Conflict):
    """The container is on its way out: nothing else can be done with it."""


class Forbidden(DaemonError):
    """The caller may not do this."""


class Unauthorized(DaemonError):
    """Whoever we spoke to for the caller does not take the caller's credentials."""


class Unavailable(DaemonError):
    """Not now: overloaded, starting or stopping. The same request may succeed later."""


class Overloaded(Unavailable):
    """As much is under way as may be. Whoever asks again before it is asked to only takes from those who are let in."""


class NotImplementedHere(DaemonError):
    """A part of the Docker API that this daemon does not offer."""


class System(DaemonError):
    """The world failed us: a full disk, a corrupt file. Never the caller's fault."""


class DiskFull(System):
    """No space, or no inodes, where the daemon keeps its data. What removes something may still succeed."""


class Cancelled(DaemonError):
    """The work was called off by someone else, as a create is by a remove of its name."""


class SyncFailed(Exception):
    """Nobody can tell any more what is durable. No answer to a caller: the daemon stops, and recovers at its next start."""


def disk_full() -> DiskFull:
    """One text for all of them, and the one that people look for."""
    return DiskFull("no space left on device")


def name_in_use(name: str, holder_id: str) -> Conflict:
    """The text that clients look for (moby daemon/names.go reserveName)."""
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{holder_id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def key_in_use(key: str, holder_id: str) -> Conflict:
    return Conflict(f"idempotency key {key!r} is in use by container {holder_id}, which was created by another request")


def network_name_in_use(name: str) -> Conflict:
    """Moby's libnetwork/error.go NetworkNameError."""
    return Conflict(f"network with name {name} already exists")


def joined(complaints: Sequence[str]) -> str:
    """Several complaints as one text: a list if there is more than one (moby internal/multierror)."""
    if len(complaints) == 1:
        return complaints[0].strip()
    return "\n".join(f"* {text.replace(chr(10), chr(10) + chr(9))}" for text in complaints)


def quoted(text: str) -> str:
    """As Go's `%q` writes it: in double quotes, with backslashes for what would not print (strconv.Quote)."""
    return '"' + text.translate(_Escapes()) + '"'


class _Escapes(dict[int, str]):
    """Each character is thought about once: four megabytes that a client sends would take seconds otherwise."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = escaped = _SHORT_ESCAPES.get(char) or _printable(char)
        return escaped


_SHORT_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def _printable(char: str) -> str:
    code = ord(char)
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

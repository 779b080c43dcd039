"""What a registry refuses, or fails to do, as errors with Moby's texts. Pure.

Rules: distribution registry/client/errors.go (how an answer becomes an error), errcode (how it is written), moby v28
distribution/errors.go (what `docker pull` makes of it, and what is worth another try).
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from daemon.errors import DaemonError, NotFound, System
from daemon.reference import Reference
from daemon.registry.challenges import parse_challenges

TEXT_LENGTH_MAX = 1000
"""Of what a registry says, in an error."""

_BY_STATUS = {
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
    429: ("TOOMANYREQUESTS", "too many requests"),
}


class RegistryError(System):
    """The registry, or the way to it, has failed."""

    is_worth_another_try = False


class Interrupted(RegistryError):
    """A connection that could not be made or has broken, an answer that did not come, a server's failure: it may pass."""

    is_worth_another_try = True


class RegistryRefusal(RegistryError):
    """The registry has said no."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def refusal_of(status: int, content: bytes, challenges: Iterable[str] = ()) -> RegistryError:
    """What an answer with a status of 400 or more says."""
    if status >= 500:
        return Interrupted(f"received unexpected HTTP status: {status_line(status)}")
    if status == 401:
        for challenge in parse_challenges(challenges):
            if challenge.scheme == "bearer" and challenge.parameters.get("error") == "insufficient_scope":
                code, text = _BY_STATUS[403]
                return _refusal(status, code, challenge.parameters.get("error_description") or text)
    for code, message in _stated(content):
        return _refusal(status, code, message)
    if status in _BY_STATUS:
        return _refusal(status, *_BY_STATUS[status])
    return RegistryRefusal(status, "", f"received unexpected HTTP status: {status_line(status)}")


def explained(error: RegistryError, reference: Reference) -> DaemonError:
    """What whoever pulls `reference` is told."""
    if not isinstance(error, RegistryRefusal):
        return error
    match error.code:
        case "DENIED":
            return NotFound(
                f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
                f"'docker login': {error}"
            )
        case "MANIFEST_UNKNOWN":
            return NotFound(f"manifest for {reference.familiar} not found: {error}")
        case "NAME_UNKNOWN":
            return NotFound(f"repository {reference.familiar_name} not found: {error}")
    return error


def _refusal(status: int, code: str, message: str) -> RegistryRefusal:
    words = code.lower().replace("_", " ")
    return RegistryRefusal(status, code, f"{words}: {message}"[:TEXT_LENGTH_MAX])


def _stated(content: bytes) -> list[tuple[str, str]]:
    """Code and message of each error in the body; none if it is not that kind of body."""
    try:
        errors = msgspec.json.decode(content, type=_Errors).errors or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [(error.code, error.message or error.code.lower().replace("_", " ")) for error in errors if error.code]


def status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


class _Error(msgspec.Struct):
    code: str = ""
    message: str | None = None


class _Errors(msgspec.Struct):
    errors: list[_Error] | None = None

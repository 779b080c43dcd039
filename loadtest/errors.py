"""What can go wrong: exceptions for what stops the harness itself, a fixed set of kinds for what goes wrong with a request."""

from __future__ import annotations

import enum

import attrs


class HarnessError(Exception):
    """The base of everything that ends a run early; `str(error)` is the whole text."""


class BadScenario(HarnessError, ValueError):
    """The caller asked for a run that cannot be."""


class TargetUnreachable(HarnessError):
    """Nobody answers on the target's socket."""


class TargetRefused(HarnessError):
    """The target answered, but not with what the harness needs around a run: its image, its list of containers."""


class ErrorKind(enum.Enum):
    """Why a request counts as an error. As in the design's "Load harness"."""

    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    EOF_BEFORE_RESPONSE = "eof_before_response"
    EOF_IN_BODY = "eof_in_body"
    RESET = "reset"
    TIMEOUT = "timeout"
    HTTP_STATUS = "http"
    BAD_HTTP = "bad_http"
    BAD_JSON = "bad_json"
    WRONG_ID = "wrong_id"
    DUPLICATE_ID = "duplicate_id"
    UNEXPECTED_409 = "unexpected_409"
    MISSING_409 = "missing_409"


NEVER_SENT = frozenset({ErrorKind.CONNECT_REFUSED, ErrorKind.CONNECT_TIMEOUT})
"""After any other kind that is no answer the request may have been carried out, or be so yet."""


@attrs.frozen
class Failure:
    """One request that went wrong. `number` is its place in the order of sending."""

    number: int
    kind: ErrorKind
    text: str
    status: int = 0

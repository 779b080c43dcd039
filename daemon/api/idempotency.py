"""What makes a create safe to try again: the key a client gives it, and what the key stands for."""

from __future__ import annotations

import hashlib
import re

import msgspec
from msgspec.structs import replace

from daemon.create.request import CreateRequest, Idempotency
from daemon.errors import InvalidParameter

IDEMPOTENCY_HEADER = "idempotency-key"
IDEMPOTENCY_LABEL = "com.boatyard.idempotency-key"
"""For clients that cannot set a header, such as the docker command."""

KEY_LENGTH_MAX = 255
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}", re.ASCII)


def with_idempotency(request: CreateRequest, header: str | None) -> CreateRequest:
    """The request with the key that its header or its label names, if one does.

    Raises:
        InvalidParameter: it is none, or the two differ.
    """
    label = (request.config.labels or {}).get(IDEMPOTENCY_LABEL)
    keys = {key for key in (header, label) if key is not None}
    if not keys:
        return request
    if len(keys) > 1:
        raise InvalidParameter(f"the header Idempotency-Key and the label {IDEMPOTENCY_LABEL} differ")
    key = keys.pop()
    if not _KEY.fullmatch(key):
        raise InvalidParameter(f"an idempotency key is 1 to {KEY_LENGTH_MAX} printable ASCII characters without blanks")
    return replace(request, idempotency=Idempotency(key=key, fingerprint=fingerprint_of(request)))


def fingerprint_of(request: CreateRequest) -> str:
    """Equal for requests that ask for the same: name, platform, API version and body, however the body is written."""
    asked = {name: value for name, value in msgspec.structs.asdict(request).items() if name != "origin"}
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()

"""Bodies of creates that have been decoded already: who creates many containers sends the same few again and again.

What comes of a body depends on nothing but its bytes and the version of the API, and is frozen. That its origin is the very same
object each time lets the pipeline know it again, too (`create/draft`).
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec.structs import replace

from daemon.create.request import CreateRequest, Origin

BODIES_MAX = 128
BODY_BYTES_MAX = 16 << 10
"""Larger ones are rare, and 2 MB is enough to spend on this."""

Key = tuple[bytes, tuple[int, int]]


class DecodedBodies:
    """The latest `BODIES_MAX`, without what the query says."""

    def __init__(self) -> None:
        self._requests: OrderedDict[Key, CreateRequest] = OrderedDict()

    def get(self, body: bytes, version: tuple[int, int]) -> CreateRequest | None:
        key = body, version
        request = self._requests.get(key)
        if request is not None:
            self._requests.move_to_end(key)
        return request

    def kept(self, body: bytes, version: tuple[int, int], request: CreateRequest) -> CreateRequest:
        """What was decoded, with an origin of its own if it may come from here again."""
        if len(body) > BODY_BYTES_MAX:
            return request
        self._requests[body, version] = kept = replace(request, origin=Origin())
        if len(self._requests) > BODIES_MAX:
            self._requests.popitem(last=False)
        return kept

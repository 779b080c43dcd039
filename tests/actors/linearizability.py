"""Whether what clients saw of a service could have happened one call after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import attrs

S = TypeVar("S", bound=Hashable)

UNKNOWN = object()
"""The result of a call that may have taken effect, or may yet, or never will: its asker has timed out, or was told of a crash.

If it has returned all the same, it will have taken effect by then or never."""


@attrs.define(eq=False)
class Call:
    name: str
    argument: Hashable
    invoked: int
    """Moments are numbers in the order of the history."""
    returned: float = math.inf
    result: object = UNKNOWN


def is_linearizable(
    history: Sequence[Call], apply: Callable[[S, Call], tuple[S, object]], state: S
) -> bool:  # fmt: skip
    """Wing and Gong's search: try every call that no other has certainly preceded, remembering what was tried.

    `apply` returns the next state and the result the call would have had. Calls that certainly had no effect are left out.
    """
    tried: set[tuple[frozenset[int], S]] = set()

    def search(left: frozenset[int], state: S) -> bool:
        if all(history[number].result is UNKNOWN for number in left):
            return True
        if (left, state) in tried:
            return False
        tried.add((left, state))
        first_return = min(history[number].returned for number in left)
        for number in sorted(left):
            call = history[number]
            if call.invoked < first_return:
                after, result = apply(state, call)
                if call.result in (UNKNOWN, result) and search(left - {number}, after):
                    return True
                if call.result is UNKNOWN and call.returned < math.inf and search(left - {number}, state):
                    return True
        return False

    return search(frozenset(range(len(history))), state)

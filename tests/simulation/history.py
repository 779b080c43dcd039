"""What clients asked and were told, and whether it could have happened one call after the other (`linearizability`).

A container is known by its id. Where a client got no answer its container is known by the label that its request had, from the
moment when anybody has seen it. Names that the daemon has made up are all `""` here: nobody contends for them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import attrs

from tests.actors.linearizability import UNKNOWN, Call, is_linearizable

FAILED = (("called off",), ("refused",))

Seen = frozenset[tuple[str, str]]
"""Of a list: (id, name) of every container."""


_NOT_YET = object()
"""The result of what cannot come next."""


@attrs.frozen
class State:
    containers: frozenset[tuple[str, str, str]] = frozenset()
    """Id, name, and the key it was asked for with."""
    made: frozenset[str] = frozenset()
    """The ids of all that were ever asked for with a key."""
    meant: frozenset[tuple[int, str]] = frozenset()
    """The ids of the containers that calls mean which have yet to change them, by the moments at which these began."""

    def find(self, target: str) -> tuple[str, str, str] | None:
        return next((each for each in self.containers if target and target in each[:2]), None)

    def with_key(self, key: str) -> str | None:
        return next((found for found, _, of in self.containers if key and of == key), None)


@attrs.frozen(kw_only=True)
class Create:
    name: str
    key: str
    label: str


@attrs.frozen
class On:
    """A container by its name or id; `name` is a new one."""

    target: str
    name: str = ""


@attrs.define(eq=False)
class Asked(Call):
    """Results are `("ok", id)` of a create or an inspect, a `Seen` of a list, else `("ok",)`, `("taken",)`, `("absent",)`, ..."""

    ended: float = float("inf")
    """When its client was told anything, or gave up. Its effect may come later, if its result is unknown."""

    @property
    def claims(self) -> str:
        """The name that nobody else can have as long as this is under way."""
        return self.argument.name if isinstance(self.argument, Create | On) and self.name != "remove" else ""


class History:
    def __init__(self) -> None:
        self.calls: list[Asked] = []
        self.labels: dict[str, list[str]] = {}
        """Ids in the order in which they were first seen, by the label of their request."""
        self._moments = itertools.count()
        self._begun = 0
        """How many calls there were when this life of the daemon began."""

    def ask(self, name: str, argument: Create | On | None) -> Asked:
        call = Asked(name, argument, next(self._moments))
        self.calls.append(call)
        return call

    def tell(self, call: Asked, result: object) -> None:
        """What its client was told; `UNKNOWN` if that leaves open what has happened."""
        call.result, call.ended = result, next(self._moments)
        if result is not UNKNOWN:
            call.returned = call.ended

    def see(self, container_id: str, label: str) -> None:
        ids = self.labels.setdefault(label, [])
        if container_id not in ids:
            ids.append(container_id)

    def end_life(self) -> None:
        """What has not happened by now never will."""
        now = next(self._moments)
        for call in self.calls[self._begun :]:
            call.returned, call.ended = min(call.returned, now), min(call.ended, now)
        self._begun = len(self.calls)

    def check(self) -> None:
        """Raises AssertionError, with the history."""
        calls = [call for call in self.calls if not self._says_nothing(call)]
        looks = [
            Asked("look", call.argument, call.invoked, call.ended, None) for call in calls if self._looks_first(call)
        ]
        assert is_linearizable([*calls, *looks], self._apply, State()), f"no order explains this:\n{self}"

    def _looks_first(self, call: Asked) -> bool:
        """A change finds out whom it means before it waits for its turn, as in Docker: a rename may come between the two."""
        return call.name in ("rename", "remove") and any(other.name == "rename" for other in self._beside(call))

    def _says_nothing(self, call: Asked) -> bool:
        """It had no effect for sure, and what it says may be due to another that was under way."""
        match call.result:
            case ("called off" | "refused" | "busy",):
                return True
            case ("taken",):
                return any(other.claims == call.claims for other in self._beside(call))
        return False

    def _beside(self, call: Asked) -> Iterable[Asked]:
        return (
            other
            for other in self.calls
            if other is not call and other.invoked < call.ended and call.invoked < other.ended
        )

    def _apply(self, state: State, call: Call) -> tuple[State, object]:
        assert isinstance(call, Asked)
        match call.name, call.argument:
            case "create", Create() as wanted:
                return self._create(state, call, wanted)
            case "list", None:
                return state, frozenset((found, name) for found, name, _ in state.containers)
            case "look", On() as on:
                found = state.find(on.target)
                return attrs.evolve(state, meant=state.meant | {(call.invoked, found[0] if found else "")}), None
            case verb, On() as on:
                meant = next((known for known in state.meant if known[0] == call.invoked), None)
                if meant is None and self._looks_first(call):
                    return state, _NOT_YET
                state = attrs.evolve(state, meant=state.meant - {meant})
                found = state.find(meant[1] if meant else on.target)
                if found is None:
                    was_called_off = verb == "remove" and self._may_have_called_off(call, on)
                    return state, ("ok",) if was_called_off and call.result == ("ok",) else ("absent",)
                return self._change(state, verb, found, on)
        raise AssertionError(call)

    def _create(self, state: State, call: Asked, wanted: Create) -> tuple[State, object]:
        if (kept := state.with_key(wanted.key)) is not None:
            return state, ("ok", kept)
        if wanted.name and state.find(wanted.name) is not None:
            return state, ("taken",)
        container_id = self._id_of(state, call, wanted)
        made = state.made | {container_id} if wanted.key else state.made
        return State(state.containers | {(container_id, wanted.name, wanted.key)}, made), ("ok", container_id)

    def _id_of(self, state: State, call: Asked, wanted: Create) -> str:
        match call.result:
            case ("ok", str() as told):
                return told
        # Of several with its key, those that were there before have been seen before.
        unseen = f"of call {call.invoked}"
        return next((each for each in self.labels.get(wanted.label, ()) if each not in state.made), unseen)

    @staticmethod
    def _change(state: State, verb: str, found: tuple[str, str, str], on: On) -> tuple[State, object]:
        container_id, name, key = found
        others = state.containers - {found}
        match verb:
            case "inspect":
                return state, ("ok", container_id)
            case "remove":
                return attrs.evolve(state, containers=others), ("ok",)
            case "rename" if name == on.name:
                return state, ("same",)
            case "rename" if state.find(on.name) is not None:
                return state, ("taken",)
            case "rename":
                return attrs.evolve(state, containers=others | {(container_id, on.name, key)}), ("ok",)
        raise AssertionError(verb)

    def _may_have_called_off(self, call: Asked, on: On) -> bool:
        return any(
            other.name == "create" and other.claims == on.target and other.result in (*FAILED, UNKNOWN)
            for other in self._beside(call)
        )

    def __str__(self) -> str:
        text = "\n".join(
            f"{call.invoked:4} - {call.ended:4}  {call.name} {call.argument or ''} -> "
            f"{'?' if call.result is UNKNOWN else call.result}"
            for call in self.calls
        )
        return re.sub("([0-9a-f]{6})[0-9a-f]{58}", r"\1", text)

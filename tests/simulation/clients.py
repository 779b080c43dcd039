"""Clients of a simulated daemon: they ask its router as Docker's do, and what they are told goes into the history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import anyio
import attrs

from daemon.api.authorization import Shown
from daemon.api.routes import Router
from daemon.http.message import Request
from tests.actors.linearizability import UNKNOWN
from tests.simulation.history import Asked, Create, History, On

NAMES = ("xx", "yy", "zz")
"""Few, so that clients get in each other's way; none is the beginning of an id."""
VOLUMES = ("v1", "v2")
KEYS = {"k1": "", "k2": "yy"}
"""And the name that each asks for."""
CALLS_MAX = 6
"""Of one client, in one life of the daemon."""
THINK_S_MAX = 0.4
HASTY_RATE = 0.15
"""How many of the calls are given up soon, as by a client that goes away."""
HASTE_S_MAX = 0.3
PATIENCE_S = 10_000.0

CALLED_OFF, BUSY, REFUSED = ("called off",), ("busy",), ("refused",)
RESTARTING = "a service of the daemon is restarting, try again"
REACTIONS: Mapping[tuple[str, int], tuple[tuple[str, object], ...]] = {
    ("create", 409): (("is already in use by container", ("taken",)), ("was cancelled by a removal", CALLED_OFF),
                      ("of container", REFUSED)),
    ("create", 503): ((RESTARTING, UNKNOWN), ("", REFUSED)),
    ("create", 500): (("internal error", None), ("", REFUSED)),
    ("create", 507): (("no space left on device", REFUSED),),
    ("remove", 404): (("No such container", ("absent",)),),
    ("remove", 409): (("already in progress", BUSY),),
    ("remove", 503): ((RESTARTING, UNKNOWN), ),
    ("remove", 500): (("internal error", None), ("", REFUSED)),
    ("remove", 507): (("no space left on device", REFUSED),),
    ("rename", 404): (("No such container", ("absent",)),),
    ("rename", 400): (("same name as its current name", ("same",)),),
    ("rename", 409): (("is already in use by container", ("taken",)), ("already in progress", BUSY)),
    ("rename", 503): ((RESTARTING, UNKNOWN),),
    ("rename", 500): (("internal error", None), ("", REFUSED)),
    ("rename", 507): (("no space left on device", REFUSED),),
    ("inspect", 404): (("No such container", ("absent",)),),
    ("inspect", 503): ((RESTARTING, REFUSED),),
    ("list", 503): ((RESTARTING, REFUSED),),
}  # fmt: skip
"""What a refusal says of what has happened, by the first text that is in it. None, and what is not here, is a defect."""


@attrs.frozen
class Answered:
    status: int
    body: Any
    """Any: JSON."""


class Clients:
    """Of one life of the daemon."""

    def __init__(self, router: Router, history: History, rng: Random) -> None:
        self._router = router
        self._history = history
        self._rng = rng
        self.is_over = False
        """Nobody hears answers any more."""

    async def work(self) -> None:
        for _ in range(self._rng.randint(1, CALLS_MAX)):
            await anyio.sleep(self._rng.choice([0.0, self._rng.uniform(0, THINK_S_MAX)]))
            is_hasty = self._rng.random() < HASTY_RATE
            with anyio.move_on_after(self._rng.uniform(0, HASTE_S_MAX) if is_hasty else PATIENCE_S):
                await self._one_call()

    async def _one_call(self) -> None:
        verb = self._rng.choices(
            [self.create, self.remove, self.rename, self.inspect, self.list], weights=[8, 4, 2, 3, 4]
        )[0]
        await verb()

    async def create(self, name: str | None = None) -> Asked:
        rng = self._rng
        key = rng.choice([*KEYS]) if name is None and rng.random() < 0.3 else ""
        if key:
            wanted = Create(name=KEYS[key], key=key, label=key)
        else:
            asked = name if name is not None else rng.choice([*NAMES, *NAMES, ""])
            wanted = Create(name=asked, key="", label=f"call {len(self._history.calls)}")
        body = {"Image": "busybox", "Cmd": ["true"], "Labels": {"asked": wanted.label}}
        if not key:
            body |= self._extras()
        query = {"name": wanted.name} if wanted.name else {}
        headers = {"idempotency-key": key} if key else {}
        return await self._ask("create", wanted, "POST", "/containers/create", query, body, headers)

    def _extras(self) -> dict[str, Any]:
        rng, extras = self._rng, dict[str, Any]()
        if rng.random() < 0.3:
            extras["WorkingDir"] = "/work"
        if rng.random() < 0.3:
            extras["Volumes"] = {"/full": {}}
        if rng.random() < 0.3:
            extras["HostConfig"] = {"Binds": [f"{rng.choice(VOLUMES)}:/mnt"]}
        return extras

    async def remove(self) -> Asked:
        on = On(self._target())
        query = {"v": "1"} if self._rng.random() < 0.5 else {}
        return await self._ask("remove", on, "DELETE", f"/containers/{quote(on.target)}", query)

    async def rename(self) -> Asked:
        on = On(self._target(), self._rng.choice(NAMES))
        return await self._ask("rename", on, "POST", f"/containers/{quote(on.target)}/rename", {"name": on.name})

    async def inspect(self) -> Asked:
        on = On(self._target())
        return await self._ask("inspect", on, "GET", f"/containers/{quote(on.target)}/json")

    async def list(self) -> Asked:
        return await self._ask("list", None, "GET", "/containers/json", {"all": "1"})

    def _target(self) -> str:
        ids = [each for known in self._history.labels.values() for each in known]
        return self._rng.choice([*NAMES, *ids[-3:]])

    async def _ask(
        self,
        verb: str,
        argument: Create | On | None,
        method: str,
        path: str,
        query: Mapping[str, str] = {},
        body: Any = None,
        headers: Mapping[str, str] = {},
    ) -> Asked:
        call, told = self._history.ask(verb, argument), UNKNOWN
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(
            method=method,
            path=path,
            query=urlencode(query),
            headers={"content-type": "application/json", **headers} if content else headers,
            body=Shown(content),
            has_body=bool(content),
        )
        try:
            response = await self._router(request)
            assert isinstance(response.body, bytes)
            told = self._understood(call, Answered(response.status, json.loads(response.body or b"null")))
        finally:
            if not self.is_over:
                self._history.tell(call, told)
        return call

    def _understood(self, call: Asked, answered: Answered) -> object:
        match call.name, answered.status, answered.body:
            case "create", 201, {"Id": container_id}:
                return ("ok", container_id)
            case "remove" | "rename", 204, _:
                return ("ok",)
            case "inspect", 200, {"Id": container_id, "Config": {"Labels": labels}}:
                self._see(container_id, labels)
                return ("ok", container_id)
            case "list", 200, [*containers]:
                for each in containers:
                    self._see(each["Id"], each["Labels"])
                return frozenset((each["Id"], _pooled(each["Names"][0])) for each in containers)
        for text, meaning in REACTIONS.get((call.name, answered.status), ()):
            if text in answered.body["message"]:
                assert meaning is not None, f"{call} is answered with {answered}"
                return meaning
        raise AssertionError(f"{call} is answered with {answered}")

    def _see(self, container_id: str, labels: Mapping[str, str]) -> None:
        if not self.is_over:
            self._history.see(container_id, labels["asked"])


def _pooled(name: str) -> str:
    return name[1:] if name[1:] in NAMES else ""

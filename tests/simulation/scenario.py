"""The daemon through some lives: its clients, its bad days, and what must hold whatever happens.

It is whole but for its socket: the router, the engine with all its actors, SQLite and the files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random

import anyio
import attrs

from actors import Ref, TooManyRestarts
from actors.testing import crash, no_leaks, quiesce
from contrib.unclaimed import leftover, unclaimed
from daemon.api.routes import Router
from daemon.engine import Engine
from daemon.errors import System
from daemon.services import Services
from daemon.services.registrar import Registrar
from daemon.storage.ready import ReadyTrees
from tests.simulation.clients import NAMES, Clients
from tests.simulation.history import History
from tests.simulation.machine import Machine, machine

LIVES_MAX = 3
CLIENTS_MAX = 5
LIFE_S_MAX = 2.0
"""Of virtual time: about as long as the slowest client has something to do."""
CHANGES_MAX = 200
"""Of files in one life, about."""
CRASHES_MAX = 3
HANGS_AFTER_S = 10_000.0


async def daemon(rng: Random) -> None:
    """Names are unique, nothing acknowledged is lost, nothing is left over: through crashes, deaths and full disks."""
    with machine() as host:
        history = History()
        for _ in range(rng.randint(1, LIVES_MAX)):
            async with no_leaks():
                with anyio.fail_after(HANGS_AFTER_S):
                    await live(Life(host, history, rng))
        await look_once_more(host, history, rng)
        history.check()


class Life:
    """One process."""

    def __init__(self, host: Machine, history: History, rng: Random) -> None:
        self.host = host
        self.history = history
        self.rng = rng
        self.root = host.root
        self.has_crashed = False
        self.clients: Clients | None = None
        self.scope = anyio.CancelScope()
        host.start(
            dies_before=rng.randint(1, CHANGES_MAX) if rng.random() < 0.4 else 0,
            full_before=rng.randint(1, CHANGES_MAX) if rng.random() < 0.2 else 0,
            on_death=self.end,
        )

    def end(self) -> None:
        """Nothing that happens from now on has happened."""
        if self.clients is not None:
            self.clients.is_over = True
        self.history.end_life()
        self.scope.cancel()


async def live(life: Life) -> None:
    """Until its clients have no more to ask, the machine dies, or the daemon gives up."""
    has_given_up = False
    with life.scope:
        try:
            async with Engine(life.host.config) as engine:
                check_agreement(life.root, engine.ready)
                life.clients = Clients(Router(engine), life.history, life.rng)
                await have_a_day(life, engine)
                await probe_names(life.clients)
                await check_quiet(engine)
        except* TooManyRestarts:
            has_given_up = True
        except* System:  # it does not start
            assert life.host.has_been_full
            assert life.clients is None
    if life.host.is_dead:
        return
    life.end()
    is_clean = (life.root / "stopped-cleanly").exists()
    if is_clean:
        check_agreement(life.root)
    assert is_clean or has_given_up or life.has_crashed or life.host.has_been_full, (
        "it has left something for no reason"
    )


async def have_a_day(life: Life, engine: Engine) -> None:
    rng, clients = life.rng, life.clients
    assert clients is not None
    async with anyio.create_task_group() as days:
        if rng.random() < 0.5:
            days.start_soon(crash_actors, life, engine.services)
        if rng.random() < 0.2:
            days.start_soon(fill_disk, life)
        if rng.random() < 0.3:
            days.start_soon(die, life)
        async with anyio.create_task_group() as group:
            for _ in range(rng.randint(2, CLIENTS_MAX)):
                group.start_soon(clients.work)
        days.cancel_scope.cancel()


async def crash_actors(life: Life, services: Services) -> None:
    refs: list[Ref[object]] = [getattr(services, field.name) for field in attrs.fields(Services)]
    for _ in range(life.rng.randint(1, CRASHES_MAX)):
        await anyio.sleep(life.rng.uniform(0, LIFE_S_MAX / 2))
        ref = life.rng.choice(refs)
        if ref is not services.database or life.rng.random() < 0.2:
            life.has_crashed = True
            crash(ref)


async def fill_disk(life: Life) -> None:
    await anyio.sleep(life.rng.uniform(0, LIFE_S_MAX / 2))
    with life.host.full():
        await anyio.sleep(life.rng.uniform(0, LIFE_S_MAX / 4))


async def die(life: Life) -> None:
    await anyio.sleep(life.rng.uniform(0, LIFE_S_MAX / 2))
    life.host.die()


async def probe_names(clients: Clients) -> None:
    """A name that nobody has can be had. Nobody else asks for anything now."""
    for name in NAMES:
        await clients.create(name)
    await clients.list()


async def look_once_more(host: Machine, history: History, rng: Random) -> None:
    """What the last life has left is what the history says."""
    host.start(on_death=lambda: None)
    async with Engine(host.config) as engine:
        check_agreement(host.root, engine.ready)
        await Clients(Router(engine), history, rng).list()
        await check_quiet(engine)
    check_agreement(host.root)


async def check_quiet(engine: Engine) -> None:
    """When nothing is under way memory is what the database says, and whoever is listed can be inspected."""
    await quiesce()
    rows = rows_of(engine.config.data_root)
    listed = await engine.services.registrar.ask(Registrar.list)
    assert {summary.id: summary.name for summary in listed} == rows.containers
    assert len({summary.name for summary in listed}) == len(listed), "names are not unique"


@attrs.frozen
class Rows:
    containers: Mapping[str, str]
    volumes: frozenset[str]


def rows_of(root: Path) -> Rows:
    """What is in the database, read beside whoever uses it."""
    with closing(sqlite3.connect(root / "boatyard.db")) as connection:
        containers = dict(connection.execute("SELECT id, name FROM containers"))
        return Rows(containers, frozenset(name for (name,) in connection.execute("SELECT name FROM volumes")))


def check_agreement(root: Path, ready: ReadyTrees | None = None) -> None:
    """There is a directory for each row and each tree that is `ready`, and nothing else.

    Of a daemon that has just started, or, without `ready`, has been stopped cleanly: then those that it has listed are.
    """
    rows = rows_of(root)
    prepared = ready.names() if ready is not None else unclaimed(root) - leftover(root)
    found = {kind: {path.name for path in (root / kind).iterdir()} for kind in ("containers", "volumes", "staging")}
    if ready is not None:
        prepared |= ready.names()  # some may have been begun since
    found["containers"] -= prepared
    assert found == {"containers": set(rows.containers), "volumes": rows.volumes, "staging": set()}

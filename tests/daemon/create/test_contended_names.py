"""Names that many want at once, on a real engine: one gets it, the others are told who, and it is free when that one has gone.

`make names` has 10,000 creates at once draw their names; here it is 1,000, which is enough for some to draw the same.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from random import Random

import anyio
import attrs
import pytest

from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Conflict
from daemon.services.registrar import Registrar
from daemon.storage.database import Database
from tests.daemon.harness import engine_at, in_memory

DRAWN_AT_ONCE = int(os.environ.get("NAMES", "1000"))
PATIENCE_S = 600.0
"""However many they are: what is asked here is who gets which name, not when."""
SEED = 20_261_126

_CONFLICT = re.compile(r'Conflict\. The container name "/(.+)" is already in use by container "([0-9a-f]{64})"\. .*')


def asking_for(name: str = "") -> CreateRequest:
    return CreateRequest(name=name, config=ContainerConfig(image="busybox", cmd=("true",)))


def holder_in(error: Conflict, name: str) -> str:
    match = _CONFLICT.fullmatch(str(error))
    assert match is not None, error
    assert match[1] == name
    return match[2]


def test_creates_at_once_draw_names_of_their_own() -> None:
    async def run(root: Path) -> None:
        async with engine_at(root) as engine:
            patient = attrs.evolve(engine._creator, config=attrs.evolve(engine.config, ask_timeout_s=PATIENCE_S))
            ids: list[str] = []

            async def create() -> None:
                ids.append((await patient.create(asking_for())).id)

            async with anyio.create_task_group() as group:
                for _ in range(DRAWN_AT_ONCE):
                    group.start_soon(create)
            summaries = await engine.services.registrar.ask(Registrar.list)
            rows = [(each.id, each.name) for each in await engine.services.database.ask(Database.summaries)]
        assert len(set(ids)) == DRAWN_AT_ONCE
        assert {(summary.id, summary.name) for summary in summaries} == set(rows)
        assert {container_id for container_id, _ in rows} == set(ids)
        names = {name for _, name in rows}
        assert len(names) == DRAWN_AT_ONCE
        odd = [name for name in names if not re.fullmatch(r"[a-z]+_[a-z]+[0-9]?|[0-9a-f]{12}", name)]
        assert not odd

    with in_memory() as home:
        anyio.run(run, home, backend_options={"use_uvloop": True})


@pytest.mark.anyio
async def test_of_many_creates_of_one_name_one_succeeds_and_the_others_are_told_which(tmp_path: Path) -> None:
    created: dict[str, str] = {}
    refused: list[tuple[str, str]] = []

    async with engine_at(tmp_path) as engine:

        async def create(name: str) -> None:
            try:
                container_id = (await engine.create(asking_for(name))).id
            except Conflict as error:
                refused.append((name, holder_in(error, name)))
            else:
                assert name not in created
                created[name] = container_id

        async with anyio.create_task_group() as group:
            for number in range(64):
                group.start_soon(create, f"name{number % 4}")
        listed = {summary.name: summary.id for summary in await engine.services.registrar.ask(Registrar.list)}
        assert listed == created
        assert (len(created), len(refused)) == (4, 60)
        assert set(refused) == set(created.items())


@attrs.define
class Contest:
    """Who has had a name, and who has it no more for certain."""

    engine: Engine
    rng: Random
    given_up: set[str] = attrs.field(factory=set)
    """Ids whose removal, or renaming away from the name, has been acknowledged."""
    wins: int = 0

    async def contend(self, name: str, rounds: int) -> None:
        for _ in range(rounds):
            gone = frozenset(self.given_up)
            try:
                container_id = (await self.engine.create(asking_for(name))).id
            except Conflict as error:
                assert holder_in(error, name) not in gone, "whoever is named had given the name up"
                continue
            self.wins += 1
            if self.rng.random() < 0.5:
                await self.engine.remove(container_id)
            else:
                await self.engine.rename(container_id, f"{name}-{container_id[:12]}")
            self.given_up.add(container_id)


@pytest.mark.anyio
async def test_a_name_is_free_the_moment_its_removal_or_renaming_is_acknowledged(tmp_path: Path) -> None:
    async with engine_at(tmp_path) as engine:
        alone = Contest(engine, Random(SEED))
        await alone.contend("web", rounds=20)
        assert alone.wins == 20, "nobody else wanted it"
        contest = Contest(engine, Random(SEED))
        async with anyio.create_task_group() as group:
            for number in range(24):
                group.start_soon(contest.contend, f"name{number % 3}", 8)
        assert contest.wins >= 3
        names = {summary.name for summary in await engine.services.registrar.ask(Registrar.list)}
        assert names.isdisjoint({"web", "name0", "name1", "name2"})

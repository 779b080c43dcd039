from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors import Ref, Supervisor
from daemon.container import Container, ContainerConfig, HostConfig
from daemon.errors import Conflict
from daemon.services.idempotency import IdempotencyKeys, KeyIndex
from daemon.storage.database import Database, KeptKey

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
KEPT = KeptKey(key="key", fingerprint="f", container_id=A, warnings=("w",))
OF_ANOTHER = f"idempotency key 'key' is in use by container {A}, which was created by another request"
UNDER_WAY = "idempotency key 'key' is in use by a create with another request that is under way"


def test_a_key_is_the_first_claimants_until_it_is_kept_or_free() -> None:
    keys = KeyIndex()
    assert keys.claim("key", "f", A) is True
    assert keys.claim("key", "f", A) is True
    assert keys.claim("key", "f", B) is False
    assert keys.claim("other", "f", B) is True


def test_a_kept_key_is_answered_with_its_container() -> None:
    keys = KeyIndex()
    keys.claim("key", "f", A)
    assert [keys.claim("key", "f", claimant) for claimant in (B, C)] == [False, False]
    assert keys.keep(KEPT) == (B, C)
    assert keys.keep(KEPT) == ()
    assert keys.claim("key", "f", B) == KEPT
    assert keys.free("key", A) is None  # an undo that comes late
    assert keys.claim("key", "f", B) == KEPT


def test_a_key_that_its_claimant_gives_up_is_the_next_ones() -> None:
    keys = KeyIndex()
    for claimant in (A, B, C):
        keys.claim("key", "f", claimant)
    assert keys.free("key", B) is None  # who waits no longer
    assert keys.free("key", A) == C
    assert keys.free("key", A) is None
    assert keys.free("key", C) is None
    assert keys.claim("key", "another", B) is True


def test_a_key_with_another_request_is_a_conflict_while_it_is_claimed_and_when_it_is_kept() -> None:
    keys = KeyIndex()
    keys.claim("key", "f", A)
    with pytest.raises(Conflict) as caught:
        keys.claim("key", "g", B)
    assert str(caught.value) == UNDER_WAY
    keys.keep(KEPT)
    with pytest.raises(Conflict) as caught:
        keys.claim("key", "g", B)
    assert str(caught.value) == OF_ANOTHER


def test_a_key_is_forgotten_with_its_container() -> None:
    keys = KeyIndex([KEPT])
    keys.forget(B)
    assert keys.claim("key", "f", B) == KEPT
    keys.forget(A)
    keys.forget(A)
    assert keys.claim("key", "g", B) is True


KEYS, CREATES = st.sampled_from(["k", "l"]), st.sampled_from([A, B, C])


class KeysAndAModel(RuleBasedStateMachine):
    """The index against a list of claims per key: the first has it, the others wait. A create is used for one key only."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = KeyIndex()
        self.claims: dict[str, list[str]] = {"k": [], "l": []}
        self.kept: dict[str, str] = {}

    def _is_busy(self, create: str) -> bool:
        return any(create in claims for claims in self.claims.values()) or create in self.kept.values()

    @rule(key=KEYS, create=CREATES)
    def claim(self, key: str, create: str) -> None:
        if self._is_busy(create):
            return
        outcome = self.keys.claim(key, "f", create)
        if key in self.kept:
            assert isinstance(outcome, KeptKey)
            assert outcome.container_id == self.kept[key]
        else:
            assert outcome is (not self.claims[key])
            self.claims[key].append(create)

    @rule(key=KEYS)
    def keep(self, key: str) -> None:
        if self.claims[key]:
            first, *others = self.claims[key]
            kept = KeptKey(key=key, fingerprint="f", container_id=first)
            assert self.keys.keep(kept) == tuple(others)
            self.claims[key], self.kept[key] = [], first

    @rule(key=KEYS, create=CREATES)
    def free(self, key: str, create: str) -> None:
        is_first = self.claims[key][:1] == [create]
        self.claims[key] = [each for each in self.claims[key] if each != create]
        assert self.keys.free(key, create) == (self.claims[key][0] if is_first and self.claims[key] else None)

    @rule(create=CREATES)
    def forget(self, create: str) -> None:
        self.keys.forget(create)
        self.kept = {key: container_id for key, container_id in self.kept.items() if container_id != create}

    @invariant()
    def nothing_is_left_of_keys_that_nobody_has(self) -> None:
        assert set(self.keys._claims) == {key for key, claims in self.claims.items() if claims}
        assert set(self.keys._kept) == set(self.kept)


KeysAndAModel.TestCase.settings = settings(derandomize=True, max_examples=100, stateful_step_count=20)
test_the_index_of_keys_behaves_as_queues = KeysAndAModel.TestCase


# The actor ---------------------------------------------------------------------------------------------------------------


def container(container_id: str) -> Container:
    return Container(
        id=container_id,
        name=container_id[:12],
        created_ns=1,
        path="sh",
        args=(),
        config=ContainerConfig(),
        host_config=HostConfig(),
        image_id="",
    )


@asynccontextmanager
async def keys_at(root: Path) -> AsyncIterator[tuple[Ref[Database], Ref[IdempotencyKeys]]]:
    async with Supervisor("rest_for_one") as supervisor:
        database = await supervisor.start(lambda: Database(root / "db"), name="database")
        yield database, await supervisor.start(lambda: IdempotencyKeys(database), name="keys")


@pytest.mark.anyio
async def test_who_waits_is_answered_when_the_first_is_kept(tmp_path: Path) -> None:
    answers: list[KeptKey | None] = []
    async with keys_at(tmp_path) as (_, keys), create_task_group() as group:

        async def ask(claimant: str) -> None:
            answers.append(await keys.ask(IdempotencyKeys.claim, "key", "f", claimant))

        assert await keys.ask(IdempotencyKeys.claim, "key", "f", A) is None
        for claimant in (B, C):
            group.start_soon(ask, claimant)
        await wait_all_tasks_blocked()
        assert answers == []
        await keys.ask(IdempotencyKeys.keep, KEPT)
        await wait_all_tasks_blocked()
        assert answers == [KEPT, KEPT]


@pytest.mark.anyio
async def test_who_waits_first_goes_ahead_when_the_first_has_failed(tmp_path: Path) -> None:
    granted: list[str] = []
    async with keys_at(tmp_path) as (_, keys), create_task_group() as group:

        async def ask(claimant: str) -> None:
            with anyio.CancelScope() as scope:
                scopes[claimant] = scope
                assert await keys.ask(IdempotencyKeys.claim, "key", "f", claimant) is None
                granted.append(claimant)

        scopes: dict[str, anyio.CancelScope] = {}
        assert await keys.ask(IdempotencyKeys.claim, "key", "f", A) is None
        for claimant in (B, C):
            group.start_soon(ask, claimant)
            await wait_all_tasks_blocked()
        scopes[B].cancel()  # its client has gone
        await keys.ask(IdempotencyKeys.free, "key", B)
        await keys.ask(IdempotencyKeys.free, "key", A)
        await wait_all_tasks_blocked()
        assert granted == [C]


@pytest.mark.anyio
async def test_nobody_who_has_given_up_holds_up_the_end(tmp_path: Path) -> None:
    async with keys_at(tmp_path) as (_, keys), create_task_group() as group:
        assert await keys.ask(IdempotencyKeys.claim, "key", "f", A) is None
        group.start_soon(keys.ask, IdempotencyKeys.claim, "key", "f", B)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        with anyio.move_on_after(
            2, shield=True
        ) as patience:  # a stop in order is not to be cut off, but says how long it took
            await keys.ask(IdempotencyKeys.free, "key", B)
            await keys.stop()
        assert not patience.cancel_called


@pytest.mark.anyio
async def test_what_is_kept_is_known_after_a_restart_until_its_container_is_removed(tmp_path: Path) -> None:
    async with keys_at(tmp_path) as (database, _):
        await database.ask(Database.insert_container, container(A), (), KEPT)
    async with keys_at(tmp_path) as (database, keys):
        assert await keys.ask(IdempotencyKeys.claim, "key", "f", B) == KEPT
        await database.ask(Database.delete_container, A)
        assert await database.ask(Database.kept_keys) == ()
    async with keys_at(tmp_path) as (_, keys):
        assert await keys.ask(IdempotencyKeys.claim, "key", "g", B) is None


@pytest.mark.anyio
async def test_the_database_is_the_fence_when_claims_are_forgotten(tmp_path: Path) -> None:
    async with keys_at(tmp_path) as (database, _):
        await database.ask(Database.insert_container, container(A), (), KEPT)
        with pytest.raises(Conflict) as caught:
            await database.ask(Database.insert_container, container(B), (), KEPT)
        assert str(caught.value) == OF_ANOTHER
        assert [each.id for each in await database.ask(Database.summaries)] == [A]

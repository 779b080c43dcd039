"""Who uses which volume, which are seen, which are being changed: without an actor, a disk or a database."""

from __future__ import annotations

import random

import attrs
import pytest
from msgspec.structs import replace

from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.services.volume_index import ListedVolume, VolumeIndex, VolumeUse
from daemon.volume import Volume
from tests.daemon.storage.records import volume


def use(name: str, **fields: object) -> VolumeUse:
    return attrs.evolve(VolumeUse(name=name, destination="/data", is_filled=True), **fields)  # type: ignore[arg-type]


def names_of(volumes: tuple[Volume, ...]) -> list[str]:
    return [each.name for each in volumes]


def listed(index: VolumeIndex) -> dict[str, tuple[str, ...]]:
    return {each.volume.name: each.users for each in index.list()}


def created(index: VolumeIndex, container_id: str, *names: str) -> None:
    """As by a create that went well."""
    index.keep(container_id, names, index.acquire(container_id, map(use, names), 1))


# Containers ----------------------------------------------------------------------------------------------------------


def test_a_volume_is_seen_when_a_container_with_it_is_durable() -> None:
    index = VolumeIndex()
    made = index.acquire("a", (use("v"), use("w"), use("v")), 1)
    assert names_of(made) == ["v", "w"]
    assert index.list() == ()
    with pytest.raises(NotFound, match=r"^get v: no such volume$"):
        index.find("v")
    index.keep("a", ("v", "w"), made)
    assert index.list() == (
        ListedVolume(volume=volume("v"), users=("a",)),
        ListedVolume(volume=volume("w"), users=("a",)),
    )
    assert index.find("v") == volume("v")


def test_of_those_that_share_a_new_volume_the_first_to_be_durable_brings_it() -> None:
    index = VolumeIndex()
    first, second = index.acquire("a", (use("v"),), 1), index.acquire("b", (use("v"),), 2)
    assert first == second == (volume("v"),)
    index.keep("b", ("v",), second)
    assert listed(index) == {"v": ("a", "b")}
    index.keep("a", ("v",), first)
    assert listed(index) == {"v": ("a", "b")}


def test_a_new_volume_outlives_the_failure_of_whoever_wanted_it_first() -> None:
    index = VolumeIndex()
    index.acquire("a", (use("v"),), 1)
    made = index.acquire("b", (use("v"),), 2)
    assert index.release("a") == ()
    index.keep("b", ("v",), made)
    assert listed(index) == {"v": ("b",)}


def test_what_was_made_for_a_create_that_fails_goes_with_it() -> None:
    index = VolumeIndex()
    created(index, "b", "old")
    index.acquire("a", (use("new"), use("old"), use("also")), 1)
    assert index.release("a") == ("also", "new")
    assert index.release("a") == ()
    assert listed(index) == {"old": ("b",)}
    assert not index.is_owner("a")


def test_a_refused_acquisition_leaves_nothing() -> None:
    index = VolumeIndex()
    with pytest.raises(InvalidParameter, match=r'^create w: invalid option: "x"$'):
        index.acquire("a", (use("v"), use("w", options={"x": ""})), 1)
    with pytest.raises(Conflict, match=r"^volume w of another container has been removed$"):
        index.acquire("a", (use("v"), use("w", is_inherited=True)), 1)
    assert index.release("a") == ()
    assert not index.is_owner("a")


def test_an_existing_volume_is_as_it_was_made_whatever_is_asked_for() -> None:
    index = VolumeIndex((replace(volume("v"), labels={"by": "first"}),))
    assert index.acquire("a", (use("v", labels={"by": "second"}, options={"x": ""}),), 2) == ()
    assert index.find("v").labels == {"by": "first"}
    assert index.acquire("b", (use("v", is_inherited=True),), 2) == ()


def test_a_container_is_known_to_use_its_volumes_from_the_beginning() -> None:
    index = VolumeIndex((volume("v"), volume("w")), (("v", "a"), ("v", "b")))
    assert listed(index) == {"v": ("a", "b"), "w": ()}
    index.release("a")
    assert listed(index) == {"v": ("b",), "w": ()}


def test_what_is_kept_is_known_even_if_it_was_acquired_in_an_earlier_incarnation() -> None:
    made = VolumeIndex().acquire("a", (use("v"),), 1)
    index = VolumeIndex()
    for _ in range(2):
        index.keep("a", ("v",), made)
    assert listed(index) == {"v": ("a",)}


def test_a_directory_of_an_earlier_incarnation_is_left_to_whoever_made_it() -> None:
    index = VolumeIndex(orphans=("v",))
    index.acquire("a", (use("v"), use("w")), 1)
    assert index.release("a") == ("w",)


# Changes of one volume -----------------------------------------------------------------------------------------------


def test_a_volume_that_is_created_by_itself_is_seen_when_it_is_durable() -> None:
    index = VolumeIndex()
    assert index.begin_create("request", volume("v")) is None
    assert (index.list(), index.is_locked(("v",)), index.is_provisional("v")) == ((), True, True)
    for _ in range(2):
        index.finish_create("request", volume("v"))
        assert (listed(index), index.is_locked(("v",))) == ({"v": ()}, False)
    assert index.begin_create("other", replace(volume("v"), labels={"a": "b"})) == volume("v")
    assert not index.is_owner("other")


def test_a_volume_whose_creation_fails_goes() -> None:
    index = VolumeIndex()
    index.begin_create("request", volume("v"))
    assert index.release("request") == ("v",)
    assert not index.is_locked(("v",))
    with pytest.raises(InvalidParameter, match=r'^create v: missing required option: "device"$'):
        index.begin_create("request", replace(volume("v"), options={"type": "nfs"}))
    assert index.release("request") == ()


def test_a_volume_is_claimed_if_nobody_uses_it() -> None:
    index = VolumeIndex((volume("v"), volume("w")), (("w", "b"), ("w", "a")))
    assert index.claim("request", "v") == volume("v")
    assert index.is_locked(("w", "v"))
    with pytest.raises(Conflict, match=r"^remove w: volume is in use - \[a, b\]$"):
        index.claim("request", "w")
    with pytest.raises(NotFound, match=r"^get x: no such volume$"):
        index.claim("request", "x")
    index.release("request")
    assert not index.is_locked(("w", "v"))
    assert listed(index) == {"v": (), "w": ("a", "b")}


def test_only_what_one_container_alone_uses_is_claimed_with_it() -> None:
    users = (("own", "a"), ("shared", "a"), ("shared", "b"), ("other", "b"), ("leaving", "a"))
    index = VolumeIndex((*map(volume, ("own", "shared", "other", "leaving", "free")),), users)
    index.acquire("a", (use("new"),), 1)
    index.claim_unused("somebody", ("leaving",), but_by="a")
    names = ("own", "shared", "other", "leaving", "free", "new", "none", "own")
    assert names_of(index.claim_unused("request", names, but_by="a")) == ["own", "free"]
    assert names_of(index.claim_unused("later", names)) == []


def test_a_claimed_volume_is_gone_when_its_row_is() -> None:
    index = VolumeIndex((volume("v"), volume("w")), (("v", "a"), ("w", "a")))
    claimed = index.claim_unused("request", ("v",), but_by="a")
    for _ in range(2):
        assert index.drop("request", claimed) == ("v",)
        assert (listed(index), index.is_locked(("v",))) == ({"w": ("a",)}, False)
    assert index.release("a") == ()


def test_a_volume_that_has_been_made_again_is_another() -> None:
    again = replace(volume("v"), created_ns=2)
    index = VolumeIndex((again,))
    assert index.drop("of an earlier incarnation", (volume("v"),)) == ()
    assert index.find("v") == again


def test_whatever_happens_a_lock_has_an_owner_and_a_use_a_volume() -> None:
    rng = random.Random(20261124)
    index, made = VolumeIndex(), dict[str, tuple[Volume, ...]]()
    for number in range(4000):
        owner, name = f"c{rng.randrange(8)}", f"v{rng.randrange(6)}"
        if index.is_locked((name,)):
            lock = next(held for held, names in locks_of(index).items() if name in names)
            if rng.random() < 0.5:
                index.drop(lock, (index.find(name),))
            index.release(lock)
        elif rng.random() < 0.4:
            made[owner] = made.get(owner, ()) + index.acquire(owner, (use(name),), number)
        elif rng.random() < 0.5:
            index.keep(owner, (), made.pop(owner, ()))
        elif rng.random() < 0.5:
            made.pop(owner, None)
            index.release(owner)
        else:
            index.claim_unused(f"removal {number}", (name,))
        for each in index.list():
            assert not (each.users and index.is_locked((each.volume.name,)))
            assert all(index.is_owner(user) for user in each.users)


def locks_of(index: VolumeIndex) -> dict[str, list[str]]:
    locks: dict[str, list[str]] = {}
    for name, owner in index._locks.items():
        locks.setdefault(owner, []).append(name)
    return locks

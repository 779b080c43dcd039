"""An overview of a tree, and its format."""

from __future__ import annotations

import json

import attrs
import msgspec
import pytest

from actors import ChildSnapshot, MailboxStatistics, Snapshot
from daemon.overview import Actor, Happened, Overview
from daemon.overview.drawing import OF_ACTORS_MAX, Sight, latest, overview_of
from daemon.overview.recorder import HAPPENED_MAX, TEXT_LENGTH_MAX
from tests.daemon.overview.making import OVERVIEW
from tests.daemon.overview.publish_schema import SCHEMA, schema


def child(name: str, handled: int, *supervisors: Snapshot, crash: str = "") -> ChildSnapshot:
    return ChildSnapshot(
        name=name,
        state="backing off",
        pool="",
        mailbox=MailboxStatistics(queued=1, waiting=2, capacity=3, abandoned=4, time_in_mailbox_s=0.5),
        handled=handled,
        handling="add",
        restarts=2,
        last_crash=crash,
        stop_timeout_s=10,
        supervisors=supervisors,
    )


def tree(name: str, *children: ChildSnapshot) -> Snapshot:
    return Snapshot(name=name, strategy="one_for_one", children=children)


def sight(uptime_s: float, *snapshots: Snapshot, events: tuple[Happened, ...] = ()) -> Sight:
    return Sight(
        time_ns=5, version="1", uptime_s=uptime_s, creates=OVERVIEW.creates, snapshots=snapshots, events=events
    )


def actors_of(overview: Overview) -> dict[str, Actor]:
    found: dict[str, Actor] = {}
    trees = list(overview.trees)
    while trees:
        for actor in trees.pop().actors:
            found[actor.name] = actor
            trees += actor.trees
    return found


def test_everything_of_an_actor_is_there() -> None:
    overview = overview_of(sight(9.0, tree("top", child("a", 7, crash="E: " + "x" * 1000))), None)
    assert overview.trees[0].strategy == "one_for_one"
    assert overview.trees[0].actors[0] == Actor(
        name="a",
        state="backing off",
        queued=1,
        capacity=3,
        waiting=2,
        waited_s=0.5,
        handling="add",
        handled=7,
        handled_per_s=None,
        restarts=2,
        last_crash=("E: " + "x" * 1000)[:TEXT_LENGTH_MAX],
        trees=(),
    )


@pytest.mark.parametrize(("handled", "rate"), [(7, 0.0), (27, 10.0), (0, 0.0)])
def test_a_rate_is_since_the_look_before(handled: int, rate: float) -> None:
    before = overview_of(sight(10.0, tree("top", child("a", 7))), None)
    after = overview_of(sight(12.0, tree("top", child("a", handled), child("new", 5))), before)
    found = {name: actor.handled_per_s for name, actor in actors_of(after).items()}
    assert found == {"a": rate, "new": None}


def test_two_looks_at_the_same_moment_have_no_rate() -> None:
    first = overview_of(sight(10.0, tree("top", child("a", 7))), None)
    assert actors_of(overview_of(sight(10.0, tree("top", child("a", 9))), first))["a"].handled_per_s is None


def test_actors_of_one_name_in_different_trees_are_told_apart() -> None:
    def at(uptime_s: float, upper: int, lower: int) -> Sight:
        return sight(uptime_s, tree("top", child("a", upper, tree("below", child("a", lower)))))

    after = overview_of(at(2.0, 10, 500), overview_of(at(1.0, 0, 0), None))
    upper = after.trees[0].actors[0]
    assert (upper.handled_per_s, upper.trees[0].actors[0].handled_per_s) == (10.0, 500.0)


def test_the_latest_events_are_there_in_the_order_of_their_time() -> None:
    events = tuple(attrs.evolve(OVERVIEW.events[0], time_ns=number * 7 % 101) for number in range(101))
    told = [event.time_ns for event in overview_of(sight(1.0, events=events), None).events]
    assert told == list(range(101 - HAPPENED_MAX, 101))


def test_it_reads_back_as_it_was_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(OVERVIEW), type=Overview) == OVERVIEW


def test_the_published_schema_is_that_of_the_types() -> None:
    # To publish a change: python -m tests.daemon.overview.publish_schema
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(schema()))


def test_what_happened_to_actors_is_not_pushed_out_by_creates() -> None:
    create, crash = OVERVIEW.events
    rare = tuple(attrs.evolve(crash, time_ns=number) for number in range(10))
    often = tuple(attrs.evolve(create, time_ns=100 + number) for number in range(50))
    told = [event.time_ns for event in latest((*often, *rare))]
    assert told == [*range(10 - OF_ACTORS_MAX, 10), *range(150 - HAPPENED_MAX + OF_ACTORS_MAX, 150)]
    assert len(latest(rare)) == OF_ACTORS_MAX
    assert len(latest(often[:3])) == 3

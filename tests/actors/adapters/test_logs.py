"""Every kind of event as a record: its level, its text, and its fields as data."""

from __future__ import annotations

import logging
from typing import get_args

import attrs
import pytest

from actors import (
    ActorCrashed,
    ActorStopped,
    ChildCrashed,
    ChildStarted,
    ChildStopped,
    Event,
    MailboxFull,
    Refused,
    RefusedTell,
    StopTimeout,
    Supervisor,
    Undelivered,
)
from actors.adapters import combine
from actors.adapters.logs import log_events

CRASH = ValueError("glass")
REFUSAL = Refused("no")

RECORDS: list[tuple[Event, int, str]] = [
    (ChildStarted("tree", "vase", 1), logging.DEBUG, "tree: vase started"),
    (ChildStarted("tree", "vase", 3), logging.INFO, "tree: vase restarted, incarnation 3"),
    (ChildCrashed("tree", "vase", CRASH), logging.ERROR, "tree: vase crashed: ValueError('glass')"),
    (ChildStopped("tree", "vase"), logging.DEBUG, "tree: vase stopped"),
    (
        StopTimeout("tree", "vase", 5.04, ("app.py:1 main", "app.py:9 hang")),
        logging.WARNING,
        "tree: vase did not stop within 5.0 s and is cancelled, at app.py:9 hang",
    ),
    (
        StopTimeout("tree", "vase", 5.0, ()),
        logging.WARNING,
        "tree: vase did not stop within 5.0 s and is cancelled, at nowhere",
    ),
    (RefusedTell("tree", "vase", "fill", REFUSAL), logging.WARNING, "tree: vase.fill refused a message: no"),
    (
        Undelivered("tree", "vase", "fill", ActorStopped("vase")),
        logging.WARNING,
        "tree: a message to vase.fill was not delivered: actor 'vase' has stopped",
    ),
    (
        Undelivered("tree", "vase", "fill", MailboxFull("vase", 3)),
        logging.WARNING,
        "tree: a message to vase.fill was not delivered: mailbox of 'vase' is full (3 messages)",
    ),
]


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.getLogger("tests.actors.adapters.logs")
    logger.setLevel(logging.DEBUG)
    return logger


def test_the_table_has_every_kind_of_event() -> None:
    assert {type(event) for event, _, _ in RECORDS} == set(get_args(Event))


@pytest.mark.parametrize(("event", "level", "text"), RECORDS, ids=[text for _, _, text in RECORDS])
def test_an_event_is_a_record_with_its_level_its_text_and_its_fields(
    event: Event, level: int, text: str, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    log_events(logger)(event)
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (logger.name, level, text)
    expected = {"kind": type(event).__name__} | attrs.asdict(event, recurse=False)
    assert {name: getattr(record, name) for name in expected} == expected
    assert (record.exc_info is not None) == isinstance(event, ChildCrashed)


def test_the_levels_are_the_programs_to_choose_and_what_is_below_the_loggers_costs_no_record(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.setLevel(logging.INFO)
    log = log_events(logger, level_of=lambda event: logging.INFO if isinstance(event, ChildStarted) else 0)
    for event, _, _ in RECORDS:
        log(event)
    assert [record.getMessage() for record in caplog.records] == [
        "tree: vase started",
        "tree: vase restarted, incarnation 3",
    ]


class Fragile:
    async def crash(self) -> None:
        raise CRASH


@pytest.mark.anyio
async def test_a_tree_logs_the_crash_with_its_traceback_and_hooks_can_be_combined(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    async with Supervisor(name="tree", on_event=combine(log_events(logger), events.append)) as supervisor:
        vase = await supervisor.start(Fragile, name="vase")
        with pytest.raises(ActorCrashed):
            await vase.ask(Fragile.crash)
    assert [record.kind for record in caplog.records] == [type(event).__name__ for event in events]  # type: ignore[attr-defined] # from `extra`
    (crash,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert crash.exc_info is not None
    assert crash.exc_info[1] is CRASH
    assert crash.exc_info[2] is not None
    assert events[0] == ChildStarted("tree", "vase", 1)
    assert events[-1] == ChildStopped("tree", "vase")


def test_a_combined_hook_that_raises_keeps_the_event_from_those_after_it() -> None:
    seen: list[Event] = []

    def fail(event: Event) -> None:
        raise CRASH

    event = ChildStopped("tree", "vase")
    with pytest.raises(ValueError, match="glass"):
        combine(seen.append, fail, seen.append)(event)
    assert seen == [event]

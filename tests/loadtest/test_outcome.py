from __future__ import annotations

import json

import pytest

from loadtest.errors import ErrorKind, Failure
from loadtest.outcome import Ack, ErrorGroup, group_failures, judge, refusal_text
from loadtest.scenario import Scenario
from loadtest.statistics import FAILED, UNANSWERED, Recorder, Times

Answer = tuple[int, object]
"""Status, and what the body is made of: bytes as they are, anything else as JSON."""


def created(number: int) -> Answer:
    return 201, {"Id": f"{number:064x}"}


CONFLICT: Answer = (409, {"message": "Conflict."})
BROKEN: Answer = (500, {"message": "disk full"})
LOST: Answer = (FAILED, b"")
UNSENT: Answer = (UNANSWERED, b"")


def judged(names: str, *answers: Answer) -> tuple[tuple[Ack, ...], tuple[ErrorGroup, ...]]:
    recorder = Recorder(len(answers))
    bodies = []
    for number, (status, body) in enumerate(answers):
        recorder.record(number, Times(1, 2, 3, False), status)
        bodies.append(body if isinstance(body, bytes) else json.dumps(body).encode())
    return judge(Scenario(names=names, run_id="r", count=len(answers)), recorder.samples(len(answers)), bodies, [])


def labels(names: str, *answers: Answer) -> dict[str, int]:
    return {group.label: group.count for group in judged(names, *answers)[1]}


def test_acks_carry_name_and_id_in_the_order_of_sending() -> None:
    acks, errors = judged("unique", created(7), created(3))
    assert acks == (("lt-r-0", f"{7:064x}"), ("lt-r-1", f"{3:064x}"))
    assert errors == ()


def test_acks_of_generated_names_have_only_an_id() -> None:
    assert judged("generated", created(1))[0] == (Ack("", f"{1:064x}"),)


@pytest.mark.parametrize(
    ("answer", "label", "sample"),
    [
        ((201, b"{"), "bad_json", "{"),
        ((201, b'{"Id":"\xff"}'), "bad_json", "\\xff"),
        ((201, {"id": "x"}), "bad_json", "missing required field `Id`"),
        ((201, {"Id": 5}), "bad_json", "Expected `str`"),
        ((201, {"Id": "abc"}), "wrong_id", "'abc' is not 64"),
        ((201, {"Id": "A" * 64}), "wrong_id", "is not 64 hexadecimal digits"),
        ((500, {"message": "disk full"}), "http_500", "disk full"),
        ((404, {"message": "No such image: x"}), "http_404", "No such image: x"),
        ((502, b"<html>"), "http_502", "<html>"),
        ((200, {"Id": "a" * 64}), "bad_http", "status 200"),
        ((302, b""), "bad_http", "status 302"),
        ((409, {"message": "Conflict."}), "unexpected_409", "Conflict."),
    ],
)
def test_each_bad_answer_has_its_kind_and_is_kept_verbatim(answer: Answer, label: str, sample: str) -> None:
    acks, (group,) = judged("unique", answer)
    assert acks == ()
    assert (group.label, group.count) == (label, 1)
    assert sample in group.samples[0]


def test_an_id_that_was_given_twice_is_an_error_of_the_second() -> None:
    acks, (group,) = judged("unique", created(1), created(1))
    assert [ack.name for ack in acks] == ["lt-r-0"]
    assert (group.kind, group.count) == (ErrorKind.DUPLICATE_ID, 1)
    assert "'lt-r-0' and to 'lt-r-1'" in group.samples[0]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([created(1), CONFLICT, CONFLICT], {}),
        ([CONFLICT, CONFLICT, created(1)], {}),
        ([created(1), created(2), CONFLICT], {"missing_409": 1}),
        ([created(1), created(2), created(3)], {"missing_409": 2}),
        ([CONFLICT, CONFLICT, CONFLICT], {"unexpected_409": 1}),
        ([BROKEN, CONFLICT, CONFLICT], {"http_500": 1}),  # it may hold the name
        ([LOST, CONFLICT, CONFLICT], {}),  # counted as the failure that it is
        ([UNSENT, CONFLICT, CONFLICT], {}),
        ([created(1), BROKEN, CONFLICT], {"http_500": 1}),
        ([created(1), CONFLICT, UNSENT], {}),
        ([UNSENT, UNSENT, UNSENT], {}),
    ],
)
def test_of_the_creates_for_one_name_exactly_one_may_succeed(answers: list[Answer], expected: dict[str, int]) -> None:
    assert labels("collide:3", *answers) == expected


def test_each_name_is_judged_by_itself() -> None:
    answers = [created(1), CONFLICT, CONFLICT, CONFLICT, created(2), created(3), created(4)]
    assert labels("collide:2", *answers) == {"unexpected_409": 1, "missing_409": 1}


def test_failures_are_grouped_by_message_but_for_ids_names_and_numbers() -> None:
    texts = [f"name lt-r-{number} taken by {number:064x} after {number} ms" for number in range(5)]
    (group,) = group_failures([Failure(0, ErrorKind.HTTP_STATUS, text, 500) for text in texts])
    assert (group.count, group.message) == (5, "name * taken by * after * ms")
    assert group.samples == tuple(texts[:3])


def test_the_most_frequent_error_comes_first() -> None:
    failures = [Failure(0, ErrorKind.TIMEOUT, "t"), *[Failure(0, ErrorKind.RESET, "r")] * 2]
    assert [group.kind for group in group_failures(failures)] == [ErrorKind.RESET, ErrorKind.TIMEOUT]


def test_messages_that_are_always_new_do_not_make_groups_without_end() -> None:
    failures = [Failure(0, ErrorKind.HTTP_STATUS, "x" * length, 500) for length in range(1, 200)]
    groups = group_failures(failures)
    assert len(groups) == 51
    assert groups[0].message == "(other messages)"
    assert sum(group.count for group in groups) == 199


def test_a_sample_is_cut_at_its_limit() -> None:
    (group,) = group_failures([Failure(0, ErrorKind.BAD_HTTP, "x" * 10_000)])
    assert len(group.samples[0]) == 500


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"message":"m"}', "m"),
        (b'{"error":"m"}', '{"error":"m"}'),
        (b"plain", "plain"),
        (b"\xff", "\\xff"),
        (b"", ""),
    ],
)
def test_a_refusal_is_read_as_dockers_or_as_it_is(body: bytes, expected: str) -> None:
    assert refusal_text(body) == expected

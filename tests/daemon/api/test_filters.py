from __future__ import annotations

from typing import Any

import pytest

from daemon.api.filters import Filters, begins_one_of, boolean, decode_filters, has_labels, is_one_of
from daemon.errors import InvalidParameter


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"name": {"web": True}}, {"name": ("web",)}),
        ({"name": {"web": True, "db": True}}, {"name": ("web", "db")}),
        ({"name": {"web": False}}, {"name": ("web",)}),
        ({"name": {"web": None}}, {"name": ("web",)}),
        ({"name": {}}, {"name": ()}),
        ({"name": None}, {"name": ()}),
        ({"name": ["web", "db", "web"]}, {"name": ("web", "db")}),
        ({"name": [None]}, {"name": ("",)}),
        ({"name": [], "label": None}, {"name": (), "label": ()}),
    ],
)
def test_filters_are_sets_or_in_old_clients_lists(raw: Any, expected: Filters) -> None:
    assert decode_filters(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        [],
        "name",
        1,
        True,
        {"name": "web"},
        {"name": 1},
        {"name": {"web": "true"}},
        {"name": {"web": 1}},
        {"name": [1]},
        {"name": [["web"]]},
        {"name": {"web": True}, "label": ["x"]},  # of both kinds
    ],
)
def test_what_is_neither_is_the_clients_mistake(raw: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        decode_filters(raw)
    assert str(caught.value) == "invalid filter"


@pytest.mark.parametrize(
    ("values", "expected"),
    [(None, None), (("1",), True), (("true",), True), (("1", "true"), True), (("0",), False), (("false", "0"), False)],
)
def test_a_question_is_answered_with_yes_or_no(values: tuple[str, ...] | None, expected: bool | None) -> None:
    assert boolean({} if values is None else {"dangling": values}, "dangling") is expected


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), "invalid filter 'dangling'"),
        (("maybe",), "invalid filter 'dangling=[maybe]'"),
        (("True",), "invalid filter 'dangling=[True]'"),
        (("0", "1"), "invalid filter 'dangling=[0 1]'"),
    ],
)
def test_a_question_is_not_answered_with_anything_else(values: tuple[str, ...], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        boolean({"dangling": values}, "dangling")
    assert str(caught.value) == text


LABELS = {"tier": "front", "team": ""}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((), True),
        (("tier",), True),
        (("tier=front",), True),
        (("tier=",), False),
        (("team=",), True),
        (("team",), True),
        (("tier", "team"), True),
        (("tier", "colour"), False),
        (("tier=front=x",), False),
        (("",), False),
    ],
)
def test_of_labels_all_are_wanted(wanted: tuple[str, ...], expected: bool) -> None:
    assert has_labels({"label": wanted}, LABELS) is expected


def test_of_other_filters_any_value_will_do_and_none_filters_nothing() -> None:
    filters = {"type": ("image", "vol"), "scope": ()}
    assert is_one_of(filters, "type", "image", "x")
    assert not is_one_of(filters, "type", "volume")
    assert begins_one_of(filters, "type", "x", "volume")
    assert not begins_one_of(filters, "type", "vo")
    for is_match in (is_one_of, begins_one_of):
        assert is_match(filters, "scope", "x")
        assert is_match(filters, "missing", "x")

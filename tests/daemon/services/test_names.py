from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import InvalidParameter
from daemon.services.names import ADJECTIVES, NAME_LENGTH_MAX, SURNAMES, candidate_names, check_name

CONTAINER_ID = "ab" * 32


@pytest.mark.parametrize(
    ("requested", "name"),
    [
        ("web", "web"),
        ("/web", "web"),
        ("w1", "w1"),
        ("1w", "1w"),
        ("a.", "a."),
        ("Web_1.example-com", "Web_1.example-com"),
        ("a" * NAME_LENGTH_MAX, "a" * NAME_LENGTH_MAX),
        ("/" + "a" * NAME_LENGTH_MAX, "a" * NAME_LENGTH_MAX),
    ],
)
def test_a_name_may_have_one_leading_slash(requested: str, name: str) -> None:
    assert check_name(requested) == name


@pytest.mark.parametrize(
    "requested",
    [
        "",
        "/",
        "a",
        "/a",
        "//web",
        "web/",
        "a/b",
        "_web",
        "-web",
        ".web",
        "we b",
        "web\n",
        "w\u00e9b",
        "web\u0663",
        "w\x00",
    ],
)
def test_a_name_that_breaks_the_rules_is_refused_as_it_was_given(requested: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_name(requested)
    text = f"Invalid container name ({requested}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    assert str(caught.value) == text


def test_unlike_mobys_a_name_has_an_end() -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_name("a" * (NAME_LENGTH_MAX + 1))
    assert str(caught.value) == "container name is too long (256 characters, at most 255)"


def test_every_word_is_a_word_and_comes_once() -> None:
    for words in (ADJECTIVES, SURNAMES):
        assert len(set(words)) == len(words)
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


@given(st.randoms(use_true_random=False))
@settings(derandomize=True)
def test_six_random_names_are_tried_and_then_the_short_id(rng: Random) -> None:
    *drawn, last = candidate_names(CONTAINER_ID, rng)
    assert last == CONTAINER_ID[:12]
    assert len(drawn) == 6
    assert all(check_name(name) == name for name in [*drawn, last])
    assert [name[-1].isdecimal() for name in drawn] == [False, True, True, True, True, True]
    for name in drawn:
        adjective, _, surname = name.rstrip("0123456789").partition("_")
        assert adjective in ADJECTIVES
        assert surname in SURNAMES


class Insisting(Random):
    """Draws "boring" and "wozniak" first, wherever it may."""

    def __init__(self) -> None:
        super().__init__(7)
        self.draws = iter(["boring", "wozniak"] * 3)

    # Any: what the words of both lists are drawn as.
    def choice(self, seq: Any) -> Any:
        return next(self.draws, None) or super().choice(seq)


def test_steve_wozniak_is_not_boring() -> None:
    rng = Insisting()
    (first,) = islice(candidate_names(CONTAINER_ID, rng), 1)
    assert first != "boring_wozniak"
    assert next(rng.draws, None) is None  # all three were drawn, and drawn again


def test_the_same_seed_gives_the_same_names() -> None:
    assert list(candidate_names(CONTAINER_ID, Random(1))) == list(candidate_names(CONTAINER_ID, Random(1)))

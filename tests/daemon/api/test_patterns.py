from __future__ import annotations

import time

import pytest

from daemon.api.patterns import BAD_PATTERN, any_fits, any_found
from daemon.errors import InvalidParameter


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("web", "/web-1", True),
        ("^web", "web-1", True),
        ("^web", "/web-1", False),
        ("web$", "web-1", False),
        ("^/?web-[0-9]+$", "/web-1", True),
        ("WEB", "web", False),
        ("(?i)WEB", "web", True),
        (r"\d{1}", "web-1", True),
        (r"\pL", "caf\u00e9", True),
        ("", "web", True),
        ("(", "(", False),  # none: matches nothing, not even as it stands
        ("a{99999999999}", "a", False),
        (r"(a)\1", "aa", False),  # a reference back, which RE2 has not
        ("(?=w)web", "web", False),
        ("\ud800", "\ud800", False),
        ("(" * 10_000, "(", False),
        ("(x{1000}){100}", "x", False),  # would take more than a compiled pattern may
    ],
)
def test_a_regular_expression_is_gos(pattern: str, text: str, expected: bool) -> None:
    assert any_found([pattern])(text) is expected


@pytest.mark.parametrize("pattern", ["(a*)*$", "(a|a)*b", "(a+)+[^a]", "a?" * 30 + "a" * 30, "(" * 900 + ")" * 900])
def test_a_pattern_that_backtracks_without_end_elsewhere_takes_no_time_here(pattern: str) -> None:
    begun = time.process_time()
    any_found([pattern])("a" * 255 + "!")
    assert time.process_time() - begun < 1  # in Python's `re` most of these take longer than anybody lives


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*", "", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*/f", "axbxcx/f", True),
        ("a*b*c*/f", "axbxc/xx/f", False),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^b-d]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a[^a]b", "a/b", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a?b", "a\u263ab", True),
        ("a?b", "a/b", False),
        ("a???b", "a\u263ab", False),
        ("[a-\u03b6]*", "\u03b1", True),
        (r"[\]a]", "]", True),
        (r"[x\-]", "-", True),
        (r"[x\-]", "z", False),
        ("[z-a]", "b", False),
        ("[^z-a]", "b", True),
        ("a.c", "abc", False),  # no regular expression
        ("(a|b)+$", "a", False),
        ("a\nb", "a\nb", True),
        ("a*b", "a\nb", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_file_name_pattern_is_gos(pattern: str, text: str, expected: bool) -> None:
    assert any_fits([pattern])(text) is expected


@pytest.mark.parametrize(
    "pattern", ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "[a-", "[\\"]
)
def test_a_pattern_that_is_none_is_the_clients_mistake(pattern: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        any_fits(["a", pattern])
    assert str(caught.value) == BAD_PATTERN


def test_of_several_patterns_one_is_enough_and_none_is_not() -> None:
    assert any_found(["(", "x", "b$"])("web")
    assert any_fits(["x", "w*"])("web")
    assert not any_found([])("web")
    assert not any_fits([])("web")

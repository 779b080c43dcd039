"""Words of a Dockerfile: each row is what moby v28's lexer makes of it."""

from __future__ import annotations

import pytest

from daemon.create.dockerfile_words import EXPANSION_DEPTH_MAX, expand, expand_words, split_words
from daemon.errors import InvalidParameter

ENV = {"HOME": "/root", "EMPTY": "", "TWO": "80 443", "X_1": "x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a b\tc", ["a", "b", "c"]),
        ("a='b c' d", ["a='b c'", "d"]),
        ('a="b \\" c" d', ['a="b \\" c"', "d"]),
        ("a=b\\ c d", ["a=b\\ c", "d"]),
        ("'' \"\"", ["''", '""']),
        ("a\\", ["a"]),
        ('"open here', ['"open here']),
        ("'no \\' escape'", ["'no \\'", "escape'"]),
    ],
)
def test_words_are_split_at_blanks_outside_of_quotes(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$HOME/x", "/root/x"),
        ("${HOME}x", "/rootx"),
        ("'$HOME'", "$HOME"),
        ('"$HOME is"', "/root is"),
        ("\\$HOME", "$HOME"),
        ('"\\$HOME \\n \\\\"', "$HOME \\n \\"),
        ("$MISSING", ""),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("$1x", "x"),
        ("$$HOME", "HOME"),
        ("$X_1-", "x-"),
        ("${MISSING:-else}", "else"),
        ("${MISSING-else}", "else"),
        ("${EMPTY:-else}", "else"),
        ("${EMPTY-else}", ""),
        ("${HOME:+there}", "there"),
        ("${EMPTY:+there}", ""),
        ("${EMPTY+there}", "there"),
        ("${HOME:?}", "/root"),
        ("${MISSING:-${HOME}}", "/root"),
        ("<<EOF", "<<EOF"),
        ("end\\", "end"),
    ],
)
def test_variables_quotes_and_escapes_are_a_shells(text: str, expanded: str) -> None:
    assert expand(text, ENV) == expanded


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("'open", "unexpected end of statement while looking for matching single-quote"),
        ('"open', "unexpected end of statement while looking for matching double-quote"),
        ("${", "syntax error: missing '}'"),
        ("${HOME", "unsupported modifier (\ufffd) in substitution"),
        ("${HOME:-x", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${HOME#/}", "unsupported modifier (#) in substitution"),
        ("${HOME:=x}", "unsupported modifier (:=) in substitution"),
        ("${MISSING?}", "MISSING: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${MISSING?say so}", "MISSING: say so"),
    ],
)
def test_what_cannot_be_expanded_is_refused_in_mobys_words(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        expand(text, ENV)
    quoted = text.replace('"', '\\"')
    assert str(caught.value) == f'failed to process "{quoted}": {complaint}'


@pytest.mark.parametrize(
    ("text", "words"),
    [("$TWO", ["80", "443"]), ('"$TWO"', ["80 443"]), ("a$TWO", ["a80", "443"]), ("a\\ b c", ["a b", "c"]), ("", [])],
)
def test_what_a_variable_holds_may_be_several_words(text: str, words: list[str]) -> None:
    assert expand_words(text, ENV) == words


def test_substitutions_within_each_other_have_a_limit() -> None:
    deep = "${MISSING:-" * (EXPANSION_DEPTH_MAX + 1)
    with pytest.raises(InvalidParameter, match="within each other"):
        expand(deep + "x" + "}" * (EXPANSION_DEPTH_MAX + 1), ENV)
    assert expand("${MISSING:-" * 8 + "x" + "}" * 8, ENV) == "x"

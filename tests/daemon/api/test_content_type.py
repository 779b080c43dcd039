from __future__ import annotations

import pytest

from daemon.api.content_type import check_is_json
from daemon.errors import InvalidParameter


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ",
        "application/json;",
        "application/json ; charset=utf-8",
        'application/json; charset="utf-8"; a=b',
        'application/json; a="b;\\"c"',
        "application/json; a=b ; ",
    ],
)
def test_json_is_json_with_any_parameters(content_type: str) -> None:
    check_is_json(content_type)


@pytest.mark.parametrize(
    ("content_type", "mistake"),
    [
        ("", "no media type"),
        (" ", "no media type"),
        (";charset=utf-8", "no media type"),
        ("/json", "no media type"),
        ("application json", "expected slash after first token"),
        ("application/", "expected token after slash"),
        ("application//json", "expected token after slash"),
        ("application/json/x", "unexpected content after media subtype"),
        ("application/json charset", "unexpected content after media subtype"),
        ("application/json; charset", "invalid media parameter"),
        ("application/json; charset=", "invalid media parameter"),
        ('application/json; a="b', "invalid media parameter"),
        ("application/json; a=b c", "invalid media parameter"),
        ("application/json;;", "invalid media parameter"),
        ("application/json; a=b; A=c", "duplicate parameter name"),
    ],
)
def test_a_header_that_is_no_media_type_is_malformed(content_type: str, mistake: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_is_json(content_type)
    assert str(caught.value) == f"malformed Content-Type header ({content_type}): mime: {mistake}"


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain; charset=utf-8", "json", "application/json+x"])
def test_any_other_type_is_not_supported(content_type: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_is_json(content_type)
    assert str(caught.value) == f"unsupported Content-Type header ({content_type}): must be 'application/json'"

from __future__ import annotations

import json
import re

import msgspec
import pytest

from daemon.api.calls import (
    RETRY_AFTER_S,
    STATUS,
    Query,
    decode_as_go,
    encode_json,
    error_response,
    json_response,
    no_content,
    refusal,
)
from daemon.api.codec import Json, Number, WrongType
from daemon.api.schema import HEALTHCHECK
from daemon.container import Healthcheck
from daemon.errors import (
    Cancelled,
    Conflict,
    DaemonError,
    Forbidden,
    InvalidParameter,
    NotFound,
    NotImplementedHere,
    System,
    Unavailable,
    name_in_use,
)
from daemon.http.connection import HeadTooLarge, TooLarge, TooSlow


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (NotFound, 404),
        (InvalidParameter, 400),
        (Conflict, 409),
        (Cancelled, 409),
        (Forbidden, 403),
        (Unavailable, 503),
        (NotImplementedHere, 501),
        (System, 500),
        (TooLarge, 413),
        (HeadTooLarge, 431),
        (TooSlow, 408),
    ],
)
def test_each_kind_of_refusal_has_a_status(kind: type[DaemonError], status: int) -> None:
    response = refusal(kind("why"))
    assert response.status == status
    assert response.body == b'{"message":"why"}\n'
    assert ("Content-Type", "application/json") in response.headers


def every_kind(kind: type[DaemonError] = DaemonError) -> list[type[DaemonError]]:
    return [every for below in kind.__subclasses__() for every in (below, *every_kind(below))]


def test_every_kind_of_refusal_there_is_has_a_status_of_its_own_or_of_its_base() -> None:
    ours = [kind for kind in every_kind() if kind.__module__.startswith("daemon.")]
    assert set(STATUS) <= set(ours)
    assert all(any(base in STATUS for base in kind.__mro__) for kind in ours)


def test_a_refusal_of_a_more_special_kind_has_the_status_of_its_kind() -> None:
    class DiskFull(System):
        pass

    assert refusal(DiskFull("no room")).status == 500


def test_who_is_told_not_now_is_told_when() -> None:
    assert ("Retry-After", str(RETRY_AFTER_S)) in error_response(503, "busy").headers
    assert not any(name == "Retry-After" for name, _ in error_response(500, "broken").headers)


def test_a_name_that_is_taken_is_shown_with_its_quotes() -> None:
    body = refusal(name_in_use("web", "a" * 64)).body
    assert isinstance(body, bytes)
    assert json.loads(body)["message"].startswith(
        'Conflict. The container name "/web" is already in use by container "aaaa'
    )


def test_a_response_is_json_with_a_line_feed_and_without_html_escapes() -> None:
    response = json_response({"a": "<&>\u00e9"}, 201)
    assert (response.status, response.body) == (201, '{"a":"<&>\u00e9"}\n'.encode())
    assert (no_content().status, no_content().body) == (204, b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("v", False),
        ("v=", False),
        ("v=0", False),
        ("v=no", False),
        ("v=FALSE", False),
        ("v=+None+", False),
        ("v=1", True),
        ("v=true", True),
        ("v=yes", True),
        ("v=off", True),
        ("v=00", True),
        ("v=0&v=1", False),
        ("v=1&v=0", True),
        ("V=1", False),
    ],
)
def test_a_flag_is_set_by_anything_but_a_few_words(text: str, expected: bool) -> None:
    assert Query(text).flag("v") is expected


def test_a_query_is_decoded_and_of_a_key_that_comes_twice_the_first_counts() -> None:
    query = Query("name=%2Fweb+1&name=other&empty=&t=a%3Db")
    assert (query.text("name"), query.text("empty"), query.text("t"), query.text("x")) == ("/web 1", "", "a=b", "")
    assert (query.has("name"), query.has("empty"), query.has("x")) == (True, True, False)


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("n=", 0), ("n=0", 0), ("n=007", 7), ("n=-1", -1), ("n=%2B5", 5), ("m=5", 0)]
)
def test_an_integer_is_0_where_it_is_not_given(text: str, expected: int) -> None:
    assert Query(text).integer("n") == expected


@pytest.mark.parametrize("value", ["x", "1.0", "1_000", " 1", "0x1", "\u0663", "--1"])
def test_what_is_no_integer_is_the_clients_mistake(value: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Query(f"n={value}").integer("n")
    assert str(caught.value) == f'strconv.Atoi: parsing "{value}": invalid syntax'


@pytest.mark.parametrize("value", ["9" * 30, str(2**63), str(-(2**63) - 1), "9" * 10_000])
def test_an_integer_of_more_than_64_bits_is_the_clients_mistake(value: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Query(f"n={value}").integer("n")
    assert str(caught.value) == f'strconv.Atoi: parsing "{value}": value out of range'


KNOWN = frozenset({"name", "label"})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("", {}),
        ("{}", {}),
        ('{"name":{"web":true,"db":false}}', {"name": ("web", "db")}),
        ('{"name":["web"],"label":[]}', {"name": ("web",), "label": ()}),
        ('{"label":{}}', {"label": ()}),
        ("null", {}),
    ],
)
def test_filters_have_a_newer_and_an_older_form(filters: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert Query(f"filters={filters}").filters(KNOWN) == expected


def test_where_any_filter_will_do_none_is_unknown() -> None:
    assert Query('filters={"colour":["red"]}').filters() == {"colour": ("red",)}


@pytest.mark.parametrize(("text", "expected"), [("", True), ("v", False), ("v=", False), ("v=0", False), ("v=1", True)])
def test_a_flag_may_be_set_unless_it_is_given(text: str, expected: bool) -> None:
    assert Query(text).flag("v", default=True) is expected


@pytest.mark.parametrize(
    ("filters", "complaint"),
    [
        ('{"colour":["red"]}', "invalid filter 'colour'"),
        ('{"Name":["web"]}', "invalid filter 'Name'"),
        ("name=web", "invalid filter"),
        ("[]", "invalid filter"),
        ('{"name":"web"}', "invalid filter"),
        ('{"name":', "invalid filter"),
        ('{"name":["\\ud800"]}', "invalid filter"),
        ("[" * 20_000, "invalid filter"),
    ],
)
def test_filters_that_are_none_are_the_clients_mistake(filters: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Query(f"filters={filters}").filters(KNOWN)
    assert str(caught.value) == complaint


EOF = "invalid JSON: got EOF while reading request body"
MORE = "unexpected content after JSON"


def as_it_is(document: Json) -> Json:
    return document


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", EOF),
        (b" \r\n", EOF),
        (b"{} {}", MORE),
        (b"{}x", MORE),
        (b"{},", MORE),
        (b"1 null", MORE),
        (b"\0", "invalid JSON: invalid character '\\x00' looking for beginning of value"),
        (b"{", "invalid JSON: unexpected EOF"),
    ],
)
def test_a_body_that_is_no_json_is_the_clients_mistake(content: bytes, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        decode_as_go(content, as_it_is)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("content", "document"),
    [
        (b"{}]", {}),
        (b'{"a":1} } what comes after a closing bracket', {"a": Number("1")}),
        (b'{"a":"\\ud800"}', {"a": "\ufffd"}),
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b"1e400", Number("1e400")),
        (b"9" * 5000, Number("9" * 5000)),
    ],
)
def test_what_go_takes_and_msgspec_does_not_is_taken(content: bytes, document: Json) -> None:
    assert decode_as_go(content, as_it_is) == document


def test_a_number_of_the_wrong_kind_is_shown_as_it_was_written_before_what_follows_is_looked_at() -> None:
    def read(document: Json) -> Healthcheck:
        return HEALTHCHECK.decode(document)

    for text in ("1.0", "1e2", "-0.5E+3", "9" * 30):
        with pytest.raises(WrongType, match=re.escape(f"number {text} into Go struct field")):
            decode_as_go(f'{{"Retries": {text}}} x'.encode(), read)
    with pytest.raises(InvalidParameter, match=f"^{MORE}$"):
        decode_as_go(b'{"Retries": -0} x', read)
    assert decode_as_go(b'{"Retries": -3, "\xff": 1e999}', read) == Healthcheck(retries=-3)


def test_what_is_written_is_read_back() -> None:
    payload = {"a": [1, -1, 1.5, True, None, "\u00e9\n\0"], "": {}}
    assert msgspec.json.decode(encode_json(payload)) == payload

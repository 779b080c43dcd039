from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.access_log import AccessLog, fields_of, is_wanted
from daemon.http.account import Account
from daemon.http.message import Peer
from daemon.logs import LogWriter

ACCOUNT = Account(
    request_id="r-1",
    peer=Peer(pid=7, uid=0, gid=5),
    method="POST",
    path="/v1.50/containers/create",
    began=0.0,
    duration_s=0.0012345,
    status=201,
    sent_bytes=88,
)

WANTED: list[tuple[str, int | None, bool, bool]] = [
    # method, status, among changes, among all
    ("POST", 201, True, True),
    ("PUT", 200, True, True),
    ("DELETE", 404, True, True),
    ("POST", None, True, True),
    ("GET", 200, False, True),
    ("HEAD", 200, False, True),
    ("OPTIONS", 200, False, True),
    ("GET", None, False, True),
    ("GET", 304, False, True),
    ("GET", 400, True, True),
    ("GET", 500, True, True),
    ("", 503, True, True),
    ("", None, True, True),
]


@pytest.mark.parametrize(("method", "status", "among_changes", "among_all"), WANTED)
def test_what_changes_something_or_is_refused_is_wanted_or_all_or_nothing(
    method: str, status: int | None, among_changes: bool, among_all: bool
) -> None:
    account = replace(ACCOUNT, method=method, status=status)
    wanted = [is_wanted(account, "off"), is_wanted(account, "changes"), is_wanted(account, "all")]
    assert wanted == [False, among_changes, among_all]


def test_a_line_says_who_what_and_how_that_went() -> None:
    assert fields_of(ACCOUNT) == {
        "logger": "access",
        "message": "answered",
        "request": "r-1",
        "uid": 0,
        "gid": 5,
        "pid": 7,
        "method": "POST",
        "path": "/v1.50/containers/create",
        "status": 201,
        "ms": 1.23,
        "bytes": 88,
    }


def test_over_tls_it_says_whose_certificate_it_was() -> None:
    peer = Peer(address="192.0.2.1:5", name="alice\n", certificate=b"der")
    fields = fields_of(replace(ACCOUNT, peer=peer, status=None))
    assert "uid" not in fields
    assert (fields["address"], fields["certificate"], fields["status"]) == ("192.0.2.1:5", "alice\\n", "gone")


def test_where_there_was_no_request_it_says_why() -> None:
    fields = fields_of(replace(ACCOUNT, method="", path="", status=None, refusal="no TLS: in time"))
    assert fields["message"] == "refused"
    assert fields["refusal"] == "no TLS: in time"
    assert fields.keys().isdisjoint({"method", "path", "status"})


def test_a_path_cannot_look_like_something_else_nor_fill_the_log() -> None:
    fields = fields_of(replace(ACCOUNT, path="/a\r\n\x1b[31m" + "x" * 1000))
    assert fields["path"] == "/a\\r\\n\\x1b[31m" + "x" * 391 + "..."


def test_lines_are_json_and_what_is_wanted_may_change(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    with LogWriter(descriptor, dropped=str) as writer:
        log = AccessLog(writer, "json", "changes")
        log.note(ACCOUNT)
        log.note(replace(ACCOUNT, method="GET"))
        log.wanted = "all"
        log.note(replace(ACCOUNT, method="GET"))
        log.wanted = "off"
        log.note(ACCOUNT)
    os.close(descriptor)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["level"], line["method"]) for line in lines] == [("info", "POST"), ("info", "GET")]

"""What the documentation says of the configuration is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from daemon.access_log import fields_of
from daemon.http.account import Account
from daemon.http.message import Peer
from daemon.options.command import as_toml
from daemon.options.sources import configure

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", OPERATIONS, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_file_in_it_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "daemon.toml"
    file.write_text(block("toml"))
    configured = configure({}, {}, file=file)
    assert configured.config.body_bytes_max == 8 << 20
    assert len(re.findall(rf"# {re.escape(str(file))}, line ", as_toml(configured))) == block("toml").count("\n")


def test_the_line_of_a_log_in_it_has_the_fields_of_one() -> None:
    account = Account(
        request_id="r",
        peer=Peer(uid=1, gid=1, pid=1),
        method="POST",
        path="/",
        began=0,
        status=409,
        sent_bytes=1,
        refusal="Conflict",
    )
    assert list(json.loads(block("json"))) == ["time", "level", *fields_of(account)]

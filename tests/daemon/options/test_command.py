from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from daemon.options.command import add_flags, as_json, as_toml, flags_of
from daemon.options.sources import Configured, configure
from daemon.options.table import OPTIONS


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.parse_args(arguments)


def configured(directory: Path, *arguments: str) -> Configured:
    empty = directory / "empty.toml"
    empty.touch()
    return configure(flags_of(parsed(*arguments)), {}, file=empty)


def test_only_flags_that_are_given_count() -> None:
    assert flags_of(parsed()) == {}
    given = parsed("--data-root", "d", "--allowed-uid", "1", "--allowed-uid", "2", "--ready-trees", "5")
    assert flags_of(given) == {"data_root": "d", "allowed_uids": ["1", "2"], "ready_trees_max": "5"}


def test_the_help_says_each_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert all(option.flag in text for option in OPTIONS.values())
    assert "JSON body; beyond that 413 (default: 4194304)" in text
    assert "the event loop (default: uvloop)" in text
    assert "is root on this machine (default: 660)" in text


FLAGS = ("--data-root", "/d", "--socket", "/s", "--allowed-uid", "7", "--insecure-registry", "a.example")


def test_what_is_shown_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    before = configured(
        tmp_path, *FLAGS, "--tls-listen", "[::1]:1", "--tls-cert", "c", "--tls-key", "k", "--tls-ca", 'a"\\'
    )
    file = tmp_path / "shown.toml"
    file.write_text(as_toml(before))
    after = configure({}, {}, file=file)
    assert after.config == before.config
    assert as_toml(configured(tmp_path, "--data-root", "/d")).count("\n") == as_toml(before).count("\n")


def test_each_value_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    lines = as_toml(configured(tmp_path, *FLAGS)).splitlines()
    assert 'data_root = "/d"                                  # --data-root' in lines
    assert "allowed_uids = [7]                                # --allowed-uid" in lines
    assert "creates_max = 256                                 # default" in lines
    assert "# tls_listen =                                    # default" in lines
    shown = json.loads(as_json(configured(tmp_path, *FLAGS)))
    assert list(shown) == list(OPTIONS)
    assert shown["allowed_uids"] == {"value": [7], "source": "--allowed-uid"}
    assert shown["tls_listen"] == {"value": None, "source": "default"}

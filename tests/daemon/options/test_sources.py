from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.config import Config
from daemon.options.sources import DEFAULT_FILE, FILE_BYTES_MAX, WrongOption, configure
from daemon.options.table import OPTIONS, Option
from daemon.storage.failpoints import VARIABLE

ROOT: dict[str, object] = {"data_root": "/data"}

# For each kind of option, by what it expects: three values, as the file, the environment and a flag say them.
VALUES: Mapping[str, tuple[str, str, object]] = {
    "a path": ('"/file"', "/variable", "/flag"),
    "a whole": ("11", "12", "13"),
    "a number of bytes": ("1001", "1002", "1003"),
    "a number of seconds": ("1.5", "2.5", "3.5"),
    "three octal": ('"600"', "640", "620"),
    "the name": ('"file"', "variable", "flag"),
    "a list of user": ("[1]", "2", ["3"]),
    "a list of hosts": ('["f.example"]', "v.example", ["g.example"]),
    "a list of names": ('["f"]', "v", ["g"]),
    "a host and": ('"h:1"', "h:2", "h:3"),
    "one of uvloop": ('"asyncio"', "uvloop", "asyncio"),
    "one of debug": ('"debug"', "info", "error"),
    "one of text": ('"json"', "text", "json"),
    "one of off": ('"all"', "off", "changes"),
}


def file_with(text: str, directory: Path) -> Path:
    path = directory / "daemon.toml"
    path.write_text(text)
    return path


def also_needed(option: Option) -> dict[str, str]:
    """TLS is said whole, or not at all."""
    whole = {"tls_listen": "h:9", "tls_cert": "/c", "tls_key": "/k", "tls_ca": "/a"}
    return {name: value for name, value in whole.items() if name != option.name} if option.name in whole else {}


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_flag_counts_before_the_environment_and_that_before_the_file_and_each_is_named(
    option: Option, tmp_path: Path
) -> None:
    in_file, in_environment, in_flag = next(v for start, v in VALUES.items() if option.kind.expected.startswith(start))
    file = file_with(f"# ours\n{option.name} = {in_file}\n", tmp_path)
    needed = {
        name: value for name, value in ({"data_root": "/data"} | also_needed(option)).items() if name != option.name
    }
    others = {OPTIONS[name].variable: value for name, value in needed.items()}
    variable = {option.variable: in_environment}
    by_flag = configure({option.name: in_flag}, others | variable, file=file)
    by_variable = configure({}, others | variable, file=file)
    by_file = configure({}, others, file=file)
    sources = [each.sources[option.name] for each in (by_flag, by_variable, by_file)]
    assert sources == [option.flag, option.variable, f"{file}, line 2"]
    values = [getattr(each.config, option.name) for each in (by_flag, by_variable, by_file)]
    assert values[0] != values[1] != values[2]


def test_what_else_is_in_the_environment_is_no_option(tmp_path: Path) -> None:
    environment = {"HOME": "/root", VARIABLE: "content.before_write=kill"}
    assert configure(ROOT, environment, file=file_with("", tmp_path)).config.data_root == Path("/data")


def test_what_nobody_says_is_the_default(tmp_path: Path) -> None:
    configured = configure(ROOT, {}, file=file_with("", tmp_path))
    assert configured.config == Config(data_root=Path("/data"), socket=None)
    assert {name for name, source in configured.sources.items() if source != "default"} == {"data_root"}


def wrong(text: str, directory: Path) -> str:
    """What is said of a file, without its path."""
    path = file_with(text, directory)
    with pytest.raises(WrongOption) as refused:
        configure(ROOT, {}, file=path)
    return str(refused.value).replace(str(path), "FILE")


WRONG: list[tuple[str, str]] = [
    ("\ncreate_max = 5", "FILE, line 2: there is no 'create_max'; is creates_max meant?"),
    ("zzz = 5", "FILE, line 1: there is no 'zzz'"),
    ("[limits]\ncreates_max = 5", "FILE, line 1: there is no 'limits'"),
    ('"log-level" = "debug"', "FILE, line 1: there is no 'log-level'; is log_level meant?"),
    (
        "backend = 'trio'\ncreates_max = 'many'",
        "FILE, line 2: creates_max must be a whole number, at least 1, not 'many'",
    ),
    ("creates_max = 0", "FILE, line 1: creates_max must be a whole number, at least 1, not 0"),
    ("allowed_uids = ['root']", "FILE, line 1: allowed_uids must be a list of user ids, not ['root']"),
    (
        "socket_mode = 660",
        'FILE, line 1: socket_mode must be three octal digits in a text, as "660", not 660',
    ),
    (
        "socket_mode = '666'",
        "FILE, line 1: with the mode 666 everybody is root on this machine; say who may use the daemon by allowed_uids",
    ),
    ("tls_listen = 'h:1'", "FILE, line 1: there is no TLS without tls_cert and tls_key and tls_ca"),
    ("tls_cert = '/c'\ntls_key = '/k'", "FILE, line 1: there is no TLS without tls_listen and tls_ca"),
    ("a b", "FILE: Expected '=' after a key in a key/value pair (at line 1, column 3)"),
    ("creates_max = 5\ncreates_max = 6\n", "FILE: Cannot overwrite a value (at line 2, column 16)"),
]


@pytest.mark.parametrize(("text", "complaint"), WRONG)
def test_what_is_wrong_in_a_file_is_told_with_its_line_and_what_may_be_meant(
    text: str, complaint: str, tmp_path: Path
) -> None:
    assert wrong(text, tmp_path) == complaint


def test_what_a_list_says_may_be_as_long_as_it_likes_but_not_what_is_told_of_it(tmp_path: Path) -> None:
    assert len(wrong(f"log_level = '{'x' * 5000}'", tmp_path)) < 300


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = file_with("", tmp_path)
    path.write_bytes(b"#\xff")
    with pytest.raises(WrongOption, match="not UTF-8, at byte 1"):
        configure(ROOT, {}, file=path)
    path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(WrongOption, match="more than 1048576 bytes"):
        configure(ROOT, {}, file=path)
    path.chmod(0o666)
    with pytest.raises(WrongOption, match="everybody may write to it"):
        configure(ROOT, {}, file=path)
    with pytest.raises(WrongOption, match=r"missing.toml: No such file"):
        configure(ROOT, {}, file=tmp_path / "missing.toml")
    with pytest.raises(WrongOption, match=r"missing.toml: No such file"):
        configure(ROOT, {"BOATYARD_CONFIG": str(tmp_path / "missing.toml")})


def test_the_environment_may_name_the_file_and_a_flag_another(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    one, other = file_with("creates_max = 1", tmp_path), file_with("creates_max = 2", tmp_path / "deeper")
    environment = {"BOATYARD_CONFIG": str(one)}
    assert configure(ROOT, environment).config.creates_max == 1
    assert configure(ROOT, environment, file=other).config.creates_max == 2


def test_a_default_file_is_read_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path("/etc/boatyard/daemon.toml") == DEFAULT_FILE
    monkeypatch.setattr("daemon.options.sources.DEFAULT_FILE", tmp_path / "daemon.toml")
    assert configure(ROOT, {}).sources["creates_max"] == "default"
    path = file_with("creates_max = 1", tmp_path)
    assert configure(ROOT, {}).sources["creates_max"] == f"{path}, line 1"


ELSEWHERE: list[tuple[dict[str, object], dict[str, str], str]] = [
    (
        {},
        {},
        "say where everything durable is to be: --data-root DIR, BOATYARD_DATA_ROOT, or in a file",
    ),
    ({}, {"BOATYARD_FOO": "/d"}, "there is no BOATYARD_FOO"),
    ({}, {"BOATYARD_DATAROOT": "/d"}, "there is no BOATYARD_DATAROOT; is BOATYARD_DATA_ROOT meant?"),
    ({}, {"BOATYARD_CREATES_MAX": "-1"}, "BOATYARD_CREATES_MAX must be a whole number, at least 1, not '-1'"),
    ({"creates_max": "x"}, {}, "--creates-max must be a whole number, at least 1, not 'x'"),
    ({"backend": "twisted"}, {}, "--backend must be one of uvloop, asyncio, trio, not 'twisted'"),
    (
        ROOT | {"socket_mode": "777"},
        {},
        "--socket-mode: with the mode 777 everybody is root on this machine; say who may use the daemon by allowed_uids",
    ),
]


@pytest.mark.parametrize(("flags", "environment", "complaint"), ELSEWHERE)
def test_what_is_wrong_elsewhere_is_named_as_it_was_said(
    flags: dict[str, object], environment: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongOption) as refused:
        configure(flags, {"HOME": "/root", **environment}, file=file_with("", tmp_path))
    assert str(refused.value) == complaint


def test_everybody_may_use_the_socket_where_a_list_says_who_may_use_the_daemon(tmp_path: Path) -> None:
    flags = ROOT | {"socket_mode": "666", "allowed_uids": ["0"]}
    assert configure(flags, {}, file=file_with("", tmp_path)).config.socket_mode == 0o666


def test_a_backend_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        WrongOption, match=r"--backend: the backend trio is not installed: pip install 'boatyard\[trio\]'"
    ):
        configure(ROOT | {"backend": "trio"}, {}, file=file_with("", tmp_path))

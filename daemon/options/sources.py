"""File, environment and flags to a Config: a flag before a variable before a line of the file before the default.

What nobody knows is an error that says where it is and what may have been meant: a limit with a typing mistake in its name would
be no limit.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from daemon.config import Config
from daemon.options.table import OPTIONS, PREFIX, Option

DEFAULT_FILE = Path("/etc/boatyard/daemon.toml")
"""Read if it is there, where no other is named."""

FILE_VARIABLE = f"{PREFIX}CONFIG"

_NO_OPTIONS = frozenset({FILE_VARIABLE, f"{PREFIX}FAILPOINTS"})
"""What else is said in the environment: where the file is, and where a test makes the daemon fail (`storage/failpoints.py`)."""

FILE_BYTES_MAX = 1 << 20

_EVERYBODY = stat.S_IWOTH | stat.S_IROTH | stat.S_IXOTH


class WrongOption(Exception):
    """What an operator has said cannot be used; the text says what, and where it was said."""


@attrs.frozen
class Said:
    value: object
    where: str
    """`--socket`, `BOATYARD_SOCKET`, `/etc/boatyard/daemon.toml, line 3`."""


@attrs.frozen
class Configured:
    config: Config
    sources: Mapping[str, str]
    """Of each field, where its value was said; `default` if nowhere."""


def configure(flags: Mapping[str, object], environment: Mapping[str, str], *, file: Path | None = None) -> Configured:
    """Raises WrongOption.

    Args:
        flags: by field of Config; those that were given.
        file: that was named as a flag.
    """
    said: dict[str, Said] = {}
    for source in (_from_file(_file_of(environment, file)), _from_environment(environment), _from_flags(flags)):
        said.update(source)
    values: dict[str, Any] = {name: _read(OPTIONS[name], each) for name, each in said.items()}
    if "data_root" not in said:
        raise WrongOption(f"say where everything durable is to be: --data-root DIR, {PREFIX}DATA_ROOT, or in a file")
    config = Config(**{"socket": None} | values)
    sources = {name: said[name].where if name in said else "default" for name in OPTIONS}
    _check(config, sources)
    return Configured(config, sources)


def _from_flags(flags: Mapping[str, object]) -> Iterator[tuple[str, Said]]:
    for name, value in flags.items():
        yield name, Said(value, OPTIONS[name].flag)


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Said]]:
    names = {option.variable: option.name for option in OPTIONS.values()}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in _NO_OPTIONS:
            continue
        if variable not in names:
            meant = _meant(variable.removeprefix(PREFIX).lower(), OPTIONS, lambda name: OPTIONS[name].variable)
            raise WrongOption(f"there is no {variable}{meant}")
        yield names[variable], Said(value, variable)


def _file_of(environment: Mapping[str, str], file: Path | None) -> Path | None:
    if file is not None:
        return file
    if FILE_VARIABLE in environment:
        return Path(environment[FILE_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _from_file(path: Path | None) -> Iterator[tuple[str, Said]]:
    if path is None:
        return
    text = _text_of(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongOption(f"{path}: {error}") from error
    for key, value in document.items():
        where = f"{path}{_line_of(key, text)}"
        if key not in OPTIONS:
            raise WrongOption(f"{where}: there is no {key!r}{_meant(key, OPTIONS)}")
        yield key, Said(value, where)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise WrongOption(f"{path}: everybody may write to it, and so decide who is root here")
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise WrongOption(f"{path}: {error.strerror or error}") from error
    if len(content) > FILE_BYTES_MAX:
        raise WrongOption(f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise WrongOption(f"{path}: not UTF-8, at byte {error.start}") from error


def _line_of(key: str, text: str) -> str:
    """Where it is said, as far as one can see without parsing it again."""
    found = re.search(rf"^[ \t]*\[*[ \t]*([\"']?){re.escape(key)}\1[ \t]*[].=]", text, re.MULTILINE)
    return f", line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _meant(name: str, known: Iterable[str], shown: Callable[[str], str] = str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; is {shown(close[0])} meant?" if close else ""


def _read(option: Option, said: Said) -> object:
    try:
        return option.kind.read(said.value)
    except ValueError as error:
        shown = f"{said.value!r:.100}"
        named = said.where if said.where in (option.flag, option.variable) else f"{said.where}: {option.name}"
        raise WrongOption(f"{named} must be {option.kind.expected}, not {shown}") from error


def _check(config: Config, sources: Mapping[str, str]) -> None:
    """What no value by itself shows. Raises WrongOption."""
    if config.backend != "asyncio" and importlib.util.find_spec(config.backend) is None:
        raise WrongOption(
            f"{sources['backend']}: the backend {config.backend} is not installed: "
            f"pip install 'boatyard[{config.backend}]'"
        )
    tls = {name: getattr(config, name) for name in ("tls_listen", "tls_cert", "tls_key", "tls_ca")}
    missing = [name for name, value in tls.items() if value is None]
    if missing and len(missing) < len(tls):
        given = next(sources[name] for name in tls if name not in missing)
        raise WrongOption(f"{given}: there is no TLS without {' and '.join(missing)}")
    if config.socket_mode & _EVERYBODY and config.allowed_uids is None:
        raise WrongOption(
            f"{sources['socket_mode']}: with the mode {config.socket_mode:03o} everybody is root on this machine; "
            "say who may use the daemon by allowed_uids"
        )

"""The options as flags, and as `boatyardd config` shows them: a file that says the same, or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import attrs

from daemon.config import Config
from daemon.options.kinds import Shown
from daemon.options.sources import DEFAULT_FILE, FILE_VARIABLE, Configured
from daemon.options.table import GROUPS, OPTIONS, Option

WIDTH = 48
"""Of a line's value, behind which is where it came from."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"a TOML file of options, whose keys are named as the flags ({FILE_VARIABLE}; by default {DEFAULT_FILE}, "
        "if it is there). A flag counts before BOATYARD_... in the environment, and that before the file",
    )
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            group.add_argument(
                option.flag,
                dest=option.name,
                metavar=option.kind.metavar,
                action="append" if option.kind.is_list else "store",
                default=argparse.SUPPRESS,
                help=_help(option),
            )


def flags_of(given: argparse.Namespace) -> Mapping[str, object]:
    """By field of Config; those that were given."""
    return {name: value for name, value in vars(given).items() if name in OPTIONS}


def _help(option: Option) -> str:
    text = option.help
    default = _DEFAULTS.get(option.name, attrs.NOTHING)
    if default not in (attrs.NOTHING, None, "", ()):
        text += f" (default: {option.kind.show(default)})"
    return text.replace("%", "%%")


_DEFAULTS: Mapping[str, object] = {field.name: field.default for field in attrs.fields(Config)}


def as_json(configured: Configured) -> str:
    shown = {
        name: {"value": value, "source": configured.sources[name]} for name, value in _values(configured.config).items()
    }
    return json.dumps(shown, indent=2)


def as_toml(configured: Configured) -> str:
    """A file that says what `configured` is, wherever that was said."""
    lines = []
    for title, options in GROUPS.items():
        lines += ["", f"# {title}"]
        values = _values(configured.config)
        for option in options:
            value = values[option.name]
            said = f"# {option.name} =" if value in (None, "") else f"{option.name} = {_toml(value)}"
            lines.append(f"{said:<{WIDTH}}  # {configured.sources[option.name]}")
    return "\n".join(lines[1:])


def _values(config: Config) -> Mapping[str, Shown]:
    return {name: option.kind.show(getattr(config, name)) for name, option in OPTIONS.items()}


def _toml(value: Shown) -> str:
    """A text in TOML is one in JSON, but for what is beyond 16 bits, which stays as it is, and DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

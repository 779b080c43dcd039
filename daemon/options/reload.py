"""What of a changed Config a running daemon takes over, and what waits for its next start. Pure."""

from __future__ import annotations

import attrs

from daemon.config import Config
from daemon.options.table import OPTIONS, Option


@attrs.frozen(kw_only=True)
class Reload:
    config: Config
    """What counts from now on."""
    changed: tuple[str, ...]
    """`creates_max is 5, was 256`."""
    needs_restart: tuple[str, ...]


def reload(before: Config, wanted: Config) -> Reload:
    different = [option for name, option in OPTIONS.items() if getattr(before, name) != getattr(wanted, name)]
    taken = [option for option in different if option.is_reloadable]
    return Reload(
        config=attrs.evolve(before, **{option.name: getattr(wanted, option.name) for option in taken}),
        changed=tuple(_difference(option, before, wanted) for option in taken),
        needs_restart=tuple(option.name for option in different if not option.is_reloadable),
    )


def _difference(option: Option, before: Config, after: Config) -> str:
    return f"{option.name} is {_shown(option, after)}, was {_shown(option, before)}"


def _shown(option: Option, config: Config) -> str:
    value = option.kind.show(getattr(config, option.name))
    if value is None:
        return "not set"
    return ", ".join(map(str, value)) or "empty" if isinstance(value, list) else str(value)

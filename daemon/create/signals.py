"""The names and numbers of signals as Docker takes them (github.com/moby/sys signal.ParseSignal)."""

from __future__ import annotations

import re

from daemon.errors import InvalidParameter

NAMES = frozenset(
    (
        "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP "
        "TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX"
    ).split()
    + [f"RTMIN+{number}" for number in range(1, 16)]
    + [f"RTMAX-{number}" for number in range(1, 15)]
)
NUMBERS = frozenset({*range(1, 32), *range(34, 65)})
"""Those that have a name on Linux: the C library keeps 32 and 33 for itself."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
"""What fits into Go's int, near enough."""


def is_signal(text: str) -> bool:
    """A name with or without SIG, in any case, or any number but 0."""
    if _NUMBER.fullmatch(text):
        return int(text) != 0
    return text.upper().removeprefix("SIG") in NAMES


def check_deliverable(text: str) -> None:
    """Raises InvalidParameter unless it is a signal that Linux can deliver."""
    if not is_signal(text):
        raise InvalidParameter(f"invalid signal: {text}")
    if _NUMBER.fullmatch(text) and int(text) not in NUMBERS:
        raise InvalidParameter(f"the linux daemon does not support signal {int(text)}")

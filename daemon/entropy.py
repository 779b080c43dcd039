"""Random names that nobody can guess, many of them with one system call.

Each such call gives the interpreter up, and a thread among busy ones waits long until it has it again.
"""

from __future__ import annotations

import secrets


def hex_names(count: int, digits: int) -> list[str]:
    """`count` of them, each of so many hex digits, which is an even number."""
    drawn = secrets.token_hex(count * digits // 2)
    return [drawn[start : start + digits] for start in range(0, len(drawn), digits)]

"""What the type checker must see: replies are inferred, wrong uses are errors."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from mypy import api

HEAD = """
from actors import Deferred, Ref, Supervisor
class Counter:
    async def add(self, n: int = 1) -> int: return n
    async def name(self, prefix: str, *, width: int = 0) -> str: return prefix
    def write(self, data: bytes) -> Deferred[float]: return Deferred()
class Other:
    async def go(self) -> None: ...
async def main(ref: Ref[Counter], supervisor: Supervisor) -> None:
"""

RIGHT = [
    ("await ref.ask(Counter.add)", "int"),
    ("await ref.ask(Counter.add, 2)", "int"),
    ("await ref.ask(Counter.add, n=2)", "int"),
    ("await ref.ask(Counter.add, timeout=1.0)", "int"),
    ("await ref.ask(Counter.add, 2, timeout=1.0)", "int"),
    ("await ref.ask(Counter.name, 'x', width=3)", "str"),
    ("await ref.ask(Counter.write, b'')", "float"),
    ("await ref.ask(Counter.write, b'', timeout=2)", "float"),
    ("await supervisor.start(Counter, name='c')", "actors._ref.Ref[claims.Counter]"),
    ("await supervisor.start(lambda: Counter(), name='c')", "actors._ref.Ref[claims.Counter]"),
    ("await ref.send(Counter.add, 1)", "None"),
]

WRONG = [
    "await ref.ask(Counter.add, 'x')",
    "await ref.ask(Counter.add, 'x', timeout=1.0)",
    "await ref.ask(Counter.name)",
    "await ref.ask(Other.go)",
    "ref.tell(Counter.name)",
    "ref.tell(Other.go)",
    "await ref.send(Counter.add, 'x')",
    "reply: str = await ref.ask(Counter.add)",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """mypy's findings, one run for all claims: `LINE: kind: text`."""
    claims: Path = tmp_path_factory.mktemp("typing") / "claims.py"
    body = [f"reveal_type({claim})" for claim, _ in RIGHT] + WRONG
    claims.write_text(HEAD + textwrap.indent("\n".join(body), "    ") + "\n")
    output, errors, _ = api.run(
        ["--strict", "--no-incremental", "--allow-redefinition", "--config-file", "pyproject.toml", str(claims)]
    )
    assert not errors
    return [line.split("claims.py:", 1)[1] for line in output.splitlines() if "claims.py:" in line]


FIRST_LINE = HEAD.count("\n") + 1


@pytest.mark.parametrize(("number", "expected"), [(n, kind) for n, (_, kind) in enumerate(RIGHT)])
def test_the_reply_is_inferred(number: int, expected: str, report: list[str]) -> None:
    findings = [line for line in report if line.startswith(f"{FIRST_LINE + number}:")]
    assert findings == [f'{FIRST_LINE + number}: note: Revealed type is "{expected}"']


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_use_is_an_error(number: int, report: list[str]) -> None:
    line_number = FIRST_LINE + len(RIGHT) + number
    assert any(line.startswith(f"{line_number}: error:") for line in report)

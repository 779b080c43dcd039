"""The documentation's pages as programs: what they show is run as a reader would, in order, in one shell and one directory.

What a fenced block is, its language says:

    console   commands behind `$ `, continued behind `> `, each with what it prints below it, on either stream; `...` stands
              for anything. What a job in the background prints is waited for. A command that shows nothing prints nothing
              and succeeds
    sh        commands that succeed, whatever they print
    python    a program that succeeds, whatever it prints
    others    are only shown

Whatever its language, a block that begins with a comment that is the name of a file, `# app.py`, is put into that file instead.
A block that cannot be run has `<!-- not run: why -->` right before it; one that changes the machine that it is run on has
`<!-- run in a machine of its own -->`, and is left to tests/docs/test_service.py.
"""

from __future__ import annotations

import doctest
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
from markdown_it import MarkdownIt
from markdown_it.token import Token

COMMAND_TIMEOUT_S = 60.0
BACKGROUND_TIMEOUT_S = 10.0
"""For what a job in the background has not printed yet when a command is done: a start of the daemon, and a slow machine."""
READ_BYTES = 64 << 10

COMMANDS = ("console", "sh", "python")
SHOWN = ("text", "json", "toml", "yaml", "ini", "mermaid")

_FILE = re.compile(r"# ([\w.-]+\.[a-z]+)\n", re.ASCII)
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*", re.DOTALL)
_IN_MACHINE = re.compile(r"<!-- run in a machine of its own -->\s*")
_END = b"\x1e"
"""Printed by the shell around the status of a command and the number of jobs that run, and by nobody else."""
_TELL_END = "printf '\\036%s %s\\036' $? $(jobs -pr | wc -l)"


@attrs.frozen(kw_only=True)
class Block:
    line: int
    """Of the page, of its first line."""
    language: str
    text: str
    not_run: str = ""
    """Why not; empty for one that is run."""
    in_machine: bool = False
    """Whether it is run in a machine of its own."""

    @property
    def file(self) -> str:
        """Into which it is put, if it is."""
        match = _FILE.match(self.text)
        return match[1] if match and self.language != "console" else ""

    @property
    def is_run(self) -> bool:
        """On this machine."""
        return bool(self.file or self.language in COMMANDS) and not self.not_run and not self.in_machine


@attrs.frozen(kw_only=True)
class Step:
    """A command, and what the page says of it."""

    line: int
    command: str
    shown: str | None
    """What it prints; None where the page does not say."""


class Wrong(AssertionError):
    """What a page says is not so."""


def blocks_of(page: str) -> tuple[Block, ...]:
    """Raises Wrong: a block has no language, or one that is not known here."""
    tokens = MarkdownIt().parse(page)
    pairs = zip([None, *tokens], tokens, strict=False)
    return tuple(_block(token, before) for before, token in pairs if token.type == "fence")


def _block(token: Token, before: Token | None) -> Block:
    assert token.map is not None
    line = token.map[0] + 1
    if token.info not in (*COMMANDS, *SHOWN):
        raise Wrong(f"line {line}: nobody knows what to do with a block of {token.info or 'no language'!r}")
    comment = before.content if before is not None and before.type == "html_block" else ""
    mark = _NOT_RUN.fullmatch(comment)
    return Block(
        line=line,
        language=token.info,
        text=token.content,
        not_run=mark[1] if mark else "",
        in_machine=_IN_MACHINE.fullmatch(comment) is not None,
    )


def steps_of(block: Block) -> tuple[Step, ...]:
    """Raises Wrong: it does not begin with a command."""
    if block.language == "sh":
        return (Step(line=block.line, command=f"set -e\n{block.text}set +e", shown=None),)
    if block.language == "python":
        return (Step(line=block.line, command=f"python -c {shlex.quote(block.text)}", shown=None),)
    return tuple(_console_steps(block))


def _console_steps(block: Block) -> Iterator[Step]:
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if not starts or starts[0] != 0:
        raise Wrong(f"line {block.line}: what is shown first is no command")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        below = lines[start + 1 : end]
        continued = next((number for number, line in enumerate(below) if not line.startswith("> ")), len(below))
        command = "\n".join([lines[start][2:], *(line[2:] for line in below[:continued])])
        shown = "".join(f"{line}\n" for line in below[continued:])
        yield Step(line=block.line + 1 + start, command=command, shown=shown)


def run_page(blocks: Sequence[Block], directory: Path, environment: Mapping[str, str]) -> None:
    """Raises Wrong: something is not as the page says."""
    with shell(directory, environment) as reader:
        for block in blocks:
            if not block.is_run:
                continue
            if block.file:
                (directory / block.file).write_text(block.text)
                continue
            for step in steps_of(block):
                reader.follow(step)


def environment_of(home: Path) -> Mapping[str, str]:
    """A login shell's, in which our programs are installed."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
    }


def looks_like(shown: str, printed: str) -> bool:
    """As in a doctest: `...` is anything, and how wide a gap is does not matter."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(shown, printed, flags)


@contextmanager
def shell(directory: Path, environment: Mapping[str, str], wrapper: Sequence[str] = ()) -> Iterator[Shell]:
    """At the end it is ended, with everything that it has started. `wrapper`: a command that becomes it, as nice."""
    with subprocess.Popen(
        [*wrapper, "bash", "--norc", "--noprofile"],
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        bufsize=0,
    ) as process:
        try:
            yield Shell(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own


class Shell:
    """One that reads commands from us: variables, directories and jobs stay from one to the next."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._printed = b""

    def follow(self, step: Step) -> None:
        """Raises Wrong."""
        # In braces, so that what it reads is not our next command.
        self._stdin.write(f"{{ {step.command}\n}} </dev/null\n{_TELL_END}\n".encode())
        self._read_until(lambda: self._printed.count(_END) == 2, COMMAND_TIMEOUT_S)
        if self._printed.count(_END) < 2:
            raise _wrong(step, "it does not end, or has ended the shell", self._text())
        before, end, after = self._printed.split(_END)
        status, jobs = end.split()
        self._printed = before + after
        if step.shown and jobs != b"0":
            shown = step.shown
            self._read_until(lambda: looks_like(shown, self._text()), BACKGROUND_TIMEOUT_S)
        printed, self._printed = self._text(), b""
        if step.shown is not None and not looks_like(step.shown, printed):
            raise _wrong(step, "it prints something else", printed)
        if status != b"0" and not step.shown:
            raise _wrong(step, f"it fails with {status.decode()}", printed)

    def _text(self) -> str:
        return self._printed.decode(errors="replace")

    def _read_until(self, is_enough: Callable[[], bool], timeout_s: float) -> None:
        """Until then, or until there is nothing more to come."""
        deadline = time.monotonic() + timeout_s
        while not is_enough():
            ready, _, _ = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._stdout.fileno(), READ_BYTES) if ready else b""
            if not data:
                return
            self._printed += data


def _wrong(step: Step, why: str, printed: str) -> Wrong:
    shown = "" if step.shown is None else f"--- shown\n{step.shown}"
    return Wrong(f"line {step.line}: {step.command}\n{why}\n{shown}--- printed\n{printed}")

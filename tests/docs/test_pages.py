"""Every command in the documentation is run, and prints what is shown; what cannot be run says why, and is counted."""

from __future__ import annotations

import os
import re
import select
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.pages import Block, Wrong, blocks_of, environment_of, looks_like, run_page, steps_of
from tests.engines import not_here

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN: Mapping[str, int] = {
    "README.md": 1,
    "docs/benchmarks.md": 1,
}
"""How many blocks of a page cannot be run: one more is to be noticed."""

PROGRAMS = ("docker", "docker-compose", "curl")
"""That the pages use and that do not come with Boatyard."""

README_LINES_MAX = 160
"""What one reads before one tries."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_shows_is_so(page: Path) -> None:
    blocks = blocks_of(page.read_text())
    commands = " ".join(step.command for block in blocks if block.is_run and not block.file for step in steps_of(block))
    for program in PROGRAMS:
        if re.search(rf"(?<![\w-]){program}(?![\w-])", commands) and shutil.which(program) is None:
            not_here(f"{program} is not installed")
    # In memory, as all tests (conftest.py), and with a short path: a socket's has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="by-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as home:
        for name, source in (
            (".venv", Path(sys.prefix)),
            ("examples", ROOT / "examples"),
            ("contrib", ROOT / "contrib"),
        ):
            (Path(home) / name).symlink_to(source)
        run_page(blocks, Path(home), environment_of(Path(home)))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_not_run_is_counted(page: Path) -> None:
    not_run = [block for block in blocks_of(page.read_text()) if block.not_run]
    assert len(not_run) == NOT_RUN.get(name_of(page), 0), [f"line {block.line}: {block.not_run}" for block in not_run]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_readme_is_one_page() -> None:
    assert (ROOT / "README.md").read_text().count("\n") <= README_LINES_MAX


def test_a_page_is_reached_from_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES[1:]:
        assert f"]({name_of(page)}" in readme


# How the pages are read ------------------------------------------------------------------------------------------------------

CONSOLE = """
```console
$ echo one; echo two
one
...
$ cat <<END
> a  $HOME
> END
a /
$ true
```
"""


def run(page: str, directory: Path) -> Sequence[Block]:
    blocks = blocks_of(page)
    run_page(blocks, directory, {**environment_of(Path("/")), "HOME": "/"})
    return blocks


def test_a_console_has_commands_their_continuations_and_what_they_print(tmp_path: Path) -> None:
    (block,) = run(CONSOLE, tmp_path)
    assert [(step.line, step.command, step.shown) for step in steps_of(block)] == [
        (3, "echo one; echo two", "one\n...\n"),
        (6, "cat <<END\na  $HOME\nEND", "a /\n"),
        (10, "true", ""),
    ]


@pytest.mark.parametrize(
    "block",
    [
        "```console\n$ echo one\ntwo\n```",
        "```console\n$ echo one\n```",
        "```console\n$ true\none\n```",
        "```console\n$ false\n```",
        "```console\n$ exit 3\n```",
        "```console\n$ if\n```",
        "```console\necho one\n```",
        "```sh\ntrue\nfalse\n```",
        "```python\nraise SystemExit(1)\n```",
        "```\n$ true\n```",
        "```fish\ntrue\n```",
    ],
)
def test_what_is_not_so_is_told(block: str, tmp_path: Path) -> None:
    with pytest.raises(Wrong, match=r"^line \d"):
        run(block, tmp_path)


def test_what_fails_as_shown_is_right(tmp_path: Path) -> None:
    run("```console\n$ ls nothing\nls: cannot access ...\n```", tmp_path)


def test_a_page_has_one_shell_and_one_directory(tmp_path: Path) -> None:
    page = """
```python
# app.py
import sys

print("hello", sys.argv[1])
```

- in a list:

  ```sh
  name=world
  mkdir below && cd below
  ```

```console
$ python ../app.py $name
hello world
```
"""
    run(page, tmp_path)
    assert (tmp_path / "below").is_dir()


def test_a_job_in_the_background_is_waited_for_and_ends_with_the_page(tmp_path: Path) -> None:
    page = """
```console
$ mkfifo ends
$ { echo begun; read -r < ends; echo ended; } &
begun
$ echo > ends
ended
$ sleep 600 & echo $! > pid
```
"""
    run(page, tmp_path)
    with suppress(ProcessLookupError):  # it has gone already
        descriptor = os.pidfd_open(int((tmp_path / "pid").read_text()))
        try:
            assert select.select([descriptor], [], [], 10)[0]
        finally:
            os.close(descriptor)


def test_a_block_that_is_not_run_says_why(tmp_path: Path) -> None:
    page = "<!-- not run: there is no\nsuch command -->\n```sh\nnosuch\n```\n\n```json\n{}\n```"
    first, second = run(page, tmp_path)
    assert (first.not_run, first.is_run, second.not_run, second.is_run) == (
        "there is no\nsuch command",
        False,
        "",
        False,
    )


def test_a_block_for_a_machine_of_its_own_is_not_run_here(tmp_path: Path) -> None:
    (block,) = run("<!-- run in a machine of its own -->\n```console\n$ nosuch\n```", tmp_path)
    assert (block.in_machine, block.is_run, block.not_run) == (True, False, "")


@pytest.mark.parametrize(
    ("shown", "printed", "is_like"),
    [
        ("NAME  STATUS\nweb   ...\n", "NAME   STATUS\nweb    Created\n", True),
        ("one\n...\nfour\n", "one\ntwo\nthree\nfour\n", True),
        ("one\n...\n", "one\n", False),
        ("one\n", "one\ntwo\n", False),
    ],
)
def test_dots_are_anything(shown: str, printed: str, is_like: bool) -> None:
    assert looks_like(shown, printed) is is_like

"""What a daemon did to its disk, as strace saw it, and the states that a power cut in the midst of it may leave.

A file system promises that a file's content is durable after its fsync, a name after that of its directory, and everything after
syncfs; what else there is of the rest is its own affair. Of all the states that this allows three are built after each call:
all that was done, all of it but content that was not synced, and nothing that was not synced (cf. "All File Systems Are Not
Created Equal", OSDI 14).
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

import attrs

TRACED = (
    "openat,openat2,/^mkdir,/^rename,/^unlink,rmdir,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,syncfs,sendto"
)
"""What must be traced, with paths (`-y`) and whole strings (`-s`)."""
STRING_BYTES = 1 << 22

_CALL = re.compile(r"\d+ +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?:<(?P<path>[^>]*)>)?.*")
_UNFINISHED = re.compile(r"(?P<pid>\d+) +(?P<begun>\w+\(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)")
_TOKEN = re.compile(r'"(?P<string>(?:[^"\\]|\\.)*)"|<(?P<path>[^>]*)>')


class Kind(Enum):
    CREATE = "create"
    MKDIR = "mkdir"
    RENAME = "rename"
    UNLINK = "unlink"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    SYNC_ALL = "sync all"
    ANSWER = "answer"
    """To a client whose request was carried out."""


@attrs.frozen
class Step:
    kind: Kind
    path: str = ""
    target: str = ""
    """Of a rename."""
    offset: int = 0
    data: bytes = b""

    @property
    def directory(self) -> str:
        """What has to be synced for its name."""
        return os.path.dirname(self.target or self.path)  # noqa: PTH120 - as strace writes it


class Loss(Enum):
    """What a power cut takes."""

    NOTHING = "nothing"
    CONTENT = "content"
    EVERYTHING = "everything"


def steps_of(trace: str, root: Path) -> list[Step]:
    """What was done below `root`, and answers to clients, in the order in which the calls returned."""
    offsets: dict[str, int] = {}
    steps = (step for line in _joined(trace.splitlines()) for step in _steps(line, offsets))
    return [step for step in steps if step.kind is Kind.ANSWER or step.path.startswith(f"{root}/")]


def rebuild(base: Path, steps: Sequence[Step], loss: Loss, *, root: Path, into: Path) -> None:
    """`into` as a power cut after the last of these steps may leave what was `base` before the first, and was at `root`."""
    subprocess.run(["cp", "-a", base, into], check=True)
    for number, step in enumerate(steps):
        if _is_kept(step, steps[number + 1 :], loss):
            moved = attrs.evolve(
                step,
                path=step.path.replace(str(root), str(into), 1),
                target=step.target.replace(str(root), str(into), 1),
            )
            try:
                _do(moved)
            except OSError:
                if loss is not Loss.EVERYTHING:  # else what it was done to may be lost
                    raise


def _is_kept(step: Step, later: Sequence[Step], loss: Loss) -> bool:
    if loss is Loss.NOTHING or step.kind in (Kind.SYNC, Kind.SYNC_ALL, Kind.ANSWER):
        return True
    is_content = step.kind in (Kind.WRITE, Kind.TRUNCATE)
    if not is_content and loss is Loss.CONTENT:
        return True
    synced = step.path if is_content else step.directory
    return any(each.kind is Kind.SYNC_ALL or (each.kind is Kind.SYNC and each.path == synced) for each in later)


def _do(step: Step) -> None:
    path = Path(step.path)
    if step.kind is Kind.CREATE:
        path.touch(mode=0o600)
    elif step.kind is Kind.MKDIR:
        path.mkdir(mode=0o755)
    elif step.kind is Kind.RENAME:
        path.rename(step.target)
    elif step.kind is Kind.UNLINK:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    elif step.kind is Kind.TRUNCATE:
        os.truncate(path, step.offset)
    elif step.kind is Kind.WRITE:
        with path.open("r+b") as file:
            file.seek(step.offset)
            file.write(step.data)


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """Calls that others have interrupted, whole, where they end."""
    begun: dict[str, str] = {}
    for line in lines:
        if match := _UNFINISHED.fullmatch(line):
            begun[match["pid"]] = match["begun"]
        elif match := _RESUMED.fullmatch(line):
            yield f"{match['pid']} {begun.pop(match['pid'])}{match['rest']}"
        else:
            yield line


def _steps(line: str, offsets: dict[str, int]) -> Iterator[Step]:
    match = _CALL.fullmatch(line)
    if match is None or match["result"].startswith("-"):
        return
    name, arguments = match["name"], match["arguments"]
    tokens = [*_TOKEN.finditer(arguments)]
    strings = [each["string"] for each in tokens if each["string"] is not None]
    places = [each["path"] for each in tokens if each["path"] is not None]
    if name.startswith("open"):
        path = match["path"] or ""
        if "O_TRUNC" in arguments or "O_CREAT" in arguments:
            offsets[path] = 0
            yield Step(Kind.CREATE, path)
            if "O_TRUNC" in arguments:
                yield Step(Kind.TRUNCATE, path)
    elif name.startswith("mkdir"):
        yield Step(Kind.MKDIR, _path(places, strings, 0))
    elif name.startswith("rename"):
        yield Step(Kind.RENAME, _path(places, strings, 0), target=_path(places, strings, 1))
    elif name.startswith(("unlink", "rmdir")):
        yield Step(Kind.UNLINK, _path(places, strings, 0))
    elif name == "syncfs":
        yield Step(Kind.SYNC_ALL, f"{places[0]}/")
    elif name in ("fsync", "fdatasync"):
        yield Step(Kind.SYNC, places[0])
    elif name == "sendto":
        if strings[0].startswith("HTTP/1.1 2"):
            yield Step(Kind.ANSWER)
    else:
        yield from _content(name, arguments, places[0], strings, int(match["result"]), offsets)


def _content(
    name: str, arguments: str, path: str, strings: list[str], size: int, offsets: dict[str, int]
) -> Iterator[Step]:
    numbers = [int(each) for each in re.findall(r", (\d+)(?=,|$)", arguments[-80:])]
    if name == "pwrite64":
        yield Step(Kind.WRITE, path, offset=numbers[-1], data=_bytes(strings[0])[:size])
    elif name == "write":
        data = _bytes(strings[0])[:size]
        yield Step(Kind.WRITE, path, offset=offsets.get(path, 0), data=data)
        offsets[path] = offsets.get(path, 0) + len(data)
    elif name == "ftruncate":
        yield Step(Kind.TRUNCATE, path, offset=numbers[-1])


def _path(places: list[str], strings: list[str], number: int) -> str:
    """Of the system calls with a directory before each name, and of those without."""
    directory = places[number] if number < len(places) else "/"
    return os.path.normpath(os.path.join(directory, _bytes(strings[number]).decode()))  # noqa: PTH118


def _bytes(string: str) -> bytes:
    """strace escapes as C does."""
    found = ast.literal_eval(f'b"{string}"')
    assert isinstance(found, bytes)
    return found

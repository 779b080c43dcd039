"""Where two answers differ, and which of that is known. Pure.

An answer is laid out flat: a name for each thing that was said (`answer`, `warning <text>`, `inspect.HostConfig.Memory`,
`volume /data`), and its text. What no two engines can have alike (ids, times, paths of their own) is replaced by a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

import attrs

from tests.conformance.engines import BASE, Answer, Engine
from tests.conformance.tables import HERE, ROOT, Json

ABSENT = "(absent)"

_GENERATED_NAME = re.compile(r"/[a-z]+_[a-z]+[0-9]?")
_OWN_PATH = re.compile(rf"{ROOT}/(overlay2/[0-9a-f]{{64}}/merged|(containers|layers)/[0-9a-f]{{64}}/\w+)")


class Reason(Enum):
    NEWER = "20.10 against 28"
    UNLIKE_MOBY = "Unlike Moby"
    NOT_YET = "not yet"


@attrs.frozen
class Difference:
    case: str
    where: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.case}\n  {self.where}\n    dockerd:  {self.theirs}\n    boatyard: {self.ours}"


@attrs.frozen
class Known:
    """A difference that has its reason. `{word}` stands for any text, and for the same text wherever it is repeated."""

    where: str
    theirs: str
    ours: str
    reason: Reason
    because: str
    case: str = "{any}"

    _pattern: re.Pattern[str] = attrs.field(init=False, repr=False)

    @_pattern.default
    def _compiled(self) -> re.Pattern[str]:
        return re.compile("\0".join(_patterns((self.case, self.where, self.theirs, self.ours))), re.DOTALL)

    def explains(self, difference: Difference) -> bool:
        given = (difference.case, difference.where, difference.theirs, difference.ours)
        return self._pattern.fullmatch("\0".join(given)) is not None


def _patterns(templates: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for template in templates:
        pattern = ""
        for number, part in enumerate(re.split(r"\{(\w+)\}", template)):
            if number % 2 == 0:
                pattern += re.escape(part)
            elif part in seen:
                pattern += f"(?P={part})"
            else:
                seen.add(part)
                pattern += f"(?P<{part}>[^\\0]*)"
        yield pattern


def differences(name: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[Difference]:
    """Of a case: in all that was said and made, where the answers are the same; else in the answers."""
    wheres = theirs.keys() | ours.keys() if theirs["answer"] == ours["answer"] else {"answer"}
    return [
        Difference(name, where, theirs.get(where, ABSENT), ours.get(where, ABSENT))
        for where in sorted(wheres)
        if theirs.get(where, ABSENT) != ours.get(where, ABSENT)
    ]


def laid_out(answer: Answer, engine: Engine) -> dict[str, str]:
    if answer.status != 201:
        return {"answer": without_own(f"{answer.status} {answer.message}", engine)}
    said = {"answer": "201"}
    said |= {f"warning {text}": "given" for text in answer.warnings}
    said |= dict(flat("inspect", comparable_inspect(answer.inspect)))
    said |= {f"volume {destination}": _lines(listing) for destination, listing in answer.volumes.items()}
    said["layer"] = _lines(answer.layer)
    names = {mount["Name"]: "<volume>" for mount in answer.inspect["Mounts"] if len(mount.get("Name", "")) == 64}
    words = {answer.inspect["Id"]: "<id>", answer.inspect["Id"][:12]: "<short id>", **names}
    if _GENERATED_NAME.fullmatch(answer.inspect["Name"]):
        words[answer.inspect["Name"]] = "/<generated>"
    return {where: without_own(_replaced(text, words), engine) for where, text in said.items()}


def _lines(listing: Mapping[str, str]) -> str:
    return "".join(f"\n      {path}: {text}" for path, text in sorted(listing.items()))


def without_own(text: str, engine: Engine) -> str:
    text = _replaced(text, {str(engine.data_root): ROOT, str(engine.here): HERE, engine.base: BASE})
    return _OWN_PATH.sub("<rootfs>", text)


def _replaced(text: str, words: Mapping[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def comparable_inspect(inspect: Json) -> Json:
    """Without times, with lists that have no order by their keys, and of the paths of the layers only that they are there."""
    links = inspect["HostConfig"]["Links"]
    return {
        **inspect,
        "Created": "<time>",
        "HostConfig": {**inspect["HostConfig"], "Links": links and sorted(links)},
        "GraphDriver": {**inspect["GraphDriver"], "Data": sorted(inspect["GraphDriver"]["Data"])},
        "Mounts": {mount["Destination"]: _text(mount) for mount in inspect["Mounts"]},
    }


def flat(where: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(f"{where}.{key}", inner)
    else:
        yield where, value if isinstance(value, str) else _text(value)


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)

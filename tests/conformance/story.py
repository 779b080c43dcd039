"""A sequence of requests that both sides are told, in order, and what each of them answers to each.

A step is written as one line: a method, a path, perhaps a body. `@web@` in it is the id of what the step with `name=web` has
created (or, for a network, `"Name": "web"`), `@web:12@` its first twelve digits.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import attrs

from tests.conformance import images
from tests.conformance.case import API_VERSION, PRESENT
from tests.conformance.comparing import Difference, comparable_inspect, differences, flat, without_own
from tests.conformance.engines import Engine
from tests.conformance.tables import Json

NOW = "@NOW@"
"""The time: all that has been answered has happened before it."""

_ID = re.compile(r"@(\w+)(?::(\d+))?@")
_HEX = re.compile(r"(?<!sha256:)\b[0-9a-f]{64}\b")
_TIMES = ("Created", "CreatedAt", "time", "timeNano", "StartedAt", "FinishedAt")
_SAFE = "/?&=%:,@"
_UNORDERED = ("/networks", "/volumes")
"""Lists that dockerd gives in the order of a map."""


@attrs.frozen
class Step:
    method: str
    path: str
    body: Json = None


@attrs.frozen
class Story:
    name: str
    steps: tuple[Step, ...]

    def named(self, number: int) -> str:
        """The name of one step, as the list of known differences has it."""
        step = self.steps[number]
        return f"{self.name} {number}: {step.method} {step.path}"


def create(name: str, host: Mapping[str, Json] | None = None, **config: Json) -> Step:
    body = {"Image": images.PLAIN, "HostConfig": dict(host or {}), **config}
    return Step("POST", f"/containers/create?name={name}", body)


def get(path: str) -> Step:
    return Step("GET", path)


def post(path: str, body: Json = None) -> Step:
    return Step("POST", path, body)


def delete(path: str) -> Step:
    return Step("DELETE", path)


def listed(filters: Mapping[str, list[str]], query: str = "all=1") -> Step:
    return get(f"/containers/json?{query}&filters={json.dumps(filters, separators=(',', ':'))}")


@attrs.frozen
class Telling:
    """One story, on one side."""

    engine: Engine
    words: dict[str, str] = attrs.field(factory=dict)
    """Ids, and what is shown instead."""
    ids: dict[str, str] = attrs.field(factory=dict)

    def tell(self, step: Step) -> dict[str, str]:
        """What is answered, laid out flat."""
        path = self._filled(step.path)
        body = None if step.body is None else self._filled(json.dumps(step.body)).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        self.engine.request(step.method, f"/v{API_VERSION}{quote(path, safe=_SAFE)}", body, headers)
        response = self.engine.getresponse()
        status, content = response.status, _documents(response.read())
        self._remember(step, status, content)
        return {where: self._shown(text) for where, text in _laid_out(step, status, content)}

    def _filled(self, text: str) -> str:
        text = self.engine.filled(text.encode()).decode()
        text = text.replace(NOW, f"{time.time():.9f}")
        return _ID.sub(lambda match: self.ids.get(match[1], match[0])[: int(match[2] or 64)], text)

    def _remember(self, step: Step, status: int, content: Json) -> None:
        if status == 201 and isinstance(content, dict) and "Id" in content:
            name = step.body["Name"] if "Name" in step.body else step.path.rpartition("name=")[2]
            self.ids[name] = content["Id"]
            self.words.update({content["Id"]: f"<{name}>", content["Id"][:12]: f"<short {name}>"})

    def _shown(self, text: str) -> str:
        for old, new in self.words.items():
            text = text.replace(old, new)
        return without_own(_HEX.sub("<hex>", text), self.engine)


def told(story: Story, theirs: Engine, ours: Engine) -> Iterator[tuple[str, list[Difference]]]:
    """The differences in each step; what the story has made is removed on both sides."""
    sides = Telling(theirs), Telling(ours)
    try:
        for number, step in enumerate(story.steps):
            name = story.named(number)
            yield name, differences(name, sides[0].tell(step), sides[1].tell(step))
    finally:
        for side in sides:
            _clear(side.engine)


def _documents(content: bytes) -> Json:
    """What is in a body: nothing, a document, a list of the documents that are there one below the other, or a text."""
    try:
        documents = [json.loads(line) for line in content.splitlines()]
    except ValueError:
        return content.decode(errors="replace")
    return documents[0] if len(documents) == 1 else documents or None


def _laid_out(step: Step, status: int, content: Json) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict) and "message" in content:
        yield "answer", f"{status} {content['message']}"
        return
    yield "answer", str(status)
    path = step.path.partition("?")[0]
    if path.startswith("/containers/") and path.endswith("/json") and isinstance(content, dict):
        yield from flat("inspect", comparable_inspect(content))
    else:
        yield from flat("body", _comparable(_in_order(path, content)))


def _in_order(path: str, content: Json) -> Json:
    if path not in _UNORDERED:
        return content
    elements = content["Volumes"] or [] if isinstance(content, dict) else content
    return sorted(elements, key=lambda each: (bool(_HEX.fullmatch(each["Name"])), each["Name"]))


def _comparable(value: Json) -> Json:
    """Without times; the elements of a list by their numbers."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {str(number): _comparable(each) for number, each in enumerate(value)}
    if isinstance(value, dict):
        mounts = {"Mounts": {each["Destination"]: each for each in value["Mounts"]}} if "Mounts" in value else {}
        return {key: "<time>" if key in _TIMES else _comparable(inner) for key, inner in {**value, **mounts}.items()}
    return value


def _clear(engine: Engine) -> None:
    _, containers = engine.call("GET", "/containers/json?all=1")
    for container in containers:
        if not {f"/{name}" for name in PRESENT} & set(container["Names"]):
            engine.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    _, networks = engine.call("GET", "/networks")
    for network in networks:
        if network["Name"] not in ("bridge", "host", "none"):
            engine.call("DELETE", f"/networks/{network['Id']}")
    _, volumes = engine.call("GET", "/volumes")
    for volume in volumes["Volumes"] or ():
        engine.call("DELETE", f"/volumes/{volume['Name']}")  # those in use stay

"""One request of the corpus, and what it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from tests.conformance import images
from tests.conformance.tables import HERE, Json

API_VERSION = "1.41"
"""The newest that Docker 20.10 speaks."""


@attrs.frozen(kw_only=True)
class Case:
    """One create."""

    name: str
    body: bytes
    content_type: str | None = "application/json"
    query: str = ""
    version: str = API_VERSION

    @property
    def is_slow(self) -> bool:
        """dockerd looks for a plugin and waits 15 s for it to come; for the next of that name, after that."""
        return b"nosuchdriver" in self.body or b'"Type": "nosuch"' in self.body


def case(name: str, body: Json, *, query: str = "", version: str = API_VERSION) -> Case:
    return Case(name=name, body=json.dumps(body).encode(), query=query, version=version)


def request(config: Mapping[str, Json] | None = None, host: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """A body that is right but for what is given."""
    body: dict[str, Json] = {"Image": images.PLAIN, "HostConfig": dict(host or {})}
    return body | dict(config or {})


def shown(value: Json) -> str:
    """A value as it is written in the name of a case."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text if len(text) <= 130 else f"{text[:60]}...{len(text)}"


PRESENT: Mapping[str, dict[str, Json]] = {
    "base": request(
        {"Image": images.VOLUME}, {"Binds": ["basevolume:/vol:ro", f"{HERE}:/bind"], "Tmpfs": {"/run": ""}}
    ),
    "hosted": request(host={"NetworkMode": "host"}),
    "shared": request(host={"NetworkMode": "container:base"}),
}
"""The containers that are there on both sides, for others to refer to."""

"""The filters of the container list. Rules and texts: moby v28 daemon/list.go; of a key any value will do, keys all must match.

No container here has ever run, so some filters have one answer for all: none has exited, is healthy, or has a port open.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence

import anyio.lowlevel

from daemon.api.filters import Filters, boolean, has_labels, is_one_of
from daemon.api.numbers import parse_integer, unsigned_complaint
from daemon.api.patterns import any_found
from daemon.errors import InvalidParameter, NotFound
from daemon.services import Services
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.summary import ContainerSummary

LIST_FILTERS = frozenset(
    "ancestor before exited expose health id is-task isolation label name network publish since status volume".split()
)
"""Those that Docker knows: any other is the client's mistake."""

STATES = "created running paused restarting removing exited dead".split()
HEALTHS = "none starting healthy unhealthy".split()

SLICE_S = 0.005
"""How long a list may keep the event loop before it lets others have their turn: thousands of containers take longer."""

PORT_MAX = 65535

_WHOLE_NAME = re.compile(r"\^(?:/\??)?([a-zA-Z0-9_-]+)\$", re.ASCII)
"""Of a dot such a pattern says that any character will do."""

Test = Callable[[ContainerSummary], bool]


async def matching(
    summaries: Sequence[ContainerSummary], filters: Filters, services: Services
) -> list[ContainerSummary]:
    """Those of `summaries` that every filter lets pass.

    Raises:
        InvalidParameter: a value makes no sense.
        NotFound: there is no such container as `before` or `since` names.
    """
    tests = await _tests(summaries, filters, services)
    if not tests:
        return list(summaries)
    return [summary async for summary in in_slices(summaries) if all(test(summary) for test in tests)]


async def in_slices(summaries: Sequence[ContainerSummary]) -> AsyncIterator[ContainerSummary]:
    """One after the other, with a pause for others now and then."""
    begun = time.monotonic()
    for summary in summaries:
        if time.monotonic() - begun > SLICE_S:
            await anyio.lowlevel.checkpoint()
            begun = time.monotonic()
        yield summary


async def _tests(summaries: Sequence[ContainerSummary], filters: Filters, services: Services) -> list[Test]:
    _check(filters)
    tests = [test for key, test in _plain_tests(filters).items() if key in filters]
    if filters.get("id"):
        ids = _by_prefixes(sorted(summary.id for summary in summaries), filters["id"])
        tests.append(lambda summary: summary.id in ids)
    if "ancestor" in filters:
        image_ids = await _descended(filters["ancestor"], services)
        tests.append(lambda summary: summary.image_id in image_ids)
    # Unlike Moby: by time, and not by place in a list from which other filters may have taken the border away.
    for value in filters.get("before", ()):
        tests.append(_is_before((await _called(value, services)).created_ns))
    for value in filters.get("since", ()):
        tests.append(_is_since((await _called(value, services)).created_ns))
    return tests


async def _called(name: str, services: Services) -> ContainerSummary:
    """The container with that whole id, or one of whose names it is: a prefix of the id does not do here. Raises NotFound."""
    not_found = NotFound(f"No such container: {name}")
    try:
        found = await services.registrar.ask(Registrar.find, name)
    except InvalidParameter as error:
        raise not_found from error
    if name != found.id and name.removeprefix("/") not in (found.name, *found.linked_as):
        raise not_found
    return found


def _check(filters: Filters) -> None:
    for value in filters.get("exited", ()):
        try:
            parse_integer(value)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid filter 'exited={value}': {error}") from None
    for key, kind, known in (("status", "state", STATES), ("health", "health", HEALTHS)):
        for value in filters.get(key, ()):
            if value not in known:
                text = f"invalid value for {kind} ({value}): must be one of {', '.join(known)}"
                raise InvalidParameter(f"invalid filter '{key}={value}': {text}")
    boolean(filters, "is-task")
    for key in ("publish", "expose"):
        for value in filters.get(key, ()):
            _check_port(key, value)


def _plain_tests(filters: Filters) -> dict[str, Test]:
    """The tests that need nothing but the container's summary."""
    return {
        "name": _is_named(filters.get("name", ())),
        "label": lambda summary: has_labels(filters, summary.labels),
        "status": lambda _: is_one_of(filters, "status", "created"),
        "health": lambda _: is_one_of(filters, "health", "none"),
        "exited": lambda _: not filters["exited"],
        "is-task": lambda _: not boolean(filters, "is-task"),
        "publish": lambda _: not filters["publish"],
        "expose": lambda _: not filters["expose"],
        "volume": lambda summary: any(
            value in (mount.name or mount.source, mount.destination)
            for mount in summary.mounts
            for value in filters["volume"]
        ),
        "network": lambda summary: any(_is_in_network(summary, value) for value in filters["network"]),
    }


def _is_named(patterns: tuple[str, ...]) -> Test:
    """With or without the slash that is before a name; its own, not those that others link to it by."""
    exact, is_found = frozenset(patterns), any_found(patterns)

    def test(summary: ContainerSummary) -> bool:
        names = (f"/{summary.name}", summary.name)
        return not exact or any(name in exact or is_found(name) for name in names)

    return test


def whole_names(patterns: tuple[str, ...]) -> frozenset[str]:
    """The only names that fit these patterns, as `^/?web$`; none if one of them says it in another way."""
    matches = [_WHOLE_NAME.fullmatch(pattern) for pattern in patterns]
    return frozenset(match[1] for match in matches if match) if all(matches) else frozenset()


def _is_in_network(summary: ContainerSummary, value: str) -> bool:
    return value in summary.networks or any(
        endpoint.network_id.startswith(value) for endpoint in summary.networks.values()
    )


def _by_prefixes(ids: Sequence[str], prefixes: Sequence[str]) -> set[str]:
    """For each prefix the one of the sorted ids that begins so; none where there are several, or where it is empty.

    A regular expression counts for nothing here.
    """
    found = set()
    for prefix in filter(None, prefixes):
        first = bisect_left(ids, prefix)
        matches = [container_id for container_id in ids[first : first + 2] if container_id.startswith(prefix)]
        if len(matches) == 1:
            found.add(matches[0])
    return found


def _is_before(time_ns: int) -> Test:
    return lambda summary: summary.created_ns < time_ns


def _is_since(time_ns: int) -> Test:
    return lambda summary: summary.created_ns > time_ns


async def _descended(ancestors: Sequence[str], services: Services) -> set[str]:
    """The ids of the images that are, or are built on, one of `ancestors`; one that does not exist has no descendants.

    Built on an image is one that has all its layers and more, as in Docker's containerd image store.
    """
    chains = {named.image.id: named.image.chain_ids for named in await services.images.ask(ImageStore.list)}
    image_ids: set[str] = set()
    for ancestor in ancestors:
        try:
            image = await services.images.ask(ImageStore.find, ancestor)
        except (NotFound, InvalidParameter):
            continue
        base, depth = image.chain_ids, len(image.chain_ids)
        built_on_it = {image_id for image_id, chain in chains.items() if depth < len(chain) and chain[:depth] == base}
        image_ids |= {image.id, *(built_on_it if depth else ())}
    return image_ids


def _check_port(key: str, value: str) -> None:
    """`80`, `80/tcp`, `8000-8010/udp`. Raises InvalidParameter."""
    if ":" in value:
        raise InvalidParameter(f"filter for '{key}' should not contain ':': {value}")
    port = value.split("/")[0]
    complaint = _port_complaint(port)
    if complaint:
        raise InvalidParameter(f"error while looking up for {key} {value}: {complaint}")


def _port_complaint(port: str) -> str:
    if not port:
        return "empty string specified for ports"
    ends = port.split("-")[:2]
    for end in ends:
        if (complaint := unsigned_complaint(end, PORT_MAX)) is not None:
            return f'strconv.ParseUint: parsing "{end}": {complaint}'
    return f"invalid range specified for port: {port}" if int(ends[-1]) < int(ends[0]) else ""

"""The filters of the container list. Rules: moby v28 daemon/list.go; a value matches if any of its key's does, keys all must."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from daemon.container import ContainerSummary
from daemon.errors import InvalidParameter, NotFound, NotImplementedHere
from daemon.services import Services
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar

LIST_FILTERS = frozenset(
    "ancestor before exited expose health id is-task isolation label name network publish since status volume".split()
)
"""Those that Docker knows: any other is the client's mistake."""

_LATER = frozenset({"exited", "expose", "health", "is-task", "isolation", "publish"})
_STATES = frozenset("created running paused restarting removing exited dead".split())

Filters = Mapping[str, tuple[str, ...]]


async def matching(
    summaries: Sequence[ContainerSummary], filters: Filters, services: Services
) -> list[ContainerSummary]:
    """Raises InvalidParameter for a value that makes no sense, NotImplementedHere for a filter that is still to come."""
    for key in filters:
        if key in _LATER:
            raise NotImplementedHere(f"the filter '{key}' is not supported yet")
    for state in filters.get("status", ()):
        if state not in _STATES:
            raise InvalidParameter(f"Unrecognised filter value for status: {state}")
    chosen = [summary for summary in summaries if _matches(summary, filters)]
    if filters.get("ancestor"):
        chosen = await _descended(chosen, filters["ancestor"], services)
    for key, is_kept in (("before", _is_before), ("since", _is_since)):
        for value in filters.get(key, ()):
            border = await services.registrar.ask(Registrar.find, value)
            chosen = [summary for summary in chosen if is_kept(summary, border)]
    return chosen


def _matches(summary: ContainerSummary, filters: Filters) -> bool:
    rules = (
        ("status", lambda value: value == "created"),
        ("id", lambda value: _is_in(value, summary.id)),
        ("name", lambda value: _is_in(value, summary.name) or _is_in(value, f"/{summary.name}")),
        ("network", lambda value: value in summary.networks),
        ("volume", lambda value: any(value in (mount.name, mount.destination) for mount in summary.mounts)),
    )
    for key, rule in rules:
        values = filters.get(key)
        if values and not any(map(rule, values)):
            return False
    return all(_has_label(summary.labels, label) for label in filters.get("label", ()))


async def _descended(
    summaries: Sequence[ContainerSummary], ancestors: Sequence[str], services: Services
) -> list[ContainerSummary]:
    """Those whose image is, or is built on, one of `ancestors`; an image that does not exist has no descendants."""
    chains = {named.image.id: named.image.chain_ids for named in await services.images.ask(ImageStore.list)}
    image_ids: set[str] = set()
    for ancestor in ancestors:
        try:
            image = await services.images.ask(ImageStore.find, ancestor)
        except (NotFound, InvalidParameter):
            continue
        image_ids.add(image.id)
        depth = len(image.chain_ids)
        if depth:
            image_ids |= {image_id for image_id, chain in chains.items() if chain[:depth] == image.chain_ids}
    return [summary for summary in summaries if summary.image_id in image_ids]


def _is_before(summary: ContainerSummary, border: ContainerSummary) -> bool:
    return summary.created_ns < border.created_ns


def _is_since(summary: ContainerSummary, border: ContainerSummary) -> bool:
    return summary.created_ns > border.created_ns


def _is_in(pattern: str, text: str) -> bool:
    """The value as a regular expression anywhere in the text, or as it stands if it is none."""
    if pattern == text:
        return True
    try:
        return re.search(pattern, text) is not None
    except (re.error, RecursionError, OverflowError):
        return pattern in text


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)

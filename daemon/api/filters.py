"""Filters: what a client may narrow a list down by. Rules and texts: moby v28 api/types/filters/parse.go.

A filter has a set of values. Mostly any of them will do, of labels all are wanted, and no values at all filter nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.api.codec import Json
from daemon.errors import InvalidParameter

Filters = Mapping[str, tuple[str, ...]]


def decode_filters(raw: Json) -> Filters:
    """Raises InvalidParameter unless it is a map of sets, or of lists as old clients send it."""
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not (_are(dict, raw) or _are(list, raw)):
        raise InvalidParameter("invalid filter")
    return {key: tuple(dict.fromkeys(value or "" for value in values or ())) for key, values in raw.items()}


def _are(kind: type, raw: dict[str, Json]) -> bool:
    """Whether all filters are of that kind, of what Go would take for a set of strings."""
    item = bool if kind is dict else str
    return all(
        values is None
        or (type(values) is kind and all(value is None or type(value) is item for value in _items(values)))
        for values in raw.values()
    )


def _items(values: Json) -> list[Json]:
    return list(values.values() if isinstance(values, dict) else values)


def is_one_of(filters: Filters, key: str, *texts: str) -> bool:
    """Whether a value of the filter is one of the texts (ExactMatch)."""
    values = filters.get(key)
    return not values or any(text in values for text in texts)


def begins_one_of(filters: Filters, key: str, *texts: str) -> bool:
    """Whether one of the texts begins with a value of the filter (FuzzyMatch)."""
    values = filters.get(key)
    return not values or any(text.startswith(values) for text in texts)


def has_labels(filters: Filters, labels: Mapping[str, str], key: str = "label") -> bool:
    """Whether all that is wanted, `key` or `key=value`, is there (MatchKVList)."""
    return all(_has_label(labels, wanted) for wanted in filters.get(key, ()))


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def boolean(filters: Filters, key: str) -> bool | None:
    """The filter's answer, None where it is not given. Raises InvalidParameter for anything but one answer."""
    values = filters.get(key)
    if values is None:
        return None
    is_true, is_false = bool({"1", "true"} & set(values)), bool({"0", "false"} & set(values))
    if is_true == is_false:
        text = f"={_list(values)}" if values else ""
        raise InvalidParameter(f"invalid filter '{key}{text}'")
    return is_true


def _list(values: tuple[str, ...]) -> str:
    """As Go prints a list."""
    return f"[{' '.join(values)}]"

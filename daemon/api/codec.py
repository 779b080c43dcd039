"""Frozen records to and from JSON with Go's manners: the machinery behind `schema`, which has the names.

Decoding follows encoding/json: keys match exactly or else in any case, unknown ones are ignored, null means absent, the last of
two wins, whole numbers only. Its complaints are worded as Go's `UnmarshalTypeError`:

    json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64

Which is why this is not msgspec's typed decoding: that matches keys exactly and has texts of its own.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from daemon.errors import InvalidParameter

T = TypeVar("T")

# Any: what JSON holds is not known before it has been decoded, which is what this file does.
Json = Any
Decode = Callable[[Json, str], Any]
Encode = Callable[[Any], Json]

INT_MAX = 2**63 - 1
NUMBER_SHOWN_MAX = 10**40
"""In a complaint: Python refuses to write a number of some thousand digits, and nobody wants to read it."""


@attrs.frozen
class Codec:
    """How one field is written. `go_type` is named in complaints."""

    decode: Decode
    encode: Encode | None = None
    """None where the value is JSON as it is."""
    zero: object = None
    """What Go makes of a null in a list of these."""


@attrs.frozen
class _Field:
    attribute: str
    name: str
    codec: Codec
    is_left_out_if_empty: bool
    is_pointer: bool
    """A scalar that may be None: then 0 and False say something, and only None is empty."""

    def is_left_out(self, value: object) -> bool:
        return self.is_left_out_if_empty and (value is None if self.is_pointer else not value)


class Record(Generic[T]):
    """One record's field names and types, from the class's annotations and a few exceptions."""

    def __init__(
        self,
        kind: type[T],
        *,
        go_name: str,
        package: str = "container",
        names: Mapping[str, str] | None = None,
        codecs: Mapping[str, Codec] | None = None,
        left_out_if_empty: frozenset[str] = frozenset(),
    ) -> None:
        """`names` are those that are not the attribute in CamelCase."""
        assert attrs.has(kind)
        self.kind = kind
        self.go_name = go_name
        self.go_type = f"{package}.{go_name}"
        hints = typing.get_type_hints(kind)
        self._fields = tuple(
            _Field(
                attribute.name,
                (names or {}).get(attribute.name) or camel_case(attribute.name),
                (codecs or {}).get(attribute.name) or codec_for(hints[attribute.name]),
                attribute.name in left_out_if_empty,
                any(hints[attribute.name] == scalar | None for scalar in _SCALARS),
            )
            for attribute in attrs.fields(kind)
        )
        self._by_name = {field.name: field for field in self._fields}
        self._by_folded_name = {field.name.lower(): field for field in self._fields}
        _RECORDS[kind] = self

    def name_of(self, attribute: str) -> str:
        return next(field.name for field in self._fields if field.attribute == attribute)

    def has_field(self, key: str) -> bool:
        return key in self._by_name or key.lower() in self._by_folded_name

    def decode(self, raw: Json, where: str = "") -> T:
        """Raises InvalidParameter in Go's words; `where` is the field that holds this record, after the type that has it."""
        if type(raw) is not dict:
            raise _complaint(raw, self.go_type, where)
        values = {}
        path = where.partition(".")[2]
        prefix = f"{path}." if path else ""
        for key, value in raw.items():
            field = self._by_name.get(key) or self._by_folded_name.get(key.lower())
            if field is not None and value is not None:
                values[field.attribute] = field.codec.decode(value, f"{self.go_name}.{prefix}{field.name}")
        return typing.cast("T", self.kind(**values))

    def encode(self, record: T) -> dict[str, Json]:
        encoded = {}
        for field in self._fields:
            value = getattr(record, field.attribute)
            if field.is_left_out(value):
                continue
            encode = field.codec.encode
            encoded[field.name] = value if encode is None or value is None else encode(value)
        return encoded


_RECORDS: dict[type, Record[Any]] = {}
"""Filled by `schema` at import, so that a record can hold another."""


def codec_for(hint: Any) -> Codec:
    """The codec of a type: str, bool, int, tuples and mappings of them, other records, each perhaps with None."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return codec_for(inner)
    if hint in _SCALARS:
        return _scalar(hint)
    if origin is tuple:
        return _sequence(codec_for(arguments[0]), go_type_of(hint))
    if origin is Mapping:
        return _mapping(codec_for(arguments[1]), go_type_of(hint))
    return _nested(_RECORDS[hint])


def go_type_of(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return go_type_of(next(argument for argument in arguments if argument is not type(None)))
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin is tuple:
        return f"[]{go_type_of(arguments[0])}"
    if origin is Mapping:
        return f"map[string]{go_type_of(arguments[1])}"
    return _RECORDS[hint].go_type


_SCALARS = {str: "string", bool: "bool", int: "int64"}


def _scalar(kind: type) -> Codec:
    go_type = _SCALARS[kind]

    def decode(raw: Json, where: str) -> Json:
        if type(raw) is not kind:
            raise _complaint(raw, go_type, where)
        return raw

    def decode_integer(raw: Json, where: str) -> Json:
        if type(raw) is not int or not -INT_MAX - 1 <= raw <= INT_MAX:
            raise _complaint(raw, go_type, where)
        return raw

    return Codec(decode_integer if kind is int else decode, zero=kind())


def _sequence(item: Codec, go_type: str) -> Codec:
    def decode(raw: Json, where: str) -> Json:
        if type(raw) is not list:
            raise _complaint(raw, go_type, where)
        return tuple(item.zero if value is None else item.decode(value, where) for value in raw)

    encode_item = item.encode
    if encode_item is None:
        return Codec(decode, list, zero=())
    return Codec(decode, lambda values: [encode_item(value) for value in values], zero=())


def _mapping(item: Codec, go_type: str) -> Codec:
    is_of_strings = go_type == "map[string]string"

    def decode(raw: Json, where: str) -> Json:
        if type(raw) is not dict:
            raise _complaint(raw, go_type, where)
        return {
            key: ("" if is_of_strings else None) if value is None else item.decode(value, where)
            for key, value in raw.items()
        }

    encode_item = item.encode
    if encode_item is None:
        return Codec(decode, dict)
    return Codec(
        decode, lambda values: {key: None if value is None else encode_item(value) for key, value in values.items()}
    )


def _nested(record: Record[Any]) -> Codec:
    return Codec(record.decode, record.encode, zero=record.kind())


def _decode_string_or_list(raw: Json, where: str) -> tuple[str, ...]:
    """Go's strslice: `"x"` means `["x"]`."""
    return (raw,) if type(raw) is str else _STRINGS.decode(raw, where)


def _decode_set(raw: Json, where: str) -> tuple[str, ...]:
    if type(raw) is not dict:
        raise _complaint(raw, "map[string]struct {}", where)
    return tuple(sorted(raw))


_STRINGS = _sequence(_scalar(str), "[]string")
STRING_OR_LIST = Codec(_decode_string_or_list, list)
SET = Codec(_decode_set, lambda values: {value: {} for value in values})
"""`{"80/tcp": {}}`, a sorted tuple here."""


def camel_case(attribute: str) -> str:
    return "".join(word.capitalize() for word in attribute.split("_"))


def _complaint(raw: Json, go_type: str, where: str) -> InvalidParameter:
    value = {str: "string", bool: "bool", list: "array", dict: "object"}.get(type(raw), "number")
    if value == "number" and go_type == "int64" and abs(raw) < NUMBER_SHOWN_MAX:
        value = f"number {raw}"
    field = f"Go struct field {where}" if where else "Go value"
    return InvalidParameter(f"invalid JSON: json: cannot unmarshal {value} into {field} of type {go_type}")

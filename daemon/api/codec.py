"""Frozen records to and from JSON with Go's manners: the machinery behind `schema`, which has the names.

Decoding follows encoding/json: keys match exactly or else in any case, unknown ones are ignored, null means absent, the last of
two wins, whole numbers only. Its complaints are worded as Go's `UnmarshalTypeError`:

    json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Resources.Memory of type int64

which is the struct that has the field, the path to it, embedded structs included, and its type in Go (as of Go 1.24, with which
moby v28 is built). Which is why this is not msgspec's typed decoding: that matches keys exactly and has texts of its own.

Unlike Moby, where the second of two records or maps is merged into the first: to see that there are two, each body would have to
be read by something slower than msgspec, which keeps the last, and no client sends two.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs
import msgspec

from daemon.errors import InvalidParameter

T = TypeVar("T")

# Any: what JSON holds is not known before it has been decoded, which is what this file does.
Json = Any
Decode = Callable[[Json, str], Any]
Encode = Callable[[Any], Json]

INT_MAX = 2**63 - 1
_SIGNED, _UNSIGNED = range(-INT_MAX - 1, INT_MAX + 1), range(2**64)
_INTEGERS: Mapping[str, range] = {
    "int": _SIGNED,
    "int64": _SIGNED,
    "time.Duration": _SIGNED,
    "uint": _UNSIGNED,
    "uint16": range(2**16),
    "uint64": _UNSIGNED,
    "fs.FileMode": range(2**32),
}
"""What fits into an integer of Go's."""

NUMBER_SHOWN_MAX = 100
"""Characters of a number in a complaint: nobody wants to read more."""


@attrs.frozen
class Number:
    """A number as it was written, from `gojson`: 1.0 and 1e0 are no integers to Go, and a complaint shows them as they were."""

    text: str


class WrongType(InvalidParameter):
    """A value of another type than the field's."""


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
    embedded_in: str
    """The struct that has it in Go, with a dot, if that is another."""
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
        go_types: Mapping[str, str] | None = None,
        embedded: Mapping[str, frozenset[str]] | None = None,
        left_out_if_empty: frozenset[str] = frozenset(),
    ) -> None:
        """`names` are those that are not the attribute in CamelCase, `go_types` those that the annotation does not tell.

        `embedded` are the attributes that Go has in a struct of their own inside this one, by its name.
        """
        assert issubclass(kind, msgspec.Struct)
        self.kind = kind
        self.go_name = go_name
        self.go_type = f"{package}.{go_name}"
        hints = typing.get_type_hints(kind)
        self._fields = tuple(
            _Field(
                attribute.name,
                (names or {}).get(attribute.name) or camel_case(attribute.name),
                next((f"{outer}." for outer, inner in (embedded or {}).items() if attribute.name in inner), ""),
                (codecs or {}).get(attribute.name)
                or codec_for(hints[attribute.name], (go_types or {}).get(attribute.name, "")),
                attribute.name in left_out_if_empty,
                any(hints[attribute.name] == scalar | None for scalar in _SCALARS),
            )
            for attribute in msgspec.structs.fields(kind)
        )
        self._by_name = {field.name: field for field in self._fields}
        self._by_folded_name = {field.name.lower(): field for field in self._fields}
        _RECORDS[kind] = self

    def name_of(self, attribute: str) -> str:
        return next(field.name for field in self._fields if field.attribute == attribute)

    def has_field(self, key: str) -> bool:
        return key in self._by_name or key.lower() in self._by_folded_name

    def decode(self, raw: Json, where: str = "", struct: str = "") -> T:
        """Raises WrongType in Go's words; `where` is the field that holds this record, after the type that has it.

        `struct` is the type that has this record's fields, if it is embedded there.
        """
        if type(raw) is not dict:
            raise _complaint(raw, self.go_type, where)
        values = {}
        path = where.partition(".")[2]
        prefix = f"{struct or self.go_name}.{path}." if path else f"{struct or self.go_name}."
        for key, value in raw.items():
            field = self._by_name.get(key) or self._by_folded_name.get(key.lower())
            if field is not None and value is not None:
                values[field.attribute] = field.codec.decode(value, f"{prefix}{field.embedded_in}{field.name}")
        return self.kind(**values)

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


def codec_for(hint: Any, go_type: str = "") -> Codec:
    """The codec of a type: str, bool, int, tuples and mappings of them, other records, each perhaps with None."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return codec_for(inner, go_type)
    if hint is int:
        return _integer(go_type or _SCALARS[hint])
    if hint in _SCALARS:
        return _scalar(hint, go_type or _SCALARS[hint])
    if origin is tuple:
        return _sequence(codec_for(arguments[0]), go_type or go_type_of(hint))
    if origin is Mapping:
        return _mapping(codec_for(arguments[1]), go_type or go_type_of(hint), is_of_strings=arguments[1] is str)
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


def _scalar(kind: type, go_type: str) -> Codec:
    def decode(raw: Json, where: str) -> Json:
        if type(raw) is not kind:
            raise _complaint(raw, go_type, where)
        return raw

    return Codec(decode, zero=kind())


def _integer(go_type: str) -> Codec:
    allowed = _INTEGERS[go_type]

    def decode(raw: Json, where: str) -> Json:
        number = raw
        if type(raw) is Number and raw.text.removeprefix("-").isdecimal() and len(raw.text) <= NUMBER_SHOWN_MAX:
            number = int(raw.text)
        if type(number) is not int or number not in allowed:
            raise _complaint(raw, go_type, where, is_number_shown=True)
        return number

    return Codec(decode, zero=0)


def _sequence(item: Codec, go_type: str) -> Codec:
    def decode(raw: Json, where: str) -> Json:
        if type(raw) is not list:
            raise _complaint(raw, go_type, where)
        return tuple(item.zero if value is None else item.decode(value, where) for value in raw)

    encode_item = item.encode
    if encode_item is None:
        return Codec(decode, list, zero=())
    return Codec(decode, lambda values: [encode_item(value) for value in values], zero=())


def array_of_integers(length: int, go_type: str) -> Codec:
    """Go's `[2]uint`: what is missing is zero, what is too much is dropped."""
    items = _sequence(_integer(go_type), f"[{length}]{go_type}")

    def decode(raw: Json, where: str) -> Json:
        values = items.decode(raw if type(raw) is not list else raw[:length], where)
        return (*values, *(0,) * (length - len(values)))

    return Codec(decode, list)


def _mapping(item: Codec, go_type: str, *, is_of_strings: bool) -> Codec:
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
    """Go's strslice: `"x"` means `["x"]`; what is neither is told to be no string."""
    if type(raw) is str:
        return (raw,)
    if type(raw) is not list or not all(value is None or type(value) is str for value in raw):
        raise _complaint(raw, "string", where)
    return tuple(value or "" for value in raw)


def set_of(go_type: str) -> Codec:
    """`{"80/tcp": {}}`, a sorted tuple here."""

    def decode(raw: Json, where: str) -> tuple[str, ...]:
        if type(raw) is not dict:
            raise _complaint(raw, go_type, where)
        for value in raw.values():
            if value is not None and type(value) is not dict:
                raise _complaint(value, "struct {}", where)
        return tuple(sorted(raw))

    return Codec(decode, lambda values: {value: {} for value in values})


STRING_OR_LIST = Codec(_decode_string_or_list, list)
SET = set_of("map[string]struct {}")


def camel_case(attribute: str) -> str:
    return "".join(word.capitalize() for word in attribute.split("_"))


def _complaint(raw: Json, go_type: str, where: str, *, is_number_shown: bool = False) -> WrongType:
    value = json_kind(raw)
    if value == "number" and is_number_shown:
        value = f"number {_shown(raw)}"
    field = f"Go struct field {where}" if where else "Go value"
    return WrongType(f"invalid JSON: json: cannot unmarshal {value} into {field} of type {go_type}")


def json_kind(raw: Json) -> str:
    """As Go calls it in a complaint."""
    return {str: "string", bool: "bool", list: "array", dict: "object"}.get(type(raw), "number")


def _shown(number: int | float | Number) -> str:
    if isinstance(number, Number):
        return number.text[:NUMBER_SHOWN_MAX]
    if isinstance(number, int) and abs(number) >= 10**NUMBER_SHOWN_MAX:
        return "too large"  # Python refuses to write some thousand digits
    return str(number)

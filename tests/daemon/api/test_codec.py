from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from daemon.api.codec import INT_MAX, SET, STRING_OR_LIST, Record, camel_case
from daemon.errors import InvalidParameter


class Part(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    weight: int = 0


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""
    number: int = 0
    flag: bool = False
    maybe_number: int | None = None
    maybe_flag: bool | None = None
    texts: tuple[str, ...] | None = None
    numbers: tuple[int, ...] = ()
    groups: tuple[tuple[str, ...], ...] | None = None
    labels: Mapping[str, str] | None = None
    part: Part | None = None
    first: Part = Part()
    parts: tuple[Part, ...] | None = None
    parts_by_name: Mapping[str, Part | None] | None = None
    lists_by_name: Mapping[str, tuple[Part, ...] | None] | None = None
    ports: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    odd: str = ""


PART = Record(Part, go_name="Part")
WHOLE = Record(
    Whole,
    go_name="Whole",
    names={"odd": "ODDName"},
    codecs={"ports": SET, "command": STRING_OR_LIST},
    left_out_if_empty=frozenset({"text", "maybe_number", "maybe_flag", "texts", "part"}),
)


def decoded(**raw: Any) -> Whole:
    return WHOLE.decode(raw)


@pytest.mark.parametrize(
    ("attribute", "name"), [("tty", "Tty"), ("nano_cpus", "NanoCpus"), ("oom_score_adj", "OomScoreAdj")]
)
def test_a_field_is_named_in_camel_case_unless_it_is_listed(attribute: str, name: str) -> None:
    assert camel_case(attribute) == name
    assert WHOLE.has_field("ODDName")
    assert not WHOLE.has_field("Odd")


@pytest.mark.parametrize("key", ["MaybeNumber", "maybenumber", "MAYBENUMBER", "mAyBeNuMbEr"])
def test_a_key_matches_in_any_case(key: str) -> None:
    assert WHOLE.has_field(key)
    assert WHOLE.decode({key: 7}) == Whole(maybe_number=7)


def test_of_two_spellings_of_a_key_the_last_wins() -> None:
    assert WHOLE.decode({"Number": 1, "number": 2}).number == 2
    assert WHOLE.decode({"number": 2, "Number": 1}).number == 1


@pytest.mark.parametrize("raw", [{}, {"Unknown": {"deep": [1.5]}, "Maybe_Number": 1}])
def test_unknown_keys_are_ignored(raw: dict[str, Any]) -> None:
    assert WHOLE.decode(raw) == Whole()


def test_null_is_as_good_as_absent() -> None:
    assert WHOLE.decode(dict.fromkeys(WHOLE.encode(Whole()))) == Whole()
    assert WHOLE.decode({"Number": 1, "number": None}).number == 1


def test_every_kind_of_field_is_decoded() -> None:
    whole = decoded(
        Text="t",
        Number=1,
        Flag=True,
        MaybeNumber=0,
        MaybeFlag=False,
        Texts=["a", "b"],
        Numbers=[1, 2],
        Groups=[["a"], []],
        Labels={"a": "b"},
        Part={"Name": "p"},
        First={"weight": 2},
        Parts=[{"Name": "q"}, {}],
        PartsByName={"x": {"Name": "r"}, "y": None},
        ListsByName={"x": [{"Name": "s"}], "y": None, "z": []},
        Ports={"80/tcp": {}, "53/udp": {"what": "ever"}},
        Command=["sh", "-c"],
        ODDName="o",
    )
    assert whole == Whole(
        text="t",
        number=1,
        flag=True,
        maybe_number=0,
        maybe_flag=False,
        texts=("a", "b"),
        numbers=(1, 2),
        groups=(("a",), ()),
        labels={"a": "b"},
        part=Part(name="p"),
        first=Part(weight=2),
        parts=(Part(name="q"), Part()),
        parts_by_name={"x": Part(name="r"), "y": None},
        lists_by_name={"x": (Part(name="s"),), "y": None, "z": ()},
        ports=("53/udp", "80/tcp"),
        command=("sh", "-c"),
        odd="o",
    )
    assert WHOLE.decode(WHOLE.encode(whole)) == whole


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"Texts": ["a", None]}, Whole(texts=("a", ""))),
        ({"Numbers": [None, 1]}, Whole(numbers=(0, 1))),
        ({"Groups": [None, [None]]}, Whole(groups=((), ("",)))),
        ({"Parts": [None]}, Whole(parts=(Part(),))),
        ({"Labels": {"a": None}}, Whole(labels={"a": ""})),
        ({"ListsByName": {"a": [None]}}, Whole(lists_by_name={"a": (Part(),)})),
        ({"Ports": {"80": None}}, Whole(ports=("80",))),
        ({"Command": [None]}, Whole(command=("",))),
    ],
)
def test_a_null_inside_is_the_zero_of_its_type(raw: dict[str, Any], expected: Whole) -> None:
    assert WHOLE.decode(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"), [("sh", ("sh",)), ("", ("",)), (["sh", "-c"], ("sh", "-c")), ([], ()), (None, None)]
)
def test_a_command_is_a_string_or_a_list(raw: Any, expected: tuple[str, ...] | None) -> None:
    assert decoded(Command=raw).command == expected


@pytest.mark.parametrize("number", [0, -1, INT_MAX, -INT_MAX - 1])
def test_a_number_is_any_that_64_bits_hold(number: int) -> None:
    assert decoded(Number=number, MaybeNumber=number) == Whole(number=number, maybe_number=number)


@pytest.mark.parametrize(
    ("raw", "value", "field", "go_type"),
    [
        # what was sent, how Go calls it, where it was, what should have been there
        ({"Text": 1}, "number", "Whole.Text", "string"),
        ({"Text": 1.5}, "number", "Whole.Text", "string"),
        ({"text": True}, "bool", "Whole.Text", "string"),
        ({"Text": ["a"]}, "array", "Whole.Text", "string"),
        ({"Text": {}}, "object", "Whole.Text", "string"),
        ({"ODDNAME": 1}, "number", "Whole.ODDName", "string"),
        ({"Number": "1"}, "string", "Whole.Number", "int64"),
        ({"Number": True}, "bool", "Whole.Number", "int64"),
        ({"Number": 1.5}, "number 1.5", "Whole.Number", "int64"),
        ({"Number": 1.0}, "number 1.0", "Whole.Number", "int64"),
        ({"Number": INT_MAX + 1}, f"number {INT_MAX + 1}", "Whole.Number", "int64"),
        ({"Number": -INT_MAX - 2}, f"number {-INT_MAX - 2}", "Whole.Number", "int64"),
        ({"MaybeNumber": []}, "array", "Whole.MaybeNumber", "int64"),
        ({"Flag": "true"}, "string", "Whole.Flag", "bool"),
        ({"Flag": 1}, "number", "Whole.Flag", "bool"),
        ({"MaybeFlag": 0}, "number", "Whole.MaybeFlag", "bool"),
        ({"Texts": "a"}, "string", "Whole.Texts", "[]string"),
        ({"Texts": {}}, "object", "Whole.Texts", "[]string"),
        ({"Texts": ["a", 1]}, "number", "Whole.Texts", "string"),
        ({"Numbers": [1.5]}, "number 1.5", "Whole.Numbers", "int64"),
        ({"Groups": [["a"], "b"]}, "string", "Whole.Groups", "[]string"),
        ({"Groups": ["b"]}, "string", "Whole.Groups", "[]string"),
        ({"Labels": ["a"]}, "array", "Whole.Labels", "map[string]string"),
        ({"Labels": {"a": 1}}, "number", "Whole.Labels", "string"),
        ({"Part": "p"}, "string", "Whole.Part", "container.Part"),
        ({"Part": {"Name": 1}}, "number", "Part.Part.Name", "string"),
        ({"Parts": {}}, "object", "Whole.Parts", "[]container.Part"),
        ({"Parts": [1]}, "number", "Whole.Parts", "container.Part"),
        ({"Parts": [{"Weight": "x"}]}, "string", "Part.Parts.Weight", "int64"),
        ({"PartsByName": []}, "array", "Whole.PartsByName", "map[string]container.Part"),
        ({"ListsByName": {"x": {}}}, "object", "Whole.ListsByName", "[]container.Part"),
        ({"Ports": ["80"]}, "array", "Whole.Ports", "map[string]struct {}"),
        ({"Command": 1}, "number", "Whole.Command", "string"),
        ({"Command": [["a"]]}, "array", "Whole.Command", "string"),
    ],
)
def test_a_wrong_type_is_complained_of_in_gos_words(raw: Any, value: str, field: str, go_type: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        WHOLE.decode(raw)
    complaint = f"json: cannot unmarshal {value} into Go struct field {field} of type {go_type}"
    assert str(caught.value) == f"invalid JSON: {complaint}"


@pytest.mark.parametrize(("raw", "value"), [([], "array"), ("x", "string"), (1, "number"), (False, "bool")])
def test_what_is_no_record_at_all_is_complained_of(raw: Any, value: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        WHOLE.decode(raw)
    assert str(caught.value) == f"invalid JSON: json: cannot unmarshal {value} into Go value of type container.Whole"


def test_a_number_of_any_length_is_complained_of() -> None:
    with pytest.raises(InvalidParameter, match="cannot unmarshal number"):
        decoded(Number=10**5000)


def test_a_field_that_is_left_out_if_empty_is_left_out_only_then() -> None:
    assert set(WHOLE.encode(Whole())) == {
        "Number",
        "Flag",
        "Numbers",
        "Groups",
        "Labels",
        "First",
        "Parts",
        "PartsByName",
        "ListsByName",
        "Ports",
        "Command",
        "ODDName",
    }
    full = WHOLE.encode(Whole(text="t", maybe_number=0, maybe_flag=False, texts=("",), part=Part()))
    left_out = {"Text", "MaybeNumber", "MaybeFlag", "Texts", "Part"}
    assert {name: full[name] for name in left_out} == {
        "Text": "t",
        "MaybeNumber": 0,
        "MaybeFlag": False,
        "Texts": [""],
        "Part": {"Name": "", "Weight": 0},
    }


def test_none_and_empty_are_shown_as_null_and_as_empty() -> None:
    empty = Whole(groups=(), labels={}, parts=(), ports=(), command=())
    names = ("Groups", "Labels", "Parts", "Ports", "Command")
    assert [WHOLE.encode(Whole())[name] for name in names] == [None] * 5
    assert [WHOLE.encode(empty)[name] for name in names] == [[], {}, [], {}, []]

"""Lines of a Dockerfile: each row is what moby v28's parser makes of it, or says about it."""

from __future__ import annotations

import pytest

from daemon.create.dockerfile import Instruction, parse_changes
from daemon.errors import InvalidParameter


def parsed(*changes: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...], bool]]:
    return [(each.name, each.arguments, each.flags, each.is_json) for each in parse_changes(changes)]


@pytest.mark.parametrize(
    ("line", "name", "arguments", "is_json"),
    [
        ('CMD ["a", "b c"]', "cmd", ("a", "b c"), True),
        ("CMD []", "cmd", (), True),
        ("CMD", "cmd", (), False),
        ("cmd echo  hi ", "cmd", ("echo  hi",), False),
        ("CMD [not json", "cmd", ("[not json",), False),
        ("CMD [NaN]", "cmd", ("[NaN]",), False),
        (f"CMD {'[' * 30_000}", "cmd", ("[" * 30_000,), False),
        ('CMD ["\\ud800"]', "cmd", ("\ufffd",), True),
        ('ENTRYPOINT ["x"]', "entrypoint", ("x",), True),
        ("ENV A=1 B='2 3'", "env", ("A", "1", "B", "'2 3'"), False),
        ("ENV A b  c", "env", ("A", "b  c"), False),
        ("LABEL a.b=c=d", "label", ("a.b", "c=d"), False),
        ("EXPOSE 80  443/udp", "expose", ("80", "443/udp"), False),
        ("VOLUME /a /b", "volume", ("/a", "/b"), False),
        ('VOLUME ["/a b"]', "volume", ("/a b",), True),
        ("USER a b", "user", ("a b",), False),
        ("HEALTHCHECK CMD curl x", "healthcheck", ("CMD", "curl x"), False),
        ('HEALTHCHECK CMD ["curl", "x"]', "healthcheck", ("CMD", "curl", "x"), True),
        ("HEALTHCHECK NONE", "healthcheck", ("NONE",), False),
        ("HEALTHCHECK", "healthcheck", (), False),
        ("ONBUILD RUN make all", "onbuild", ("RUN",), False),
        ("ONBUILD", "onbuild", (), False),
        (f"{'ONBUILD ' * 8_000}X", "onbuild", ("ONBUILD",), False),
        ("STOPSIGNAL SIGINT", "stopsignal", ("SIGINT",), False),
    ],
)
def test_an_instruction_is_split_as_its_kind_is_written(
    line: str, name: str, arguments: tuple[str, ...], is_json: bool
) -> None:
    assert parsed(line) == [(name, arguments, (), is_json)]


@pytest.mark.parametrize(
    ("line", "flags", "arguments"),
    [
        ("HEALTHCHECK --interval=5s --retries='3' CMD x", ("--interval=5s", "--retries=3"), ("CMD", "x")),
        ('HEALTHCHECK --a="b c"\\ d CMD x', ("--a=b c d",), ("CMD", "x")),
        ("CMD -- --x", (), ("--x",)),
        ("CMD --x", ("--x",), ()),
        ("CMD -x", (), ("-x",)),
    ],
)
def test_flags_come_before_the_arguments(line: str, flags: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    assert parsed(line)[0][1:3] == (arguments, flags)


def test_several_lines_may_come_in_one_change_and_lines_may_go_on() -> None:
    changes = ("# a comment\n  USER a\r\n\nENV A=1 \\\n# within\n\n  B=2", "CMD x \\")
    assert parsed(*changes) == [
        ("user", ("a",), (), False),
        ("env", ("A", "1", "B", "2"), (), False),
        ("cmd", ("x",), (), False),
    ]


def test_an_escaped_backslash_at_the_end_is_no_continuation() -> None:
    assert parsed("CMD x\\\\", "USER a") == [("cmd", ("x\\\\",), (), False), ("user", ("a",), (), False)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("", "file with no instructions"),
        ("# nothing", "file with no instructions"),
        ("MAINTAINER me", "MAINTAINER is not a valid change command"),
        ("run x", "run is not a valid change command"),
        ("COPY a b", "COPY is not a valid change command"),
        ("Nonsense", "Nonsense is not a valid change command"),
        ('CMD ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only"),
        ("RUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("ONBUILD RUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("ENV A", "ENV must have two arguments"),
        ("LABEL a", "LABEL must have two arguments"),
        ("ENV A=1 B", 'Syntax error - can\'t find = in "B". Must be of the form: name=value'),
    ],
)
def test_what_is_no_instruction_is_refused_in_mobys_words(change: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_changes((change,))
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--what=1",), "unknown flag: --what"),
        (("--retires=1",), "unknown flag: --retires (did you mean retries?)"),
        (("--retries",), "missing a value on flag: --retries"),
        (("--retries=1", "--retries=2"), "duplicate flag specified: --retries"),
        ((f"--{'x' * 60_000}",), f"unknown flag: --{'x' * 60_000}"),
    ],
)
def test_a_flag_that_there_is_not_is_refused_in_mobys_words(flags: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Instruction(name="healthcheck", arguments=("CMD", "x"), flags=flags).parse_flags(("interval", "retries"))
    assert str(caught.value) == complaint

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.options import kinds
from daemon.options.kinds import Kind

GOOD: list[tuple[Kind, object, object, object]] = [
    (kinds.METRICS, "/run/metrics.sock", Path("/run/metrics.sock"), "/run/metrics.sock"),
    (kinds.METRICS, "./m", Path("m").absolute(), str(Path("m").absolute())),
    (kinds.METRICS, "127.1.2.3:9323", ("127.1.2.3", 9323), "127.1.2.3:9323"),
    (kinds.METRICS, "[::1]:9323", ("::1", 9323), "[::1]:9323"),
    (kinds.number(), 5, 5, 5),
    (kinds.number(), "5", 5, 5),
    (kinds.number(0), 0, 0, 0),
    (kinds.size(), 4096, 4096, 4096),
    (kinds.size(), "4096", 4096, 4096),
    (kinds.size(), "4k", 4096, 4096),
    (kinds.size(), "4M", 4 << 20, 4 << 20),
    (kinds.size(), "1g", 1 << 30, 1 << 30),
    (kinds.SECONDS, 10, 10.0, 10.0),
    (kinds.SECONDS, 0.5, 0.5, 0.5),
    (kinds.SECONDS, "0.5", 0.5, 0.5),
    (kinds.SECONDS, 0, 0.0, 0.0),
    (kinds.MODE, "660", 0o660, "660"),
    (kinds.MODE, "0600", 0o600, "600"),
    (kinds.MODE, "0o666", 0o666, "666"),
    (kinds.choice("a", "b"), "b", "b", "b"),
    (kinds.text("NAME", "a name"), "x", "x", "x"),
    (kinds.path(), "/a/b", Path("/a/b"), "/a/b"),
    (kinds.path(), "a", Path("a").absolute(), str(Path("a").absolute())),
    (kinds.SOCKET_PATH, "/" + "s" * 106, Path("/" + "s" * 106), "/" + "s" * 106),
    (kinds.UIDS, "0, 1000,1000", frozenset({0, 1000}), [0, 1000]),
    (kinds.UIDS, [1000, 0], frozenset({0, 1000}), [0, 1000]),
    (kinds.UIDS, ["1000"], frozenset({1000}), [1000]),
    (kinds.UIDS, [], frozenset(), []),
    (kinds.UIDS, "", frozenset(), []),
    (
        kinds.REGISTRIES,
        ["a.example:5000", "10.1.2.3/8"],
        ("a.example:5000", "10.0.0.0/8"),
        ["a.example:5000", "10.0.0.0/8"],
    ),
    (kinds.REGISTRIES, "a.example,b.example,a.example", ("a.example", "b.example"), ["a.example", "b.example"]),
    (kinds.ADDRESS, "127.0.0.1:2376", ("127.0.0.1", 2376), "127.0.0.1:2376"),
    (kinds.ADDRESS, "[::1]:0", ("::1", 0), "[::1]:0"),
    (kinds.PLUGINS, ["opa", "/run/p.sock"], ("opa", "/run/p.sock"), ["opa", "/run/p.sock"]),
]


@pytest.mark.parametrize(("kind", "said", "value", "shown"), GOOD)
def test_what_is_said_is_read_and_shown_so_that_it_is_read_as_the_same(
    kind: Kind, said: object, value: object, shown: object
) -> None:
    assert kind.read(said) == value
    assert kind.show(value) == shown
    assert kind.read(shown) == value


BAD: list[tuple[Kind, list[object]]] = [
    (kinds.number(), [0, -1, True, 1.0, "x", "", "-1", "1e3", "\u0665", [], None, "9" * 30]),
    (kinds.size(), [0, True, "4kb", "k", "4 k", 1.5]),
    (kinds.SECONDS, [-1, True, "x", "nan", "inf", float("nan"), kinds.SECONDS_MAX + 1, []]),
    (kinds.MODE, [660, 0o660, "66", "6600", "888", "0x660", "", None]),
    (kinds.choice("a", "b"), ["c", "", None, 1]),
    (kinds.text("NAME", "a name"), ["", 5, None, "a\0b"]),
    (kinds.path(), ["", 5, "a\0b"]),
    (kinds.SOCKET_PATH, ["/" + "s" * 107]),
    (kinds.UIDS, [5, "root", ["root"], [-1], [True], [1 << 32], "1,x", {"a": 1}]),
    (kinds.REGISTRIES, ["http://a.example", "a b", ["10.0.0.0/99"], [5], "user@host"]),
    (kinds.ADDRESS, ["2376", ":2376", "a:", "a:x", "a:65536", 2376]),
    (kinds.PLUGINS, [["../x"], ["a b"], [5], ["a/b"], [""]]),
]


@pytest.mark.parametrize(("kind", "said"), [(kind, each) for kind, every in BAD for each in every])
def test_what_it_cannot_be_is_refused(kind: Kind, said: object) -> None:
    with pytest.raises(ValueError):
        kind.read(said)

from __future__ import annotations

import pytest

from daemon.errors import InvalidParameter, NotFound
from daemon.network.table import NetworkTable
from tests.daemon.network.making import network

ABC = network(1, id="abc" + "0" * 61, name="web")
ABD = network(2, id="abd" + "0" * 61, name="db")
AB = network(3, id="ff" + "0" * 62, name="ab")  # whose name is a prefix of other ids
TABLE = NetworkTable.of([AB, ABD, ABC])


@pytest.mark.parametrize(
    ("term", "name"),
    [
        (ABC.id, "web"),
        ("web", "web"),
        ("abc", "web"),
        ("abd0", "db"),
        ("ab", "ab"),  # a name counts before prefixes
        ("f", "ab"),
    ],
)
def test_an_id_counts_before_a_name_and_a_name_before_a_prefix(term: str, name: str) -> None:
    assert TABLE.find(term).name == name
    assert TABLE.lookup(term) == TABLE.find(term)


def test_a_name_that_is_another_networks_id_means_that_other() -> None:
    table = TABLE.with_network(network(4, name=ABC.id))
    assert table.find(ABC.id) == ABC


@pytest.mark.parametrize(
    ("term", "kind", "text"),
    [
        ("x", NotFound, "network x not found"),
        ("WEB", NotFound, "network WEB not found"),
        ("a", InvalidParameter, "network a is ambiguous (2 matches found based on ID prefix)"),
        ("", InvalidParameter, "network  is ambiguous (3 matches found based on ID prefix)"),
    ],
)
def test_what_means_none_or_several_is_refused_in_dockers_words(term: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as refused:
        TABLE.find(term)
    assert str(refused.value) == text
    assert TABLE.lookup(term) is None


def test_a_table_is_never_changed_and_lists_the_oldest_first() -> None:
    assert [each.name for each in TABLE] == ["web", "db", "ab"]
    more = TABLE.with_network(network(9))
    fewer = more.without(ABD.id)
    assert [each.name for each in TABLE] == ["web", "db", "ab"]
    assert [each.name for each in more] == ["web", "db", "ab", "name9"]
    assert [each.name for each in fewer] == ["web", "ab", "name9"]
    assert (len(TABLE), len(more), len(fewer)) == (3, 4, 3)
    assert fewer.named("db") is None
    assert fewer.by_id(ABD.id) is None
    assert more.by_id(ABD.id) == more.named("db") == ABD
    assert fewer.without("nothing") == fewer


def test_networks_of_one_moment_are_listed_by_name() -> None:
    table = NetworkTable.of(network(number, name=name, created_ns=1) for number, name in enumerate(("none", "host")))
    assert [each.name for each in table] == ["host", "none"]

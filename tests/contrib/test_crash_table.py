"""The comparison of engines that are ended: one round of ours, and the page it writes."""

from __future__ import annotations

import pytest

from contrib.crash.table import BEGIN, END, PAGE, ROWS, Found, main, table_of, with_table
from tests.daemon.harness import in_memory


@pytest.mark.integration
def test_ours_keeps_what_it_has_acknowledged(capsys: pytest.CaptureFixture[str]) -> None:
    with in_memory() as home:
        options = ["--directory", str(home)]
        exit_code = main([*options, "--engine", "boatyard", "--rounds", "1", "--clients", "4"])
    told = capsys.readouterr().out
    assert exit_code == 0, told
    assert "| of these missing after the next start | 0 |" in told
    assert "| entries on the disk left when everything is removed | 0 |" in told


def test_a_table_takes_the_place_of_the_last_one() -> None:
    page = f"a\n{BEGIN}\nold\n{END}\nb\n"
    assert with_table(page, "new") == f"a\n{BEGIN}\nnew\n{END}\nb\n"
    assert with_table(with_table(page, "new"), "newer") == with_table(page, "newer")


def test_every_row_has_a_cell_for_every_engine() -> None:
    table = table_of({"dockerd": Found(acknowledged=5), "podman": Found(failure="the list says 500")})
    head, _, first, *rest = table.splitlines()
    assert head == "| | dockerd | podman |"
    assert first == "| creates acknowledged | 5 | (the list says 500) |"
    assert len(rest) == len(ROWS) - 1


def test_the_page_has_a_place_for_it() -> None:
    page = PAGE.read_text()
    assert page.index(BEGIN) < page.index(END)

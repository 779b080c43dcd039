"""Numbers and strangers' texts, as people read them."""

from __future__ import annotations

import attrs
import pytest

from daemon.monitor.words import known, local, rate, shown, totals, uptime, utc, waited
from tests.daemon.overview.making import EVIL, OVERVIEW


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web", "web"),
        ("grün 船", "grün 船"),
        ("", ""),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred\x9b", "\\x1b[31mred\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        (EVIL, "<b>\\x1b[31mred\\x07\\u202eevil</b>[bold]"),
    ],
)
def test_a_strangers_text_does_nothing_to_a_terminal(text: str, told: str) -> None:
    assert shown(text) == told
    assert shown(text).isprintable()


@pytest.mark.parametrize(
    ("value_s", "told"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (192.5, "3 min 12 s"),
        (3600 * 5 + 190, "5 h 3 min"),
        (86400 * 12 + 5, "12 d 0 h"),
    ],
)
def test_an_uptime_has_its_two_largest_units(value_s: float, told: str) -> None:
    assert uptime(value_s) == told


def test_what_could_not_be_measured_is_a_dash() -> None:
    assert (known(None), known(0.0012), rate(None), rate(0.0), rate(87.31)) == ("-", "1.20 ms", "-", "0/s", "87.3/s")
    assert (waited(0.0), waited(0.002)) == ("-", "2.00 ms")


def test_what_became_of_creates_has_its_reasons() -> None:
    told = "12,345 created, 1 failed, 4 of 256 under way, 7 turned away, 3 refused (2 conflict, 1 not found)"
    assert totals(OVERVIEW.creates) == told
    quiet = attrs.evolve(OVERVIEW.creates, refused={}, turned_away=0)
    assert totals(quiet) == "12,345 created, 1 failed, 4 of 256 under way, 0 refused"


def test_a_time_is_in_utc_for_programs_and_ours_for_people() -> None:
    day_ns = 86400 * 10**9
    assert utc(OVERVIEW.time_ns) == "2025-11-26T08:00:02Z"
    assert local(OVERVIEW.time_ns, OVERVIEW.time_ns).count(":") == 2
    assert local(OVERVIEW.time_ns - 5 * day_ns, OVERVIEW.time_ns).startswith("Nov 2")

from __future__ import annotations

from pathlib import Path

import attrs

from daemon.config import Config
from daemon.options.reload import reload

BEFORE = Config(data_root=Path("/d"), socket=None)


def test_what_has_not_changed_is_nothing_to_take_over() -> None:
    outcome = reload(BEFORE, attrs.evolve(BEFORE))
    assert (outcome.config, outcome.changed, outcome.needs_restart) == (BEFORE, (), ())


def test_what_can_change_is_taken_over_and_the_rest_waits_for_a_restart() -> None:
    registries = ("a.example", "b.example")
    wanted = attrs.evolve(
        BEFORE,
        data_root=Path("/e"),
        socket_mode=0o600,
        creates_max=5,
        allowed_uids=frozenset({0, 7}),
        insecure_registries=registries,
    )
    outcome = reload(BEFORE, wanted)
    assert outcome.needs_restart == ("data_root", "socket_mode")
    assert outcome.config == attrs.evolve(
        BEFORE, creates_max=5, allowed_uids=frozenset({0, 7}), insecure_registries=registries
    )
    assert outcome.changed == (
        "allowed_uids is 0, 7, was not set",
        "insecure_registries is a.example, b.example, was empty",
        "creates_max is 5, was 256",
    )
    assert reload(wanted, BEFORE).changed[0] == "allowed_uids is not set, was 0, 7"

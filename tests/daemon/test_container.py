from __future__ import annotations

import re

import pytest

from daemon.container import new_container_id


def test_an_id_is_64_hex_digits_and_no_two_are_the_same() -> None:
    ids = {new_container_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", container_id) for container_id in ids)


def test_an_id_whose_short_form_is_a_number_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["1" * 64, "123456789012" + "a" * 52, "12345678901a" + "1" * 52])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    assert new_container_id() == "12345678901a" + "1" * 52

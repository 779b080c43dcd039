from __future__ import annotations

import re

import pytest

from daemon.container import new_container_id, new_container_ids


def test_an_id_is_64_hex_digits_and_no_two_are_the_same() -> None:
    ids = {new_container_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", container_id) for container_id in ids)


def test_an_id_whose_short_form_is_a_number_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["1" * 64, "123456789012" + "a" * 52, "12345678901a" + "1" * 52])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    assert new_container_id() == "12345678901a" + "1" * 52


def test_of_many_ids_drawn_at_once_only_such_a_one_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["a" * 64 + "1" * 64 + "b" * 64, "c" * 64])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    assert new_container_ids(3) == ["a" * 64, "c" * 64, "b" * 64]


def test_no_ids_are_drawn_if_none_are_wanted() -> None:
    assert new_container_ids(0) == []

from __future__ import annotations

import attrs
import pytest

from daemon.config import Config
from daemon.http.limits import Limits
from daemon.options.table import OPTIONS, Option


def test_everything_an_operator_decides_can_be_said() -> None:
    assert set(OPTIONS) == {field.name for field in attrs.fields(Config)}


def test_no_two_options_are_said_in_the_same_way() -> None:
    assert len({option.flag for option in OPTIONS.values()}) == len(OPTIONS)
    assert len({option.variable for option in OPTIONS.values()}) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_default_is_what_could_be_said(option: Option) -> None:
    default = attrs.fields_dict(Config)[option.name].default
    if default not in (attrs.NOTHING, None, ""):
        assert option.kind.read(option.kind.show(default)) == default


def test_every_limit_of_the_server_can_be_changed_while_it_runs() -> None:
    assert all(OPTIONS[field.name].is_reloadable for field in attrs.fields(Limits))

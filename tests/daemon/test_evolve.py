from __future__ import annotations

from typing import Any, cast

import attrs
import pytest

from daemon.container import ContainerConfig, HostConfig
from daemon.create.request import CreateRequest
from daemon.evolve import evolve


@pytest.mark.parametrize(
    "record", [HostConfig(memory=1), ContainerConfig(user="u"), CreateRequest(config=ContainerConfig())], ids=type
)
def test_it_does_what_attrs_does(record: Any) -> None:
    name = attrs.fields(type(record))[1].name
    before = attrs.asdict(record)
    changed = evolve(record, **{name: "other"})
    assert changed == attrs.evolve(record, **{name: "other"})
    assert type(changed) is type(record)
    assert attrs.asdict(record) == before


def test_a_field_that_there_is_not_is_an_error() -> None:
    with pytest.raises(TypeError, match="HostConfig has no memery"):
        evolve(HostConfig(), **cast("Any", {"memery": 1}))


def test_a_copy_is_frozen_too() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        evolve(HostConfig(), memory=1).memory = 2  # type: ignore[misc]

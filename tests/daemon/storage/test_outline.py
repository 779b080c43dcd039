"""Summaries and footings read from records: the same as are made from a whole container, and what is common is there once."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from daemon.container import Container, ContainerConfig, EndpointSettings, HostConfig
from daemon.storage.outline import SHARED_BYTES_MAX, footing_in, summary_in
from daemon.storage.records import UNREADABLE
from daemon.summary import summary_of
from tests.daemon.storage.records import container, filled

BARE = container(
    1, config=ContainerConfig(image="busybox", labels={}), host_config=HostConfig(annotations={}), volumes=("v",)
)
LABELLED = container(
    2, config=ContainerConfig(image="busybox", labels={"a": "b"}), networks={"none": EndpointSettings()}
)


def record_of(container: Container) -> bytes:
    return msgspec.json.encode(container)


@pytest.mark.parametrize("made", [filled(Container), BARE, LABELLED], ids=["filled", "bare", "labelled"])
def test_a_summary_that_is_read_is_the_one_that_is_made(made: Container) -> None:
    assert summary_in(made.name, record_of(made)) == summary_of(made)


def test_the_name_is_the_one_beside_the_record() -> None:
    assert summary_in("other", record_of(BARE)) == summary_of(replace(BARE, name="other"))


def test_what_containers_have_in_common_is_there_once() -> None:
    rich = filled(Container)
    one, other = (summary_in(name, record_of(rich)) for name in ("one", "other"))
    for part in ("image", "image_id", "path", "args", "labels", "network_mode", "annotations", "networks", "mounts"):
        assert getattr(one, part) is getattr(other, part), part


def test_what_is_long_is_not_remembered() -> None:
    long = record_of(replace(BARE, args=("x" * SHARED_BYTES_MAX,)))
    one, other = (summary_in(name, long) for name in ("one", "other"))
    assert one.args == other.args
    assert one.args is not other.args


@pytest.mark.parametrize("field", ["args", "mounts", "networks", "links", "config", "host_config", "path", "id"])
def test_a_part_that_makes_no_sense_is_found_however_often_it_is_read(field: str) -> None:
    wrong = msgspec.json.encode({**msgspec.json.decode(record_of(BARE)), field: 7})
    for _ in range(2):
        with pytest.raises(UNREADABLE):
            summary_in("web", wrong)


def test_a_record_that_is_cut_off_behind_what_the_summary_shows_is_found() -> None:
    with pytest.raises(UNREADABLE):
        summary_in("web", record_of(BARE)[:-1])


def test_a_footing_has_what_a_tree_depends_on() -> None:
    rich = filled(Container)
    found = footing_in("", record_of(rich))
    assert (found.id, found.config.working_dir, found.image_id) == (rich.id, rich.config.working_dir, rich.image_id)

from __future__ import annotations

import attrs
import pytest

from daemon.api.system import EVENT_FILTERS, dotted, event_view, host_view, parse_time, passes
from daemon.errors import InvalidParameter
from daemon.host import NO_ABILITIES, Abilities
from daemon.services.event_bus import Event
from tests.daemon.create.asking import HOST

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("0", 0),
        ("1700000000", 1_700_000_000 * SECOND_NS),
        ("1700000000.", 1_700_000_000 * SECOND_NS),
        ("1700000000.5", 1_700_000_000 * SECOND_NS + 500_000_000),
        ("1700000000.000000001", 1_700_000_000 * SECOND_NS + 1),
        ("1700000000.1234567891", 1_700_000_000 * SECOND_NS + 123_456_789),
        ("99999999999", 99_999_999_999 * SECOND_NS),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * SECOND_NS),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000 * SECOND_NS + 123_456_789),
        ("2023-11-14T23:43:20.5+01:30", 1_700_000_000 * SECOND_NS + 500_000_000),
        ("1969-12-31T23:59:59.25Z", -750_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, expected: int | None) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "10m",
        "-1",
        ".5",
        "1.5.5",
        "1e9",
        " 1",
        "\u0661",
        "9" * 10_000,
        "2023-11-14",
        "2023-11-14T22:13:20",  # of no time zone
        "2023-02-31T00:00:00Z",
        "2023-11-14T25:00:00Z",
        "2023-11-14 22:13:20Z",
        "2023-11-14T22:13:20.Z",
    ],
)
def test_what_is_no_time_is_the_clients_mistake(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_time(text)
    assert str(caught.value) == f'failed to parse value "{text}" as time'


def event(kind: str, action: str, actor_id: str, **attributes: str) -> Event:
    return Event(type=kind, action=action, actor_id=actor_id, attributes=attributes, time_ns=1_700_000_000_123_456_789)


CREATED = event("container", "create", "abc1", name="web", image="busybox:1.36", tier="front", team="")
LOADED = event("image", "load", "sha256:abc2", name="quay.io/me/app:v1")
MADE = event("volume", "create", "data", driver="local")
CHECKED = event("container", "health_status: healthy", "fff", name="db", image="sha256:abc2")
ALL = (CREATED, LOADED, MADE, CHECKED)


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({}, ALL),
        ({"type": ()}, ALL),
        ({"type": ("container",)}, (CREATED, CHECKED)),
        ({"type": ("image", "volume")}, (LOADED, MADE)),
        ({"event": ("create",)}, (CREATED, MADE)),
        ({"event": ("health_status",)}, (CHECKED,)),
        ({"event": ("health_status: healthy",)}, (CHECKED,)),
        ({"event": ("creat",)}, ()),
        ({"scope": ("local",)}, ALL),
        ({"scope": ("swarm",)}, ()),
        ({"label": ("tier",)}, (CREATED,)),
        ({"label": ("tier=front",)}, (CREATED,)),
        ({"label": ("tier=back",)}, ()),
        ({"label": ("team=",)}, (CREATED,)),
        ({"label": ("tier", "team")}, (CREATED,)),
        ({"label": ("tier", "colour")}, ()),  # all labels, where of other keys any value will do
        ({"container": ("web",)}, (CREATED,)),
        ({"container": ("/web",)}, (CREATED,)),
        ({"container": ("we",)}, (CREATED,)),
        ({"container": ("abc",)}, (CREATED,)),
        ({"container": ("web", "db")}, (CREATED, CHECKED)),
        ({"container": ("nobody",)}, ()),
        ({"volume": ("data",)}, (MADE,)),
        ({"volume": ("web",)}, ()),
        ({"network": ("bridge",)}, ()),
        ({"daemon": ("x",)}, ()),
        ({"id": ("abc1",)}, (CREATED,)),
        ({"name": ("web",)}, (CREATED,)),
        ({"image": ("busybox:1.36",)}, (CREATED,)),
        ({"image": ("busybox",)}, (CREATED,)),
        ({"image": ("busybox:1.37",)}, ()),
        ({"image": ("quay.io/me/app:v1",)}, (LOADED,)),
        ({"image": ("quay.io/me/app",)}, (LOADED,)),
        ({"image": ("sha256:abc2",)}, (LOADED, CHECKED)),
        ({"type": ("container",), "event": ("create",), "image": ("busybox",)}, (CREATED,)),
        ({"type": ("volume",), "event": ("load",)}, ()),
    ],
)
def test_an_event_passes_if_every_filter_lets_it(
    filters: dict[str, tuple[str, ...]], passing: tuple[Event, ...]
) -> None:
    assert set(filters) <= EVENT_FILTERS
    assert tuple(event for event in ALL if passes(event, filters)) == passing


LEGACY = {"status": "create", "id": "abc1", "from": "busybox:1.36"}


@pytest.mark.parametrize(
    ("shown", "version", "legacy"),
    [
        (CREATED, (1, 51), LEGACY),
        (CREATED, (1, 52), {}),
        (LOADED, (1, 50), {"status": "load", "id": "sha256:abc2"}),
        (MADE, (1, 50), {}),
    ],
)
def test_an_event_has_its_old_fields_until_1_52(shown: Event, version: tuple[int, int], legacy: dict[str, str]) -> None:
    assert event_view(shown, version) == {
        **legacy,
        "Type": shown.type,
        "Action": shown.action,
        "Actor": {"ID": shown.actor_id, "Attributes": shown.attributes},
        "scope": "local",
        "time": 1_700_000_000,
        "timeNano": 1_700_000_000_123_456_789,
    }


def test_a_version_is_written_with_a_dot() -> None:
    assert dotted((1, 50)) == "1.50"


def test_info_says_what_this_kernel_can_limit() -> None:
    able = host_view(attrs.evolve(HOST, abilities=Abilities()))
    unable = host_view(attrs.evolve(HOST, abilities=NO_ABILITIES))
    limits = "MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit OomKillDisable".split()
    assert [able[name] for name in limits] == [True] * len(limits)
    assert [unable[name] for name in limits] == [False] * len(limits)


@pytest.mark.parametrize(
    ("is_cgroup_v2", "is_systemd", "driver"),
    [(True, True, "systemd"), (True, False, "cgroupfs"), (False, True, "cgroupfs"), (False, False, "cgroupfs")],
)
def test_systemd_has_the_groups_where_they_are_of_version_2(is_cgroup_v2: bool, is_systemd: bool, driver: str) -> None:
    host = attrs.evolve(HOST, is_cgroup_v2=is_cgroup_v2, is_systemd=is_systemd)
    assert host_view(host)["CgroupDriver"] == driver

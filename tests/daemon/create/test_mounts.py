from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.container import (
    BindOptions,
    ContainerConfig,
    HostConfig,
    ImageOptions,
    Mount,
    MountRequest,
    TmpfsOptions,
    VolumeDriver,
    VolumeOptions,
)
from daemon.create.mounts import (
    MountPlan,
    mount_complaint,
    parse_volumes_from,
    plan_mounts,
)
from daemon.errors import InvalidParameter
from daemon.services.volume_index import VolumeUse
from daemon.volume import ANONYMOUS_LABEL
from tests.daemon.create.asking import Fields

ROOT = "/root/of/data"

Inherited = list[tuple[tuple[Mount, ...], str]]


def plan(*binds: str, inherited: Inherited | None = None, volumes: tuple[str, ...] = (), **fields: Any) -> MountPlan:
    return plan_for(ContainerConfig(volumes=volumes), HostConfig(binds=binds, **fields), inherited or [])


def plan_of(*mounts: MountRequest, **fields: Any) -> MountPlan:
    return plan_for(ContainerConfig(), HostConfig(mounts=mounts, **fields))


def plan_for(
    config: ContainerConfig,
    host_config: HostConfig,
    inherited: Inherited | None = None,
    api_version: tuple[int, int] = (1, 50),
) -> MountPlan:
    return plan_mounts(config, host_config, inherited or [], data_root=ROOT, api_version=api_version)


def refusal_of(*binds: str) -> str:
    with pytest.raises(InvalidParameter) as caught:
        plan(*binds)
    return str(caught.value)


def a_bind(source: str = "/src", destination: str = "/dst", mode: str = "", propagation: str = "rprivate") -> Mount:
    return Mount(
        type="bind",
        source=source,
        destination=destination,
        mode=mode,
        rw="ro" not in mode.split(","),
        propagation=propagation,
    )


def a_volume(name: str = "data", destination: str = "/dst", mode: str = "z", rw: bool = True) -> Mount:
    return Mount(type="volume", name=name, destination=destination, driver="local", mode=mode, rw=rw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/src:/dst", a_bind()),
        ("/src:/dst:", a_bind()),
        ("//src/./a/..//b/:/x/../dst/", a_bind(source="/src/b")),
        ("/src:/ro", a_bind(destination="/ro")),
        *((f"/src:/dst:{mode}", a_bind(mode=mode)) for mode in ("rw", "ro", "z", "Z", "ro,Z", "Z,ro")),
        *(
            (f"/src:/dst:{mode}", a_bind(mode=mode, propagation=mode))
            for mode in ("private", "rprivate", "shared", "rshared", "slave", "rslave")
        ),
        *((f"/src:/dst:{mode}", a_bind(mode=mode)) for mode in ("consistent", "cached", "delegated")),
        ("/src:/dst:ro,z,rslave,cached", a_bind(mode="ro,z,rslave,cached", propagation="rslave")),
    ],
)
def test_a_bind_with_an_absolute_source_is_of_the_host(text: str, expected: Mount) -> None:
    assert plan(text) == MountPlan(mounts=(expected,), volumes=())


@pytest.mark.parametrize(
    ("text", "mount", "is_filled"),
    [
        ("data:/dst", a_volume(), True),
        ("data:/dst:", a_volume(), True),
        ("data:/dst:rw", a_volume(mode="rw"), True),
        ("data:/dst:ro", a_volume(mode="ro", rw=False), True),
        ("data:/dst:ro,Z", a_volume(mode="ro,Z", rw=False), True),
        ("data:/dst:nocopy", a_volume(mode="nocopy"), False),
        ("d.a_t-a:/a//b", a_volume(name="d.a_t-a", destination="/a/b"), True),
    ],
)
def test_a_bind_with_a_name_is_a_volume(text: str, mount: Mount, is_filled: bool) -> None:
    use = VolumeUse(name=mount.name, destination=mount.destination, is_filled=is_filled)
    assert plan(text) == MountPlan(mounts=(mount,), volumes=(use,))


@pytest.mark.parametrize("driver", ["", "local"])
def test_the_containers_volume_driver_is_for_the_volumes_of_binds(driver: str) -> None:
    made = plan("data:/dst", "/src:/bind", volume_driver=driver)
    assert [mount.driver for mount in made.mounts] == ["", "local"]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: plan("data:/dst", volume_driver="nfs"), "data"),
        (lambda: plan("x:/dst", volume_driver="nfs"), "x"),
        (lambda: plan("/dst", volume_driver="nfs"), "[0-9a-f]{64}"),
        (lambda: plan(volumes=("/dst",), volume_driver="nfs"), "[0-9a-f]{64}"),
        (lambda: plan_of(_with_driver("data", "nfs")), "data"),
        (lambda: plan_of(_with_driver("", "nfs")), "[0-9a-f]{64}"),
    ],
)
def test_a_driver_that_does_not_exist_is_no_reason_to_pull_an_image(make: Callable[[], MountPlan], name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        make()
    text = f'create {name}: error looking up volume plugin nfs: plugin "nfs" not found'
    assert re.fullmatch(text, str(caught.value))


def _with_driver(source: str, driver: str) -> MountRequest:
    options = VolumeOptions(driver_config=VolumeDriver(name=driver))
    return MountRequest(type="volume", source=source, target="/dst", volume_options=options)


def test_a_bind_without_a_source_is_an_anonymous_volume() -> None:
    made = plan("/dst")
    (mount,), (use,) = made.mounts, made.volumes
    assert re.fullmatch("[0-9a-f]{64}", mount.name)
    assert mount == replace(a_volume(name=mount.name), is_anonymous=True)
    assert use == VolumeUse(name=mount.name, destination="/dst", is_filled=True, labels={ANONYMOUS_LABEL: ""})


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "::",
        ":::",
        ":/dst",
        ":/dst:ro",
        "/src:",
        "/src:/dst:ro:",
        "a:b:c:d",
        "/dst:rw",
        "/dst:ro,z",
        "data:nocopy",
    ],
)
def test_a_bind_that_is_no_pair_is_refused(text: str) -> None:
    assert refusal_of(text) == f"invalid volume specification: '{text}'"


@pytest.mark.parametrize(
    "mode",
    [
        "sw",
        "rwz",
        "RO",
        "ro,rw",
        "ro,ro",
        "z,Z",
        "shared,slave",
        "nocopy,nocopy",
        "cached,delegated",
        "ro,",
        ",",
        "default",
    ],
)
def test_a_mode_has_one_known_word_of_each_kind(mode: str) -> None:
    assert refusal_of(f"/src:/dst:{mode}") == f"invalid mode: {mode}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/src:/", "type \"bind\": invalid specification: destination can't be '/'"),
        ("/src:/..", "type \"bind\": invalid specification: destination can't be '/'"),
        ("/src:dst", "type \"bind\": invalid mount path: 'dst' mount path must be absolute"),
        ("data:../dst", "type \"volume\": invalid mount path: '../dst' mount path must be absolute"),
        ("./", "type \"volume\": invalid mount path: './' mount path must be absolute"),
        ("data", "type \"volume\": invalid mount path: 'data' mount path must be absolute"),
        ("/", "type \"volume\": invalid specification: destination can't be '/'"),
        ("data::ro", 'type "volume": field Target must not be empty'),
        ("data:/dst:rshared", 'type "volume": field BindOptions must not be specified'),
        ("/src:/dst:nocopy", 'type "bind": field VolumeOptions must not be specified'),
    ],
)
def test_a_bind_that_makes_no_sense_is_refused_as_the_mount_it_would_be(text: str, complaint: str) -> None:
    assert refusal_of(text) == f"invalid volume specification: '{text}': invalid mount config for {complaint}"


@pytest.mark.parametrize("make", [lambda name: plan(f"{name}:/dst"), lambda name: plan_of(_of_volume(name))])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x", "create x: volume name is too short, names should be at least two alphanumeric characters"),
        *(
            (
                name,
                f'create {name}: "{name}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
            )
            for name in ("./src", "a b", "_data", "d\u00e4ta")
        ),
    ],
)
def test_a_volume_has_a_name_that_a_directory_can_have(make: Callable[[str], MountPlan], name: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        make(name)
    assert str(caught.value) == text


def _of_volume(name: str) -> MountRequest:
    return MountRequest(type="volume", source=name, target="/dst")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (MountRequest(type="bind", source="/src/", target="/dst/"), a_bind()),
        (MountRequest(type="bind", source="/src", target="/dst", read_only=True), replace(a_bind(), rw=False)),
        (
            MountRequest(type="bind", source="/src", target="/dst", bind_options=BindOptions(propagation="slave")),
            a_bind(propagation="slave"),
        ),
        (
            MountRequest(type="tmpfs", target="/dst", tmpfs_options=TmpfsOptions(size_bytes=1)),
            Mount(type="tmpfs", destination="/dst"),
        ),
        (MountRequest(type="tmpfs", target="/dst", read_only=True), Mount(type="tmpfs", destination="/dst", rw=False)),
        (
            MountRequest(type="image", source="busybox", target="/dst/"),
            Mount(type="image", source="busybox", destination="/dst", rw=False, propagation="rprivate"),
        ),
    ],
)
def test_a_mount_of_the_host_or_of_memory_is_as_it_was_asked_for(request_: MountRequest, expected: Mount) -> None:
    assert plan_of(request_).mounts == (expected,)


def test_a_volume_mount_brings_its_options() -> None:
    options = VolumeOptions(
        no_copy=True, labels={"a": "b"}, driver_config=VolumeDriver(name="local", options={"type": "tmpfs"})
    )
    request = replace(_of_volume("data"), volume_options=options, read_only=True)
    assert plan_of(request, volume_driver="nfs") == MountPlan(
        mounts=(a_volume(rw=False),),
        volumes=(
            VolumeUse(
                name="data",
                destination="/dst",
                is_filled=False,
                labels={"a": "b"},
                options={"type": "tmpfs"},
            ),
        ),
    )


def test_a_volume_mount_without_a_name_is_anonymous_and_says_so_beside_its_labels() -> None:
    made = plan_of(MountRequest(type="volume", target="/dst", volume_options=VolumeOptions(labels={"a": "b"})))
    (mount,), (use,) = made.mounts, made.volumes
    assert (mount.is_anonymous, mount.mode, mount.name) == (True, "z", use.name)
    assert (use.is_filled, use.is_of_config, use.labels) == (True, False, {"a": "b", ANONYMOUS_LABEL: ""})


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"type": "bind", "source": "/src"}, None),
        ({"type": "volume"}, None),
        ({"type": "volume", "source": "data", "read_only": True}, None),
        ({"type": "tmpfs"}, None),
        *(
            ({"type": "volume", "source": "data", "volume_options": VolumeOptions(subpath=subpath)}, None)
            for subpath in ("", "a/b", "a/../b", "..a", "a..")
        ),
        *(
            ({"type": kind, "target": ""}, "field Target must not be empty")
            for kind in ("bind", "volume", "tmpfs", "npipe", "")
        ),
        ({"type": "tmpfs", "target": "/"}, "invalid specification: destination can't be '/'"),
        ({"type": "tmpfs", "target": "/a/.."}, "invalid specification: destination can't be '/'"),
        ({"type": "tmpfs", "target": "\\"}, "invalid specification: destination can't be '/'"),
        ({"type": "tmpfs", "target": "a\\b"}, "invalid mount path: 'a/b' mount path must be absolute"),
        ({"type": "tmpfs", "target": "a"}, "invalid mount path: 'a' mount path must be absolute"),
        ({"type": "npipe"}, "mount type unknown"),
        ({"type": "cluster"}, "mount type unknown"),
        ({"type": ""}, "mount type unknown"),
        ({"type": "bind"}, "field Source must not be empty"),
        ({"type": "bind", "source": "src"}, "invalid mount path: 'src' mount path must be absolute"),
        (
            {"type": "bind", "source": "/src", "bind_options": BindOptions(propagation="both")},
            "invalid propagation mode: both",
        ),
        (
            {"type": "bind", "source": "/s", "volume_options": VolumeOptions()},
            "field VolumeOptions must not be specified",
        ),
        ({"type": "bind", "source": "/s", "image_options": ImageOptions()}, "field ImageOptions must not be specified"),
        ({"type": "volume", "bind_options": BindOptions()}, "field BindOptions must not be specified"),
        ({"type": "volume", "image_options": ImageOptions()}, "field ImageOptions must not be specified"),
        ({"type": "volume", "read_only": True}, "must not set ReadOnly mode when using anonymous volumes"),
        (
            {"type": "volume", "volume_options": VolumeOptions(subpath="a")},
            "must not set Subpath when using anonymous volumes",
        ),
        *(
            (
                {"type": "volume", "source": "data", "volume_options": VolumeOptions(subpath=subpath)},
                "subpath must be a relative path within the volume",
            )
            for subpath in ("/a", "..", "../a", "a/../../b")
        ),
        ({"type": "tmpfs", "source": "/src"}, "field Source must not be specified"),
        ({"type": "tmpfs", "bind_options": BindOptions()}, "field BindOptions must not be specified"),
        ({"type": "tmpfs", "volume_options": VolumeOptions()}, "field VolumeOptions must not be specified"),
        *(
            (
                {"type": kind, "source": "/s", "image_options": ImageOptions()},
                "field ImageOptions must not be specified",
            )
            for kind in ("bind", "volume", "tmpfs")
        ),
        *(
            ({"type": "tmpfs", "tmpfs_options": TmpfsOptions(options=options)}, text)
            for options, text in (
                ((("exec",), ("noexec", "x")), None),
                ((("exec",), ("suid",)), "invalid option: suid"),
                ((("size", "1m"),), "invalid option: size"),
                (((),), "invalid option array length"),
                ((("exec", "a", "b"),), "invalid option array length"),
            )
        ),
        ({"type": "image"}, "field Source must not be empty"),
        (
            {"type": "image", "source": "busybox", "bind_options": BindOptions()},
            "field BindOptions must not be specified",
        ),
        (
            {"type": "image", "source": "busybox", "volume_options": VolumeOptions()},
            "field VolumeOptions must not be specified",
        ),
        (
            {"type": "image", "source": "busybox", "image_options": ImageOptions(subpath="../a")},
            "subpath must be a relative path within the volume",
        ),
    ],
)
def test_a_mount_has_what_its_type_needs_and_nothing_else(fields: Fields, complaint: str | None) -> None:
    request = MountRequest(**{"target": "/dst", **fields})
    assert mount_complaint(request) == complaint
    if complaint is not None:
        with pytest.raises(InvalidParameter) as caught:
            plan_of(request)
        assert str(caught.value) == f'invalid mount config for type "{request.type}": {complaint}'


@pytest.mark.parametrize(
    ("binds", "mounts", "tmpfs"),
    [
        (("/a:/dst", "/b:/dst"), (), {}),
        (("/a:/dst", "/b:/x/../dst/"), (), {}),
        (("/a:/dst", "data:/dst"), (), {}),
        (("/a:/dst",), (MountRequest(type="tmpfs", target="/dst"),), {}),
        ((), (MountRequest(type="tmpfs", target="/dst"), _of_volume("data")), {}),
        (("/a:/dst",), (), {"/dst": ""}),
        (("data:/dst",), (), {"/dst": ""}),
    ],
)
def test_two_mounts_for_one_place_are_refused(
    binds: tuple[str, ...], mounts: tuple[MountRequest, ...], tmpfs: dict[str, str]
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        plan_for(ContainerConfig(), HostConfig(binds=binds, mounts=mounts, tmpfs=tmpfs))
    assert str(caught.value) == "Duplicate mount point: /dst"


def test_a_second_entry_of_mounts_is_named_as_it_was_written() -> None:
    with pytest.raises(InvalidParameter, match=r"^Duplicate mount point: /x/\.\./dst$"):
        plan_of(_of_volume("data"), MountRequest(type="tmpfs", target="/x/../dst"))


def test_an_entry_of_mounts_and_one_of_tmpfs_may_be_for_one_place() -> None:
    assert [mount.name for mount in plan_of(_of_volume("data"), tmpfs={"/dst": ""}).mounts] == ["data"]


@pytest.mark.parametrize(
    ("version", "is_read_only", "expected"),
    [((1, 43), True, False), ((1, 43), False, True), ((1, 44), True, True), ((1, 44), False, True)],
)
def test_before_1_44_only_the_bind_itself_was_read_only(
    version: tuple[int, int], is_read_only: bool, expected: bool
) -> None:
    request = MountRequest(type="bind", source="/a", target="/a", read_only=is_read_only)
    host_config = HostConfig(binds=("/b:/b:ro" if is_read_only else "/b:/b",), mounts=(request,))
    made = plan_for(ContainerConfig(), host_config, api_version=version)
    assert [mount.is_recursively_read_only for mount in made.mounts] == [expected, expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ("web", "rw")),
        ("web:", ("web", "rw")),
        *((f"web:{mode}", ("web", mode)) for mode in ("ro", "rw", "z", "ro,Z", "cached")),
    ],
)
def test_volumes_from_names_a_container_and_a_mode(text: str, expected: tuple[str, str]) -> None:
    assert parse_volumes_from(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "volumes-from specification cannot be an empty string"),
        *(
            (f"web:{mode}", f"invalid mode: {mode}")
            for mode in ("rx", "ro:rw", "shared", "ro,rslave", "nocopy", "ro,rw")
        ),
    ],
)
def test_volumes_from_with_another_mode_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_volumes_from(text)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("was_rw", "mode", "rw"),
    [(True, "rw", True), (True, "ro", False), (True, "ro,z", False), (True, "z", True), (False, "rw", False)],
)
def test_an_inherited_mount_is_writable_if_it_was_and_the_mode_allows(was_rw: bool, mode: str, rw: bool) -> None:
    given = replace(a_bind(mode="rslave", propagation="rslave"), rw=was_rw)
    (mount,) = plan(inherited=[((given,), mode)]).mounts
    assert mount == replace(given, rw=rw, mode="")


def test_an_inherited_volume_is_used_as_it_is_and_goes_with_the_last_of_its_containers() -> None:
    anonymous = replace(a_volume(), is_anonymous=True)
    made = plan(inherited=[((anonymous,), "rw")], volumes=("/dst",))
    assert made.mounts == (replace(anonymous, mode=""),)
    assert made.volumes == (VolumeUse(name="data", destination="/dst", is_filled=False, is_inherited=True),)


def test_a_mount_may_have_the_place_of_a_tmpfs() -> None:
    made = plan_of(_of_volume("data"), tmpfs={"/dst": ""})
    assert [mount.name for mount in made.mounts] == ["data"]


def test_a_second_mount_is_refused_with_its_place_as_it_was_asked_for() -> None:
    with pytest.raises(InvalidParameter) as caught:
        plan_of(_of_volume("data"), MountRequest(type="tmpfs", target="/x/../dst/"))
    assert str(caught.value) == "Duplicate mount point: /x/../dst/"


def test_a_volume_of_which_a_part_is_mounted_is_not_filled() -> None:
    made = plan_of(replace(_of_volume("data"), volume_options=VolumeOptions(subpath="a/b")))
    assert [use.is_filled for use in made.volumes] == [False]


@pytest.mark.parametrize("source", ["/", "/root", "/root/of/data", "/root/of/data/volumes", "/root/of/database"])
@pytest.mark.parametrize(
    ("asked_for", "expected"), [("", "rslave"), ("rslave", "rslave"), ("rshared", "rshared"), ("slave", None)]
)
def test_a_bind_of_the_data_root_or_around_it_lets_go_of_what_is_mounted_there(
    source: str, asked_for: str, expected: str | None
) -> None:
    def make() -> list[MountPlan]:
        options = BindOptions(propagation=asked_for)
        request = MountRequest(type="bind", source=source, target="/dst", bind_options=options)
        return [plan(f"{source}:/dst:{asked_for}"), plan_of(request)]

    if expected is not None:
        assert [mount.propagation for each in make() for mount in each.mounts] == [expected] * 2
        return
    with pytest.raises(InvalidParameter) as caught:
        make()
    assert str(caught.value) == (
        'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the '
        f'daemon root, daemon root: "/root/of/data", bind mount source: "{source}", propagation: "slave"'
    )


def test_what_is_asked_for_takes_the_place_of_what_is_inherited() -> None:
    inherited: Inherited = [((a_volume(), a_bind(destination="/kept")), "rw")]
    made = plan("/own:/dst", inherited=inherited)
    assert made.mounts == (a_bind(source="/own"), a_bind(destination="/kept"))
    assert made.volumes == ()


def test_the_place_of_what_is_inherited_is_taken_once() -> None:
    with pytest.raises(InvalidParameter, match="Duplicate mount point: /dst"):
        plan("/own:/dst", "/other:/dst", inherited=[((a_volume(),), "rw")])


def test_of_two_containers_that_share_their_volumes_the_later_one_counts() -> None:
    inherited: Inherited = [((a_volume("first"),), "rw"), ((a_volume("second"),), "ro")]
    made = plan(inherited=inherited)
    assert made.mounts == (a_volume("second", mode="", rw=False),)
    assert [use.name for use in made.volumes] == ["second"]


def test_a_volume_of_the_image_is_made_where_nothing_else_is_mounted() -> None:
    made = plan("/a:/bound", volumes=("/bound", "/memory", "/data/", "//other"), tmpfs={"/memory": ""})
    assert [mount.destination for mount in made.mounts] == ["/bound", "/data", "/other"]
    assert [(use.destination, use.is_of_config, use.is_filled, use.labels) for use in made.volumes] == [
        ("/data", True, True, {ANONYMOUS_LABEL: ""}),
        ("/other", True, True, {ANONYMOUS_LABEL: ""}),
    ]
    assert [mount.mode for mount in made.mounts if mount.is_anonymous] == ["", ""]


def test_mounts_are_in_the_order_of_their_places() -> None:
    made = plan("/z:/b", "/y:/a/c", "/x:/a")
    assert [mount.destination for mount in made.mounts] == ["/a", "/a/c", "/b"]


def test_no_mounts_are_asked_for() -> None:
    assert plan_for(ContainerConfig(), HostConfig(), []) == MountPlan(mounts=(), volumes=())

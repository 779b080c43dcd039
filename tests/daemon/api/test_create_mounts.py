"""Creates with `Mounts` and `Binds` over HTTP: what is refused with which text, and what inspect shows of the others.

The rows are those that Docker tests its own API with (moby v28 integration-cli/docker_api_containers_test.go, the tests named
TestContainersAPICreateMounts..., integration/container/create_test.go), and those of the same kind that are missing there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon.api.test_volumes import Client, client_at
from tests.daemon.harness import state_of

pytestmark = pytest.mark.anyio

HERE = "{here}"
"""Stands for a directory that exists."""

Body = dict[str, Any]


def volume(source: str = "", target: str = "/full", **fields: Any) -> Body:
    return {"Type": "volume", "Source": source, "Target": target, **fields}


def bind(source: str = HERE, target: str = "/full", **fields: Any) -> Body:
    return {"Type": "bind", "Source": source, "Target": target, **fields}


def tmpfs(target: str = "/full", **fields: Any) -> Body:
    return {"Type": "tmpfs", "Target": target, **fields}


def with_options(**options: str) -> Body:
    return {"VolumeOptions": {"DriverConfig": {"Name": "local", "Options": options}}}


def of_type(kind: str, text: str) -> str:
    return f'invalid mount config for type "{kind}": {text}'


NO_COPY: Body = {"VolumeOptions": {"NoCopy": True}}

REFUSED: list[tuple[Body, str]] = [
    ({"Type": "notreal", "Target": "/full"}, of_type("notreal", "mount type unknown")),
    ({"Target": "/full"}, of_type("", "mount type unknown")),
    ({"Type": "cluster", "Source": "x", "Target": "/full"}, of_type("cluster", "mount type unknown")),
    ({"Type": "npipe", "Source": "x", "Target": "/full"}, of_type("npipe", "mount type unknown")),
    ({"Type": "bind"}, of_type("bind", "field Target must not be empty")),
    ({"Type": "volume"}, of_type("volume", "field Target must not be empty")),
    ({"Type": "tmpfs"}, of_type("tmpfs", "field Target must not be empty")),
    (bind(source=""), of_type("bind", "field Source must not be empty")),
    (bind(source="/notexist"), of_type("bind", "bind source path does not exist: /notexist")),
    (bind(source="/etc/passwd/x"), of_type("bind", "stat /etc/passwd/x: not a directory")),
    (bind(source="/" + "x" * 300), of_type("bind", f"stat /{'x' * 300}: file name too long")),
    (bind(source="a\0b"), of_type("bind", "invalid mount path: 'a\0b' mount path must be absolute")),
    (bind(source="/a\0b"), of_type("bind", "stat /a\0b: invalid argument")),
    (bind(source="relative"), of_type("bind", "invalid mount path: 'relative' mount path must be absolute")),
    (bind(VolumeOptions={}), 'VolumeOptions must not be specified on mount type "bind"'),
    (bind(TmpfsOptions={}), 'TmpfsOptions must not be specified on mount type "bind"'),
    (bind(ImageOptions={}), of_type("bind", "field ImageOptions must not be specified")),
    (bind(BindOptions={"Propagation": "both"}), of_type("bind", "invalid propagation mode: both")),
    (volume(BindOptions={}), 'BindOptions must not be specified on mount type "volume"'),
    (volume(TmpfsOptions={}), 'TmpfsOptions must not be specified on mount type "volume"'),
    (volume(ImageOptions={}), of_type("volume", "field ImageOptions must not be specified")),
    (volume(ReadOnly=True), of_type("volume", "must not set ReadOnly mode when using anonymous volumes")),
    (
        volume(VolumeOptions={"Subpath": "a"}),
        of_type("volume", "must not set Subpath when using anonymous volumes"),
    ),
    (
        volume("vol", VolumeOptions={"Subpath": "../a"}),
        of_type("volume", "subpath must be a relative path within the volume"),
    ),
    (volume("vol", "/"), of_type("volume", "invalid specification: destination can't be '/'")),
    (volume("vol", "full"), of_type("volume", "invalid mount path: 'full' mount path must be absolute")),
    (tmpfs(Source="/shouldnotbespecified"), of_type("tmpfs", "field Source must not be specified")),
    (tmpfs(BindOptions={}), 'BindOptions must not be specified on mount type "tmpfs"'),
    (tmpfs(VolumeOptions={}), 'VolumeOptions must not be specified on mount type "tmpfs"'),
    (tmpfs(TmpfsOptions={"Options": [["suid"]]}), of_type("tmpfs", "invalid option: suid")),
    (tmpfs(TmpfsOptions={"Options": [[]]}), of_type("tmpfs", "invalid option array length")),
    (volume("vol", **with_options(foobar="foobaz")), 'create vol: invalid option: "foobar"'),
    (volume("vol", **with_options(type="tmpfs")), 'create vol: missing required option: "device"'),
    (volume("vol", **with_options(device="tmpfs")), 'create vol: missing required option: "type"'),
    (volume("vol", **with_options(o="size=1", device="tmpfs")), 'create vol: missing required option: "type"'),
    (volume("vol", **with_options(size="1g")), "create vol: quota size requested but no quota support"),
    (
        volume("vol", VolumeOptions={"DriverConfig": {"Name": "nfs"}}),
        'create vol: error looking up volume plugin nfs: plugin "nfs" not found',
    ),
    (
        volume("v"),
        "create v: volume name is too short, names should be at least two alphanumeric characters",
    ),
    (
        volume("a/b"),
        'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
        "allowed. If you intended to pass a host directory, use absolute path",
    ),
    (volume("vol", "/bin/sh"), "source /bin/sh is not directory"),
]


def a_volume(**fields: Any) -> Body:
    plain = {"Type": "volume", "Name": "vol", "Destination": "/full", "Driver": "local", "Mode": "z"}
    return {**plain, "RW": True, "Propagation": "", **fields}


def a_bind(**fields: Any) -> Body:
    plain = {"Type": "bind", "Source": HERE, "Destination": "/full", "Mode": ""}
    return {**plain, "RW": True, "Propagation": "rprivate", **fields}


def a_tmpfs(**fields: Any) -> Body:
    return {"Type": "tmpfs", "Source": "", "Destination": "/full", "Mode": "", "RW": True, "Propagation": "", **fields}


ANONYMOUS = ""

SHOWN: list[tuple[Body, Body, list[str] | None]] = [
    (volume(), a_volume(Name=ANONYMOUS), ["content"]),
    (volume(target="/full/"), a_volume(Name=ANONYMOUS), ["content"]),
    (volume("vol"), a_volume(), ["content"]),
    (volume("vol", ReadOnly=True), a_volume(RW=False), ["content"]),
    (volume("vol", VolumeOptions={"DriverConfig": {"Name": "local"}}), a_volume(), ["content"]),
    (volume("vol", VolumeOptions={"Labels": {"k": "v"}}), a_volume(), ["content"]),
    (volume("vol", VolumeOptions={}), a_volume(), ["content"]),
    (volume(**NO_COPY), a_volume(Name=ANONYMOUS), []),
    (volume(target="/full/", **NO_COPY), a_volume(Name=ANONYMOUS), []),
    (volume("vol", **NO_COPY), a_volume(), []),
    (volume("vol", ReadOnly=True, **NO_COPY), a_volume(RW=False), []),
    (volume("vol", "/none"), a_volume(Destination="/none"), []),
    (volume("vol", "/bin/sh", **NO_COPY), a_volume(Destination="/bin/sh"), []),
    (volume("vol", VolumeOptions={"Subpath": "a"}), a_volume(), []),
    (volume("vol", **with_options(o="size=1", type="tmpfs", device="tmpfs")), a_volume(), []),
    (bind(), a_bind(), None),
    (bind(ReadOnly=True), a_bind(RW=False), None),
    (bind(BindOptions={}), a_bind(), None),
    (bind(ReadOnly=True, BindOptions={"Propagation": "shared"}), a_bind(RW=False, Propagation="shared"), None),
    (
        bind(source="/notexist", BindOptions={"CreateMountpoint": True}),
        a_bind(Source="/notexist"),
        None,
    ),
    (bind(source="/", BindOptions={}), a_bind(Source="/", Propagation="rslave"), None),
    (tmpfs(), a_tmpfs(), None),
    (tmpfs(ReadOnly=True), a_tmpfs(RW=False), None),
    (tmpfs(TmpfsOptions={"SizeBytes": 4096 * 1024, "Mode": 0o700}), a_tmpfs(), None),
    (tmpfs(TmpfsOptions={"Options": [["exec"]]}), a_tmpfs(), None),
]


def placed(value: Any, here: Path) -> Any:
    """The body with a directory that exists in the place of `HERE`."""
    if isinstance(value, dict):
        return {key: placed(each, here) for key, each in value.items()}
    return str(here) if value == HERE else value


async def create(client: Client, *, version: str = "", **host_config: Any) -> tuple[int, Any]:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host_config}
    return await client.call("POST", f"{version}/containers/create", body)


async def test_a_mount_that_makes_no_sense_is_refused_with_dockers_text_and_leaves_nothing(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    async with client_at(tmp_path) as client:
        before = await state_of(client.engine)
        for mount, text in REFUSED:
            found = await create(client, Mounts=[volume("other", "/other"), placed(mount, here)])
            assert found == (400, {"message": text}), mount
        assert await state_of(client.engine) == before


async def test_a_mount_is_shown_as_docker_shows_it_and_its_volume_removed_as_docker_does(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    async with client_at(tmp_path) as client:
        empty = await state_of(client.engine)
        for mount, expected, content in SHOWN:
            status, answer = await create(client, Mounts=[placed(mount, here)])
            assert (status, answer.get("message")) == (201, None), mount
            _, container = await client.call("GET", f"/containers/{answer['Id']}/json")
            (shown,) = container["Mounts"]
            name = shown.get("Name", "")
            wanted = placed(expected, here)
            if mount["Type"] == "volume":
                source = client.engine.config.data_root / "volumes" / name / "_data"
                wanted = {**wanted, "Name": wanted["Name"] or name, "Source": str(source)}
                assert sorted(path.name for path in source.iterdir()) == content, mount
            assert shown == wanted, mount
            assert container["HostConfig"]["Mounts"] == [
                {key: value for key, value in placed(mount, here).items() if value != ""}
            ]
            assert (await client.call("DELETE", f"/containers/{answer['Id']}?v=1&force=1"))[0] == 204
            if mount["Type"] == "volume":
                is_kept = bool(mount["Source"])
                assert (await client.call("GET", f"/volumes/{name}"))[0] == (200 if is_kept else 404)
                assert (await client.call("DELETE", f"/volumes/{name}?force=1"))[0] == 204
            assert await state_of(client.engine) == empty


BINDS_REFUSED: list[tuple[list[str], Body, str]] = [
    ([""], {}, "invalid volume specification: ''"),
    (["vol:/a:what"], {}, "invalid mode: what"),
    (["/src:/a:ro,rw"], {}, "invalid mode: ro,rw"),
    (
        ["vol:/"],
        {},
        "invalid volume specification: 'vol:/': "
        + of_type("volume", "invalid specification: destination can't be '/'"),
    ),
    (["vol:/a", "other:/a"], {}, "Duplicate mount point: /a"),
    (["vol:/a"], {"Tmpfs": {"/a": ""}}, "Duplicate mount point: /a"),
    (["vol:/a"], {"Mounts": [tmpfs("/a")]}, "Duplicate mount point: /a"),
    ([], {"Mounts": [volume("vol", "/a"), tmpfs("/b/../a/")]}, "Duplicate mount point: /b/../a/"),
    (
        ["vol:/a"],
        {"VolumeDriver": "nfs"},
        'create vol: error looking up volume plugin nfs: plugin "nfs" not found',
    ),
    (["vol:/bin/sh"], {}, "source /bin/sh is not directory"),
    ([], {"VolumesFrom": ["nobody"]}, "No such container: nobody"),
    ([], {"VolumesFrom": [""]}, "volumes-from specification cannot be an empty string"),
    ([], {"VolumesFrom": ["nobody:what"]}, "invalid mode: what"),
]


async def test_binds_that_make_no_sense_are_refused_with_dockers_text_and_leave_nothing(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        before = await state_of(client.engine)
        for binds, others, text in BINDS_REFUSED:
            assert await create(client, Binds=binds, **others) == (400, {"message": text}), binds
        assert await state_of(client.engine) == before


async def test_a_volume_of_the_configuration_is_not_put_over_a_file(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        before = await state_of(client.engine)
        body = {"Image": "busybox", "Cmd": ["true"], "Volumes": {"/bin/sh": {}}}
        text = "cannot mount volume over existing file, file exists /bin/sh"
        assert await client.fails("POST", "/containers/create", body) == (400, text)
        assert await state_of(client.engine) == before


async def test_a_volume_that_was_there_gets_nothing_from_a_create_that_is_refused(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        await client.call("POST", "/volumes/create", {"Name": "vol"})
        before = await state_of(client.engine)
        volumes = {"Volumes": {"/bin/sh": {}}, "HostConfig": {"Binds": ["vol:/full"]}}
        status, _ = await client.fails("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **volumes})
        assert status == 400
        assert await state_of(client.engine) == before


async def test_a_mount_of_memory_and_a_volume_may_have_one_place(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        status, _ = await create(client, Mounts=[volume("vol", "/a")], Tmpfs={"/a": ""})
        assert status == 201


async def test_options_of_another_type_are_dropped_for_clients_before_1_42(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        mounts = [tmpfs("/a", VolumeOptions={}), volume("vol", "/b", TmpfsOptions={})]
        status, answer = await create(client, version="/v1.41", Mounts=mounts)
        assert (status, answer.get("message")) == (201, None)


async def test_a_volume_is_filled_with_the_working_directory_that_lies_in_it(tmp_path: Path) -> None:
    async with client_at(tmp_path) as client:
        body = {
            "Image": "busybox",
            "Cmd": ["true"],
            "WorkingDir": "/full/some/dir",
            "HostConfig": {"Binds": ["vol:/full"]},
        }
        assert (await client.call("POST", "/containers/create", body))[0] == 201
        files = (await state_of(client.engine)).files
        assert {"volumes/vol/_data/content", "volumes/vol/_data/some/dir"} <= files

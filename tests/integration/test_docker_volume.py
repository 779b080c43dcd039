"""`docker volume ...` and docker-py's volumes against the real daemon."""

from __future__ import annotations

import http.client
import json
import re
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import Api, Daemon, Docker, running

pytestmark = pytest.mark.integration


@pytest.fixture
def cli(docker_command: Docker, rootfs: Path) -> Docker:
    """With the image `busybox` imported."""
    docker_command.output("import", str(rootfs), "busybox:latest")
    return docker_command


def fails(cli: Docker, *arguments: str) -> str:
    done = cli.run(*arguments)
    assert done.returncode == 1
    return done.stderr.strip()


# The docker command --------------------------------------------------------------------------------------------------


def test_create_inspect_ls_and_rm(cli: Docker) -> None:
    assert cli.output("volume", "create", "--label", "k=v", "--opt", "size=0", "vol") == "vol"
    assert cli.output("volume", "create", "vol") == "vol", "it is there already"
    (shown,) = json.loads(cli.output("volume", "inspect", "vol"))
    data = cli.daemon.data_root / "volumes" / "vol" / "_data"
    created = shown.pop("CreatedAt")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", created)
    assert shown == {
        "Driver": "local",
        "Labels": {"k": "v"},
        "Mountpoint": str(data),
        "Name": "vol",
        "Options": {"size": "0"},
        "Scope": "local",
    }
    assert data.is_dir()
    anonymous = cli.output("volume", "create")
    assert re.fullmatch("[0-9a-f]{64}", anonymous)
    names = ["volume", "ls", "--format", "{{.Name}}"]
    assert cli.output(*names).split() == sorted([anonymous, "vol"])
    assert cli.output(*names, "--filter", "label=k=v") == "vol"
    assert cli.output(*names, "--filter", "name=^vo") == "vol"
    assert cli.output(*names, "--filter", "driver=nfs") == ""
    assert cli.output("volume", "rm", "vol", anonymous).split() == ["vol", anonymous]
    assert not data.exists()
    assert "no such volume" in fails(cli, "volume", "inspect", "vol")
    assert fails(cli, "volume", "rm", "vol") == "Error response from daemon: get vol: no such volume"
    assert cli.output("volume", "rm", "-f", "vol") == "vol"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-d", "nfs", "vol"], 'create vol: error looking up volume plugin nfs: plugin "nfs" not found'),
        (["x"], "create x: volume name is too short, names should be at least two alphanumeric characters"),
        (["--opt", "type=nfs", "vol"], 'create vol: missing required option: "device"'),
        (["--opt", "nonsense=1", "vol"], 'create vol: invalid option: "nonsense"'),
        (["--opt", "size=10m", "vol"], "create vol: quota size requested but no quota support"),
    ],
)
def test_a_bad_volume_fails_with_dockers_text_and_leaves_nothing(arguments: list[str], text: str, cli: Docker) -> None:
    assert fails(cli, "volume", "create", *arguments) == f"Error response from daemon: {text}"
    assert cli.output("volume", "ls", "-q") == ""
    assert not list((cli.daemon.data_root / "volumes").iterdir())


def test_a_volume_in_use_stays_until_its_container_is_gone(cli: Docker) -> None:
    container_id = cli.output("create", "-v", "vol:/full", "-v", "/anonymous", "busybox", "true")
    in_use = f"Error response from daemon: remove vol: volume is in use - [{container_id}]"
    assert fails(cli, "volume", "rm", "vol") == in_use
    assert fails(cli, "volume", "rm", "-f", "vol") == in_use
    names = ["volume", "ls", "--format", "{{.Name}}"]
    assert cli.output(*names, "--filter", "dangling=true") == ""
    assert (cli.daemon.data_root / "volumes" / "vol" / "_data" / "content").read_bytes() == b"hello"
    assert cli.output("ps", "-aq", "--no-trunc", "--filter", "volume=vol") == container_id
    cli.output("rm", "-v", container_id)
    assert cli.output(*names, "--filter", "dangling=true") == "vol"
    assert cli.output("volume", "rm", "vol") == "vol"


def test_prune_says_what_it_has_removed(cli: Docker) -> None:
    anonymous = cli.output("volume", "create")
    for name in ("used", "free", "kept"):
        cli.output("volume", "create", "--label", f"is={name}", name)
    cli.output("create", "-v", "used:/data", "busybox", "true")
    (cli.daemon.data_root / "volumes" / anonymous / "_data" / "file").write_bytes(b"x" * 2000)
    output = cli.output("volume", "prune", "--force")
    assert output.splitlines() == ["Deleted Volumes:", anonymous, "", "Total reclaimed space: 2kB"]
    assert cli.output("volume", "prune", "--force") == "Total reclaimed space: 0B"
    output = cli.output("volume", "prune", "--force", "--all", "--filter", "label!=is=kept")
    assert output.splitlines() == ["Deleted Volumes:", "free", "", "Total reclaimed space: 0B"]
    assert cli.output("volume", "ls", "-q").split() == ["kept", "used"]


def test_events_show_the_life_of_volumes(cli: Docker) -> None:
    since = str(int(time.time()) - 1)
    cli.output("volume", "create", "vol")
    cli.output("create", "--name", "web", "-v", "vol:/a", "-v", "new:/b", "busybox", "true")
    cli.output("rm", "web")
    cli.output("volume", "rm", "vol")
    cli.output("volume", "prune", "-af")
    form = "{{.Action}} {{.Actor.ID}} {{json .Actor.Attributes}}"
    window = ["--since", since, "--until", str(time.time()), "--filter", "type=volume"]
    assert cli.output("events", *window, "--format", form).splitlines() == [
        'create vol {"driver":"local"}',
        'create new {"driver":"local"}',
        'destroy vol {"driver":"local"}',
        'destroy new {"driver":"local"}',
        'prune  {"reclaimed":"0"}',
    ]
    named = [*window, "--filter", "volume=new", "--format", "{{.Action}}"]
    assert cli.output("events", *named).split() == ["create", "destroy"]


def test_mounts_of_every_kind_are_shown(cli: Docker, home: Path) -> None:
    (home / "bound").mkdir()
    cli.output("create", "--name", "first", "-v", "inherited:/inherited:ro", "busybox", "true")
    cli.output(
        *("create", "--name", "web", "--volumes-from", "first", "-v", f"{home}/bound:/bind:ro", "--tmpfs", "/tmp"),
        *("--mount", "type=volume,source=named,target=/named,volume-nocopy,volume-label=k=v"),
        *("--mount", "type=tmpfs,target=/memory,tmpfs-size=1m"),
        *("--mount", f"type=bind,source={home}/bound,target=/bound,bind-propagation=rslave", "busybox", "true"),
    )
    form = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}};{{end}}"
    assert cli.output("inspect", "--format", form, "web").split(";") == [
        "bind  /bind ro false rprivate",
        "bind  /bound  true rslave",
        "volume inherited /inherited  false ",
        "tmpfs  /memory  true ",
        "volume named /named z true ",
        "",
    ]
    assert json.loads(cli.output("volume", "inspect", "named"))[0]["Labels"] == {"k": "v"}


# docker-py -----------------------------------------------------------------------------------------------------------


def test_docker_py_creates_lists_and_removes_volumes(client: docker.DockerClient) -> None:
    volume = client.volumes.create("vol", driver="local", labels={"k": "v"}, driver_opts={"size": "0"})
    assert (volume.name, volume.attrs["Labels"], volume.attrs["Options"]) == ("vol", {"k": "v"}, {"size": "0"})
    assert client.volumes.get("vol").attrs == volume.attrs
    assert [each.name for each in client.volumes.list(filters={"label": "k"})] == ["vol"]
    container = client.containers.create("busybox", "true", volumes={"vol": {"bind": "/full", "mode": "ro"}})
    assert [(mount["Name"], mount["RW"]) for mount in container.attrs["Mounts"]] == [("vol", False)]
    with pytest.raises(docker.errors.APIError) as caught:
        volume.remove(force=True)
    assert caught.value.status_code == 409
    assert caught.value.explanation == f"remove vol: volume is in use - [{container.id}]"
    container.remove()
    volume.remove()
    with pytest.raises(docker.errors.NotFound, match="get vol: no such volume"):
        client.volumes.get("vol")
    anonymous = client.volumes.create()
    assert client.volumes.prune() == {"VolumesDeleted": [anonymous.name], "SpaceReclaimed": 0}


def test_of_64_clients_that_want_one_volume_all_get_it_and_it_is_created_once(
    daemon: Daemon, client: docker.DockerClient
) -> None:
    statuses: Counter[int] = Counter()
    start = threading.Barrier(64)

    def one(number: int) -> None:
        with closing(Api(daemon)) as api:
            start.wait(30)
            if number % 2:
                statuses[api.call("POST", "/volumes/create", {"Name": "vol"})[0]] += 1
            else:
                body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": ["vol:/full"]}}
                statuses[api.call("POST", "/containers/create", body)[0]] += 1

    threads = [threading.Thread(target=one, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == {201: 64}
    assert [volume.name for volume in client.volumes.list()] == ["vol"]
    events = client.events(since=1, until=time.time(), filters={"type": "volume"}, decode=True)
    assert [(event["Action"], event["Actor"]["ID"]) for event in events] == [("create", "vol")]
    assert len(client.containers.list(all=True, filters={"volume": "vol"})) == 32


# kill -9 -------------------------------------------------------------------------------------------------------------


def test_after_kill_9_under_load_every_acknowledged_volume_is_there_and_nothing_else(home: Path) -> None:
    """Volumes made by themselves and with containers, filled from the image, and half of them removed again."""
    made: set[str] = set()
    removed: set[str] = set()
    tried: set[str] = set()
    enough = threading.Event()

    def work(daemon: Daemon, worker: int) -> None:
        with closing(Api(daemon)) as api:
            for number in range(10_000):
                name = f"w{worker}n{number}"
                tried.add(name)
                try:
                    if number % 2:
                        assert api.call("POST", "/volumes/create", {"Name": name})[0] == 201
                    else:
                        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": [f"{name}:/full", "/x"]}}
                        assert api.call("POST", "/containers/create", body)[0] == 201
                    made.add(name)
                    if number % 4 == 3:
                        removed.add(name)
                        assert api.call("DELETE", f"/volumes/{name}")[0] == 204
                        made.discard(name)
                except (OSError, http.client.HTTPException):
                    return  # it was killed
                if len(made) >= 150:
                    enough.set()

    with running(home) as daemon:
        with closing(Api(daemon)) as api:
            assert api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200
        threads = [threading.Thread(target=work, args=(daemon, worker)) for worker in range(8)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        daemon.stop(signal.SIGKILL)
        for thread in threads:
            thread.join(60)
    with running(home) as daemon, closing(Api(daemon)) as api:
        check_after_the_kill(api, daemon.data_root, made, removed, tried)


def check_after_the_kill(api: Api, root: Path, made: set[str], removed: set[str], tried: set[str]) -> None:
    listed = {volume["Name"] for volume in api.call("GET", "/volumes")[1]["Volumes"]}
    named = {name for name in listed if len(name) < 64}
    assert made - removed <= named <= tried
    assert {path.name for path in (root / "volumes").iterdir()} == listed
    assert not list((root / "staging").iterdir())
    used = {
        mount["Name"]
        for container in api.call("GET", "/containers/json?all=1")[1]
        for mount in container["Mounts"]
        if mount["Type"] == "volume"
    }
    assert listed - named <= used, "an anonymous volume has its container"
    assert used <= listed
    for name in used & named:
        assert [path.name for path in (root / "volumes" / name / "_data").iterdir()] == ["content"]
    for container in api.call("GET", "/containers/json?all=1")[1]:
        assert api.call("DELETE", f"/containers/{container['Id']}?v=1")[0] == 204
    query = "filters=%7B%22all%22%3A%5B%22true%22%5D%7D"
    assert set(api.call("POST", f"/volumes/prune?{query}")[1]["VolumesDeleted"]) == named
    assert not list((root / "volumes").iterdir())


def test_a_volume_whose_directory_a_power_cut_took_is_made_again(home: Path) -> None:
    with running(home) as daemon:
        with closing(Api(daemon)) as api:
            assert api.call("POST", "/volumes/create", {"Name": "vol", "Labels": {"k": "v"}})[0] == 201
        daemon.stop(signal.SIGKILL)
        data = daemon.data_root / "volumes" / "vol" / "_data"
        data.rmdir()
        data.parent.rmdir()
    with running(home), closing(Api(daemon)) as api:
        assert api.call("GET", "/volumes/vol")[1]["Labels"] == {"k": "v"}
        assert data.is_dir()

"""Every verb on a created container that the docker command has, and every filter and column of its lists."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.conftest import Api, Docker

pytestmark = pytest.mark.integration


@pytest.fixture
def docker(docker_command: Docker, rootfs: Path) -> Docker:
    """With the image `busybox` imported."""
    docker_command.output("import", str(rootfs), "busybox:latest")
    return docker_command


def test_ps_takes_every_filter(docker: Docker) -> None:
    web = docker.output(
        "create", "--name", "web", "-l", "tier=front", "-v", "data:/data", "-p", "80:80", "busybox", "a"
    )
    docker.output("create", "--name", "web-2", "--network", "backend", "--expose", "81", "busybox", "a")
    docker.output("create", "--name", "db", "-l", "tier=back", "-v", "/srv:/mnt", "busybox", "a")
    every, none = ["db", "web-2", "web"], list[str]()
    for text, expected in (
        ("name=web", ["web-2", "web"]),
        ("name=^/web$", ["web"]),
        ("name=^(web|db)$", ["db", "web"]),
        ("name=(", none),
        (f"id={web[:12]}", ["web"]),
        (f"id={web}", ["web"]),
        ("label=tier", ["db", "web"]),
        ("label=tier=front", ["web"]),
        ("status=created", every),
        ("status=exited", none),
        ("status=running", none),
        ("exited=0", none),
        ("health=none", every),
        ("health=healthy", none),
        ("ancestor=busybox", every),
        ("ancestor=busybox:latest", every),
        ("ancestor=nosuch", none),
        ("before=db", ["web-2", "web"]),
        ("since=web", ["db", "web-2"]),
        ("volume=data", ["web"]),
        ("volume=/data", ["web"]),
        ("volume=/srv", ["db"]),
        ("network=backend", ["web-2"]),
        ("network=bridge", ["db", "web"]),
        ("publish=80", none),  # ports are opened when a container starts
        ("expose=81/tcp", none),
        ("is-task=true", none),
        ("is-task=false", every),
        ("isolation=default", every),
    ):
        found = docker.output("ps", "-a", "--filter", text, "--format", "{{.Names}}").split()
        assert found == expected, text
    both = ["--filter", "name=web", "--filter", "label=tier=front"]
    assert docker.output("ps", "-aq", "--no-trunc", *both) == web


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("status=asleep", "invalid filter 'status=asleep': invalid value for state (asleep): must be one of created, "),
        ("health=well", "invalid filter 'health=well': invalid value for health (well): must be one of none, "),
        ("exited=x", "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"),
        ("is-task=maybe", "invalid filter 'is-task=[maybe]'"),
        ("publish=80:80", "filter for 'publish' should not contain ':': 80:80"),
        ("expose=http", 'error while looking up for expose http: strconv.ParseUint: parsing "http": invalid syntax'),
        ("before=nobody", "No such container: nobody"),
        ("colour=red", "invalid filter 'colour'"),
    ],
)
def test_ps_says_what_is_wrong_with_a_filter(text: str, complaint: str, docker: Docker) -> None:
    done = docker.run("ps", "-a", "--filter", text)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_ps_has_every_column(docker: Docker) -> None:
    options = ["--name", "web", "-l", "tier=front", "-v", "data:/data", "-p", "80:80", "--annotation", "a=b"]
    web = docker.output("create", *options, "busybox", "sh", "-c", "echo hi")
    columns = {
        "ID": web[:12],
        "Image": "busybox",
        "Command": "\"sh -c 'echo hi'\"",
        "RunningFor": "Less than a second ago",
        "Ports": "",
        "State": "created",
        "Status": "Created",
        "Size": "0B (virtual 10B)",
        "Names": "web",
        "Labels": "tier=front",
        "Mounts": "data",
        "Networks": "bridge",
        "LocalVolumes": "1",
    }
    form = "\n".join(f"{{{{.{name}}}}}" for name in columns)
    shown = dict(zip(columns, docker.output("ps", "-as", "--format", form).split("\n"), strict=True))
    assert shown.pop("RunningFor").endswith("ago")
    assert shown == {name: text for name, text in columns.items() if name != "RunningFor"}
    assert docker.output("ps", "-a", "--format", '{{.Label "tier"}}') == "front"
    assert json.loads(docker.output("ps", "-a", "--format", "json"))["Names"] == "web"


def test_update_changes_limits_and_the_restart_policy_for_good(docker: Docker) -> None:
    docker.output("create", "--name", "web", "--memory", "64m", "busybox", "true")
    limits = ["--memory", "32m", "--cpu-shares", "7", "--pids-limit", "9", "--restart", "on-failure:3", "--cpus", "0.5"]
    assert docker.output("update", *limits, "web").splitlines()[0] == "web"
    form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.CpuShares}} {{.HostConfig.PidsLimit}} "
    form += (
        "{{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}"
    )
    assert docker.output("inspect", "--format", form, "web") == f"{32 << 20} {128 << 20} 7 9 500000000 on-failure:3"
    container_id = docker.output("ps", "-aq", "--no-trunc")
    for arguments, text in (
        (["--memory", "1m", "web"], "Minimum memory limit allowed is 6MB"),
        (
            ["--cpu-period", "1000", "web"],
            f"Cannot update container {container_id}: Conflicting options: "
            "CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            ["--memory", "256m", "web"],
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        (["--restart", "never", "web"], "invalid restart policy: unknown policy 'never'"),
        (["--memory", "64m", "nobody"], "No such container: nobody"),
    ):
        done = docker.run("update", *arguments)
        assert (done.returncode, text in done.stderr) == (1, True), done.stderr


def test_rename_and_rm_refuse_with_dockers_texts(docker: Docker) -> None:
    docker.output("create", "--name", "web", "busybox", "true")
    db = docker.output("create", "--name", "db", "busybox", "true")
    for arguments, text in (
        (["rename", "web", "web"], "Renaming a container with the same name as its current name"),
        (["rename", "web", "a/b"], "Error when allocating new name: Invalid container name (/a/b), only [a-zA-Z0-9]"),
        (
            ["rename", "web", "db"],
            'Error when allocating new name: Conflict. The container name "/db" is already in use by container '
            f'"{db}". You have to remove (or rename) that container to be able to reuse that name.',
        ),
        (["rename", "nobody", "x1"], "No such container: nobody"),
        (["rm", "--link", "web/db"], "No such container: web/db"),
        (["rm", "--link", "web"], "Conflict, cannot remove the default link name of the container"),
    ):
        done = docker.run(*arguments)
        assert (done.returncode, text in done.stderr) == (1, True), done.stderr
    assert docker.output("rm", "-f", "-v", "web", "db").split() == ["web", "db"]


def test_container_prune_removes_and_counts(docker: Docker) -> None:
    docker.output("create", "--name", "kept", "-l", "keep", "busybox", "true")
    gone = [docker.output("create", "busybox", "true") for _ in range(3)]
    assert docker.output("container", "prune", "-f", "--filter", "until=24h") == "Total reclaimed space: 0B"
    lines = docker.output("container", "prune", "-f", "--filter", "label!=keep").splitlines()
    assert lines == ["Deleted Containers:", *reversed(gone), "", "Total reclaimed space: 0B"]
    assert docker.output("ps", "-a", "--format", "{{.Names}}") == "kept"
    done = docker.run("container", "prune", "-f", "--filter", "name=kept")
    assert "invalid filter 'name'" in done.stderr


def test_wait_for_what_does_not_run_ends_at_once(docker: Docker) -> None:
    docker.output("create", "--name", "web", "busybox", "true")
    assert docker.output("wait", "web") == "0"
    assert "No such container: nobody" in docker.run("wait", "nobody").stderr


@pytest.mark.parametrize("condition", ["removed", "next-exit"])
def test_wait_sends_its_head_at_once_and_the_rest_when_the_container_is_gone(condition: str, docker: Docker) -> None:
    docker.output("create", "--name", "web", "busybox", "true")
    with closing(Api(docker.daemon)) as api:
        api.request("POST", f"/containers/web/wait?condition={condition}")
        response = api.getresponse()  # returns with the head
        assert (response.status, response.getheader("Content-Type")) == (200, "application/json")
        docker.output("rename", "web", "site")
        docker.output("rm", "site")
        assert json.loads(response.read()) == {"StatusCode": 0}
        docker.output("create", "--name", "site", "busybox", "true")


def test_events_takes_every_filter(docker: Docker) -> None:
    docker.output("create", "--name", "web", "-l", "tier=front", "-v", "data:/data", "busybox", "true")
    docker.output("create", "--name", "db", "busybox", "true")
    docker.output("update", "--cpu-shares", "7", "web")
    docker.output("rename", "db", "db2")
    docker.output("container", "prune", "-f", "--filter", "label=tier")
    until = f"{time.time():.9f}"
    form = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"

    def told(*filters: str) -> list[str]:
        options = [option for text in filters for option in ("--filter", text)]
        return docker.output("events", "--since", "0", "--until", until, *options, "--format", form).splitlines()

    life = ["container create web", "container update web", "container destroy web"]
    assert told("container=web") == life
    assert told("label=tier=front") == life
    assert told("type=container", "event=create") == ["container create web", "container create db"]
    assert told("event=rename") == ["container rename db2"]
    assert told("event=prune") == ["container prune <no value>"]
    assert told("type=volume") == ["volume create <no value>"]
    assert told("volume=data") == ["volume create <no value>"]
    assert told("image=busybox", "event=destroy") == ["container destroy web"]
    image_id = docker.output("inspect", "--format", "{{.Id}}", "busybox")
    assert told("type=image") == ["image tag busybox:latest", f"image import {image_id}"]
    assert told("scope=local", "type=container", "event=destroy") == ["container destroy web"]
    for key in ("scope=swarm", "daemon=x", "network=x", "plugin=x", "node=x", "service=x", "secret=x", "config=x"):
        assert told(key) == []
    assert docker.output("events", "--since", "10m", "--until", "5m") == ""
    stream = docker.output("events", "--since", "0", "--until", until, "--filter", "event=rename", "--format", "json")
    assert json.loads(stream)["Actor"]["Attributes"] == {"image": "busybox", "name": "db2", "oldName": "/db"}


def test_what_a_created_container_cannot_do_is_refused_in_dockers_words(docker: Docker) -> None:
    web = docker.output("create", "--name", "web", "busybox", "true")
    assert docker.output("stop", "web") == "web"
    assert docker.output("logs", "web") == ""
    assert docker.output("logs", "-f", "web") == ""
    assert docker.output("stats", "--no-stream", "--all", "--format", "{{.Name}} {{.CPUPerc}}").split()[0] in (
        "web",
        "--",
    )
    for arguments, text in (
        (["kill", "web"], f"cannot kill container: web: container {web} is not running"),
        (["kill", "-s", "NOSUCH", "web"], "cannot kill container: web: invalid signal: NOSUCH"),
        (["pause", "web"], f"container {web} is not running"),
        (["unpause", "web"], f"Container {web} is not paused"),
        (["top", "web"], f"container {web} is not running"),
        (["exec", "web", "ls"], f"container {web} is not running"),
    ):
        done = docker.run(*arguments)
        assert (done.returncode, text in done.stderr) == (1, True), done.stderr


def test_images_takes_every_filter(docker: Docker, rootfs: Path) -> None:
    docker.output("import", str(rootfs), "quay.io/me/app:v1")
    form = ["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter"]
    assert docker.output(*form, "reference=busy*") == "busybox:latest"
    assert docker.output(*form, "reference=quay.io/*/app") == "quay.io/me/app:v1"
    assert docker.output(*form, "reference=*/app") == ""
    assert docker.output(*form, "before=quay.io/me/app:v1") == "busybox:latest"
    assert docker.output(*form, "since=busybox") == "quay.io/me/app:v1"
    assert docker.output(*form, "until=1h") == ""
    assert docker.output(*form, "dangling=true") == ""
    done = docker.run(*form, "before=nosuch")
    assert "No such image: nosuch:latest" in done.stderr

"""The real docker command against the real daemon: right output, right exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from contrib.unclaimed import claimed
from daemon.host import detect
from tests.integration.conftest import Docker

pytestmark = pytest.mark.integration


@pytest.fixture
def docker(docker_command: Docker, rootfs: Path) -> Docker:
    """With the image `busybox` imported."""
    image_id = docker_command.output("import", str(rootfs), "busybox:latest")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image_id)
    return docker_command


CREATE = ["create", "--name", "web", "-e", "A=1", "-l", "k=v", "-v", "/data", "-p", "80:80", "--memory", "64m"]
COMMAND = ["busybox", "sh", "-c", "echo hi"]


def test_create_prints_the_id_and_inspect_shows_what_was_asked_for(docker: Docker) -> None:
    container_id = docker.output(*CREATE, *COMMAND)
    assert re.fullmatch(r"[0-9a-f]{64}", container_id)
    (shown,) = json.loads(docker.output("inspect", "web"))
    assert shown["Id"] == container_id
    assert shown["Name"] == "/web"
    assert (shown["Path"], shown["Args"]) == ("sh", ["-c", "echo hi"])
    assert shown["State"]["Status"] == "created"
    assert shown["Config"]["Env"] == ["A=1"]
    assert shown["Config"]["Labels"] == {"k": "v"}
    assert shown["Config"]["Hostname"] == container_id[:12]
    assert shown["Config"]["ExposedPorts"] == {"80/tcp": {}}
    assert shown["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}
    assert shown["HostConfig"]["Memory"] == 64 << 20
    assert shown["HostConfig"]["MemorySwap"] == 128 << 20
    assert shown["HostConfig"]["NetworkMode"] in ("bridge", "default")
    assert shown["HostConfig"]["RestartPolicy"]["Name"] == "no"
    (mount,) = shown["Mounts"]
    assert (mount["Type"], mount["Destination"], mount["Driver"]) == ("volume", "/data", "local")
    assert Path(mount["Source"]).is_dir()
    assert Path(shown["GraphDriver"]["Data"]["UpperDir"]).is_dir()


def test_ps_lists_and_filters(docker: Docker) -> None:
    docker.output(*CREATE, *COMMAND)
    docker.output("create", "--name", "db", "busybox", "true")
    names = ["ps", "-a", "--format", "{{.Names}}"]
    assert docker.output(*names).split() == ["db", "web"]
    assert docker.output("ps", "--format", "{{.Names}}") == ""
    assert docker.output(*names, "--filter", "name=we").split() == ["web"]
    assert docker.output(*names, "--filter", "label=k=v").split() == ["web"]
    assert docker.output(*names, "--filter", "label=k=other").split() == []
    assert docker.output(*names, "--filter", "status=created").split() == ["db", "web"]
    assert docker.output(*names, "--filter", "status=running").split() == []
    assert docker.output(*names, "--filter", "ancestor=busybox").split() == ["db", "web"]
    assert docker.output(*names, "--filter", "ancestor=nosuch").split() == []
    assert docker.output(*names, "--last", "1").split() == ["db"]
    container_id = docker.output("inspect", "--format", "{{.Id}}", "web")
    assert docker.output(*names, "--filter", f"id={container_id[:12]}").split() == ["web"]
    row = docker.output("ps", "-a", "--filter", "name=web", "--format", "{{.Image}}|{{.Command}}|{{.Status}}")
    assert row == "busybox|\"sh -c 'echo hi'\"|Created"


def test_a_second_container_of_a_name_fails_with_dockers_own_text(docker: Docker) -> None:
    container_id = docker.output(*CREATE, *COMMAND)
    done = docker.run("create", "--name", "web", "busybox", "true")
    assert done.returncode == 1
    assert (
        "Error response from daemon: Conflict. "
        f'The container name "/web" is already in use by container "{container_id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    ) in done.stderr


def test_an_unknown_image_is_not_found_and_is_asked_for_at_its_registry(docker: Docker) -> None:
    done = docker.run("create", "127.0.0.1:1/nosuch", "true")  # where nobody listens
    assert done.returncode == 1
    assert "Unable to find image '127.0.0.1:1/nosuch:latest' locally" in done.stderr
    assert 'Get "http://127.0.0.1:1/v2/nosuch/manifests/latest": connection refused' in done.stderr
    done = docker.run("create", "--pull", "never", "nosuch", "true")
    assert done.returncode == 1
    assert "No such image: nosuch:latest" in done.stderr
    assert docker.output("ps", "-aq") == ""


def test_rename_and_rm_change_what_is_listed(docker: Docker) -> None:
    docker.output(*CREATE, *COMMAND)
    docker.output("rename", "web", "web2")
    assert docker.output("inspect", "--format", "{{.Name}}", "web2") == "/web2"
    assert "No such" in docker.run("inspect", "web").stderr
    docker.output("create", "--name", "web", "busybox", "true")  # the old name is free
    assert docker.run("rename", "web", "web2").returncode == 1
    assert docker.output("rm", "web2") == "web2"
    assert docker.output("rm", "-f", "-v", "web") == "web"
    done = docker.run("rm", "web")
    assert done.returncode == 1
    assert "No such container: web" in done.stderr
    assert docker.output("ps", "-aq") == ""


def test_rm_v_removes_the_anonymous_volume(docker: Docker) -> None:
    docker.output(*CREATE, *COMMAND)
    source = Path(docker.output("inspect", "--format", "{{(index .Mounts 0).Source}}", "web"))
    assert source.is_dir()
    docker.output("rm", "-v", "web")
    assert not source.exists()
    assert not claimed(docker.daemon.data_root)


def test_a_container_without_a_name_gets_one(docker: Docker) -> None:
    container_id = docker.output("create", "busybox", "true")
    assert re.fullmatch(r"/[a-z]+_[a-z]+", docker.output("inspect", "--format", "{{.Name}}", container_id[:12]))


def test_images_info_and_version_answer(docker: Docker) -> None:
    assert docker.output("images", "--format", "{{.Repository}}:{{.Tag}}") == "busybox:latest"
    docker.output("create", "busybox", "true")
    info = docker.output(
        "info", "--format", "{{.Containers}} {{.Images}} {{.Driver}} {{.OSType}} {{.Swarm.LocalNodeState}}"
    )
    assert info == "1 1 overlay2 linux inactive"
    assert "Containers: 1" in docker.output("info")
    assert docker.output("version", "--format", "{{.Server.APIVersion}}") == "1.50"
    assert docker.output("image", "inspect", "busybox", "--format", "{{index .RepoTags 0}}") == "busybox:latest"


def test_events_shows_the_life_of_a_container(docker: Docker) -> None:
    since = str(int(time.time()) - 1)
    container_id = docker.output(*CREATE, *COMMAND)
    docker.output("rename", "web", "web2")
    docker.output("rm", "web2")
    until = str(time.time())
    lines = docker.output(
        "events",
        "--since",
        since,
        "--until",
        until,
        "--filter",
        "type=container",
        "--format",
        "{{.Action}} {{.Actor.ID}}",
    )
    assert lines.splitlines() == [f"{action} {container_id}" for action in ("create", "rename", "destroy")]


def test_events_streams_while_things_happen(docker: Docker) -> None:
    environment = {**os.environ, "DOCKER_HOST": docker.daemon.host, "HOME": str(docker.daemon.home)}
    command = ["docker", "events", "--since", str(int(time.time()) - 1), "--format", "{{.Action}}"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        try:
            # The import was before: so the stream is known to be open when their lines have come.
            assert [stream.stdout.readline().strip() for _ in range(2)] == ["tag", "import"]
            docker.output("create", "--name", "web", "busybox", "true")
            assert stream.stdout.readline().strip() == "create"
            docker.output("rm", "web")
            assert stream.stdout.readline().strip() == "destroy"
        finally:
            stream.kill()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["start", "web"], "running a container is not supported yet"),
        (["attach", "web"], "You cannot attach to a stopped container, start it first"),
    ],
)
def test_what_is_not_there_yet_says_so(arguments: list[str], text: str, docker: Docker) -> None:
    docker.output("create", "--name", "web", "busybox", "true")
    done = docker.run(*arguments)
    assert done.returncode == 1
    assert text in done.stderr


def test_a_run_that_fails_ends_and_with_rm_leaves_no_container(docker: Docker) -> None:
    done = docker.run("run", "--rm", "--name", "web", "-v", "/data", "busybox", "true")
    assert done.returncode == 125
    assert "running a container is not supported yet" in done.stderr
    assert docker.output("ps", "-aq") == ""
    assert docker.output("volume", "ls", "-q") == ""


@pytest.mark.parametrize("archive", [b"garbage", bytes(range(256)) * 400, b""])
def test_a_broken_archive_fails_with_a_reason_and_leaves_nothing(archive: bytes, docker: Docker, home: Path) -> None:
    path = home / "broken.tar"
    path.write_bytes(archive)
    content = docker.daemon.data_root / "content"
    before = sorted(content.rglob("*"))
    for command in (["load", "-i", str(path)], ["import", str(path), "broken"]):
        done = docker.run(*command)
        assert done.returncode == 1
        assert done.stderr.strip()
    assert docker.output("images", "-q", "broken") == ""
    assert sorted(content.rglob("*")) == before


def test_docker_load_takes_an_archive(docker: Docker, home: Path) -> None:
    from loadtest import image_tar

    archive = home / "image.tar"
    archive.write_bytes(image_tar("tiny:1"))
    assert docker.output("load", "-i", str(archive)) == "Loaded image: tiny:1"
    docker.output("create", "--name", "tiny", "tiny:1")
    assert docker.output("inspect", "--format", "{{.Config.Image}}", "tiny") == "tiny:1"


def test_a_create_with_a_key_can_be_asked_for_again(docker: Docker) -> None:
    keyed = ["create", "--label", "com.boatyard.idempotency-key=order-66"]
    first = docker.output(*keyed, *COMMAND)
    assert docker.output(*keyed, *COMMAND) == first
    done = docker.run(*keyed, "--name", "other", *COMMAND)
    assert done.returncode == 1
    assert f"idempotency key 'order-66' is in use by container {first}" in done.stderr
    docker.output("rm", first)
    assert docker.output(*keyed, *COMMAND) != first


def test_a_link_is_shown_by_the_names_of_today(docker: Docker) -> None:
    docker.output("create", "--name", "db", *COMMAND)
    docker.output("create", "--name", "web", "--link", "db:data", "--link", "db", *COMMAND)
    links = ["inspect", "--format", "{{json .HostConfig.Links}}", "web"]
    assert json.loads(docker.output(*links)) == ["/db:/web/data", "/db:/web/db"]
    docker.output("rename", "db", "db2")
    assert json.loads(docker.output(*links)) == ["/db2:/web/data", "/db2:/web/db"]
    docker.output("rm", "db2")
    assert json.loads(docker.output(*links)) is None


def test_a_container_is_shown_and_found_by_its_links_until_they_are_removed(docker: Docker) -> None:
    db = docker.output("create", "--name", "db", *COMMAND)
    docker.output("create", "--name", "web", "--link", "db:data", *COMMAND)
    names = ["ps", "-a", "--no-trunc", "--format", "{{.Names}}"]
    assert docker.output(*names).split() == ["web", "db,web/data"]
    assert (
        docker.output(*names, "--filter", "name=web/data") == ""
    )  # it is the own name that is looked at, as in Docker
    assert docker.output("inspect", "--format", "{{.Id}}", "web/data") == db
    assert docker.output("rm", "--link", "web/data") == "web/data"
    assert docker.output(*names).split() == ["web", "db"]
    assert json.loads(docker.output("inspect", "--format", "{{json .HostConfig.Links}}", "web")) is None
    again = docker.run("rm", "--link", "web/data")
    assert (again.returncode, again.stderr.strip()) == (1, "Error response from daemon: No such container: web/data")


def test_what_this_kernel_cannot_limit_is_given_up_with_a_warning(docker: Docker) -> None:
    able = detect().abilities
    done = docker.run("create", "--blkio-weight", "500", "--oom-kill-disable", "-m", "64m", *COMMAND)
    assert done.returncode == 0
    for is_able, text in (
        (able.blkio_weight, "Block I/O weight or the cgroup is not mounted. Weight discarded."),
        (able.oom_kill_disable, "does not support OomKillDisable. OomKillDisable discarded."),
    ):
        assert (text in done.stderr) is not is_able


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--name", "a/b"], "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (["--workdir", "relative"], "the working directory 'relative' is invalid, it needs to be an absolute path"),
        (["--cap-add", "NOSUCH"], 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'),
        (["--runtime", "nosuch"], "unknown or invalid runtime name: nosuch"),
        (["--log-driver", "nosuch"], "error looking up logging plugin nosuch"),
        (["--log-opt", "nosuch=1"], "unknown log opt 'nosuch' for json-file log driver"),
        (["-v", "a:/b:what"], "invalid mode: what"),
        (["-v", "vol:/"], "invalid specification: destination can't be '/'"),
        (["--security-opt", "what=1"], 'invalid --security-opt 2: "what=1"'),
        (["--volumes-from", "nobody"], "No such container: nobody"),
        (["--link", "nobody:x"], "could not get container for nobody: No such container: nobody"),
        (["--cpuset-cpus", "8000"], "Requested CPUs are not available - requested 8000, available: "),
        (["--cpuset-mems", "0-x"], "Invalid value 0-x for cpuset mems: invalid format: 0-x"),
        (
            ["--storage-opt", "size=1g"],
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        (["--ipc", "container:nobody"], "No such container: nobody"),
        (["--mount", "type=bind,src=/no/such,dst=/x"], "bind source path does not exist: /no/such"),
        (["--label", "com.boatyard.idempotency-key="], "an idempotency key is 1 to 255 printable ASCII characters"),
    ],
)
def test_bad_options_fail_with_dockers_text_and_leave_nothing(arguments: list[str], text: str, docker: Docker) -> None:
    done = docker.run("create", *arguments, "busybox", "true")
    assert done.returncode == 1
    assert text in done.stderr
    assert docker.output("ps", "-aq") == ""
    root = docker.daemon.data_root
    assert not claimed(root)
    assert [list((root / kind).iterdir()) for kind in ("volumes", "staging")] == [[], []]

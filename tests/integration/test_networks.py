"""Networks with the real docker command and with docker-py, against the real daemon."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import docker
import docker.errors
import docker.types
import pytest

from tests.integration.conftest import Api, Daemon, Docker, running

pytestmark = pytest.mark.integration


@pytest.fixture
def command(docker_command: Docker, rootfs: Path) -> Docker:
    """With the image `busybox` imported."""
    docker_command.output("import", str(rootfs), "busybox:latest")
    return docker_command


def test_the_life_of_a_network(command: Docker) -> None:
    names = ["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]
    own = ["bridge bridge local", "host host local", "none null local"]
    assert command.output(*names).splitlines() == own
    network_id = command.output("network", "create", "--label", "k=v", "--subnet", "10.77.0.0/16", "web")
    assert command.output(*names).splitlines() == [*own, "web bridge local"]
    assert command.output(*names, "--filter", "label=k").splitlines() == ["web bridge local"]
    assert command.output("network", "ls", "-q", "--no-trunc", "--filter", "type=custom") == network_id
    (shown,) = json.loads(command.output("network", "inspect", network_id[:12]))
    assert (shown["Name"], shown["Id"], shown["Labels"]) == ("web", network_id, {"k": "v"})
    assert shown["IPAM"] == {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.77.0.0/16"}]}
    done = command.run("network", "create", "web")
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "Error response from daemon: network with name web already exists",
    )
    assert command.output("network", "rm", "web") == "web"
    done = command.run("network", "inspect", "web")
    assert (done.returncode, done.stderr.strip()) == (1, "Error response from daemon: network web not found")
    done = command.run("network", "rm", "bridge")
    assert done.returncode == 1
    assert "bridge is a pre-defined network and cannot be removed" in done.stderr


def test_a_container_joins_and_leaves(command: Docker) -> None:
    command.output("network", "create", "--subnet", "10.77.0.0/16", "fixed")
    container_id = command.output(
        "create", "--name", "web", "--network", "fixed", "--ip", "10.77.0.9", "busybox", "true"
    )
    networks = ["inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", "web"]
    assert command.output(*networks) == "fixed"
    command.output("network", "connect", "bridge", "web")
    assert command.output(*networks) == "bridge fixed"
    command.output("network", "disconnect", "fixed", container_id)
    assert command.output(*networks) == "bridge"
    done = command.run("network", "connect", "host", "web")
    assert done.returncode == 1
    assert "cannot connect container to host network" in done.stderr
    done = command.run("create", "--network", "fixed", "--ip", "10.9.0.9", "busybox", "true")
    assert done.returncode == 1
    assert "no configured subnet or ip-range contain the IP address 10.9.0.9" in done.stderr


def test_prune_and_its_answer(command: Docker) -> None:
    command.output("network", "create", "one")
    command.output("network", "create", "--label", "keep", "two")
    printed = command.output("network", "prune", "--force", "--filter", "label!=keep")
    assert printed.splitlines() == ["Deleted Networks:", "one"]
    assert command.output("network", "prune", "--force", "--filter", "until=24h") == ""
    assert command.output("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}") == "two"


def test_events_of_networks_are_told(command: Docker, daemon: Daemon) -> None:
    network_id = command.output("network", "create", "web")
    command.output("network", "rm", "web")
    printed = command.output(
        *("events", "--since", "1", "--until", str(time.time()), "--filter", "type=network"),
        *("--format", "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}"),
    )
    assert printed.splitlines() == [f"create {network_id} web bridge", f"destroy {network_id} web bridge"]


def test_docker_py_makes_lists_and_removes_networks(client: docker.DockerClient) -> None:
    ipam = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.77.0.0/16", gateway="10.77.0.1")])
    network = client.networks.create("web", driver="bridge", ipam=ipam, labels={"k": "v"}, check_duplicate=True)
    assert [each.name for each in client.networks.list(names=["web"])] == ["web"]
    assert [each.name for each in client.networks.list(ids=[network.id], greedy=True)] == ["web"]
    assert client.networks.get("web").attrs["IPAM"]["Config"] == [{"Subnet": "10.77.0.0/16", "Gateway": "10.77.0.1"}]
    container = client.containers.create("busybox", "true", name="c1")
    network.connect(container, aliases=["db"], ipv4_address="10.77.0.9")
    container.reload()
    joined = container.attrs["NetworkSettings"]["Networks"]["web"]
    assert (joined["Aliases"], joined["IPAMConfig"]["IPv4Address"]) == (["db"], "10.77.0.9")
    network.disconnect(container)
    container.reload()
    assert list(container.attrs["NetworkSettings"]["Networks"]) == ["bridge"]
    with pytest.raises(docker.errors.APIError) as caught:
        client.networks.create("web")
    assert caught.value.status_code == 409
    network.remove()
    with pytest.raises(docker.errors.NotFound):
        client.networks.get("web")
    assert client.networks.prune()["NetworksDeleted"] is None


def test_of_64_clients_with_one_name_exactly_one_gets_it(daemon: Daemon) -> None:
    statuses: Counter[int] = Counter()
    start = threading.Barrier(64)

    def one() -> None:
        with_api = Api(daemon)
        start.wait(30)
        status, _ = with_api.call("POST", "/networks/create", {"Name": "web"})
        statuses[status] += 1
        with_api.close()

    threads = [threading.Thread(target=one) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == {201: 1, 409: 63}


def test_networks_outlive_a_kill_with_their_ids_and_subnets(home: Path) -> None:
    with running(home) as daemon:
        api = Api(daemon)
        for number in range(5):
            assert api.call("POST", "/networks/create", {"Name": f"n{number}"})[0] == 201
        before = api.call("GET", "/networks")
        api.close()
        daemon.stop(signal.SIGKILL)
    with running(home) as daemon:
        api = Api(daemon)
        assert api.call("GET", "/networks") == before
        api.close()

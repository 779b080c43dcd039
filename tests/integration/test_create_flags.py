"""Every flag of `docker create`, given to the real command: what inspect then shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from tests.daemon.harness import rootfs_tar
from tests.integration.conftest import COMMAND_TIMEOUT_S, Api, running
from tests.integration.shown import Json, KernelMayLack, at

pytestmark = pytest.mark.integration

MB = 1 << 20
S_NS = 1_000_000_000
NET = "HostConfig.NetworkMode"
PROCESSES = 4


@attrs.frozen
class Row:
    arguments: str
    """As in a shell. `HOME` stands for a directory of the test's; there is a container `base`."""
    shown: Mapping[str, Json] = attrs.field(factory=dict)
    """By the path in what inspect shows, with dots: `HostConfig.Memory`."""
    refused: str = ""
    """What the command says instead, where it is no flag for Linux or there is nothing like it on this machine."""
    since: tuple[int, int] = (20, 10)
    """The release of the docker command that came with it."""


def _windows_only(flag: str) -> Row:
    return Row(f"{flag} 1", refused="is only supported on a Docker daemon running on windows")


def _healthcheck(**shown: Json) -> dict[str, Json]:
    return {f"Config.Healthcheck.{name}": value for name, value in shown.items()}


def _endpoint(**shown: Json) -> dict[str, Json]:
    return {NET: "mynet"} | {f"NetworkSettings.Networks.mynet.{name}": value for name, value in shown.items()}


def _rate(field: str, rate: int) -> dict[str, Json]:
    return {f"HostConfig.{field}": [{"Path": "/dev/null", "Rate": rate}]}


FLAGS: Mapping[str, Row] = {
    "--add-host": Row("--add-host a:1.2.3.4", {"HostConfig.ExtraHosts": ["a:1.2.3.4"]}),
    "--annotation": Row("--annotation a=b", {"HostConfig.Annotations": {"a": "b"}}, since=(24, 0)),
    "--attach": Row("--attach stdout", {"Config.AttachStdout": True, "Config.AttachStderr": False}),
    "--blkio-weight": Row("--blkio-weight 300", {"HostConfig.BlkioWeight": KernelMayLack(300, 0)}),
    "--blkio-weight-device": Row(
        "--blkio-weight-device /dev/null:300",
        {"HostConfig.BlkioWeightDevice": KernelMayLack([{"Path": "/dev/null", "Weight": 300}], [])},
    ),
    "--cap-add": Row("--cap-add CAP_NET_ADMIN", {"HostConfig.CapAdd": ["CAP_NET_ADMIN"]}),
    "--cap-drop": Row("--cap-drop ALL", {"HostConfig.CapDrop": ["ALL"]}),
    "--cgroup-parent": Row("--cgroup-parent /parent", {"HostConfig.CgroupParent": "/parent"}),
    "--cgroupns": Row("--cgroupns host", {"HostConfig.CgroupnsMode": "host"}),
    "--cidfile": Row("--cidfile HOME/cid", {"HostConfig.ContainerIDFile": "HOME/cid"}),
    "--cpu-count": _windows_only("--cpu-count"),
    "--cpu-percent": _windows_only("--cpu-percent"),
    "--cpu-period": Row("--cpu-period 100000", {"HostConfig.CpuPeriod": 100_000}),
    "--cpu-quota": Row("--cpu-quota 50000", {"HostConfig.CpuQuota": 50_000}),
    "--cpu-rt-period": Row("--cpu-rt-period 0", {"HostConfig.CpuRealtimePeriod": 0}),
    "--cpu-rt-runtime": Row("--cpu-rt-runtime 0", {"HostConfig.CpuRealtimeRuntime": 0}),
    "--cpu-shares": Row("--cpu-shares 512", {"HostConfig.CpuShares": 512}),
    "--cpus": Row("--cpus 0.5", {"HostConfig.NanoCpus": S_NS // 2}),
    "--cpuset-cpus": Row("--cpuset-cpus 0", {"HostConfig.CpusetCpus": "0"}),
    "--cpuset-mems": Row("--cpuset-mems 0", {"HostConfig.CpusetMems": "0"}),
    "--device": Row(
        "--device /dev/null:/dev/x:rw",
        {"HostConfig.Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}]},
    ),
    "--device-cgroup-rule": Row("--device-cgroup-rule 'c 1:3 r'", {"HostConfig.DeviceCgroupRules": ["c 1:3 r"]}),
    "--device-read-bps": Row("--device-read-bps /dev/null:1mb", _rate("BlkioDeviceReadBps", MB)),
    "--device-read-iops": Row("--device-read-iops /dev/null:10", _rate("BlkioDeviceReadIOps", 10)),
    "--device-write-bps": Row("--device-write-bps /dev/null:1mb", _rate("BlkioDeviceWriteBps", MB)),
    "--device-write-iops": Row("--device-write-iops /dev/null:10", _rate("BlkioDeviceWriteIOps", 10)),
    "--disable-content-trust": Row("--disable-content-trust", {"Config.Image": "busybox"}),
    "--dns": Row("--dns 1.1.1.1", {"HostConfig.Dns": ["1.1.1.1"]}),
    "--dns-option": Row("--dns-option ndots:3", {"HostConfig.DnsOptions": ["ndots:3"]}),
    "--dns-search": Row("--dns-search example.com", {"HostConfig.DnsSearch": ["example.com"]}),
    "--domainname": Row("--domainname example.com", {"Config.Domainname": "example.com"}),
    "--entrypoint": Row("--entrypoint /e", {"Config.Entrypoint": ["/e"], "Path": "/e", "Args": ["true"]}),
    "--env": Row("--env A=1", {"Config.Env": ["A=1"]}),
    "--env-file": Row("--env-file HOME/env", {"Config.Env": ["FROM=file"]}),
    "--expose": Row("--expose 80 --expose 53/udp", {"Config.ExposedPorts": {"80/tcp": {}, "53/udp": {}}}),
    "--gpus": Row("--gpus all", {"HostConfig.DeviceRequests": [
        {"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    ]}),
    "--group-add": Row("--group-add 100", {"HostConfig.GroupAdd": ["100"]}),
    "--health-cmd": Row("--health-cmd true", _healthcheck(Test=["CMD-SHELL", "true"])),
    "--health-interval": Row("--health-interval 2s", _healthcheck(Interval=2 * S_NS)),
    "--health-retries": Row("--health-retries 3", _healthcheck(Retries=3)),
    "--health-start-interval": Row("--health-start-interval 4s", _healthcheck(StartInterval=4 * S_NS), since=(25, 0)),
    "--health-start-period": Row("--health-start-period 5s", _healthcheck(StartPeriod=5 * S_NS)),
    "--health-timeout": Row("--health-timeout 6s", _healthcheck(Timeout=6 * S_NS)),
    "--help": Row("--help", {}),
    "--hostname": Row("--hostname web", {"Config.Hostname": "web"}),
    "--init": Row("--init", {"HostConfig.Init": True}),
    "--interactive": Row("--interactive", {"Config.OpenStdin": True, "Config.StdinOnce": True}),
    "--io-maxbandwidth": _windows_only("--io-maxbandwidth"),
    "--io-maxiops": _windows_only("--io-maxiops"),
    "--ip": Row("--network mynet --ip 172.30.0.9", _endpoint(IPAMConfig={"IPv4Address": "172.30.0.9"})),
    "--ip6": Row("--network mynet --ip6 fd00::9", _endpoint(IPAMConfig={"IPv6Address": "fd00::9"})),
    "--ipc": Row("--ipc shareable", {"HostConfig.IpcMode": "shareable"}),
    "--isolation": Row("--isolation default", {"HostConfig.Isolation": "default"}),
    "--kernel-memory": Row("--kernel-memory 8m", {"Config.Image": "busybox"}),
    "--label": Row("--label a=b -l c", {"Config.Labels": {"a": "b", "c": ""}}),
    "--label-file": Row("--label-file HOME/labels", {"Config.Labels": {"from": "file"}}),
    "--link": Row("--link base:alias --name linked", {"HostConfig.Links": ["/base:/linked/alias"]}),
    "--link-local-ip": Row(
        "--network mynet --link-local-ip 169.254.1.9", _endpoint(IPAMConfig={"LinkLocalIPs": ["169.254.1.9"]})
    ),
    "--log-driver": Row("--log-driver local", {"HostConfig.LogConfig": {"Type": "local", "Config": {}}}),
    "--log-opt": Row("--log-opt max-size=1m", {"HostConfig.LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}),
    "--mac-address": Row("--mac-address 02:42:ac:11:00:09", {"Config.MacAddress": "02:42:ac:11:00:09"}),
    "--memory": Row("--memory 64m", {"HostConfig.Memory": 64 * MB, "HostConfig.MemorySwap": 128 * MB}),
    "--memory-reservation": Row("--memory-reservation 32m", {"HostConfig.MemoryReservation": 32 * MB}),
    "--memory-swap": Row("--memory 64m --memory-swap -1", {"HostConfig.MemorySwap": -1}),
    "--memory-swappiness": Row("--memory-swappiness 60", {"HostConfig.MemorySwappiness": 60}),
    "--mount": Row(
        "--mount type=volume,src=vol,dst=/data,readonly",
        {"HostConfig.Mounts": [{"Type": "volume", "Source": "vol", "Target": "/data", "ReadOnly": True}]},
    ),
    "--name": Row("--name a-name-of-its-own", {"Name": "/a-name-of-its-own"}),
    "--network": Row("--network none", {NET: "none"}),
    "--network-alias": Row("--network mynet --network-alias web", _endpoint(Aliases=["web"])),
    "--no-healthcheck": Row("--no-healthcheck", _healthcheck(Test=["NONE"])),
    "--oom-kill-disable": Row("--memory 64m --oom-kill-disable=false", {"HostConfig.OomKillDisable": False}),
    "--oom-score-adj": Row("--oom-score-adj -5", {"HostConfig.OomScoreAdj": -5}),
    "--pid": Row("--pid host", {"HostConfig.PidMode": "host"}),
    "--pids-limit": Row("--pids-limit 10", {"HostConfig.PidsLimit": 10}),
    "--platform": Row("--platform linux", {"Platform": "linux"}),
    "--privileged": Row("--privileged", {"HostConfig.Privileged": True, "HostConfig.MaskedPaths": None}),
    "--publish": Row(
        "--publish 127.0.0.1:8080:80 -p 53/udp",
        {
            "HostConfig.PortBindings": {
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
                "53/udp": [{"HostIp": "", "HostPort": ""}],
            }
        },
    ),
    "--publish-all": Row("--publish-all", {"HostConfig.PublishAllPorts": True}),
    "--pull": Row("--pull never", {"Config.Image": "busybox"}),
    "--quiet": Row("--quiet", {"Config.Image": "busybox"}, since=(24, 0)),
    "--read-only": Row("--read-only", {"HostConfig.ReadonlyRootfs": True}),
    "--restart": Row("--restart on-failure:3", {"HostConfig.RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
    "--rm": Row("--rm", {"HostConfig.AutoRemove": True}),
    "--runtime": Row("--runtime runc", {"HostConfig.Runtime": "runc"}),
    "--security-opt": Row("--security-opt no-new-privileges", {"HostConfig.SecurityOpt": ["no-new-privileges"]}),
    "--shm-size": Row("--shm-size 128m", {"HostConfig.ShmSize": 128 * MB}),
    "--stop-signal": Row("--stop-signal SIGINT", {"Config.StopSignal": "SIGINT"}),
    "--stop-timeout": Row("--stop-timeout 15", {"Config.StopTimeout": 15}),
    "--storage-opt": Row("--storage-opt size=1G", refused="supported only for overlay over xfs with 'pquota' mount option"),
    "--sysctl": Row("--sysctl net.ipv4.ip_forward=1", {"HostConfig.Sysctls": {"net.ipv4.ip_forward": "1"}}),
    "--tmpfs": Row("--tmpfs /run:size=1m", {"HostConfig.Tmpfs": {"/run": "size=1m"}}),
    "--tty": Row("--tty", {"Config.Tty": True}),
    "--ulimit": Row("--ulimit nofile=1:2", {"HostConfig.Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]}),
    "--use-api-socket": Row(
        "--use-api-socket",
        {"HostConfig.Mounts": [{"Type": "bind", "Source": "HOME/socket", "Target": "/var/run/docker.sock", "BindOptions": {}}]},
        since=(28, 2),
    ),
    "--user": Row("--user 1000:1000", {"Config.User": "1000:1000"}),
    "--userns": Row("--userns host", {"HostConfig.UsernsMode": "host"}),
    "--uts": Row("--uts host", {"HostConfig.UTSMode": "host"}),
    "--volume": Row("--volume HOME:/bound:ro", {"HostConfig.Binds": ["HOME:/bound:ro"]}),
    "--volume-driver": Row("--volume-driver local", {"HostConfig.VolumeDriver": "local"}),
    "--volumes-from": Row("--volumes-from base:ro", {"HostConfig.VolumesFrom": ["base:ro"]}),
    "--workdir": Row("--workdir /srv/app", {"Config.WorkingDir": "/srv/app"}),
}  # fmt: skip


@attrs.frozen
class Command:
    """A docker command, and the rows that it knows the flags of."""

    path: str
    release: tuple[int, int]

    def rows(self) -> dict[str, Row]:
        return {flag: row for flag, row in FLAGS.items() if row.since <= self.release}

    def run(self, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOCKER_HOST": f"unix://{home / 'socket'}", "HOME": str(home)}
        environment.pop("DOCKER_API_VERSION", None)
        return subprocess.run(
            [self.path, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )


@attrs.frozen
class Outcome:
    exit_code: int
    error: str
    shown: Json
    """What inspect shows, if there is a container."""


def commands() -> list[str]:
    """Each docker command on the path: an old and a new one may be there."""
    found: dict[Path, str] = {}
    for directory in os.environ.get("PATH", "").split(":"):
        path = shutil.which("docker", path=directory)
        if path is not None:
            found.setdefault(Path(path).resolve(), path)
    return list(found.values())


@pytest.fixture(scope="module", params=commands() or [""])
def command(request: pytest.FixtureRequest) -> Command:
    if not request.param:
        if os.environ.get("CI"):
            pytest.fail("the docker command is missing: a skipped test would prove nothing here")
        pytest.skip("the docker command is not installed")
    version = subprocess.run(
        [request.param, "--version"], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True
    )
    numbers = re.search(r"version (\d+)\.(\d+)", version.stdout)
    assert numbers is not None, version.stdout
    return Command(request.param, (int(numbers[1]), int(numbers[2])))


@pytest.fixture(scope="module")
def outcomes(command: Command) -> Iterator[Mapping[str, Outcome]]:
    """One daemon, and a create for each flag."""
    with tempfile.TemporaryDirectory(prefix="by-") as name:
        home = Path(name)
        (home / "env").write_text("FROM=file\n")
        (home / "labels").write_text("from=file\n")
        with running(home) as daemon, closing(Api(daemon)) as api:
            assert api.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200
            assert api.call("POST", "/containers/create?name=base", {"Image": "busybox", "Cmd": ["true"]})[0] == 201
            rows = command.rows()
            with ThreadPoolExecutor(PROCESSES) as pool:
                done = dict(zip(rows, pool.map(lambda row: _create(command, home, row), rows.values()), strict=True))
            yield {flag: _outcome(api, home, each) for flag, each in done.items()}


def _create(command: Command, home: Path, row: Row) -> subprocess.CompletedProcess[str]:
    arguments = row.arguments.replace("HOME", str(home))
    return command.run(home, "create", *shlex.split(arguments), "busybox", "true")


def _outcome(api: Api, home: Path, done: subprocess.CompletedProcess[str]) -> Outcome:
    container_id = done.stdout.strip()
    shown = None
    if done.returncode == 0 and re.fullmatch("[0-9a-f]{64}", container_id):
        status, shown = api.call("GET", f"/containers/{container_id}/json")
        assert status == 200, shown
        shown = json.loads(json.dumps(shown).replace(str(home), "HOME"))
    return Outcome(done.returncode, done.stderr, shown)


def test_every_flag_has_its_row(command: Command, tmp_path: Path) -> None:
    """Asked where no daemon answers: else the command hides what that daemon cannot do."""
    text = command.run(tmp_path, "create", "--help").stdout
    flags = set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z0-9-]+)", text, re.MULTILINE))
    assert flags - command.rows().keys() == set(), "flags without a row"
    hidden = {flag for flag, row in FLAGS.items() if row.refused.endswith("windows")}
    assert command.rows().keys() - flags <= hidden, "rows for what is no flag"


@pytest.mark.parametrize("flag", FLAGS)
def test_inspect_shows_what_the_flag_says(flag: str, command: Command, outcomes: Mapping[str, Outcome]) -> None:
    row = FLAGS[flag]
    if flag not in outcomes:
        pytest.skip(f"came with docker {row.since[0]}.{row.since[1]}")
    outcome = outcomes[flag]
    if row.refused:
        assert outcome.exit_code == 1
        assert row.refused in outcome.error
        return
    assert outcome.exit_code == 0, outcome.error
    if row.shown:
        assert {path: at(outcome.shown, path) for path in row.shown} == row.shown

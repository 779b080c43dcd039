"""Requests drawn from the tables: some fields with values that are right, and at most one with a value that may be wrong.

One, because which of two mistakes is named first is the order of the checks: `corpus` has that, pair by pair.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.conformance import images
from tests.conformance.case import Case, case, request
from tests.conformance.tables import CONFIG, HERE, HOST, MB, RESOURCES, Json, Table

RIGHT_CONFIG: Table = {
    "Hostname": ["web", "a.b.c", ""],
    "Domainname": ["example.com"],
    "User": ["1000", "root"],
    "Tty": [True],
    "OpenStdin": [True],
    "ExposedPorts": [{"80/tcp": {}}, {"53/udp": {}, "80/tcp": {}}],
    "Env": [[], ["A=1"], ["A=1", "B"], ["PATH="]],
    "Cmd": [["a", "b c"], ["x"]],
    "Entrypoint": [["/e"], ["/e", "-x"], "/e"],
    "Healthcheck": [{"Test": ["CMD", "x"], "Interval": 10 * MB}, {"Test": ["NONE"]}, {}],
    "WorkingDir": ["/", "/srv/x", "/new//deep/../er"],
    "Labels": [{}, {"a": "b"}, {"maintainer": "user"}],
    "StopSignal": ["SIGINT", "9"],
    "StopTimeout": [0, 10],
    "Image": [images.FULL, images.PLAIN, images.VOLUME],
}
RIGHT_HOST: Table = {
    "Memory": [64 * MB],
    "MemoryReservation": [32 * MB],
    "CpuShares": [2, 512],
    "CpuPeriod": [100_000],
    "CpuQuota": [50_000, -1],
    "PidsLimit": [0, 10, -1],
    "OomScoreAdj": [-5, 100],
    "RestartPolicy": [{"Name": "always"}, {"Name": "on-failure", "MaximumRetryCount": 2}],
    "PortBindings": [{"80/tcp": [{"HostPort": "8080"}]}, {"53/udp": [{}]}],
    "Privileged": [True, False],
    "ReadonlyRootfs": [True],
    "CapAdd": [["NET_ADMIN"], ["ALL"]],
    "CapDrop": [["CHOWN"]],
    "Dns": [["1.1.1.1"]],
    "ExtraHosts": [["a:1.2.3.4"]],
    "LogConfig": [{"Type": "local"}, {"Type": "json-file", "Config": {"max-size": "1m"}}],
    "ShmSize": [1 * MB],
    "Sysctls": [{"net.ipv4.ip_forward": "1"}],
    "Ulimits": [[{"Name": "nofile", "Soft": 1, "Hard": 2}]],
    "Tmpfs": [{"/run": "size=1m"}],
    "Binds": [[f"{HERE}:/bound:ro"], ["/anonymous"], [f"{HERE}:/full"]],
    "Mounts": [[{"Type": "volume", "Target": "/full"}], [{"Type": "tmpfs", "Target": "/tmp/x"}]],
    "VolumesFrom": [["base"]],
    "IpcMode": ["shareable", "container:base"],
    "NetworkMode": ["none", "bridge", "default"],
    "Init": [True, False],
    "AutoRemove": [False],
}
ANY: Table = {**CONFIG, **HOST, **RESOURCES}


def cases() -> st.SearchStrategy[Case]:
    wrong = st.sampled_from(sorted(field for field in ANY if field not in _LEFT_OUT and ANY[field])).flatmap(
        lambda field: st.tuples(st.just(field), st.sampled_from(ANY[field]))
    )
    return st.builds(_case, _some_of(RIGHT_CONFIG), _some_of(RIGHT_HOST), st.none() | wrong)


_LEFT_OUT = ("LogConfig", "VolumeDriver")
"""With them dockerd looks for plugins, and waits."""


def _some_of(table: Table) -> st.SearchStrategy[dict[str, Json]]:
    return st.fixed_dictionaries({}, optional={field: _one_of(values) for field, values in table.items()})


def _one_of(values: Sequence[Json]) -> st.SearchStrategy[Json]:
    return st.sampled_from(values)


def _case(config: dict[str, Json], host: dict[str, Json], wrong: tuple[str, Json] | None) -> Case:
    if wrong is not None:
        field, value = wrong
        (config if field in CONFIG else host)[field] = value
    return case("generated", request(config, host))

"""The endpoints about the daemon itself: ping, version, info."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from daemon.api.authorization import called
from daemon.api.calls import Call, json_response
from daemon.api.codec import Json
from daemon.api.views import DRIVER, rfc3339
from daemon.create.log_drivers import LOG_DRIVERS
from daemon.host import Host
from daemon.http.message import Response
from daemon.network.drivers import DRIVERS
from daemon.reference import DEFAULT_DOMAIN
from daemon.services.event_bus import EventBus
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.version import VERSION

API_VERSION = (1, 50)
API_VERSION_MIN = (1, 24)

_UNCACHED = (("Cache-Control", "no-cache, no-store, must-revalidate"), ("Pragma", "no-cache"))


async def ping(call: Call) -> Response:
    headers = (
        ("Builder-Version", "2"),
        ("Swarm", "inactive"),
        *_UNCACHED,
        ("Content-Type", "text/plain; charset=utf-8"),
    )
    if call.request.method == "HEAD":
        return Response(status=200, headers=(*headers, ("Content-Length", "0")))
    return Response(status=200, headers=headers, body=b"OK")


async def version(call: Call) -> Response:
    host = call.engine.host
    details = {
        "ApiVersion": dotted(API_VERSION),
        "Arch": host.architecture,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": host.kernel_version,
        "MinAPIVersion": dotted(API_VERSION_MIN),
        "Os": "linux",
    }
    return json_response(
        {
            "Platform": {"Name": "Boatyard"},
            "Components": [{"Name": "Engine", "Version": VERSION, "Details": details}],
            "Version": VERSION,
            "ApiVersion": dotted(API_VERSION),
            "MinAPIVersion": dotted(API_VERSION_MIN),
            "GitCommit": "",
            "GoVersion": "",
            "PythonVersion": platform.python_version(),
            "Os": "linux",
            "Arch": host.architecture,
            "KernelVersion": host.kernel_version,
            "BuildTime": "",
            "Experimental": False,
        }
    )


async def info(call: Call) -> Response:
    engine = call.engine
    containers = len(await engine.services.registrar.ask(Registrar.list))
    runtime = engine.config.default_runtime
    counts = {
        "ID": engine.id,
        "Containers": containers,
        "ContainersRunning": 0,
        "ContainersPaused": 0,
        "ContainersStopped": containers,
        "Images": len(await engine.services.images.ask(ImageStore.list)),
        "NEventsListener": await engine.services.events.ask(EventBus.count_subscribers),
        "SystemTime": rfc3339(engine.now_ns()),
        "LoggingDriver": engine.config.default_log_driver,
        "DockerRootDir": str(engine.config.data_root),
        "Runtimes": {runtime: {"path": runtime}},
        "DefaultRuntime": runtime,
        "Plugins": {**_INFO["Plugins"], "Authorization": [*map(called, engine.config.authorization_plugins)] or None},
        "Warnings": [*_INFO["Warnings"], *engine.warnings],
    }
    return json_response(info_for({**_INFO, **counts, **host_view(engine.host)}, call.version))


def info_for(info: Mapping[str, Json], api_version: tuple[int, int]) -> dict[str, Json]:
    """With what an older client knows, and has to be told or spared (moby api/server/router/system getInfo)."""
    told = dict(info)
    if api_version < (1, 50):
        told |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if api_version < (1, 49):
        for name in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            told[name] = {**told[name], "Expected": told[name]["ID"]}
    if api_version < (1, 47):
        unknown = ("AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames")
        told["RegistryConfig"] = {**told["RegistryConfig"], **dict.fromkeys(unknown)}
    if api_version < (1, 39):
        for name in ("KernelVersion", "OperatingSystem"):
            told[name] = told[name] or "<unknown>"
    return told


def host_view(host: Host) -> dict[str, Json]:
    can = host.abilities
    return {
        "MemoryLimit": can.memory_limit,
        "SwapLimit": can.swap_limit,
        "CpuCfsPeriod": can.cpu_cfs,
        "CpuCfsQuota": can.cpu_cfs,
        "CPUShares": can.cpu_shares,
        "CPUSet": can.cpuset,
        "PidsLimit": can.pids_limit,
        "OomKillDisable": can.oom_kill_disable,
        "IPv4Forwarding": host.is_ipv4_forwarding,
        "CgroupDriver": "systemd" if host.is_cgroup_v2 and host.is_systemd else "cgroupfs",
        "CgroupVersion": "2" if host.is_cgroup_v2 else "1",
        "KernelVersion": host.kernel_version,
        "OperatingSystem": host.operating_system,
        "Architecture": host.machine,
        "NCPU": host.cpus,
        "MemTotal": host.memory_bytes,
        "Name": host.name,
    }


_INFO: Mapping[str, Json] = {
    "Driver": DRIVER,
    "DriverStatus": [["Mounted", "nothing: containers are created, not yet run"]],
    "Plugins": {
        "Volume": ["local"],
        "Network": list(DRIVERS),
        "Authorization": None,
        "Log": [*LOG_DRIVERS, "none"],
    },
    "Debug": False,
    "NFd": 0,
    "NGoroutines": 0,
    "OSVersion": "",
    "OSType": "linux",
    "IndexServerAddress": "",
    "RegistryConfig": {
        "InsecureRegistryCIDRs": [],
        "IndexConfigs": {
            DEFAULT_DOMAIN: {"Name": DEFAULT_DOMAIN, "Mirrors": [], "Secure": True, "Official": True},
        },
        "Mirrors": [],
    },
    "GenericResources": None,
    "HttpProxy": "",
    "HttpsProxy": "",
    "NoProxy": "",
    "Labels": [],
    "ExperimentalBuild": False,
    "ServerVersion": VERSION,
    "Swarm": {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    },
    "LiveRestoreEnabled": False,
    "Isolation": "",
    "InitBinary": "",
    "ContainerdCommit": {"ID": ""},
    "RuncCommit": {"ID": ""},
    "InitCommit": {"ID": ""},
    "SecurityOptions": [],
    "CDISpecDirs": [],
    "Warnings": ["containers can be created, but not started"],
}
"""What does not depend on the machine or the moment. Whatever v28 leaves out when it is empty is not here."""


def dotted(api_version: tuple[int, int]) -> str:
    return f"{api_version[0]}.{api_version[1]}"

"""The endpoints about the daemon itself: ping, version, info, events."""

from __future__ import annotations

import datetime
import math
import platform
import re
from collections.abc import AsyncGenerator, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

import anyio

from daemon.api.calls import Call, encode_json, json_response, stream_response
from daemon.api.codec import Json
from daemon.api.views import DRIVER
from daemon.create.log_drivers import LOG_DRIVERS
from daemon.errors import DaemonError, InvalidParameter
from daemon.host import Host
from daemon.http.message import Response
from daemon.network.drivers import DRIVERS
from daemon.reference import parse_reference
from daemon.services.event_bus import Event, EventBus, Subscription
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar

API_VERSION = (1, 50)
API_VERSION_MIN = (1, 24)

EVENT_FILTERS = frozenset(
    "config container daemon event id image label name network node plugin scope secret service type volume".split()
)
_LEGACY_EVENT_FIELDS = (1, 52)

_SECONDS = re.compile(r"([0-9]{1,18})(?:\.([0-9]*))?", re.ASCII)
_RFC3339 = re.compile(r"([0-9-]{10}T[0-9:]{8})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)

_UNCACHED = (("Cache-Control", "no-cache, no-store, must-revalidate"), ("Pragma", "no-cache"))


def own_version() -> str:
    try:
        return package_version("boatyard")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"


VERSION = own_version()


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
        }
    )


async def info(call: Call) -> Response:
    engine = call.engine
    containers = len(await engine.services.registrar.ask(Registrar.list))
    now = datetime.datetime.fromtimestamp(engine.now_ns() / 1e9, datetime.UTC)
    runtime = engine.config.default_runtime
    counts = {
        "ID": engine.id,
        "Containers": containers,
        "ContainersRunning": 0,
        "ContainersPaused": 0,
        "ContainersStopped": containers,
        "Images": len(await engine.services.images.ask(ImageStore.list)),
        "SystemTime": now.isoformat().replace("+00:00", "Z"),
        "LoggingDriver": engine.config.default_log_driver,
        "DockerRootDir": str(engine.config.data_root),
        "Runtimes": {runtime: {"path": runtime}},
        "DefaultRuntime": runtime,
    }
    return json_response({**counts, **host_view(engine.host), **_INFO})


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
    "NEventsListener": 0,
    "OSVersion": "",
    "OSType": "linux",
    "IndexServerAddress": "",
    "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
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
    "Warnings": ["containers can be created, but not started"],
}
"""What does not depend on the machine or the moment."""


async def events(call: Call) -> Response:
    query = call.query()
    since_ns, until_ns = parse_time(query.text("since")), parse_time(query.text("until"))
    filters = query.filters(EVENT_FILTERS)
    subscription = Subscription()
    past = await call.engine.services.events.ask(EventBus.subscribe, subscription)
    kept = [event for event in past if since_ns is not None and event.time_ns >= since_ns]
    return stream_response(_event_lines(call, kept, subscription, until_ns, filters))


async def _event_lines(
    call: Call,
    past: list[Event],
    subscription: Subscription,
    until_ns: int | None,
    filters: Mapping[str, tuple[str, ...]],
) -> AsyncGenerator[bytes, None]:
    def lines(batch: list[Event]) -> bytes:
        wanted = [
            event for event in batch if (until_ns is None or event.time_ns <= until_ns) and passes(event, filters)
        ]
        return b"".join(encode_json(event_view(event, call.version)) for event in wanted)

    try:
        if text := lines(past):
            yield text
        while True:
            wait_s = math.inf if until_ns is None else (until_ns - call.engine.now_ns()) / 1e9
            batch: list[Event] = []
            with anyio.move_on_after(wait_s):
                batch = await subscription.wait_events()
            if not batch:
                return
            if text := lines(batch):
                yield text
    except DaemonError as error:
        yield encode_json({"errorDetail": {"message": str(error)}, "error": str(error)})
    finally:
        subscription.cut_off()


def event_view(event: Event, api_version: tuple[int, int]) -> dict[str, Json]:
    view: dict[str, Json] = {}
    if api_version < _LEGACY_EVENT_FIELDS and event.type in ("container", "image"):
        view |= {"status": event.action, "id": event.actor_id}
        if event.type == "container":
            view["from"] = event.attributes.get("image", "")
    return view | {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
    }


def passes(event: Event, filters: Mapping[str, tuple[str, ...]]) -> bool:
    """Rules: moby daemon/events/filter.go. Any value of a key will do, but of labels all are wanted."""
    for key, values in filters.items():
        matches = [_is_match(event, key, value) for value in values]
        if matches and not (all(matches) if key == "label" else any(matches)):
            return False
    return True


def _is_match(event: Event, key: str, value: str) -> bool:
    name = event.attributes.get("name", "")
    match key:
        case "type":
            return event.type == value
        case "event":
            return event.action == value or event.action.startswith(f"{value}:")
        case "scope":
            return value == "local"
        case "label":
            label, equals, wanted = value.partition("=")
            return label in event.attributes and (not equals or event.attributes[label] == wanted)
        case "id":
            return event.actor_id.startswith(value)
        case "name":
            return name == value
        case "image":
            image = name if event.type == "image" else event.attributes.get("image", "")
            return value in (event.actor_id, image, _without_tag(image))
    return event.type == key and (event.actor_id.startswith(value) or name.startswith(value.removeprefix("/")))


def _without_tag(image: str) -> str:
    try:
        return parse_reference(image).familiar_name
    except InvalidParameter:
        return image


def parse_time(text: str) -> int | None:
    """In nanoseconds since the epoch: of seconds with a fraction, or of an RFC 3339 time. Raises InvalidParameter."""
    if not text:
        return None
    if match := _SECONDS.fullmatch(text):
        return int(match[1]) * 1_000_000_000 + int((match[2] or "")[:9].ljust(9, "0"))
    try:
        if match := _RFC3339.fullmatch(text):  # the fraction apart: a datetime stops at microseconds
            moment = datetime.datetime.fromisoformat(match[1] + match[3])
            return int(moment.timestamp()) * 1_000_000_000 + int((match[2] or "")[:9].ljust(9, "0"))
    except ValueError:
        pass  # the 31st of February
    raise InvalidParameter(f'failed to parse value "{text}" as time')


def dotted(api_version: tuple[int, int]) -> str:
    return f"{api_version[0]}.{api_version[1]}"

"""What Docker answers about a container that does not run, for everything one can ask of one that does.

Texts: moby v28 daemon/kill.go, pause.go, logs.go, stats.go, top_unix.go, exec.go, wait in container/state.go. Starting one is
still to come; the rest is what it is, since a container that was only created is refused by Docker, too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from functools import partial

import anyio

from daemon.api.calls import Call, encode_json, json_response, not_modified, stream_response
from daemon.api.codec import Json
from daemon.api.moments import parse_moment
from daemon.api.numbers import unsigned_complaint
from daemon.api.views import NEVER
from daemon.create.events import insist
from daemon.create.records import record_of
from daemon.create.signals import check_deliverable
from daemon.errors import Conflict, InvalidParameter, NotFound, NotImplementedHere, RemovalInProgress
from daemon.http.message import Response
from daemon.services.registrar import Registrar, RemovalWatch
from daemon.summary import ContainerSummary

STATS_INTERVAL_S = 1.0
UINT32_MAX = 2**32 - 1
CONDITIONS = ("", "not-running", "next-exit", "removed")
CONDITION_SINCE = (1, 30)
ONE_SHOT_SINCE = (1, 41)
MULTIPLEXED_SINCE = (1, 42)

START_BODY_BYTES_MAX = 7
"""Old clients send an empty JSON document when they start a container."""

_PID_COLUMN = re.compile(r"(?<=\s)([^\s]*)=\s*(PID[^\s]*)", re.ASCII)

RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"


async def start(call: Call) -> Response:
    content_length = call.request.headers.get("content-length", "")
    if call.request.has_body and not (content_length.isdecimal() and int(content_length) <= START_BODY_BYTES_MAX):
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    if call.query().text("checkpoint"):
        raise InvalidParameter("checkpoint is only supported in experimental mode")
    summary = await _find(call)
    container = await record_of(call.engine.services, summary, call.name)
    if container.host_config.auto_remove:  # as after every start that fails: `docker run --rm` waits for it to be gone
        with suppress(NotFound, RemovalInProgress):  # somebody else removes it
            await call.engine.remove(summary.id, with_volumes=True)
    raise NotImplementedHere("running a container is not supported yet")


async def restart(call: Call) -> Response:
    call.query().integer("t")
    await _find(call)
    raise NotImplementedHere("running a container is not supported yet")


async def stop(call: Call) -> Response:
    call.query().integer("t")
    await _find(call)
    return not_modified()


async def kill(call: Call) -> Response:
    try:
        if signal := call.query().text("signal"):
            check_deliverable(signal)
        summary = await _find(call)
    except (InvalidParameter, NotFound) as error:
        raise type(error)(f"cannot kill container: {call.name}: {error}") from error
    raise Conflict(f"cannot kill container: {call.name}: container {summary.id} is not running")


async def pause(call: Call) -> Response:
    raise _not_running(await _find(call))


async def unpause(call: Call) -> Response:
    # Unlike Moby, which answers this with a 500.
    raise Conflict(f"Container {(await _find(call)).id} is not paused")


async def resize(call: Call) -> Response:
    for key, name in (("h", "height"), ("w", "width")):
        text = call.query().text(key)
        # Docker takes the sign away first: a negative number is a number, only out of range.
        complaint = unsigned_complaint(text.removeprefix("-"), -1 if text.startswith("-") else UINT32_MAX)
        if complaint is not None:
            raise InvalidParameter(f'invalid resize {name} "{text}": {complaint}')
    raise _not_running(await _find(call))


async def top(call: Call) -> Response:
    for column, value in _PID_COLUMN.findall(call.query().text("ps_args")):
        if column != "pid":
            raise InvalidParameter(f'specifying "{column}={value}" is not allowed')
    raise _not_running(await _find(call))


async def create_exec(call: Call) -> Response:
    body = await call.json()
    if not isinstance(body, dict | None):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(body), "number")
        raise InvalidParameter(
            f"invalid JSON: json: cannot unmarshal {kind} into Go value of type container.ExecOptions"
        )
    if not any(value for key, value in (body or {}).items() if key.lower() == "cmd"):
        raise InvalidParameter("No exec command specified")
    raise _not_running(await _find(call))


async def exec_instance(call: Call) -> Response:
    """There is none: in no container has anything been run."""
    raise NotFound(f"No such exec instance: {call.name}")


async def logs(call: Call) -> Response:
    """Nothing, and no waiting for more: there is no log before the first start."""
    query = call.query()
    if not (query.flag("stdout") or query.flag("stderr")):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    summary = await _find(call)
    container = await record_of(call.engine.services, summary, call.name)
    if container.host_config.log_config.type == "none":
        raise NotImplementedHere("configured logging driver does not support reading")
    for key in ("since", "until"):
        if text := query.text(key):
            parse_moment(text, call.engine.now_ns())
    is_multiplexed = not container.config.tty and call.version >= MULTIPLEXED_SINCE
    content_type = MULTIPLEXED_STREAM if is_multiplexed else RAW_STREAM
    return Response(status=200, headers=(("Content-Type", content_type),))


async def stats(call: Call) -> Response:
    query = call.query()
    summary = await _find(call)
    is_stream = query.flag("stream", default=True)
    if is_stream and call.version >= ONE_SHOT_SINCE and query.flag("one-shot"):
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    if not is_stream:
        return json_response(stats_view(summary))
    return stream_response(_stats_until_removed(call, summary), is_endless=True)


async def wait(call: Call) -> Response:
    """The head of the answer goes out at once, the rest when the condition is met: so clients can wait before they start."""
    condition = call.query().text("condition") if call.version >= CONDITION_SINCE else ""
    if condition not in CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    summary = await _find(call)
    if condition in ("", "not-running"):
        return json_response({"StatusCode": 0})
    return stream_response(_end_of(call, summary), is_endless=True)


async def _end_of(call: Call, summary: ContainerSummary) -> AsyncGenerator[bytes, None]:
    """Removal ends every wait (moby container/state.go SetRemovalError)."""
    await _wait_removed(call, summary)
    yield encode_json({"StatusCode": 0})


async def _stats_until_removed(call: Call, summary: ContainerSummary) -> AsyncGenerator[bytes, None]:
    while True:
        yield encode_json(stats_view(summary))
        with anyio.move_on_after(STATS_INTERVAL_S):
            await _wait_removed(call, summary)
            return


async def _wait_removed(call: Call, summary: ContainerSummary) -> None:
    registrar, watch = call.engine.services.registrar, RemovalWatch()
    try:
        while await insist(partial(registrar.ask, Registrar.watch_removal, summary.id, watch)):
            await watch.wait()
            watch = RemovalWatch()  # it may have been the registrar that went
    finally:
        with anyio.CancelScope(shield=True):
            await insist(partial(registrar.ask, Registrar.unwatch, summary.id, watch))


async def _find(call: Call) -> ContainerSummary:
    return await call.engine.services.registrar.ask(Registrar.find, call.name)


def _not_running(summary: ContainerSummary) -> Conflict:
    return Conflict(f"container {summary.id} is not running")


def stats_view(summary: ContainerSummary) -> dict[str, Json]:
    return {"name": f"/{summary.name}", "id": summary.id, **_NO_STATS}


_CPU: Mapping[str, Json] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
_BLOCK_DEVICES = (
    "io_service_bytes_recursive io_serviced_recursive io_queue_recursive io_service_time_recursive io_wait_time_recursive "
    "io_merged_recursive io_time_recursive sectors_recursive"
).split()
_NO_STATS: Mapping[str, Json] = {
    "read": NEVER,
    "preread": NEVER,
    "pids_stats": {},
    "blkio_stats": dict.fromkeys(_BLOCK_DEVICES),
    "num_procs": 0,
    "storage_stats": {},
    "cpu_stats": _CPU,
    "precpu_stats": _CPU,
    "memory_stats": {},
}

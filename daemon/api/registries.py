"""The endpoints that speak to registries: pull, push, log in, look at what a registry has.

What fails before a word has been said is answered with its status; after that it is the last line of the stream, as in Docker.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

import msgspec

from daemon.api.calls import Call, encode_json, json_response, stream_response
from daemon.api.codec import Json
from daemon.create.image_puller import PullRequest
from daemon.create.image_pusher import PushRequest
from daemon.create.platforms import Platform, parse_platform
from daemon.errors import DaemonError, InvalidParameter
from daemon.http.message import Response
from daemon.reference import Reference, parse_image_id, parse_reference
from daemon.registry.credentials import Credentials, decode_document, decode_header
from daemon.services.transfers import Progress, Step, Transfers, Work

PLATFORM_SINCE = (1, 32)

BAR_WIDTH = 50


async def pull(call: Call) -> Response:
    query = call.query()
    platform_text = query.text("platform") if call.version >= PLATFORM_SINCE else ""
    request = PullRequest(
        reference=wanted_reference(query.text("fromImage"), query.text("tag")),
        platform=parse_platform(platform_text, call.engine.host) if platform_text else None,
        credentials=_credentials(call),
    )
    return await _run(call, partial(call.engine.puller.pull, request))


async def push(call: Call) -> Response:
    query = call.query()
    reference = parse_reference(call.name)
    if query.text("tag"):
        reference = wanted_reference(call.name, query.text("tag"))
    platform = _decoded_platform(query.text("platform")) if query.text("platform") else None
    request = PushRequest(reference=reference, platform=platform, credentials=_credentials(call))
    return await _run(call, partial(call.engine.pusher.push, request))


async def login(call: Call) -> Response:
    content = await call.request.body.read(call.config.body_bytes_max)
    try:
        credentials = decode_document(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid JSON: {error}") from error
    token = await call.engine.inspector.login(credentials)
    return json_response({"Status": "Login Succeeded", "IdentityToken": token})


async def inspect(call: Call) -> Response:
    if parse_image_id(call.name):
        raise InvalidParameter("no manifest found for full image ID")
    found = await call.engine.inspector.inspect(parse_reference(call.name), _credentials(call))
    descriptor: Json = {"mediaType": found.media_type, "digest": found.digest, "size": found.size}
    return json_response({"Descriptor": descriptor, "Platforms": list(found.platforms)})


def wanted_reference(name: str, tag: str) -> Reference:
    """`name` with `tag`, which may be a digest, in place of its own. Raises InvalidParameter."""
    reference = parse_reference(name)
    if not tag:
        return reference
    return parse_reference(f"{reference.name}{'@' if ':' in tag else ':'}{tag}")


async def _run(call: Call, work: Work) -> Response:
    progress = Progress()
    try:
        await call.engine.services.transfers.ask(Transfers.start, work, progress)
        steps = await progress.wait_steps()
        lines = _lines(progress, steps)
        await anext(lines)  # begun, so that closing it ends the transfer, whether or not it is ever sent
    except BaseException:
        progress.abandon()
        raise
    return stream_response(lines)


async def _lines(progress: Progress, steps: list[Step]) -> AsyncGenerator[bytes, None]:
    try:
        yield b""
        try:
            while steps:
                yield b"".join(encode_json(step_view(step)) for step in steps)
                steps = await progress.wait_steps()
        except DaemonError as error:
            yield encode_json({"errorDetail": {"message": str(error)}, "error": str(error)})
    finally:
        progress.abandon()


def step_view(step: Step) -> dict[str, Json]:
    """A line of Docker's progress stream (moby pkg/streamformatter, pkg/jsonmessage)."""
    if step.pushed is not None:
        pushed = step.pushed
        return {"progressDetail": {}, "aux": {"Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size}}
    view: dict[str, Json] = {"status": step.status}
    if not step.is_message:
        numbers = {"current": step.current, "total": step.total}
        view["progressDetail"] = {name: number for name, number in numbers.items() if number}
        if bar := progress_bar(step.current, step.total):
            view["progress"] = bar
    if step.id:
        view["id"] = step.id
    return view


def progress_bar(current: int, total: int) -> str:
    """For clients that draw none themselves."""
    if current <= 0 and total <= 0:
        return ""
    if total <= 0:
        return f"{human_size(current):>8}"
    done = min(int(current / total * 100) // 2, BAR_WIDTH)
    numbers = f"{human_size(current):>8}" + (f"/{human_size(total)}" if current <= total else "")
    return f"[{'=' * done}>{' ' * (BAR_WIDTH - done)}] {numbers}"


def human_size(size: float) -> str:
    """As go-units writes it: four digits, decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g}{unit}"
        size /= 1000
    return f"{size:.4g}TB"


def _credentials(call: Call) -> Credentials:
    return decode_header(call.request.headers.get("x-registry-auth", ""))


def _decoded_platform(text: str) -> Platform:
    try:
        decoded = msgspec.json.decode(text, type=_Platform)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(f"failed to parse platform: {error}") from error
    return Platform(decoded.os, decoded.architecture, decoded.variant)


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""

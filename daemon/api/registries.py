"""The endpoints that speak to registries: pull, push, log in, look at what a registry has."""

from __future__ import annotations

from functools import partial

import msgspec

from daemon.api.calls import Call, json_response
from daemon.api.codec import Json
from daemon.api.progress import run
from daemon.create.image_puller import PullRequest
from daemon.create.image_pusher import PushRequest
from daemon.create.platforms import Platform, parse_platform
from daemon.errors import InvalidParameter
from daemon.http.message import Response
from daemon.reference import Reference, parse_image_id, parse_reference
from daemon.registry.credentials import Credentials, decode_document, decode_header

PLATFORM_SINCE = (1, 32)


async def pull(call: Call) -> Response:
    query = call.query()
    platform_text = query.text("platform") if call.version >= PLATFORM_SINCE else ""
    request = PullRequest(
        reference=wanted_reference(query.text("fromImage"), query.text("tag")),
        platform=parse_platform(platform_text, call.engine.host) if platform_text else None,
        credentials=_credentials(call),
    )
    return await run(call, partial(call.engine.puller.pull, request))


async def push(call: Call) -> Response:
    query = call.query()
    reference = parse_reference(call.name)
    if query.text("tag"):
        reference = wanted_reference(call.name, query.text("tag"))
    platform = _decoded_platform(query.text("platform")) if query.text("platform") else None
    request = PushRequest(reference=reference, platform=platform, credentials=_credentials(call))
    return await run(call, partial(call.engine.pusher.push, request))


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

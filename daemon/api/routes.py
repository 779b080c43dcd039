"""The route table, and the way from a request to its handler: version, path, handler, status.

Rules: moby v28 api/server/middleware/version.go, api/server/router. Paths are matched as they were sent: `//` is answered with a
redirect and `%2F` stays what it is, so that a proxy in front that filters by path sees the same path (spec: C2 of reliability).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from msgspec.structs import replace

from actors import ActorCrashed, ActorStopped, AskTimeout
from daemon.api import (
    absent,
    attach,
    containers,
    disk_usage,
    events,
    files,
    image_changes,
    images,
    networks,
    not_running,
    overview,
    registries,
    system,
    volumes,
)
from daemon.api.authorization import Authorize, AuthorizeAnswer, authorized, check_answer
from daemon.api.calls import Call, error_response, refusal
from daemon.api.decoded import DecodedBodies
from daemon.api.listed import ListedViews
from daemon.api.system import API_VERSION, API_VERSION_MIN, dotted
from daemon.engine import Engine
from daemon.errors import DaemonError, InvalidParameter, NotFound, NotImplementedHere, SyncFailed, Unavailable
from daemon.http.message import Request, Response
from daemon.overview.watching import Watchers
from daemon.version import VERSION

_log = logging.getLogger(__name__)

Handle = Callable[[Call], Awaitable[Response]]

ROUTES: tuple[tuple[str, str, Handle], ...] = (
    ("GET", "/_ping", system.ping),
    ("HEAD", "/_ping", system.ping),
    ("GET", "/version", system.version),
    ("GET", "/info", system.info),
    ("GET", "/events", events.events),
    ("GET", "/system/df", disk_usage.usage),
    ("POST", "/build/prune", disk_usage.prune_build_cache),
    ("POST", "/images/load", images.load),
    ("POST", "/images/create", images.create),
    ("POST", "/commit", images.commit),
    ("GET", "/images/json", images.list_images),
    ("POST", "/images/prune", image_changes.prune),
    ("GET", "/images/{name}/json", images.inspect),
    ("GET", "/images/get", image_changes.save),
    ("GET", "/images/{name}/get", image_changes.save_one),
    ("GET", "/images/{name}/history", image_changes.history),
    ("POST", "/images/{name}/tag", image_changes.tag),
    ("POST", "/images/{name}/push", registries.push),
    ("DELETE", "/images/{name}", image_changes.remove),
    ("GET", "/distribution/{name}/json", registries.inspect),
    ("POST", "/auth", registries.login),
    ("POST", "/containers/create", containers.create),
    ("GET", "/containers/json", containers.list_containers),
    ("GET", "/containers/{name}/json", containers.inspect),
    ("POST", "/containers/prune", containers.prune),
    ("POST", "/containers/{name}/rename", containers.rename),
    ("POST", "/containers/{name}/update", containers.update),
    ("POST", "/containers/{name}/wait", not_running.wait),
    ("POST", "/containers/{name}/start", not_running.start),
    ("POST", "/containers/{name}/stop", not_running.stop),
    ("POST", "/containers/{name}/restart", not_running.restart),
    ("POST", "/containers/{name}/kill", not_running.kill),
    ("POST", "/containers/{name}/pause", not_running.pause),
    ("POST", "/containers/{name}/unpause", not_running.unpause),
    ("POST", "/containers/{name}/resize", not_running.resize),
    ("POST", "/containers/{name}/exec", not_running.create_exec),
    ("GET", "/containers/{name}/logs", not_running.logs),
    ("GET", "/containers/{name}/top", not_running.top),
    ("GET", "/containers/{name}/stats", not_running.stats),
    ("POST", "/exec/{name}/start", not_running.exec_instance),
    ("POST", "/exec/{name}/resize", not_running.exec_instance),
    ("GET", "/exec/{name}/json", not_running.exec_instance),
    ("POST", "/containers/{name}/attach", attach.attach),
    ("DELETE", "/containers/{name}", containers.remove),
    ("HEAD", "/containers/{name}/archive", files.stat_path),
    ("GET", "/containers/{name}/archive", files.read_archive),
    ("PUT", "/containers/{name}/archive", files.write_archive),
    ("GET", "/containers/{name}/export", files.export),
    ("GET", "/containers/{name}/changes", files.changes),
    ("GET", "/networks", networks.list_networks),
    ("GET", "/networks/", networks.list_networks),
    ("GET", "/networks/{name}", networks.inspect),
    ("POST", "/networks/create", networks.create),
    ("POST", "/networks/prune", networks.prune),
    ("POST", "/networks/{name}/connect", networks.connect),
    ("POST", "/networks/{name}/disconnect", networks.disconnect),
    ("DELETE", "/networks/{name}", networks.remove),
    ("GET", "/volumes", volumes.list_volumes),
    ("POST", "/volumes/create", volumes.create),
    ("POST", "/volumes/prune", volumes.prune),
    ("GET", "/volumes/{name}", volumes.inspect),
    ("PUT", "/volumes/{name}", volumes.update),
    ("DELETE", "/volumes/{name}", volumes.remove),
    ("GET", "/boatyard/overview", overview.overview),
    ("GET", "/plugins", absent.plugins),
    ("GET", "/swarm", absent.of_a_swarm),
    *(("GET", f"/{kind}", absent.of_a_swarm) for kind in absent.SWARM_KINDS),
    *(
        (method, f"/{kind}/{{name}}", absent.of_a_swarm)
        for kind in absent.SWARM_KINDS
        for method in ("GET", "POST", "DELETE")
    ),
)
"""A name may hold slashes. The first that fits counts."""

NOT_YET: tuple[tuple[str, str, str], ...] = (
    ("GET", "/containers/{name}/attach/ws", "running a container"),
    ("POST", "/build", "building an image"),
    ("GET", "/images/search", "searching for images"),
    ("POST", "/swarm/init", "a swarm"),
    ("POST", "/swarm/join", "a swarm"),
)
"""What Docker has and this daemon has not yet: a 501 says so, where a 404 would read like a mistake of the client's."""

ARCHIVES = frozenset({images.load, images.create, files.write_archive})
"""Whose bodies come as they come, and are nothing but archives."""

SECRETS = frozenset({registries.login})
"""Whose bodies are passwords."""

_VERSIONED = re.compile(r"/v([0-9.]+)(/.*)", re.ASCII)
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)

ENVELOPE = (
    ("Api-Version", dotted(API_VERSION)),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Docker/{VERSION} (linux)"),
)
"""In every response."""


class Router:
    """The handler of the HTTP server. `authorize`, if it is given, must allow every request that has a route, and
    `authorize_answer` what is then answered to it."""

    def __init__(
        self, engine: Engine, authorize: Authorize | None = None, authorize_answer: AuthorizeAnswer | None = None
    ) -> None:
        self._engine = engine
        self._authorize = authorize
        self._authorize_answer = authorize_answer
        self._bodies = DecodedBodies()
        self._listed = ListedViews(engine.config.data_root)
        self._watchers = Watchers(engine, VERSION)
        self._fixed = {(method, path): handle for method, path, handle in ROUTES if "{" not in path}
        self._patterns = [
            (method, re.compile(path.replace("{name}", "(.+)")), handle)
            for method, path, handle in ROUTES
            if "{" in path
        ]
        self._not_yet = [(method, re.compile(path.replace("{name}", ".+")), what) for method, path, what in NOT_YET]

    async def __call__(self, request: Request) -> Response:
        response = await self._told(request, self._respond(request))
        return replace(response, headers=(*ENVELOPE, *response.headers))

    async def _told(self, request: Request, work: Awaitable[Response]) -> Response:
        """The response, also where there was to be none."""
        try:
            return await work
        except DaemonError as error:
            return refusal(error)
        except (ActorCrashed, ActorStopped, AskTimeout):
            return refusal(Unavailable("a service of the daemon is restarting, try again"))
        except SyncFailed as error:
            self._engine.give_up(error)
            return error_response(500, "the disk failed: the daemon is ending")
        except Exception:  # noqa: BLE001 - a defect of ours: one answer lost, not the daemon
            _log.exception("request %s failed: %s %r", request.id, request.method, request.path)
            defect = error_response(500, "internal error: see the log of the daemon")
            return replace(defect, refusal="a defect of the daemon")

    def error(self, status: int, text: str) -> Response:
        """The answer to what is no request."""
        response = error_response(status, text)
        return replace(response, headers=(*ENVELOPE, *response.headers))

    async def _respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status=200)
        if "//" in request.path:
            query = f"?{request.query}" if request.query else ""
            return Response(status=301, headers=(("Location", re.sub("/+", "/", request.path) + query),))
        version, path = _split_version(request.path)
        handle = self._fixed.get((request.method, path))
        name = ""
        if handle is None:
            handle, name = self._match(request.method, path)
        if self._authorize is None:
            return await handle(self._call(request, version, name))
        is_secret, limit = handle in SECRETS, self._engine.config.body_bytes_max
        request, asked = await authorized(
            request, self._authorize, is_archive=handle in ARCHIVES, is_secret=is_secret, limit=limit
        )
        if self._authorize_answer is None:
            return await handle(self._call(request, version, name))
        response = await self._told(request, handle(self._call(request, version, name)))
        try:
            await check_answer(
                asked, response, self._authorize_answer, is_secret=is_secret, limit=limit, request_id=request.id
            )
        except BaseException:
            if not isinstance(response.body, bytes):
                await response.body.aclose()  # it has not begun
            raise
        return response

    def _call(self, request: Request, version: tuple[int, int], name: str) -> Call:
        return Call(
            engine=self._engine,
            bodies=self._bodies,
            listed=self._listed,
            watchers=self._watchers,
            request=request,
            version=version,
            name=name,
        )

    def _match(self, method: str, path: str) -> tuple[Handle, str]:
        for wanted, pattern, handle in self._patterns:
            if method == wanted and (match := pattern.fullmatch(path)) is not None:
                return handle, unquote(match[1])
        for wanted, pattern, what in self._not_yet:
            if method == wanted and pattern.fullmatch(path):
                raise NotImplementedHere(f"{what} is not supported yet")
        raise NotFound("page not found")


def _split_version(path: str) -> tuple[tuple[int, int], str]:
    """The API version that the path asks for, the newest where it names none, and the rest of the path."""
    match = _VERSIONED.fullmatch(path)
    if match is None:
        return API_VERSION, path
    numbers = _VERSION.fullmatch(match[1])
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if version > API_VERSION:
        raise InvalidParameter(
            f"client version {match[1]} is too new. Maximum supported API version is {dotted(API_VERSION)}"
        )
    if version < API_VERSION_MIN:
        raise InvalidParameter(
            f"client version {match[1]} is too old. Minimum supported API version is {dotted(API_VERSION_MIN)}, "
            "please upgrade your client to a newer version"
        )
    return version, match[2]

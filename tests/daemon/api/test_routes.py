"""From a path to a handler and back: versions, redirects, errors, the envelope. With a real engine behind it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from daemon.api.calls import STATUS
from daemon.api.routes import ENVELOPE, ROUTES, Router
from daemon.config import Config
from daemon.engine import Engine
from daemon.errors import DaemonError, System
from daemon.http.connection import TooLarge, TooSlow
from daemon.http.message import Request, Response
from daemon.version import VERSION

pytestmark = pytest.mark.anyio

NOT_FOUND = (404, "page not found")


class Content:
    """A body that has arrived."""

    def __init__(self, content: bytes = b"", error: DaemonError | None = None) -> None:
        self._content = content
        self._error = error

    async def receive(self) -> bytes:
        if self._error is not None:
            raise self._error
        content, self._content = self._content, b""
        return content

    async def read(self, bytes_max: int) -> bytes:
        if len(self._content) > bytes_max:
            raise TooLarge(f"request body is larger than {bytes_max} bytes")
        return await self.receive()


@attrs.frozen
class Asker:
    router: Router

    async def ask(
        self,
        method: str,
        target: str,
        content: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        error: DaemonError | None = None,
    ) -> Response:
        path, _, query = target.partition("?")
        given = {"host": "docker", "content-type": "application/json"} if headers is None else headers
        has_body = bool(content) or error is not None
        return await self.router(
            Request(
                method=method,
                path=path,
                query=query,
                headers=given,
                body=Content(content, error),
                has_body=has_body,
            )
        )

    async def fails(self, method: str, target: str, content: bytes = b"", **fields: object) -> tuple[int, str]:
        """Status and message, if the answer is an error as Docker writes it."""
        response = await self.ask(method, target, content, **fields)  # type: ignore[arg-type]  # passed on
        assert isinstance(response.body, bytes)
        assert ("Content-Type", "application/json") in response.headers
        assert response.body.endswith(b"}\n")
        message = json.loads(response.body)
        assert list(message) == ["message"]
        return response.status, message["message"]


@asynccontextmanager
async def asking(root: Path) -> AsyncIterator[Asker]:
    async with Engine(
        Config(data_root=root / "data", socket=root / "socket", ready_trees_max=0, log_bytes_max=0)
    ) as engine:
        yield Asker(Router(engine))


TOO_NEW = "client version {} is too new. Maximum supported API version is 1.50"
TOO_OLD = (
    "client version {} is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
)

VERSIONS: list[tuple[str, int, str]] = [
    ("", 200, ""),
    ("/v1.24", 200, ""),
    ("/v1.50", 200, ""),
    ("/v1.51", 400, TOO_NEW),
    ("/v1.500", 400, TOO_NEW),
    ("/v2.0", 400, TOO_NEW),
    ("/v1.23", 400, TOO_OLD),
    ("/v1.9", 400, TOO_OLD),
    ("/v0.99", 400, TOO_OLD),
    ("/v1", 400, TOO_OLD),
    ("/v1.", 400, TOO_OLD),
    ("/v1.40.1", 400, TOO_OLD),
    ("/v99999.1", 400, TOO_OLD),
    ("/v", 404, "page not found"),
    ("/va", 404, "page not found"),
    ("/V1.40", 404, "page not found"),
    ("/v-1.40", 404, "page not found"),
    ("/v1.40/v1.40", 404, "page not found"),
    ("/v\u0661.\u0664\u0660", 404, "page not found"),
]


async def test_a_path_may_begin_with_a_version_that_is_spoken_here(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for prefix, status, text in VERSIONS:
            response = await asker.ask("GET", f"{prefix}/version")
            assert response.status == status, prefix
            if text:
                message = text.format(prefix.removeprefix("/v"))
                assert await asker.fails("GET", f"{prefix}/version") == (status, message)


NO_ROUTES = [
    ("GET", "/"),
    ("GET", "*"),
    ("GET", "/none"),
    ("GET", "/v1.40/none"),
    ("GET", "/v1.40"),
    ("GET", "/v1.40/"),
    ("GET", "/version/"),
    ("GET", "/Version"),
    ("GET", "/%76ersion"),
    ("GET", "/./version"),
    ("GET", "/containers/../version"),
    ("GET", "/containers/json/"),
    ("POST", "/version"),
    ("HEAD", "/version"),
    ("DELETE", "/containers/"),
    ("PUT", "/containers/create"),
    ("CONNECT", "/_ping"),
]


async def test_a_path_or_a_method_that_is_not_in_the_table_is_not_found(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for method, path in NO_ROUTES:
            assert await asker.fails(method, path) == NOT_FOUND, (method, path)


async def test_every_route_leads_somewhere_with_and_without_a_version(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for method, path, _ in ROUTES:
            if path == "/events":
                continue  # it does not end
            for prefix in ("", "/v1.44"):
                # A name in capitals: what would ask a registry for it is refused before.
                response = await asker.ask(method, prefix + path.replace("{name}", "X"))
                assert isinstance(response.body, bytes)
                assert b"page not found" not in response.body, (method, path)


async def test_a_client_that_looks_for_a_swarm_or_plugins_learns_that_there_are_none(tmp_path: Path) -> None:
    text = (
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
        "to connect this node to swarm and try again."
    )
    async with asking(tmp_path) as asker:
        assert await asker.fails("GET", "/swarm") == (503, text)
        for kind in ("services", "nodes", "tasks", "secrets", "configs"):
            assert await asker.fails("GET", f"/{kind}") == (503, text)
            assert await asker.fails("GET", f"/v1.50/{kind}/x") == (503, text)
        assert await asker.fails("POST", "/services/create") == (503, text)
        assert await asker.fails("POST", "/swarm/init") == (501, "a swarm is not supported yet")
        response = await asker.ask("GET", "/plugins")
        assert (response.status, response.body) == (200, b"[]\n")


NAMES = [
    ("/containers/web/json", "web"),
    ("/containers//web/json", None),
    ("/containers/a/b/c/json", "a/b/c"),
    ("/containers/%2Fweb/json", "/web"),
    ("/containers/a%2F%2Fb/json", "a//b"),
    ("/containers/json/json", "json"),
    ("/containers/../json", ".."),
    ("/containers/caf%C3%A9/json", "caf\u00e9"),
    ("/containers/%FF/json", "\ufffd"),
    ("/v1.40/containers/web/json", "web"),
]


async def test_a_name_in_a_path_may_hold_slashes_and_is_decoded_once(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for path, name in NAMES:
            if name is not None:
                assert await asker.fails("GET", path) == (404, f"No such container: {name}")
        assert await asker.fails("GET", "/containers/%252F/json") == (404, "No such container: %2F")


REDIRECTS = [
    ("//version", "/version"),
    ("/containers//json?all=1&filters=%7B%7D", "/containers/json?all=1&filters=%7B%7D"),
    ("///containers////web///json", "/containers/web/json"),
    ("//example.com/version", "/example.com/version"),
    ("/v1.99//version", "/v1.99/version"),
]


async def test_double_slashes_are_answered_with_where_to_go(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for target, location in REDIRECTS:
            for method in ("GET", "POST", "FOO"):
                response = await asker.ask(method, target)
                assert (response.status, response.body) == (301, b"")
                assert response.headers == (*ENVELOPE, ("Location", location))


async def test_options_are_answered_for_any_path(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for path in ("*", "/version", "/none", "//"):
            response = await asker.ask("OPTIONS", path)
            assert (response.status, response.headers, response.body) == (200, ENVELOPE, b"")


async def test_every_answer_is_in_the_envelope(tmp_path: Path) -> None:
    expected = {
        "Api-Version": "1.50",
        "Docker-Experimental": "false",
        "Ostype": "linux",
        "Server": f"Docker/{VERSION} (linux)",
    }
    async with asking(tmp_path) as asker:
        answers = [await asker.ask("GET", path) for path in ("/_ping", "/none", "/v9.9/version", "//", "/info")]
        answers += [asker.router.error(431, "too much"), await asker.ask("POST", "/containers/create")]
        for response in answers:
            headers = dict(response.headers)
            assert headers.items() >= expected.items()
            assert len(headers) == len(response.headers), "none comes twice"


async def test_ping_says_what_clients_negotiate_by(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        got, asked_for_head = await asker.ask("GET", "/_ping"), await asker.ask("HEAD", "/_ping")
        assert (got.body, asked_for_head.body) == (b"OK", b"")
        assert asked_for_head.headers == (*got.headers, ("Content-Length", "0"))
        assert (
            dict(got.headers).items()
            >= {
                "Builder-Version": "2",
                "Swarm": "inactive",
                "Cache-Control": "no-cache, no-store, must-revalidate",
                "Pragma": "no-cache",
                "Content-Type": "text/plain; charset=utf-8",
            }.items()
        )


JSON = "application/json"
BODIES: list[tuple[bytes, str | None, int, str]] = [
    (b"", None, 400, "invalid JSON: got EOF while reading request body"),
    (b"", JSON, 400, "invalid JSON: got EOF while reading request body"),
    (b" \n", JSON, 400, "invalid JSON: got EOF while reading request body"),
    (b"{}", None, 400, "malformed Content-Type header (): mime: no media type"),
    (b"{}", "text/plain", 400, "unsupported Content-Type header (text/plain): must be 'application/json'"),
    (b"{} {}", JSON, 400, "unexpected content after JSON"),
    (b"{}x", JSON, 400, "unexpected content after JSON"),
    (b"{} ]", JSON, 400, "config cannot be empty in order to create a container"),
    (b'{"a": NaN}', JSON, 400, "invalid JSON: invalid character 'N' looking for beginning of value"),
    (b'{"Image": "\xff"}', JSON, 400, "invalid reference format"),
    (b"\xef\xbb\xbf{}", JSON, 400, "invalid JSON: invalid character '\u00ef' looking for beginning of value"),
    (b"[" * 100_000, JSON, 400, "invalid JSON: invalid character '[' exceeded max depth"),
    (b'{"a":' * 100_000, JSON, 400, "invalid JSON: invalid character '{' exceeded max depth"),
    (b'{"a":' * 9_999 + b"1" + b"}" * 9_999, JSON, 400, "config cannot be empty in order to create a container"),
    (b" " * ((4 << 20) + 1), JSON, 413, "request body is larger than 4194304 bytes"),
]


async def test_a_body_that_is_not_one_json_document_is_the_clients_fault(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for content, content_type, status, text in BODIES:
            headers = {} if content_type is None else {"content-type": content_type}
            found = await asker.fails("POST", "/containers/create", content, headers=headers)
            assert found[0] == status, content[:20]
            assert found[1] == text


async def test_a_content_type_may_have_parameters_and_capitals(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        headers = {"content-type": "Application/JSON; charset=utf-8"}
        found = await asker.fails("POST", "/containers/create", b'{"Image": "none"}', headers=headers)
        assert found == (404, "No such image: none:latest")


FILTERS = ["x", "[]", '"x"', "1", "{", "[" * 50_000, '{"name": 1}', '{"name": "web"}']


async def test_filters_that_are_none_are_the_clients_fault(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        for text in FILTERS:
            found = await asker.fails("GET", f"/containers/json?filters={text}")
            assert found == (400, "invalid filter")


async def test_a_body_that_comes_too_slowly_is_told_so(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        slow = TooSlow("the request did not arrive in time")
        for path in ("/containers/create", "/images/load"):
            assert await asker.fails("POST", path, error=slow) == (408, str(slow))


async def test_a_service_that_is_gone_is_unavailable_for_now(tmp_path: Path) -> None:
    async with asking(tmp_path) as asker:
        await asker.router._engine.services.registrar.stop()
        found = await asker.fails("GET", "/containers/json")
        assert found == (503, "a service of the daemon is restarting, try again")
        assert ("Retry-After", "1") in (await asker.ask("GET", "/containers/json")).headers


async def test_a_defect_costs_one_answer_and_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(call: object) -> Response:
        raise ZeroDivisionError("a secret")

    async with asking(tmp_path) as asker:
        monkeypatch.setitem(asker.router._fixed, ("GET", "/version"), fail)
        assert await asker.fails("GET", "/version") == (500, "internal error: see the log of the daemon")
        assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
            "request  failed: GET '/version'"
        ]


def test_every_kind_of_failure_has_a_status() -> None:
    kinds = {kind for kind in DaemonError.__subclasses__() if kind.__module__.startswith("daemon.")}
    assert kinds <= set(STATUS)
    assert STATUS[System] == 500

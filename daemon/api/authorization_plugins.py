"""Docker's authorization plugins, asked over their Unix sockets (moby pkg/authorization/api.go, authz.go, pkg/plugins).

All must allow a request, and then its answer; the first that does not is named to the client. A plugin is activated before it is
asked for the first time: it must say that it is one for authorization. Unlike Moby, which does that at its start, and does not
start without: here every request is refused until the plugin is there.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import attrs
import httpx
import msgspec

from daemon.api.authorization import Answered, Asked, AuthorizationDenied, AuthorizationFailed, called

A = TypeVar("A")

PLUGINS = Path("/run/docker/plugins")
"""Where a plugin has its socket, if it is only named."""

ANSWER_BYTES_MAX = 64 << 10
CONNECTIONS_MAX = 64
"""To one plugin. More requests wait for one of them."""

TEXT_LENGTH_MAX = 1000

_HEADERS = {"Accept": "application/vnd.docker.plugins.v1.2+json", "Content-Type": "application/json"}


class _Question(msgspec.Struct, rename="pascal", omit_defaults=True):
    """Bytes are written in base 64, as Go does."""

    user: str = ""
    user_auth_n_method: str = msgspec.field(default="", name="UserAuthNMethod")
    request_method: str = ""
    request_uri: str = ""
    request_body: bytes = b""
    request_headers: dict[str, str] = {}
    request_peer_certificates: list[bytes] = []
    response_status_code: int = 0
    response_body: bytes = b""
    response_headers: dict[str, str] = {}


class _Manifest(msgspec.Struct, rename="pascal"):
    implements: list[str] = []


class _Answer(msgspec.Struct, rename="pascal"):
    allow: bool = False
    msg: str = ""
    err: str = ""


@attrs.frozen
class Plugins:
    """All of them, in the order in which they are asked."""

    _plugins: tuple[_Plugin, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(plugin.name for plugin in self._plugins)

    async def authorize(self, asked: Asked) -> None:
        """Raises AuthorizationDenied, AuthorizationFailed."""
        await self._ask("AuthZPlugin.AuthZReq", question_of(asked))

    async def authorize_answer(self, asked: Asked, answered: Answered) -> None:
        """Raises as `authorize`."""
        question = question_of(asked)
        question.response_status_code = answered.status
        question.response_body = answered.body or b""
        question.response_headers = _as_in_go(answered.headers)
        await self._ask("AuthZPlugin.AuthZRes", question)

    async def _ask(self, method: str, question: _Question) -> None:
        encoded = msgspec.json.encode(question)
        for plugin in self._plugins:
            await plugin.ask(method, encoded)


@asynccontextmanager
async def asking(names: Sequence[str]) -> AsyncIterator[Plugins]:
    async with AsyncExitStack() as stack:
        yield Plugins(tuple([_Plugin(name, await stack.enter_async_context(_client(name))) for name in names]))


@asynccontextmanager
async def _client(name: str) -> AsyncIterator[httpx.AsyncClient]:
    path = name if name.startswith("/") else str(PLUGINS / f"{name}.sock")
    limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
    # A context of its own: httpx would read the certificates of this machine, which nobody here looks at.
    transport = httpx.AsyncHTTPTransport(uds=path, limits=limits, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    client = httpx.AsyncClient(transport=transport, base_url="http://plugin", headers=_HEADERS, timeout=None)
    try:
        yield client
    finally:
        with anyio.CancelScope(shield=True):  # closes sockets
            await client.aclose()


class _Plugin:
    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self._client = client
        self._is_active = False
        self._activating = anyio.Lock()

    async def ask(self, method: str, question: bytes) -> None:
        """Raises AuthorizationDenied: it says no. AuthorizationFailed: it says nothing that could be understood."""
        if not self._is_active:
            async with self._activating:
                await self._activate()
        answer = await self._call(method, question, _Answer)
        if answer.err:
            raise _failed(self.name, answer.err[:TEXT_LENGTH_MAX])
        if not answer.allow:
            text = answer.msg[:TEXT_LENGTH_MAX]
            raise AuthorizationDenied(f"authorization denied by plugin {called(self.name)}: {text}")

    async def _activate(self) -> None:
        if self._is_active:  # by who was before
            return
        manifest = await self._call("Plugin.Activate", b"", _Manifest)
        if "authz" not in manifest.implements:
            raise _failed(self.name, "Plugin does not implement the requested driver")
        self._is_active = True

    async def _call(self, method: str, question: bytes, kind: type[A]) -> A:
        try:
            async with self._client.stream("POST", f"/{method}", content=question) as response:
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > ANSWER_BYTES_MAX:
                        raise _failed(self.name, "its answer is too long")
                if response.status_code != 200:
                    raise _failed(self.name, f"its answer has the status {response.status_code}")
                return msgspec.json.decode(content, type=kind)
        except httpx.HTTPError as error:
            raise _failed(self.name, "it does not answer") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _failed(self.name, "its answer cannot be understood") from error


def _failed(name: str, why: str) -> AuthorizationFailed:
    return AuthorizationFailed(f"plugin {called(name)} failed with error: {why}")


def question_of(asked: Asked) -> _Question:
    """As Go would write it: the names of headers with capitals, certificates as PEM."""
    peer = asked.peer
    certificates = [ssl.DER_cert_to_PEM_cert(peer.certificate).encode()] if peer.certificate else []
    return _Question(
        user=peer.name,
        user_auth_n_method="TLS" if peer.certificate else "",
        request_method=asked.method,
        request_uri=asked.target,
        request_body=asked.body or b"",
        request_headers=_as_in_go(asked.headers),
        request_peer_certificates=certificates,
    )


def _as_in_go(headers: Mapping[str, str]) -> dict[str, str]:
    return {"-".join(map(str.capitalize, name.split("-"))): text for name, text in headers.items()}

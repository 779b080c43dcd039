"""Docker's authorization plugins, asked over their Unix sockets (moby pkg/authorization/api.go, authz.go).

All must allow a request; the first that does not is named in the answer. Unlike Moby, which also asks them about responses
(AuthZRes): what is not to be told must not be asked for.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import msgspec

from daemon.api.authorization import Asked, AuthorizationDenied, AuthorizationFailed, Authorize

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


class _Answer(msgspec.Struct, rename="pascal"):
    allow: bool = False
    msg: str = ""
    err: str = ""


@asynccontextmanager
async def asking(plugins: Sequence[str]) -> AsyncIterator[Authorize]:
    """What asks them all, in this order."""
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(_client(name)) for name in plugins}

        async def authorize(asked: Asked) -> None:
            question = msgspec.json.encode(question_of(asked))
            for name, client in clients.items():
                await _ask(name, client, question)

        yield authorize


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


async def _ask(name: str, client: httpx.AsyncClient, question: bytes) -> None:
    """Raises AuthorizationDenied: it says no. AuthorizationFailed: it says nothing that could be understood."""
    try:
        async with client.stream("POST", "/AuthZPlugin.AuthZReq", content=question) as response:
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    raise _failed(name, "its answer is too long")
            if response.status_code != 200:
                raise _failed(name, f"its answer has the status {response.status_code}")
            answer = msgspec.json.decode(content, type=_Answer)
    except httpx.HTTPError as error:
        raise _failed(name, "it does not answer") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _failed(name, "its answer cannot be understood") from error
    if answer.err:
        raise _failed(name, answer.err[:TEXT_LENGTH_MAX])
    if not answer.allow:
        raise AuthorizationDenied(f"authorization denied by plugin {called(name)}: {answer.msg[:TEXT_LENGTH_MAX]}")


def _failed(name: str, why: str) -> AuthorizationFailed:
    return AuthorizationFailed(f"plugin {called(name)} failed with error: {why}")


def called(name: str) -> str:
    """What clients know it by: no path of this machine."""
    return Path(name).stem if name.startswith("/") else name


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
        request_headers={"-".join(map(str.capitalize, name.split("-"))): text for name, text in asked.headers.items()},
        request_peer_certificates=certificates,
    )

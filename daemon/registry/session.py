"""One conversation with one registry, for one client of ours: each request authenticated, redirected and limited.

Rules:

- nothing is sent to the registry but what it asks for: the first answer says which kind of credentials, if any (RFC 9110, 11)
- credentials go to the registry's origin, and to the token server it names; along a redirect to elsewhere they do not
- a redirect or a token server without TLS is refused, unless it may be spoken to like that (`addresses.may_be_plain`)
- a document has a size and a time it must come in; between two reads of anything there is a limit as well

Source of the token exchange: the distribution project's docs/spec/auth/token.md and oauth.md.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio
import attrs
import httpx

from daemon.registry.addresses import Address, may_be_plain
from daemon.registry.challenges import Challenge, parse_challenges
from daemon.registry.credentials import Credentials
from daemon.registry.documents import decode_token
from daemon.registry.refusals import Interrupted, RegistryError, RegistryRefusal, refusal_of, status_line

REDIRECTS_MAX = 5
"""From a registry to where its blobs are is one; content networks add another."""

CONNECT_TIMEOUT_S = 15.0
IDLE_TIMEOUT_S = 120.0
"""Between two reads or writes of one request. Registries answer the end of a large upload after they have hashed it."""

DOCUMENT_TIMEOUT_S = 120.0
"""For a manifest, a token or a list, and for the end of an upload: from the first byte of the request to the answer's last."""

TOKEN_BYTES_MAX = 1 << 20
ERROR_BYTES_MAX = 64 << 10
"""Of the body of a refusal; what follows is not read."""

LOCATION_LENGTH_MAX = 16 << 10
"""Signed addresses of content networks have one or two thousand characters."""

CLIENT_ID = "docker"
"""What token servers know."""

TIMEOUT = httpx.Timeout(IDLE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)


@attrs.frozen
class Answer:
    """A document that has been read to its end."""

    status: int
    headers: httpx.Headers
    content: bytes


class Session:
    """Requests to `address` with the rights that `scopes` name: `repository:library/busybox:pull`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        address: Address,
        credentials: Credentials,
        *,
        scopes: Sequence[str] = (),
        insecure: Sequence[str] = (),
    ) -> None:
        self._http = http
        self._address = address
        self._credentials = credentials
        self._scopes = tuple(scopes)
        self._insecure = tuple(insecure)
        self._authorization = f"Bearer {credentials.registry_token}" if credentials.registry_token else ""
        self._turn = anyio.Lock()
        self.identity_token = ""
        """What the token server gave for the next time, if it did."""

    def url(self, path: str) -> str:
        return self._address.origin + path

    @asynccontextmanager
    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """The answer to a request without a body, redirects followed, whatever its status; its body is still to be read.

        Raises:
            Interrupted: there is no connection, or no answer in time.
            RegistryError: it asks for credentials that we have not, or leads to where we do not go.
        """
        response = await self._exchange(method, url, dict(headers or {}))
        try:
            yield response
        finally:
            await _close(response)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        bytes_max: int = ERROR_BYTES_MAX,
    ) -> Answer:
        """A document, whole, within its limits. Raises as `send`, and RegistryError for one that is too large."""
        with _in_time(method, url):
            response = await self._exchange(method, url, dict(headers or {}), content or None)
            return await _answer(response, bytes_max)

    async def check_login(self) -> None:
        """Ask for what everybody with valid credentials gets.

        Raises RegistryError, with Moby's texts (registry/auth.go loginV2).
        """
        url = self.url("/v2/")
        try:
            answer = await self.ask("GET", url)
        except RegistryRefusal as error:
            raise RegistryRefusal(error.status, error.code, f'Get "{url}": {error}') from error
        if answer.status != 200:
            status = status_line(answer.status)
            raise RegistryRefusal(answer.status, "", f"login attempt to {url} failed with status: {status}")

    async def stream(
        self, method: str, url: str, chunks: AsyncGenerator[bytes, None], *, headers: Mapping[str, str]
    ) -> Answer:
        """The answer to a request whose body comes bit by bit: sent once, with the credentials that have been asked for."""
        response = await _open(self._http, self._request(method, url, dict(headers), chunks))
        return await _answer(response, ERROR_BYTES_MAX)

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None = None
    ) -> httpx.Response:
        """The answer that all redirects lead to. Only what reads is redirected."""
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._authenticated(method, url, headers, content)
            if method not in ("GET", "HEAD") or response.status_code not in _REDIRECTS:
                return response
            await _close(response)
            url = self.target(url, response.headers.get("location", ""))
        raise RegistryError(f'{method.title()} "{_shown(url)}": stopped after {REDIRECTS_MAX} redirects')

    async def _authenticated(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> httpx.Response:
        used = self._authorization
        response = await _open(self._http, self._request(method, url, headers, content))
        if response.status_code != 401 or not self._is_own(url):
            return response
        try:
            refusal = await _read(response, ERROR_BYTES_MAX)
        finally:
            await _close(response)
        asked_for = response.headers.get_list("www-authenticate")
        if not await self._authenticate(parse_challenges(asked_for), used, f'{method.title()} "{_shown(url)}"'):
            raise refusal_of(401, refusal, asked_for)
        return await _open(self._http, self._request(method, url, headers, content))

    def target(self, base: str, location: str) -> str:
        """What a `Location` means. Raises RegistryError for where we do not go."""
        try:
            url = httpx.URL(base).join(location)
        except (httpx.InvalidURL, ValueError):
            url = httpx.URL("")
        is_web = url.scheme in ("http", "https") and bool(url.host) and (url.port or 1) < 1 << 16
        if not location or len(location) > LOCATION_LENGTH_MAX or not is_web:
            raise RegistryError(f"the registry leads to an invalid address: {location[:200]!r}")
        self._check_is_protected(url)
        return str(url)

    def _check_is_protected(self, url: httpx.URL) -> None:
        host = url.netloc.decode("ascii")
        if url.scheme == "http" and not may_be_plain(host, self._insecure):
            raise RegistryError(f"the registry leads to {host}, which is not an insecure registry, without TLS")

    def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | AsyncGenerator[bytes, None] | None = None,
    ) -> httpx.Request:
        authorization = {"Authorization": self._authorization} if self._authorization and self._is_own(url) else {}
        return _build(self._http, method, url, {**headers, **authorization}, content)

    def _is_own(self, url: str) -> bool:
        return _origin(httpx.URL(url)) == _origin(httpx.URL(self._address.origin))

    # Authentication ----------------------------------------------------------------------------------------------------

    async def _authenticate(self, challenges: Sequence[Challenge], used: str, what: str) -> bool:
        """Whether there is something new to try. Raises RegistryError without the credentials that are asked for."""
        async with self._turn:  # of several requests at a time one asks, and the others take what it got
            if self._authorization != used:
                return True
            for challenge in challenges:
                if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                    if self._credentials.registry_token:
                        return False
                    self._authorization = f"Bearer {await self._fetch_token(challenge)}"
                    return True
                if challenge.scheme == "basic":
                    if not self._credentials.basic:
                        raise RegistryError(f"{what}: no basic auth credentials")
                    self._authorization = self._credentials.basic
                    return used != self._authorization
            return False

    async def _fetch_token(self, challenge: Challenge) -> str:
        realm = self.target(self._address.origin, challenge.parameters["realm"])
        with _in_time("Get", realm):
            answer = await _answer(await _open(self._http, self._token_request(realm, challenge)), TOKEN_BYTES_MAX)
        if answer.status >= 400:
            raise refusal_of(answer.status, answer.content)
        if answer.status != 200:  # a redirect: what has the credentials does not follow it
            raise RegistryError(f'Get "{_shown(realm)}": unexpected status {answer.status} of a token server')
        token, identity_token = decode_token(answer.content)
        self.identity_token = identity_token or self.identity_token
        return token

    def _token_request(self, realm: str, challenge: Challenge) -> httpx.Request:
        service = challenge.parameters.get("service", "")
        scopes = self._scopes or tuple(challenge.parameters.get("scope", "").split())
        if self._credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": self._credentials.identity_token,
                "service": service,
                "client_id": CLIENT_ID,
                "scope": " ".join(scopes),
            }
            return self._http.build_request("POST", realm, data=form, headers=_NO_CODING)
        query: list[tuple[str, str | int | float | bool | None]] = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        basic = self._credentials.basic
        if basic:
            query.append(("account", self._credentials.username))
        if not self._scopes and basic:
            query += [("client_id", CLIENT_ID), ("offline_token", "true")]
        url = httpx.URL(realm).copy_merge_params(query)
        return _build(self._http, "GET", str(url), {"Authorization": basic} if basic else {}, None)


_REDIRECTS = (301, 302, 303, 307, 308)
_NO_CODING = {"Accept-Encoding": "identity"}
"""What is hashed and counted is what was sent."""


def _build(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | AsyncGenerator[bytes, None] | None,
) -> httpx.Request:
    try:
        return http.build_request(method, url, headers={**_NO_CODING, **headers}, content=content)
    except (httpx.InvalidURL, ValueError) as error:
        raise RegistryError(f'{method.title()} "{_shown(url)}": {error}') from error


async def _answer(response: httpx.Response, bytes_max: int) -> Answer:
    """The document, read to its end; the response is closed."""
    try:
        return Answer(response.status_code, response.headers, await _read(response, bytes_max))
    finally:
        await _close(response)


async def _close(response: httpx.Response) -> None:
    with anyio.CancelScope(shield=True):  # closes a socket, or gives it back
        await response.aclose()


async def _open(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    try:
        return await http.send(request, stream=True)
    except (httpx.HTTPError, UnicodeError) as error:  # the latter for a label that no resolver can be asked for
        raise interrupted(error, request) from error


def interrupted(error: httpx.HTTPError | UnicodeError, request: httpx.Request) -> Interrupted:
    """A broken exchange, as Go writes one."""
    return Interrupted(f'{request.method.title()} "{_shown(str(request.url))}": {_reason(error)}')


def _reason(error: BaseException) -> str:
    """The system's own word, below what the layers above it make of that."""
    if isinstance(error, UnicodeError):
        return "no such host"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):  # of several addresses the first
            cause = cause.exceptions[0]
        if isinstance(cause, socket.gaierror):  # its number is none of the system's errors
            return str(cause.args[1]).lower()
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


async def _read(response: httpx.Response, bytes_max: int) -> bytes:
    content = bytearray()
    try:
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > bytes_max:
                if response.status_code >= 400:
                    break
                raise RegistryError(f"the registry sent more than {bytes_max} bytes in place of a document")
    except httpx.HTTPError as error:
        raise interrupted(error, response.request) from error
    return bytes(content[:bytes_max])


@contextmanager
def _in_time(method: str, url: str) -> Iterator[None]:
    """A limit for the whole of an exchange."""
    with anyio.move_on_after(DOCUMENT_TIMEOUT_S) as scope:
        yield
    if scope.cancelled_caught:
        raise Interrupted(f'{method.title()} "{_shown(url)}": no whole answer within {DOCUMENT_TIMEOUT_S:g} s')


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _shown(url: str) -> str:
    """Without the query: it may hold a signature."""
    return url.partition("?")[0][:300]

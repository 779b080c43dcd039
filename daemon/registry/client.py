"""The distribution API, call by call. Documents asked for by digest are checked; blobs are for whoever stores them to check.

Source: OCI distribution-spec v1.1, "Endpoints"; the chunked upload is that of docker push: POST, one PATCH, PUT.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import attrs
import httpx

from daemon.errors import InvalidParameter
from daemon.registry.documents import ACCEPTED, TAGS_MAX, FetchedManifest, decode_tags, media_type_of
from daemon.registry.refusals import Interrupted, RegistryError, refusal_of
from daemon.registry.session import ERROR_BYTES_MAX, Answer, Session, interrupted
from daemon.storage.oci import JSON_BYTES_MAX, Descriptor, digest_of

TAG_PAGES_MAX = 200
"""A list of tags comes in pages of 50 at least."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/(?:[0-9]+|\*)", re.ASCII)
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@attrs.frozen
class BlobStream:
    """A blob that is arriving."""

    offset: int
    """Where it begins: what was asked for, or 0 from a registry that cannot do that."""
    chunks: AsyncGenerator[bytes, None]


class RegistryClient:
    def __init__(self, session: Session, repository: str) -> None:
        self._session = session
        self._repository = repository

    async def manifest(self, tag_or_digest: str) -> FetchedManifest:
        """Raises RegistryError; InvalidParameter for one that is too large, damaged or not the one asked for."""
        answer = await self._session.ask(
            "GET",
            self._url(f"manifests/{quote(tag_or_digest, safe=':')}"),
            headers={"Accept": ", ".join(ACCEPTED)},
            bytes_max=JSON_BYTES_MAX,
        )
        _expect(answer, 200)
        media_type = media_type_of(answer.headers.get("content-type", ""), answer.content)
        fetched = FetchedManifest(media_type=media_type, content=answer.content)
        if ":" in tag_or_digest and fetched.digest != tag_or_digest:
            raise InvalidParameter(f"manifest verification failed for digest {tag_or_digest}")
        return fetched

    async def tags(self) -> tuple[str, ...]:
        """All of them, in the registry's order. Raises RegistryError, InvalidParameter."""
        tags: list[str] = []
        url = self._url("tags/list")
        for _ in range(TAG_PAGES_MAX):
            answer = await self._session.ask("GET", url, bytes_max=JSON_BYTES_MAX)
            _expect(answer, 200)
            tags += decode_tags(answer.content)
            more = _NEXT.search(answer.headers.get("link", ""))
            if more is None or len(tags) > TAGS_MAX:
                break
            url = self._session.target(url, more[1])
        if len(tags) > TAGS_MAX:
            raise InvalidParameter(f"invalid list of tags: more than {TAGS_MAX} tags")
        return tuple(dict.fromkeys(tags))

    async def small_blob(self, blob: Descriptor) -> bytes:
        """A configuration, whole. Raises RegistryError; InvalidParameter for one that is too large or not the one asked for."""
        if blob.size > JSON_BYTES_MAX:
            raise InvalidParameter(f"invalid manifest: a configuration of more than {JSON_BYTES_MAX} bytes")
        answer = await self._session.ask("GET", self._url(f"blobs/{blob.digest}"), bytes_max=JSON_BYTES_MAX)
        _expect(answer, 200)
        if digest_of(answer.content) != blob.digest:
            raise InvalidParameter(f"image config verification failed for digest {blob.digest}")
        return answer.content

    @asynccontextmanager
    async def blob(self, digest: str, *, offset: int = 0) -> AsyncIterator[BlobStream]:
        """A blob from `offset` on, or from its beginning. Reading it, too, raises RegistryError."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._session.send("GET", self._url(f"blobs/{digest}"), headers=headers) as response:
            if response.status_code == 206:
                stated = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
                if stated is None or int(stated[1]) != offset:
                    raise Interrupted(f"the registry sent another part of {digest} than it was asked for")
                yield BlobStream(offset, _chunks(response))
            elif response.status_code == 200:
                yield BlobStream(0, _chunks(response))
            else:
                content = await _start_of(response)
                raise refusal_of(response.status_code, content)

    async def has_blob(self, digest: str) -> bool:
        answer = await self._session.ask("HEAD", self._url(f"blobs/{digest}"))
        if answer.status == 404:
            return False
        _expect(answer, 200)
        return True

    async def mount(self, digest: str, repository: str) -> str:
        """Take a blob over from another repository: empty if that is done, else where to upload it."""
        query = f"?mount={quote(digest, safe='')}&from={quote(repository, safe='')}"
        return await self._begin(query)

    async def begin_upload(self) -> str:
        """Where to upload a blob."""
        return await self._begin("")

    async def upload(self, location: str, blob: Descriptor, chunks: AsyncGenerator[bytes, None]) -> None:
        """Send a blob to where `begin_upload` said. It can be sent once: after a failure another upload is to be begun."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        answer = await self._session.stream("PATCH", location, chunks, headers=headers)
        _expect(answer, 202, 204)
        location = self._session.target(location, answer.headers.get("location", ""))
        location += ("&" if "?" in location else "?") + f"digest={quote(blob.digest, safe='')}"
        answer = await self._session.ask("PUT", location, headers={"Content-Length": "0"})
        _expect(answer, 201, 204)

    async def put_manifest(self, tag_or_digest: str, media_type: str, content: bytes) -> None:
        url = self._url(f"manifests/{quote(tag_or_digest, safe=':')}")
        answer = await self._session.ask("PUT", url, headers={"Content-Type": media_type}, content=content)
        _expect(answer, 201, 200, 202, 204)

    async def _begin(self, query: str) -> str:
        url = self._url("blobs/uploads/")
        answer = await self._session.ask("POST", url + query, headers={"Content-Length": "0"})
        _expect(answer, 202, 201)
        return "" if answer.status == 201 and query else self._session.target(url, answer.headers.get("location", ""))

    def _url(self, path: str) -> str:
        return self._session.url(f"/v2/{self._repository}/{path}")


def _expect(answer: Answer, *statuses: int) -> None:
    """Raises RegistryError for any other status."""
    if answer.status >= 400:
        raise refusal_of(answer.status, answer.content, answer.headers.get_list("www-authenticate"))
    if answer.status not in statuses:
        raise RegistryError(f"received unexpected HTTP status: {answer.status}")


async def _chunks(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        raise interrupted(error, response.request) from error


async def _start_of(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in _chunks(response):
        content += chunk
        if len(content) >= ERROR_BYTES_MAX:
            break
    return bytes(content)

"""Who is told what: the 401 dance, tokens, redirects, and the limits of it all. Against a registry that follows a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import anyio
import pytest

from daemon.errors import DaemonError, InvalidParameter
from daemon.reference import parse_reference
from daemon.registry.challenges import scopes_of
from daemon.registry.client import RegistryClient
from daemon.registry.credentials import ANONYMOUS, Credentials
from daemon.registry.refusals import Interrupted, RegistryError, RegistryRefusal
from daemon.registry.registries import Registries
from daemon.storage.oci import JSON_BYTES_MAX, digest_of
from tests.daemon.registry.scripted import (
    Asked,
    Reply,
    ScriptedRegistry,
    error_body,
    remote_image,
    scripted_registry,
)
from tests.daemon.storage.making import BASE

pytestmark = pytest.mark.anyio

IMAGE = remote_image(BASE)
MANIFEST = "/v2/me/app/manifests/v1"
ME = Credentials(username="me", password="secret")
BASIC = ME.basic
DENIED = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}, body=error_body("UNAUTHORIZED", "no"))


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with scripted_registry() as started:
        started.put_image("me/app", "v1", IMAGE)
        yield started


@pytest.fixture
def elsewhere() -> Iterator[ScriptedRegistry]:
    with scripted_registry() as started:
        yield started


@asynccontextmanager
async def client_of(
    registry: ScriptedRegistry, credentials: Credentials = ANONYMOUS, *, name: str = "me/app"
) -> AsyncIterator[RegistryClient]:
    reference = parse_reference(f"{registry.host}/{name}")
    async with Registries().client(reference, credentials, scopes_of(reference.path)) as client:
        yield client


def authorizations(registry: ScriptedRegistry) -> list[str]:
    return [asked.headers.get("authorization", "") for asked in registry.asked]


def needing(authorization: str, answer: Reply, refusal: Reply = DENIED) -> list[object]:
    def reply(asked: Asked) -> Reply:
        return answer if asked.headers.get("authorization") == authorization else refusal

    return [reply]


def bearer_at(registry: ScriptedRegistry, path: str = "/token") -> Reply:
    challenge = f'Bearer realm="http://{registry.host}{path}",service="the service",scope="ignored"'
    return Reply(status=401, headers={"WWW-Authenticate": challenge})


def token(text: str, **fields: str) -> Reply:
    return Reply(body=json.dumps({"token": text, **fields}).encode())


FOUND = Reply(headers={"Content-Type": IMAGE.media_type}, body=IMAGE.manifest)


async def test_nobody_is_told_anything_unasked(registry: ScriptedRegistry) -> None:
    async with client_of(registry, ME) as client:
        assert (await client.manifest("v1")).content == IMAGE.manifest
    assert authorizations(registry) == [""]


async def test_a_registry_that_asks_for_a_password_gets_it_and_then_every_time(registry: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, *needing(BASIC, FOUND))  # type: ignore[arg-type]  # of callables
    async with client_of(registry, ME) as client:
        await client.manifest("v1")
        await client.manifest("v1")
    assert authorizations(registry) == ["", BASIC, BASIC]


async def test_a_password_that_is_not_there_or_wrong_is_told(registry: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, DENIED)
    async with client_of(registry) as client:
        with pytest.raises(
            RegistryError, match=r'^Get "http://127\.0\.0\.1:.*/manifests/v1": no basic auth credentials$'
        ):
            await client.manifest("v1")
    async with client_of(registry, ME) as client:
        for _ in range(2):
            with pytest.raises(RegistryRefusal, match=r"^unauthorized: no$"):
                await client.manifest("v1")
    assert authorizations(registry) == ["", "", BASIC, BASIC]


async def test_a_token_is_fetched_from_where_the_registry_says(
    registry: ScriptedRegistry, elsewhere: ScriptedRegistry
) -> None:
    registry.on("GET", MANIFEST, *needing("Bearer t1", FOUND, bearer_at(elsewhere)))  # type: ignore[arg-type]  # as above
    elsewhere.on("GET", "/token", token("t1"))
    async with client_of(registry, ME) as client:
        await client.manifest("v1")
        await client.manifest("v1")
    assert authorizations(registry) == ["", "Bearer t1", "Bearer t1"]
    (asked,) = elsewhere.asked
    assert asked.headers["authorization"] == BASIC
    assert parse_qs(asked.query) == {
        "service": ["the service"],
        "scope": ["repository:me/app:pull"],
        "account": ["me"],
    }


async def test_a_token_that_has_expired_is_replaced_once(registry: ScriptedRegistry) -> None:
    old, new = bearer_at(registry), FOUND
    registry.on("GET", MANIFEST, old, FOUND, old, new, old)
    registry.on("GET", "/token", token("t1"), token("t2"))
    async with client_of(registry) as client:
        await client.manifest("v1")
        await client.manifest("v1")
        assert registry.count("GET", "/token") == 2
        with pytest.raises(RegistryRefusal, match=r"^unauthorized: authentication required$"):
            await client.manifest("v1")
    assert authorizations(registry)[-1] == "Bearer t2"


async def test_several_requests_ask_for_one_token(registry: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, *needing("Bearer t1", FOUND, bearer_at(registry)))  # type: ignore[arg-type]  # as above
    registry.on("GET", "/token", token("t1"))
    async with client_of(registry) as client, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(client.manifest, "v1")
    assert registry.count("GET", "/token") == 1


async def test_an_identity_token_is_exchanged_and_a_registry_token_presented(registry: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, *needing("Bearer t1", FOUND, bearer_at(registry)))  # type: ignore[arg-type]  # as above
    registry.on("POST", "/token", Reply(body=b'{"access_token": "t1"}'))
    async with client_of(registry, Credentials(username="me", identity_token="id")) as client:
        await client.manifest("v1")
    form = parse_qs(registry.asked[1].body.decode())
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["id"])
    assert form["scope"] == ["repository:me/app:pull"]
    async with client_of(registry, Credentials(registry_token="t1")) as client:
        await client.manifest("v1")
    assert authorizations(registry)[-1] == "Bearer t1"


async def test_too_few_rights_are_a_denial(registry: ScriptedRegistry) -> None:
    refusal = Reply(status=401, headers={"WWW-Authenticate": 'Bearer realm="/token",error="insufficient_scope"'})
    registry.on("GET", MANIFEST, bearer_at(registry), refusal)
    registry.on("GET", "/token", token("t1"))
    async with client_of(registry) as client:
        with pytest.raises(RegistryRefusal, match=r"^denied: requested access to the resource is denied$"):
            await client.manifest("v1")


TOKENS = [
    (Reply(status=401, body=error_body("UNAUTHORIZED", "bad user")), "^unauthorized: bad user$"),
    (Reply(status=503), "503 Service Unavailable"),
    (Reply(body=b"{}"), "did not include a token"),
    (token("a\r\nX-Other: b"), "a token that is none"),
    (Reply(body=b" " * (1 << 20) + b"{}"), "more than 1048576 bytes"),
    (Reply(status=302, headers={"Location": "http://127.0.0.1:9/"}), "unexpected status 302 of a token server"),
]


@pytest.mark.parametrize(("answer", "complaint"), TOKENS)
async def test_a_token_server_that_does_not_do_its_part_is_the_end(
    registry: ScriptedRegistry, answer: Reply, complaint: str
) -> None:
    registry.on("GET", MANIFEST, bearer_at(registry))
    registry.on("GET", "/token", answer)
    async with client_of(registry, ME) as client:
        with pytest.raises(RegistryError, match=complaint):
            await client.manifest("v1")


async def test_credentials_stay_behind_where_a_redirect_leads_elsewhere(
    registry: ScriptedRegistry, elsewhere: ScriptedRegistry
) -> None:
    away = Reply(status=307, headers={"Location": f"http://{elsewhere.host}/blob?signature=s"})
    registry.on("GET", MANIFEST, *needing(BASIC, away))  # type: ignore[arg-type]  # as above
    elsewhere.on("GET", "/blob", FOUND)
    async with client_of(registry, ME) as client:
        assert (await client.manifest("v1")).content == IMAGE.manifest
    assert authorizations(registry) == ["", BASIC]
    assert authorizations(elsewhere) == [""]
    assert not [asked for asked in elsewhere.asked if "secret" in str(asked)]


async def test_who_is_led_to_asks_in_vain(registry: ScriptedRegistry, elsewhere: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, Reply(status=307, headers={"Location": f"http://{elsewhere.host}/blob"}))
    elsewhere.on("GET", "/blob", DENIED)
    async with client_of(registry, ME) as client:
        with pytest.raises(RegistryRefusal):
            await client.manifest("v1")
    assert authorizations(elsewhere) == [""]


async def test_a_redirect_within_the_registry_keeps_them(registry: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, *needing(BASIC, Reply(status=302, headers={"Location": "/elsewhere"})))  # type: ignore[arg-type]  # as above
    registry.on("GET", "/elsewhere", FOUND)
    async with client_of(registry, ME) as client:
        await client.manifest("v1")
    assert authorizations(registry) == ["", BASIC, BASIC]


WAYS = [
    (f"http://{'{}'}{MANIFEST}", "stopped after 5 redirects"),
    ("http://registry.example/x", "registry.example, which is not an insecure registry, without TLS"),
    ("", "an invalid address: ''"),
    ("ftp://127.0.0.1/x", "an invalid address"),
    ("http://127.0.0.1:99999/", "an invalid address"),
    ("/" + "x" * 20_000, "an invalid address"),
]


@pytest.mark.parametrize(("location", "complaint"), WAYS)
async def test_not_every_way_is_taken(registry: ScriptedRegistry, location: str, complaint: str) -> None:
    registry.on("GET", MANIFEST, Reply(status=302, headers={"Location": location.replace("{}", registry.host)}))
    async with client_of(registry) as client:
        with pytest.raises(RegistryError, match=complaint):
            await client.manifest("v1")


async def test_a_token_server_without_tls_is_not_told_the_password(registry: ScriptedRegistry) -> None:
    challenge = 'Bearer realm="http://auth.example/token"'
    registry.on("GET", MANIFEST, Reply(status=401, headers={"WWW-Authenticate": challenge}))
    async with client_of(registry, ME) as client:
        with pytest.raises(RegistryError, match=r"auth\.example, which is not an insecure registry, without TLS"):
            await client.manifest("v1")


async def test_a_document_has_a_size(registry: ScriptedRegistry) -> None:
    registry.on("GET", MANIFEST, Reply(body=b" " * (JSON_BYTES_MAX + 1)))
    async with client_of(registry) as client:
        with pytest.raises(RegistryError, match=f"more than {JSON_BYTES_MAX} bytes"):
            await client.manifest("v1")


async def test_a_manifest_has_the_digest_that_was_asked_for(registry: ScriptedRegistry) -> None:
    wanted = digest_of(b"another")
    registry.on("GET", f"/v2/me/app/manifests/{wanted}", FOUND)
    async with client_of(registry) as client:
        with pytest.raises(InvalidParameter, match=f"^manifest verification failed for digest {wanted}$"):
            await client.manifest(wanted)


BROKEN = [
    (Reply(headers={"Content-Length": "99999"}, body=b"{", sent=1), "peer closed connection|incomplete|eof"),
    (Reply(status=500), "500 Internal Server Error"),
]


@pytest.mark.parametrize(("answer", "complaint"), BROKEN)
async def test_what_breaks_off_may_be_tried_again(registry: ScriptedRegistry, answer: Reply, complaint: str) -> None:
    registry.on("GET", MANIFEST, answer)
    async with client_of(registry) as client:
        with pytest.raises(Interrupted, match=complaint):
            await client.manifest("v1")


async def test_where_nobody_listens_the_system_says_why() -> None:
    with scripted_registry() as gone:
        host = gone.host
    async with Registries().client(parse_reference(f"{host}/me/app"), ANONYMOUS, ()) as client:
        with pytest.raises(Interrupted, match=rf'^Get "http://{host}/v2/me/app/manifests/v1": connection refused$'):
            await client.manifest("v1")


async def test_a_name_that_cannot_be_resolved_is_said_without_the_number_of_the_error() -> None:
    host = f"{'a' * 64}.example:5000"  # a label longer than any: no resolver is asked
    async with Registries().client(parse_reference(f"{host}/me/app"), ANONYMOUS, ()) as client:
        with pytest.raises(Interrupted, match=rf'^Get "https://{host}/v2/me/app/manifests/v1": [a-z -]+$'):
            await client.manifest("v1")


async def test_tags_come_in_pages(registry: ScriptedRegistry) -> None:
    more = {"Link": '</v2/me/app/tags/list?last=b&n=2>; rel="next"'}
    registry.on(
        "GET", "/v2/me/app/tags/list", Reply(headers=more, body=b'{"tags": ["a", "b"]}'), Reply(body=b'{"tags": ["c"]}')
    )
    async with client_of(registry) as client:
        assert await client.tags() == ("a", "b", "c")
    assert [asked.query for asked in registry.asked] == ["", "last=b&n=2"]
    registry.on("GET", "/v2/me/app/tags/list", Reply(headers=more, body=b'{"tags": ["a"]}'))
    async with client_of(registry) as client:
        assert await client.tags() == ("a",)  # over and over, up to a limit


async def test_a_login_is_checked_and_brings_an_identity_token(registry: ScriptedRegistry) -> None:
    registry.on("GET", "/v2/", *needing("Bearer t1", Reply(), bearer_at(registry)))  # type: ignore[arg-type]  # as above
    registry.on("GET", "/token", token("t1", refresh_token="for next time"))
    me = Credentials(username="me", password="secret", server_address=registry.host)
    async with Registries().login(me) as session:
        await session.check_login()
        assert session.identity_token == "for next time"
    assert "offline_token=true" in registry.asked[1].query


LOGINS = [
    ([DENIED], "login attempt to http://{}/v2/ failed with status: 401 Unauthorized"),
    ([Reply(status=404)], "login attempt to http://{}/v2/ failed with status: 404 Not Found"),
]


@pytest.mark.parametrize(("answers", "complaint"), LOGINS)
async def test_a_login_that_fails_says_how(registry: ScriptedRegistry, answers: list[Reply], complaint: str) -> None:
    registry.on("GET", "/v2/", *answers)
    me = Credentials(username="me", password="wrong", server_address=registry.host)
    async with Registries().login(me) as session:
        with pytest.raises(DaemonError) as caught:
            await session.check_login()
    assert str(caught.value) == complaint.format(registry.host)

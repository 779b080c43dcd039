"""Plugins as Docker's are: real ones, of these tests' own server, that answer at a Unix socket as each test wants."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from daemon.api.authorization import Answered, Asked, AuthorizationDenied, AuthorizationFailed
from daemon.api.authorization_plugins import ANSWER_BYTES_MAX, asking
from daemon.errors import DaemonError
from daemon.http.message import Peer, Request, Response
from tests.daemon.harness import in_memory
from tests.daemon.http.serving import serving

pytestmark = pytest.mark.anyio

ASKED = Asked(
    peer=Peer(uid=0),
    method="POST",
    target="/v1.50/containers/create?name=a",
    headers={"content-type": "application/json", "x-a": "b"},
    body=b'{"Image": "a"}',
)


class Plugin:
    """Notes what it is asked, and gives one answer to everything."""

    def __init__(self, answer: object, status: int = 200, *, implements: object = ("authz",)) -> None:
        self.manifest = Response(status=200, body=json.dumps({"Implements": implements}).encode())
        self.activations = 0
        self._answer = Response(
            status=status, body=answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        )
        self.asked: list[tuple[str, Any]] = []

    async def handle(self, request: Request) -> Response:
        if request.path == "/Plugin.Activate":
            self.activations += 1
            return self.manifest
        self.asked.append((f"{request.method} {request.path}", json.loads(await request.body.read(1 << 20))))
        return self._answer


@pytest.fixture
def root() -> Iterator[Path]:
    """A short one: the path of a socket has at most 107 bytes."""
    with in_memory() as path:
        yield path


async def answer_of(plugin: Plugin, root: Path, asked: Asked = ASKED) -> DaemonError | None:
    """How it refuses, if it does."""
    async with serving(plugin.handle, root), asking([str(root / "s")]) as plugins:
        try:
            await plugins.authorize(asked)
        except DaemonError as error:
            return error
        return None


async def test_it_is_asked_as_docker_asks(root: Path) -> None:
    plugin = Plugin({"Allow": True})
    assert await answer_of(plugin, root) is None
    question = {
        "RequestMethod": "POST",
        "RequestUri": "/v1.50/containers/create?name=a",
        "RequestBody": base64.b64encode(b'{"Image": "a"}').decode(),
        "RequestHeaders": {"Content-Type": "application/json", "X-A": "b"},
    }
    assert plugin.asked == [("POST /AuthZPlugin.AuthZReq", question)]


async def test_of_a_client_with_a_certificate_it_is_told_who_that_is(root: Path) -> None:
    plugin = Plugin({"Allow": True})
    peer = Peer(address="192.0.2.1:5", name="alice", certificate=b"der")
    asked = Asked(peer=peer, method="GET", target="/_ping", headers={}, body=b"")
    assert await answer_of(plugin, root, asked) is None
    question = plugin.asked[0][1]
    assert (question["User"], question["UserAuthNMethod"]) == ("alice", "TLS")
    [pem] = question["RequestPeerCertificates"]
    assert ssl.PEM_cert_to_DER_cert(base64.b64decode(pem).decode()) == b"der"
    assert "RequestBody" not in question


ANSWERS: list[tuple[object, int, type[DaemonError], str]] = [
    ({"Allow": False, "Msg": "not you"}, 200, AuthorizationDenied, "authorization denied by plugin s: not you"),
    ({"Allow": False}, 200, AuthorizationDenied, "authorization denied by plugin s: "),
    ({}, 200, AuthorizationDenied, "authorization denied by plugin s: "),
    ({"Msg": "x"}, 200, AuthorizationDenied, "authorization denied by plugin s: x"),
    ({"Allow": True, "Err": "broken"}, 200, AuthorizationFailed, "plugin s failed with error: broken"),
    ({"Allow": True}, 500, AuthorizationFailed, "plugin s failed with error: its answer has the status 500"),
    ({"Allow": "yes"}, 200, AuthorizationFailed, "plugin s failed with error: its answer cannot be understood"),
    ({"Allow": 1}, 200, AuthorizationFailed, "plugin s failed with error: its answer cannot be understood"),
    (["Allow"], 200, AuthorizationFailed, "plugin s failed with error: its answer cannot be understood"),
    (b"", 200, AuthorizationFailed, "plugin s failed with error: its answer cannot be understood"),
    (b"\xff", 200, AuthorizationFailed, "plugin s failed with error: its answer cannot be understood"),
    (b" " * (ANSWER_BYTES_MAX + 1), 200, AuthorizationFailed, "plugin s failed with error: its answer is too long"),
]


@pytest.mark.parametrize(("answer", "status", "kind", "text"), ANSWERS)
async def test_whatever_is_no_clear_yes_is_a_no(
    answer: object, status: int, kind: type[DaemonError], text: str, root: Path
) -> None:
    error = await answer_of(Plugin(answer, status), root)
    assert (type(error), str(error)) == (kind, text)


async def test_one_that_is_not_there_has_not_said_yes(root: Path) -> None:
    async with asking([str(root / "missing.sock")]) as plugins:
        with pytest.raises(AuthorizationFailed) as refused:
            await plugins.authorize(ASKED)
    assert str(refused.value) == "plugin missing failed with error: it does not answer"


async def test_one_that_is_only_named_is_where_docker_looks_for_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.api.authorization_plugins.PLUGINS", root)
    (root / "opa.sock").symlink_to("s")
    plugin = Plugin({"Allow": False, "Msg": "no"})
    async with serving(plugin.handle, root), asking(["opa"]) as plugins:
        with pytest.raises(AuthorizationDenied, match="authorization denied by plugin opa: no"):
            await plugins.authorize(ASKED)


async def test_all_are_asked_in_their_order_until_one_says_no(root: Path) -> None:
    for name in "abc":
        (root / f"{name}.sock").symlink_to("s")
    answers = [{"Allow": True}, {"Msg": "no"}, {"Allow": True}]
    left = iter(map(Plugin, answers))

    async def handle(request: Request) -> Response:
        fake = Plugin({}) if request.path == "/Plugin.Activate" else next(left)
        return await fake.handle(request)

    async with serving(handle, root), asking([str(root / f"{name}.sock") for name in "abc"]) as plugins:
        with pytest.raises(AuthorizationDenied, match="authorization denied by plugin b: no"):
            await plugins.authorize(ASKED)
    assert len(list(left)) == 1, "nobody has asked it"


async def test_many_ask_at_a_time(root: Path) -> None:
    plugin = Plugin({"Allow": True})
    async with serving(plugin.handle, root), asking([str(root / "s")]) as plugins, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(plugins.authorize, ASKED)
    assert len(plugin.asked) == 10
    assert plugin.activations == 1


@pytest.mark.parametrize("implements", [(), ["VolumeDriver"], ["authz2"]])
async def test_what_is_no_plugin_for_authorization_is_not_asked(implements: object, root: Path) -> None:
    plugin = Plugin({"Allow": True}, implements=implements)
    error = await answer_of(plugin, root)
    assert str(error) == "plugin s failed with error: Plugin does not implement the requested driver"
    assert isinstance(error, AuthorizationFailed)
    assert plugin.asked == []


async def test_one_that_could_not_be_activated_is_tried_again_with_the_next_request(root: Path) -> None:
    plugin = Plugin({"Allow": True}, implements="nonsense")
    async with serving(plugin.handle, root), asking([str(root / "s")]) as plugins:
        with pytest.raises(AuthorizationFailed, match="its answer cannot be understood"):
            await plugins.authorize(ASKED)
        plugin.manifest = Response(status=200, body=b'{"Implements": ["authz", "VolumeDriver"]}')
        for _ in range(2):
            await plugins.authorize(ASKED)
    assert (plugin.activations, len(plugin.asked)) == (2, 2)


async def test_it_is_asked_about_an_answer_as_docker_asks(root: Path) -> None:
    plugin = Plugin({"Allow": False, "Msg": "not that"})
    answered = Answered(status=201, headers={"content-type": "application/json"}, body=b"{}")
    async with serving(plugin.handle, root), asking([str(root / "s")]) as plugins:
        with pytest.raises(AuthorizationDenied, match=r"^authorization denied by plugin s: not that$"):
            await plugins.authorize_answer(ASKED, answered)
    [(path, question)] = plugin.asked
    assert path == "POST /AuthZPlugin.AuthZRes"
    assert (question["RequestMethod"], question["RequestUri"]) == ("POST", ASKED.target)
    assert question["ResponseStatusCode"] == 201
    assert base64.b64decode(question["ResponseBody"]) == b"{}"
    assert question["ResponseHeaders"] == {"Content-Type": "application/json"}

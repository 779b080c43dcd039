"""The dashboard: who may see it, and what a browser shows of it, in light and in dark."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.http.message import Request
from daemon.monitor.dashboard import PAGE, POLICY, Dashboard, events, policy_of
from daemon.testing import DockerEngine
from tests.daemon.monitor.browser import Page, page
from tests.daemon.overview.making import OVERVIEW

PATIENCE_S = 30.0
SECRET = "s3cret"


def asked(path: str, *, host: str = "127.0.0.1:8000", method: str = "GET") -> Request:
    headers = {"host": host} if host else {}
    return Request(method=method, path=path, query="", headers=headers, body=None, has_body=False)  # type: ignore[arg-type]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (asked(f"/{SECRET}"), 200),
        (asked(f"/{SECRET}/"), 200),
        (asked(f"/{SECRET}", host="localhost:8000"), 200),
        (asked(f"/{SECRET}", method="HEAD"), 200),
        (asked(f"/{SECRET}/events"), 200),
        (asked(f"/{SECRET}", method="POST"), 405),
        (asked(f"/{SECRET}/other"), 404),
        (asked("/"), 404),
        (asked("/events"), 404),
        (asked("/S3cret/events"), 404),
        (asked("/s3cre\xff"), 404),
        (asked(f"/{SECRET}", host=""), 421),
        (asked(f"/{SECRET}", host="evil.example:8000"), 421),
        (asked(f"/{SECRET}", host="127.0.0.1:8001"), 421),
        (asked(f"/{SECRET}", host="127.0.0.1"), 421),
        (asked(f"/{SECRET}/events", host="127.0.0.1.evil.example:8000"), 421),
    ],
)
async def test_only_who_knows_the_secret_and_asks_this_host_is_answered(request_: Request, status: int) -> None:
    response = await Dashboard(Path("/nowhere"), 8000, SECRET).answer(request_)
    assert response.status == status
    headers = dict(response.headers)
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "Access-Control-Allow-Origin" not in headers
    if isinstance(response.body, AsyncGenerator):
        await response.body.aclose()


def test_the_page_loads_nothing_and_runs_nothing_but_itself() -> None:
    assert not re.search(rb"""(?:src|href)=["'](?!data:,)|https?://(?!www\.w3\.org/2000/svg)|@import|url\(""", PAGE)
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\son\w+=|\sstyle=", PAGE)
    assert "unsafe" not in POLICY[1]
    assert policy_of(PAGE.replace(b"WIDTH = 560", b"WIDTH = 561")) != POLICY[1]


@pytest.mark.anyio
async def test_where_the_daemon_is_gone_the_stream_says_so_and_ends(tmp_path: Path) -> None:
    told = [chunk async for chunk in events(tmp_path / "nobody")]
    assert told[0] == b"retry: 1000\n\n"
    assert len(told) == 2
    assert told[1].startswith(b"event: lost\ndata: ")
    assert json.loads(told[1].partition(b"data: ")[2]).startswith("nobody answers at ")


@contextmanager
def dashboard(host: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it has said."""
    command = [sys.executable, "-m", "daemon", "dashboard", "-H", host, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DockerEngine]:
    with DockerEngine(tmp_path) as started:
        yield started


def test_it_says_its_address_serves_there_and_ends_at_ctrl_c(engine: DockerEngine) -> None:
    with dashboard(engine.host) as (process, url), dashboard(engine.host) as (_, other):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{22}", url)
        assert url[-22:] != other[-22:]
        with httpx.Client(timeout=PATIENCE_S) as client:
            assert client.get(url).content == PAGE
            assert client.get(url, headers={"Host": "evil.example"}).status_code == 421
            with client.stream("GET", f"{url}/events") as stream:
                assert next(stream.iter_lines()) == "retry: 1000"
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE_S) == 0


def test_nobody_there_and_a_port_that_is_taken_are_told(engine: DockerEngine, tmp_path: Path) -> None:
    with dashboard(engine.host) as (_, url):
        port = url.split(":")[2].partition("/")[0]
        with dashboard(engine.host, "--port", port) as (process, said):
            assert (said, process.wait(PATIENCE_S)) == ("", 1)
            assert process.stderr is not None
            assert (
                process.stderr.read() == f"boatyardd: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
            )
    with dashboard(f"{tmp_path}/nobody") as (process, said):
        assert (said, process.wait(PATIENCE_S)) == ("", 1)
        assert process.stderr is not None
        assert process.stderr.read().startswith(f"boatyardd: nobody answers at {tmp_path}/nobody")


def ground(shown: Page) -> str:
    return str(shown.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_a_browser_shows_it_live_in_light_and_in_dark(engine: DockerEngine, tmp_path: Path) -> None:
    engine.image("demo")
    with dashboard(engine.host) as (_, url), page(tmp_path) as shown:
        shown.prefer("light")
        shown.open(url)
        shown.wait("document.querySelector('#state').textContent == 'live'")
        for name in ("storage", "database", "services", "allocator", "transfers"):
            assert name in shown.text()
        config = ContainerConfig(image="demo", cmd=("true",))
        engine.call(lambda within: within.create(CreateRequest(name="web", config=config)))
        shown.wait("document.querySelector('#events').innerText.includes('web')")
        assert "container create" in shown.text()
        light, of_light = shown.screenshot(), ground(shown)
        shown.prefer("dark")
        shown.wait("getComputedStyle(document.body).backgroundColor == 'rgb(21, 24, 28)'")
        assert of_light == "rgb(251, 250, 248)"
        assert shown.screenshot() != light
        engine.stop()
        shown.wait("document.querySelector('#state').textContent.startsWith('lost the daemon: ')")
        engine.start()
        shown.wait("document.querySelector('#state').textContent == 'live'")
        assert shown.complaints == []


def test_a_strangers_text_is_text_in_it(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(PAGE)
    document = msgspec.json.encode(OVERVIEW).decode()
    with page(tmp_path) as shown:
        shown.open((tmp_path / "page.html").as_uri())
        shown.wait("typeof show == 'function'")
        shown.evaluate(f"show({document})")
        assert shown.evaluate("document.querySelectorAll('main b').length") == 0
        assert shown.text().count("</b>[bold]") == 2  # a name, and the text of a crash
        assert "1,234/s" in shown.text()
        assert "3 min 12 s" in shown.text()
        label = shown.evaluate("document.querySelector('#times').getAttribute('aria-label')")
        assert label == "Time of a create in the last minute: now p50 1.5 ms, p99 6 ms"

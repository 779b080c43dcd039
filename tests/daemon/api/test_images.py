"""What inspect shows of an image, by version of the API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.api.routes import Router
from tests.daemon.harness import engine_at
from tests.daemon.http.serving import serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.43", {"ContainerConfig", "VirtualSize"}),
        ("1.44", {"ContainerConfig"}),
        ("1.45", set()),
    ],
)
async def test_old_clients_are_shown_what_they_still_read(version: str, fields: set[str], tmp_path: Path) -> None:
    async with (
        engine_at(tmp_path) as engine,
        serving(Router(engine), tmp_path) as service,
        await service.connect() as client,
    ):
        answer = await client.ask(f"GET /v{version}/images/busybox/json HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        shown = json.loads(answer.body)
    assert {"ContainerConfig", "VirtualSize"} & shown.keys() == fields
    assert shown.get("VirtualSize", shown["Size"]) == shown["Size"]
    assert shown.get("ContainerConfig", {}).get("Volumes") is None

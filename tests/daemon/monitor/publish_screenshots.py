"""Takes docs/dashboard-light.png and -dark.png of a busy daemon: python -m tests.daemon.monitor.publish_screenshots"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Literal

import anyio

from actors.testing import crash
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Conflict
from daemon.testing import DockerEngine, in_memory
from tests.daemon.monitor.browser import page
from tests.daemon.monitor.test_dashboard import dashboard

DOCS = Path(__file__).parents[3] / "docs"
BUSY_S = 60
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")


async def keep_busy(engine: Engine) -> None:
    rng, config = Random(1), ContainerConfig(image="demo", cmd=("true",))
    with anyio.move_on_after(BUSY_S):
        for number in range(100_000):
            name = "web" if rng.random() < 0.03 else f"job-{number}"
            with suppress(Conflict):
                await engine.create(CreateRequest(name=name, config=config))
            if number == 300:
                crash(engine.services.transfers)
            await anyio.sleep(rng.uniform(0.01, 0.08))


def main() -> None:
    with in_memory() as home, DockerEngine(home) as engine:
        engine.image("demo")
        with dashboard(engine.host) as (_, url), page(home) as shown:
            shown.open(url)
            engine.call(keep_busy)
            for scheme in SCHEMES:
                shown.prefer(scheme)
                shown.wait("document.querySelector('#state').textContent == 'live'")
                (DOCS / f"dashboard-{scheme}.png").write_bytes(shown.screenshot())


if __name__ == "__main__":
    main()

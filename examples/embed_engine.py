"""A Docker engine inside a program of yours, on asyncio or trio, with Docker's API beside it for as long as you want.

python -m examples.embed_engine [asyncio|trio]
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx

from daemon import Config, ContainerConfig, CreateRequest, Engine


async def main(home: Path) -> None:
    socket = home / "docker.sock"
    async with Engine(Config(data_root=home / "data")) as engine:  # recovers what is there, and starts the actors
        await engine.make_image("demo", {"bin/hello": b"#!/bin/sh\necho hello\n"})
        config = ContainerConfig(image="demo", cmd=("hello",), labels={"tier": "front"})
        created = await engine.create(CreateRequest(name="web", config=config))  # durable when it returns
        async with engine.serving(socket):  # at its end, what is under way is answered
            transport = httpx.AsyncHTTPTransport(uds=str(socket))
            async with httpx.AsyncClient(transport=transport, base_url="http://docker") as client:
                answer = await client.get("/containers/json", params={"all": True})
        assert [listed["Id"] for listed in answer.json()] == [created.id]
        await engine.remove("web")
    print(f"created, seen through {socket.name} and removed")


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        anyio.run(main, Path(directory), backend=sys.argv[1] if sys.argv[1:] else "asyncio")

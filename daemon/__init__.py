"""The Boatyard daemon: Docker's container create on supervised actors.

The map, along a request's path; each arrow is one file or folder, and nothing on the right knows what is on its left:

    __main__ -> running -> serving -> http/server -> http/connection -> api/routes -> api/schema -> engine -> create/pipeline
             -> services/* (actors, by `ask`) -> storage/database (group commit), storage/content, storage/layers

`overview` is what there is to see of it at one moment; `monitor` is who looks, in processes of their own.
`registry` is the other end of a pull or a push: a client of registries, for `create/image_puller` and `create/image_pusher`.
`supervision` builds the tree, `errors` has the kinds of failure, `container` and `image` the nouns.
`tests/test_tidy.py` holds the table of who may import whom.

For programs that have an engine inside, what they need is here by name:

    async with Engine(Config(data_root=Path("data"))) as engine, engine.serving(Path("docker.sock")):
        created = await engine.create(CreateRequest(config=ContainerConfig(cmd=("true",))))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = ["Config", "ContainerConfig", "CreateRequest", "Created", "Engine", "HostConfig", "Instruments"]

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.container import ContainerConfig, HostConfig
    from daemon.create.request import Created, CreateRequest
    from daemon.engine import Engine
    from daemon.instruments import Instruments
else:
    _HOMES = {
        "Config": "daemon.config",
        "ContainerConfig": "daemon.container",
        "CreateRequest": "daemon.create.request",
        "Created": "daemon.create.request",
        "Engine": "daemon.engine",
        "HostConfig": "daemon.container",
        "Instruments": "daemon.instruments",
    }

    def __getattr__(name: str) -> object:
        # When it is asked for: every part of the house imports this package, and none all of the others.
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)

"""What Docker has for clusters and plugins, on a node that is in no swarm and has no plugins: clients look, and do without.

Rules and texts: moby v28 api/server/router/swarm, api/server/router/plugin.
"""

from __future__ import annotations

from daemon.api.calls import Call, json_response
from daemon.errors import Unavailable
from daemon.http.message import Response
from daemon.network.plan import NO_SWARM

SWARM_KINDS = ("services", "nodes", "tasks", "secrets", "configs")


async def of_a_swarm(call: Call) -> Response:
    raise Unavailable(NO_SWARM)


async def plugins(call: Call) -> Response:
    return json_response([])

"""What each version of the API lets a create say about networks. What it says of them is judged when they are looked up."""

from __future__ import annotations

from daemon.create.endpoints import with_endpoints
from daemon.create.request import CreateRequest
from daemon.errors import InvalidParameter
from daemon.host import Host


def endpoints_fit_the_version(request: CreateRequest, host: Host) -> str | None:
    if not request.networking.endpoints_config and not request.config.mac_address:
        return None  # as most: there is nothing to be said of it
    try:
        with_endpoints(request)
    except InvalidParameter as error:
        return str(error)
    return None

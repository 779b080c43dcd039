"""The network endpoints: list, inspect, create, remove, connect, disconnect, prune. Rules: moby v28 api/server/router/network."""

from __future__ import annotations

from msgspec.structs import replace

from daemon.api.calls import Call, json_response, no_content
from daemon.api.codec import Json
from daemon.api.network_filters import LIST_FILTERS, PRUNE_FILTERS, matching, prunable
from daemon.api.network_views import network_view
from daemon.api.schema import CONNECT, DISCONNECT, NETWORK_REQUEST
from daemon.container import EndpointSettings
from daemon.errors import InvalidParameter
from daemon.http.message import Response
from daemon.network import Network
from daemon.network.addresses import parse_bool
from daemon.network.table import NetworkTable, network_not_found
from daemon.services.networks import Networks

_ENABLE_IPV4_SINCE = (1, 48)


async def list_networks(call: Call) -> Response:
    filters = call.query().filters(LIST_FILTERS)
    table = await call.engine.services.networks.ask(Networks.table)
    return json_response([network_view(network) for network in matching(table, filters)])


async def inspect(call: Call) -> Response:
    query = call.query()
    if verbose := query.text("verbose"):
        try:
            parse_bool(verbose)  # there is nothing more to tell: services are a swarm's
        except ValueError as error:
            raise InvalidParameter(f"invalid value for verbose: {verbose}: {error}") from error
    table = await call.engine.services.networks.ask(Networks.table)
    return json_response(network_view(_shown(table, call.name, query.text("scope"))))


async def create(call: Call) -> Response:
    request = NETWORK_REQUEST.decode(await _body(call))
    if call.version < _ENABLE_IPV4_SINCE:
        request = replace(request, enable_ipv4=None)
    network = await call.engine.networks.create(request)
    return json_response({"Id": network.id, "Warning": ""}, 201)


async def remove(call: Call) -> Response:
    await call.engine.networks.remove(call.name)
    return no_content()


async def connect(call: Call) -> Response:
    request = CONNECT.decode(await _body(call))
    await call.engine.networks.connect(call.name, request.container, request.endpoint_config or EndpointSettings())
    return Response(status=200)


async def disconnect(call: Call) -> Response:
    request = DISCONNECT.decode(await _body(call))
    await call.engine.networks.disconnect(call.name, request.container, force=request.force)
    return Response(status=200)


async def prune(call: Call) -> Response:
    is_wanted = prunable(call.query().filters(PRUNE_FILTERS), call.engine.now_ns())
    names = await call.engine.networks.prune(is_wanted)
    return json_response({"NetworksDeleted": list(names) or None})


async def _body(call: Call) -> Json:
    """A body of `null` says nothing, and is no mistake."""
    raw = await call.json()
    return {} if raw is None else raw


def _shown(table: NetworkTable, term: str, scope: str) -> Network:
    """Raises NotFound; InvalidParameter in words of its own, as everywhere else they are others (getNetwork)."""
    if scope:
        table = NetworkTable.of(network for network in table if network.scope == scope)
    matches = table.matches(term)
    if len(matches) > 1:
        raise InvalidParameter(f"{len(matches)} matches found based on ID prefix: network {term} is ambiguous")
    if not matches:
        raise network_not_found(term)
    return matches[0]

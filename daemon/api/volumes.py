"""The volume endpoints: list, inspect, create, remove, prune; update is for clusters.

Rules and texts: moby v28 api/server/router/volume/volume_routes.go, volume/service/convert.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from daemon.api.calls import Call, Query, json_response, no_content
from daemon.api.codec import Json
from daemon.api.patterns import any_found
from daemon.api.schema import CLUSTER_VOLUME_KEY, VOLUME_REQUEST
from daemon.api.views import volume_view
from daemon.errors import InvalidParameter, Unavailable
from daemon.http.message import Response
from daemon.network.plan import NO_SWARM
from daemon.services.volume_index import ListedVolume
from daemon.services.volumes import Volumes
from daemon.volume import ANONYMOUS_LABEL, LOCAL, Volume, VolumeRequest, quoted

LIST_FILTERS = frozenset({"dangling", "driver", "label", "name"})
PRUNE_FILTERS = frozenset({"all", "label", "label!"})

CLUSTER_SINCE = (1, 42)
"""Version of the API since which there are volumes of a cluster, and pruning spares those that have a name."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")

Filters = Mapping[str, tuple[str, ...]]


async def list_volumes(call: Call) -> Response:
    is_wanted = listed_by(_list_filters(call.query()))
    listed = await call.engine.services.volumes.ask(Volumes.list)
    views = [volume_view(each.volume, call.config.data_root) for each in listed if is_wanted(each)]
    return json_response({"Volumes": views, "Warnings": None})


async def inspect(call: Call) -> Response:
    volume = await call.engine.services.volumes.ask(Volumes.find, call.name)
    return json_response(volume_view(volume, call.config.data_root))


async def create(call: Call) -> Response:
    raw = await call.json() if call.request.has_body else None
    volume = await call.engine.create_volume(decode_volume(raw, call.version))
    return json_response(volume_view(volume, call.config.data_root), 201)


def decode_volume(raw: Json, version: tuple[int, int]) -> VolumeRequest:
    """Raises InvalidParameter, and Unavailable for a volume of a cluster."""
    if raw is None:
        return VolumeRequest()
    if not isinstance(raw, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(raw), "number")
        raise InvalidParameter(
            f"invalid JSON: json: cannot unmarshal {kind} into Go value of type volume.CreateOptions"
        )
    request = VOLUME_REQUEST.decode(raw, VOLUME_REQUEST.go_name)
    cluster = next((value for key, value in raw.items() if key.lower() == CLUSTER_VOLUME_KEY.lower()), None)
    if cluster is not None and version >= CLUSTER_SINCE:
        raise Unavailable(NO_SWARM)
    return request


async def remove(call: Call) -> Response:
    await call.engine.remove_volume(call.name, force=call.query().flag("force"))
    return no_content()


async def prune(call: Call) -> Response:
    filters = dict(call.query().filters(PRUNE_FILTERS))
    if call.version < CLUSTER_SINCE:
        filters["all"] = tuple(dict.fromkeys((*filters.get("all", ()), "true")))
    pruned = await call.engine.prune_volumes(pruned_by(filters))
    return json_response({"VolumesDeleted": list(pruned.removed), "SpaceReclaimed": pruned.freed_bytes})


async def update(call: Call) -> Response:
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


def listed_by(filters: Filters) -> Callable[[ListedVolume], bool]:
    """Raises InvalidParameter for a value that makes no sense."""
    is_dangling = _dangling(filters["dangling"]) if "dangling" in filters else None
    is_named = any_found(filters.get("name", ()))

    def is_wanted(listed: ListedVolume) -> bool:
        volume = listed.volume
        return (
            (not filters.get("driver") or LOCAL in filters["driver"])
            and (not filters.get("name") or is_named(volume.name))
            and _has_labels(volume, filters.get("label", ()))
            and (is_dangling is None or is_dangling is not bool(listed.users))
        )

    return is_wanted


def pruned_by(filters: Filters) -> Callable[[Volume], bool]:
    """Without `all`, only what has the label of a generated name. Raises InvalidParameter for a value that makes no sense."""
    wanted, unwanted = filters.get("label", ()), filters.get("label!", ())
    if not _all(filters.get("all", ())):
        wanted = (*wanted, ANONYMOUS_LABEL)
    return lambda volume: _has_labels(volume, wanted) and not (unwanted and _has_labels(volume, unwanted))


def _list_filters(query: Query) -> Filters:
    try:
        return query.filters(LIST_FILTERS)
    except InvalidParameter as error:
        if str(error).startswith("invalid filter '"):
            raise
        raise InvalidParameter(f"error reading volume filters: {error}") from error


def _dangling(values: tuple[str, ...]) -> bool:
    is_true, is_false = bool({"1", "true"} & {*values}), bool({"0", "false"} & {*values})
    if is_true is is_false:
        raise InvalidParameter(
            f"invalid filter 'dangling=[{' '.join(values)}]'" if values else "invalid filter 'dangling'"
        )
    return is_true


def _all(values: tuple[str, ...]) -> bool:
    if len(values) > 1:
        raise InvalidParameter(f"invalid filter 'all=[{' '.join(values)}]': only one value is expected")
    if not values:
        return False
    if values[0] not in (*_TRUE, *_FALSE):
        raise InvalidParameter(f"invalid filter 'all': strconv.ParseBool: parsing {quoted(values[0])}: invalid syntax")
    return values[0] in _TRUE


def _has_labels(volume: Volume, wanted: tuple[str, ...]) -> bool:
    labels = volume.labels or {}
    pairs = (label.partition("=") for label in wanted)
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs)

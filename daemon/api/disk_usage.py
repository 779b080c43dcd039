"""`docker system df`: what images, containers and volumes take on the disk; and a build cache in which there is nothing.

Rules: moby v28 api/server/router/system/system_routes.go getDiskUsage, daemon/disk_usage.go, api/server/router/build
build_routes.go postPrune.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from daemon.api.calls import Call, json_response
from daemon.api.codec import Json
from daemon.api.containers import sizes_of
from daemon.api.image_list import is_only_parent, shared_bytes
from daemon.api.views import image_summary_view, summary_view, volume_view
from daemon.errors import InvalidParameter
from daemon.http.message import Response
from daemon.services.image_store import ImageStore
from daemon.services.registrar import Registrar
from daemon.services.volumes import Volumes

TYPES_SINCE = (1, 42)
BUILD_CACHE_LIMITS_SINCE = (1, 48)
_BUILD_CACHE_LIMITS = ("reserved-space", "keep-storage", "max-used-space", "min-free-space")
_TYPES = ("container", "image", "volume", "build-cache")


async def usage(call: Call) -> Response:
    wanted = _wanted(call)
    view: dict[str, Json] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None, "BuildCache": None}
    if "image" in wanted:
        view |= await _images(call)
    if "container" in wanted:
        view["Containers"] = await _containers(call)
    if "volume" in wanted:
        view["Volumes"] = await _volumes(call)
    if "build-cache" in wanted:
        view["BuildCache"] = []  # nothing is built here
    return json_response(view)


async def prune_build_cache(call: Call) -> Response:
    """Part of `docker system prune`."""
    query = call.query()
    query.filters()
    for key in _BUILD_CACHE_LIMITS if call.version >= BUILD_CACHE_LIMITS_SINCE else ("keep-storage",):
        try:
            query.integer(key)
        except InvalidParameter as error:
            text = f"{key} is in bytes and expects an integer, got {query.text(key)}: {error}"
            raise InvalidParameter(text) from None
    return json_response({"CachesDeleted": None, "SpaceReclaimed": 0})


def _wanted(call: Call) -> frozenset[str]:
    """Raises InvalidParameter."""
    types = [value for key, value in parse_qsl(call.request.query, keep_blank_values=True) if key == "type"]
    if call.version < TYPES_SINCE or not types:
        return frozenset(_TYPES)
    for name in types:
        if name not in _TYPES:
            raise InvalidParameter(f"unknown object type: {name}")
    return frozenset(types)


async def _images(call: Call) -> dict[str, Json]:
    services = call.engine.services
    images = await services.images.ask(ImageStore.list)
    users = await services.registrar.ask(Registrar.users_by_image)
    shared = shared_bytes(images)
    layers = {layer.chain_id: layer.unpacked_bytes for named in images for layer in named.image.layers}
    return {
        "LayersSize": sum(layers.values()),
        "Images": [
            image_summary_view(
                named,
                shared_bytes=shared[named.image.id],
                containers=users.get(named.image.id, 0),
                api_version=call.version,
            )
            for named in images
            if not is_only_parent(named)
        ],
    }


async def _containers(call: Call) -> list[Json]:
    summaries = await call.engine.services.registrar.ask(Registrar.list)
    sizes = await sizes_of(call, summaries)
    return [
        summary_view(
            summary,
            summary.image,
            call.config.data_root,
            own_bytes=sizes[summary.id][0],
            size_bytes=sizes[summary.id][1],
            api_version=call.version,
        )
        for summary in summaries
        if summary.id in sizes
    ]


async def _volumes(call: Call) -> list[Json]:
    volumes = await call.engine.services.volumes.ask(Volumes.list)
    sizes = await call.engine.files.volume_sizes([listed.volume.name for listed in volumes])
    return [
        {
            **volume_view(listed.volume, call.config.data_root),
            "UsageData": {"RefCount": len(listed.users), "Size": sizes[listed.volume.name]},
        }
        for listed in volumes
        if listed.volume.name in sizes
    ]

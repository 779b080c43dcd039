"""The endpoints of images that are there: tag, remove, prune, history, save."""

from __future__ import annotations

from collections.abc import Callable

from daemon.api.calls import Call, json_response
from daemon.api.codec import Json
from daemon.api.filters import Filters, boolean, has_labels
from daemon.api.image_list import created_of
from daemon.api.moments import parse_moment
from daemon.api.views import image_history_view
from daemon.create.image_changes import Removed
from daemon.errors import InvalidParameter
from daemon.http.message import Response
from daemon.reference import parse_reference
from daemon.services.image_store import ImageStore, NamedImage

_TAR = ("Content-Type", "application/x-tar")
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})


async def tag(call: Call) -> Response:
    query = call.query()
    await call.engine.images.tag(call.name, tagged(query.text("repo"), query.text("tag")))
    return Response(status=201)


async def remove(call: Call) -> Response:
    if not call.name.strip():
        raise InvalidParameter("image name cannot be blank")
    query = call.query()
    removed = await call.engine.images.remove(
        call.name, force=query.flag("force"), with_parents=not query.flag("noprune")
    )
    return json_response(_lines(removed))


async def prune(call: Call) -> Response:
    filters = call.query().filters(PRUNE_FILTERS)
    is_wanted = pruned_by(filters, call.engine.now_ns())
    removed = await call.engine.images.prune(is_wanted, only_nameless=boolean(filters, "dangling") is not False)
    lines = [line for each in removed for line in _lines(each)]
    freed_bytes = sum(each.freed_bytes for each in removed)
    return json_response({"ImagesDeleted": lines or None, "SpaceReclaimed": freed_bytes})


async def history(call: Call) -> Response:
    ancestry = await call.engine.services.images.ask(ImageStore.ancestry, call.name)
    return json_response(image_history_view(ancestry))


async def save(call: Call) -> Response:
    names = tuple(filter(None, call.query().texts("names")))
    if not names:
        # Unlike Moby, whose archive of nothing cannot be loaded.
        raise InvalidParameter("there is no image to save: no names are given")
    return Response(status=200, headers=(_TAR,), body=await call.engine.saver.save(names))


async def save_one(call: Call) -> Response:
    return Response(status=200, headers=(_TAR,), body=await call.engine.saver.save((call.name,)))


def pruned_by(filters: Filters, now_ns: int) -> Callable[[NamedImage], bool]:
    """Raises InvalidParameter for a value that makes no sense."""
    untils = filters.get("until", ())
    if len(untils) > 1:
        raise InvalidParameter("more than one until filter specified")
    until_ns = parse_moment(untils[0], now_ns) if untils else None

    def is_wanted(named: NamedImage) -> bool:
        labels = named.image.config.labels or {}
        if until_ns is not None:
            created_ns = created_of(named.image)
            if created_ns is None or created_ns > until_ns:
                return False
        if "label!" in filters and has_labels(filters, labels, "label!"):
            return False
        return has_labels(filters, labels)

    return is_wanted


def _lines(removed: Removed) -> list[Json]:
    untagged: list[Json] = [{"Untagged": name} for name in removed.untagged]
    return [*untagged, *({"Deleted": digest} for digest in removed.deleted)]


def tagged(repository: str, tag: str) -> str:
    """The full reference that an image is to have (moby httputils.RepoTagReference). Raises InvalidParameter."""
    reference = parse_reference(repository)
    if reference.digest:
        raise InvalidParameter("cannot import digest reference")
    if tag:
        reference = parse_reference(f"{reference.name}:{tag}")
    if reference.familiar_name == "sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return str(reference.tagged())


def tagged_if_named(repository: str, tag: str) -> str:
    """The same, empty where there is no name: whatever the tag. Raises InvalidParameter."""
    return tagged(repository, tag) if repository else ""

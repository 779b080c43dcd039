"""The filters of the image list. Rules and texts: moby v28 daemon/images/image_list.go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from daemon.api.filters import Filters, boolean, has_labels
from daemon.api.moments import parse_moment
from daemon.api.patterns import Match, any_fits
from daemon.errors import InvalidParameter
from daemon.image import Image
from daemon.reference import parse_reference
from daemon.services import Services
from daemon.services.image_store import ImageStore, NamedImage

LIST_FILTERS = frozenset("before dangling label reference since until".split())


async def matching_images(
    images: Sequence[NamedImage], filters: Filters, services: Services, now_ns: int, *, with_parents: bool
) -> list[NamedImage]:
    """Those of `images` that every filter lets pass, with the references that `reference` lets pass.

    `with_parents`, also those that have no name and that others were committed on.

    Raises:
        InvalidParameter: a value makes no sense.
        NotFound: there is no such image as `before` or `since` names.
    """
    is_dangling_wanted = boolean(filters, "dangling")
    fits = any_fits(filters.get("reference", ()))
    before = [await _created_of(value, services) for value in filters.get("before", ())]
    before += [parse_moment(value, now_ns) for value in filters.get("until", ())]
    since = [await _created_of(value, services) for value in filters.get("since", ())]
    oldest = min((time_ns for time_ns in before if time_ns is not None), default=None)
    newest = max((time_ns for time_ns in since if time_ns is not None), default=None)
    chosen = []
    for named in images:
        created_ns = created_of(named.image)
        if oldest is not None and (created_ns is None or created_ns >= oldest):
            continue
        if newest is not None and (created_ns is None or created_ns <= newest):
            continue
        if not has_labels(filters, named.image.config.labels or {}):
            continue
        shown = _with_fitting_references(named, fits) if "reference" in filters else named
        if (with_parents or not is_only_parent(shown)) and _is_shown(shown, filters, is_dangling_wanted):
            chosen.append(shown)
    return chosen


def is_only_parent(named: NamedImage) -> bool:
    """Whether it is there for those that were committed on it only."""
    return named.has_children and not named.references


def created_of(image: Image) -> int | None:
    """Nanoseconds since the epoch, None where the image does not say."""
    try:
        return parse_moment(image.created, 0)
    except InvalidParameter:
        return None


def shared_bytes(images: Sequence[NamedImage]) -> dict[str, int]:
    """By id: the bytes of those of its layers that other images have, too."""
    users = Counter(layer.chain_id for named in images for layer in named.image.layers)
    return {
        named.image.id: sum(layer.unpacked_bytes for layer in named.image.layers if users[layer.chain_id] > 1)
        for named in images
    }


async def _created_of(text: str, services: Services) -> int | None:
    return created_of(await services.images.ask(ImageStore.find, text))


def _with_fitting_references(named: NamedImage, fits: Match) -> NamedImage:
    def is_fitting(text: str) -> bool:
        reference = parse_reference(text)
        return fits(reference.familiar) or fits(reference.familiar_name)

    return attrs.evolve(named, references=tuple(filter(is_fitting, named.references)))


def _is_shown(shown: NamedImage, filters: Filters, is_dangling_wanted: bool | None) -> bool:
    if is_dangling_wanted and shown.has_children:
        return False
    if not shown.references:
        return is_dangling_wanted is not False and "reference" not in filters
    has_tag = any(not parse_reference(text).digest for text in shown.references)
    return not (is_dangling_wanted and has_tag)

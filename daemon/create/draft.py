"""What is settled about a create before its first effect, and remembered where a body comes again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from daemon.container import EndpointSettings
from daemon.create.checks.conflicts import is_container_mode
from daemon.create.request import CreateRequest, Origin
from daemon.image import Image
from daemon.network import is_user_defined

DRAFTS_MAX = 128


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    request: CreateRequest
    """Checked, merged with the image, every default in its place."""
    image: Image | None
    """None for a container from an empty layer."""
    networks: Mapping[str, EndpointSettings]
    warnings: tuple[str, ...]
    is_plain: bool
    """Whether the container needs no more of its tree than what is made beforehand."""

    @property
    def chain_ids(self) -> tuple[str, ...]:
        return self.image.chain_ids if self.image else ()


class Drafts:
    """The latest `DRAFTS_MAX` that follow from nothing but the request, the machine and the image.

    Those need not be made again: that is more than a third of what a create costs. Where anything is looked up, other
    containers, networks, paths, it may be otherwise the next time. Images may be, too, and tell when they have changed: `seen` is
    `ImagesWatch.changes` before the image was looked up.
    """

    def __init__(self) -> None:
        self._drafts: OrderedDict[int, _Kept] = OrderedDict()
        """By the identity of a request's origin, which is kept beside it: so no other can have that."""

    def has(self, request: CreateRequest) -> bool:
        """Whether there is nothing wrong with it but, perhaps, its image."""
        return id(request.origin) in self._drafts and not request.platform

    def get(self, request: CreateRequest, seen: int) -> Draft | None:
        """That of an earlier request of this origin, as this one's, if no image has changed since."""
        kept = self._drafts.get(id(request.origin))
        return self._own(kept.draft, request) if kept is not None and kept.seen == seen else None

    def renew(self, request: CreateRequest, image: Image | None, seen: int) -> Draft | None:
        """The same, if it had the image that has been found now."""
        kept = self._drafts.get(id(request.origin))
        if kept is None or kept.draft.image is not image:
            return None
        kept.seen = seen
        return self._own(kept.draft, request)

    def keep(self, request: CreateRequest, draft: Draft, seen: int) -> None:
        """`request` is what `draft` was made of."""
        if request.origin is None or _is_looked_into(draft.request):
            return
        self._drafts[id(request.origin)] = _Kept(request.origin, draft, seen)
        if len(self._drafts) > DRAFTS_MAX:
            self._drafts.popitem(last=False)

    def _own(self, draft: Draft, request: CreateRequest) -> Draft:
        self._drafts.move_to_end(id(request.origin))
        return replace(draft, request=replace(draft.request, name=request.name, idempotency=request.idempotency))


class _Kept(msgspec.Struct):
    origin: Origin
    draft: Draft
    seen: int


def _is_looked_into(request: CreateRequest) -> bool:
    """Whether anything was looked up for it but its image."""
    host_config = request.host_config
    modes = (host_config.pid_mode, host_config.ipc_mode, host_config.network_mode)
    return bool(
        request.platform
        or host_config.mounts
        or request.networking.endpoints_config
        or is_user_defined(host_config.network_mode)
        or any(map(is_container_mode, modes))
    )

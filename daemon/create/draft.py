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
    containers, networks, paths, it may be otherwise the next time.
    """

    def __init__(self) -> None:
        self._drafts: OrderedDict[int, tuple[Origin, Draft]] = OrderedDict()
        """By the identity of a request's origin, which is kept beside it: so no other can have that."""

    def has(self, request: CreateRequest) -> bool:
        """Whether there is nothing wrong with it but, perhaps, its image."""
        return id(request.origin) in self._drafts and not request.platform

    def get(self, request: CreateRequest, image: Image | None) -> Draft | None:
        """That of an earlier request of this origin, as this one's, if it had the same image."""
        _, draft = self._drafts.get(id(request.origin), (None, None))
        if draft is None or draft.image is not image:
            return None
        self._drafts.move_to_end(id(request.origin))
        own = replace(draft.request, name=request.name, idempotency=request.idempotency)
        return replace(draft, request=own)

    def keep(self, request: CreateRequest, draft: Draft) -> None:
        """`request` is what `draft` was made of."""
        if request.origin is None or _is_looked_into(draft.request):
            return
        self._drafts[id(request.origin)] = request.origin, draft
        if len(self._drafts) > DRAFTS_MAX:
            self._drafts.popitem(last=False)


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

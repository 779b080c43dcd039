"""What a registry says at once: whether somebody may log in, and what a reference means there."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from daemon.errors import DaemonError, Forbidden, NotFound, Unauthorized
from daemon.reference import Reference
from daemon.registry.challenges import scopes_of
from daemon.registry.credentials import Credentials
from daemon.registry.documents import SCHEMA1, image_manifest, index_entries, platforms_of
from daemon.registry.refusals import RegistryRefusal
from daemon.registry.registries import Registries
from daemon.storage.image_config import decode_config

_KINDS: Mapping[int, type[DaemonError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}


@attrs.frozen(kw_only=True)
class Inspected:
    media_type: str
    digest: str
    size: int
    platforms: tuple[dict[str, str], ...]


@attrs.frozen(kw_only=True)
class RegistryInspector:
    registries: Registries

    async def login(self, credentials: Credentials) -> str:
        """The identity token that the registry gave, or nothing.

        Raises:
            Unauthorized: the registry does not take these credentials.
            RegistryError: it has failed.
        """
        async with self.registries.login(credentials) as session:
            try:
                await session.check_login()
            except RegistryRefusal as error:
                if error.status == 401:
                    raise Unauthorized(str(error)) from error
                raise
            return session.identity_token

    async def inspect(self, reference: Reference, credentials: Credentials) -> Inspected:
        """Raises NotFound, Unauthorized, Forbidden, RegistryError; InvalidParameter for what is no image."""
        wanted = reference.tagged()
        try:
            async with self.registries.client(reference, credentials, scopes_of(reference.path)) as client:
                fetched = await client.manifest(wanted.digest or wanted.tag)
                entries = index_entries(fetched)
                if entries is not None:
                    platforms = platforms_of(entries)
                elif fetched.media_type == SCHEMA1:
                    platforms = []
                else:
                    blob = image_manifest(fetched, reference).config.content
                    config = decode_config(await client.small_blob(blob))
                    platforms = [{"architecture": config.architecture, "os": config.os}]
                    platforms[0] |= {"variant": config.variant} if config.variant else {}
        except RegistryRefusal as error:
            if (kind := _KINDS.get(error.status)) is None:
                raise
            raise kind(str(error)) from error
        return Inspected(
            media_type=fetched.media_type,
            digest=fetched.digest,
            size=len(fetched.content),
            platforms=tuple(platforms),
        )

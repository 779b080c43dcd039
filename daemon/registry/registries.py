"""Opens conversations with registries: the connections, their limits, and the certificates that are trusted.

The client itself, `session` and `client`, is imported for the first conversation: httpx takes a quarter of the time of all
imports, and many a daemon speaks to no registry.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.reference import Reference
from daemon.registry.addresses import Address, address_of, address_of_login
from daemon.registry.credentials import Credentials

if TYPE_CHECKING:
    from daemon.registry.client import RegistryClient
    from daemon.registry.session import Session

CONNECTIONS_MAX = 8
"""Of one pull or push: its blobs, a document, and what has just been given back."""

USER_AGENT = "boatyard"


class Registries:
    """`insecure` are the hosts and networks to be spoken to without TLS, besides this machine; they may change at any time."""

    def __init__(self, insecure: Sequence[str] = ()) -> None:
        self.insecure = tuple(insecure)
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def client(
        self, reference: Reference, credentials: Credentials, scopes: Sequence[str]
    ) -> AsyncIterator[RegistryClient]:
        """For the repository of `reference`."""
        address = address_of(reference.domain, self.insecure)
        async with self._session(address, credentials, scopes) as session:
            from daemon.registry.client import RegistryClient

            yield RegistryClient(session, reference.path)

    @asynccontextmanager
    async def login(self, credentials: Credentials) -> AsyncIterator[Session]:
        """With the registry that the credentials are for. Raises InvalidParameter if that is no address."""
        address = address_of_login(credentials.server_address, self.insecure)
        async with self._session(address, credentials, ()) as session:
            yield session

    @asynccontextmanager
    async def _session(
        self, address: Address, credentials: Credentials, scopes: Sequence[str]
    ) -> AsyncIterator[Session]:
        if self._tls is None:  # also where the registry has none: it may lead to where it is needed
            self._tls = await anyio.to_thread.run_sync(_prepared)
        import httpx

        from daemon.registry.session import TIMEOUT, Session

        http = httpx.AsyncClient(
            verify=self._tls,
            trust_env=not address.is_loopback,  # proxies, as Go takes them from the environment
            follow_redirects=False,
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            headers={"User-Agent": USER_AGENT},
        )
        try:
            yield Session(http, address, credentials, scopes=scopes, insecure=self.insecure)
        finally:
            with anyio.CancelScope(shield=True):  # closes sockets
                await http.aclose()


def _prepared() -> ssl.SSLContext:
    """What is trusted; and the client has been imported, in the thread that this is called in: both take their time."""
    importlib.import_module("daemon.registry.client")
    return ssl.create_default_context()

"""`--link`: which containers are meant, and by which names the new one is to know them.

Rules: moby v28 opts.ParseLink, daemon_unix.go registerLinks. Nothing is looked at on a user-defined network, as in Docker.
"""

from __future__ import annotations

from actors import Ref
from daemon.container import HostConfig, Link
from daemon.create.checks.conflicts import LINKS_TO_HOST_NETWORK
from daemon.errors import InvalidParameter, NotFound
from daemon.network import is_user_defined
from daemon.services.registrar import Registrar
from daemon.summary import ContainerSummary

NETWORK_HOPS_MAX = 64
"""Containers that share a network through one another; a longer chain is a circle."""


def parse_link(text: str) -> tuple[str, str]:
    """The name of the container and its alias. Raises InvalidParameter; unlike Moby, where a bad one is a 500."""
    if not text:
        raise InvalidParameter("empty string specified for links")
    name, *rest = text.split(":")
    if len(rest) > 1:
        raise InvalidParameter(f"bad format for links: {text}")
    if not rest:
        return name, name
    if name.startswith("/"):  # as inspect shows it: /db:/web/alias
        return name[1:], rest[0].rpartition("/")[2]
    return name, rest[0]


async def resolve_links(registrar: Ref[Registrar], host_config: HostConfig) -> tuple[Link, ...]:
    """In the order given. Raises InvalidParameter: one is none, or its container is missing or on the host's network."""
    if is_user_defined(host_config.network_mode):
        return ()
    links = []
    for text in host_config.links or ():
        name, alias = parse_link(text)
        target = await _with_own_network(registrar, await _find(registrar, name))
        if target.network_mode == "host":
            raise InvalidParameter(LINKS_TO_HOST_NETWORK)
        links.append(Link(alias=alias, container_id=target.id))
    return tuple(links)


async def _with_own_network(registrar: Ref[Registrar], target: ContainerSummary) -> ContainerSummary:
    """The container whose network `target` shares, through however many others."""
    for _ in range(NETWORK_HOPS_MAX):
        if not target.network_mode.startswith("container:"):
            return target
        target = await _find(registrar, target.network_mode.removeprefix("container:"))
    raise InvalidParameter(f"could not get container for {target.id}: its network is shared in a circle")


async def _find(registrar: Ref[Registrar], name: str) -> ContainerSummary:
    try:
        return await registrar.ask(Registrar.find, name)
    except (NotFound, InvalidParameter) as error:  # a 404 here would make clients pull an image (moby#39823)
        raise InvalidParameter(f"could not get container for {name}: {error}") from error

"""What inspect and the lists show: records as Docker's JSON. Names of fields that are no record's are known here."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from daemon.api.codec import Json
from daemon.api.schema import CONFIG, ENDPOINT, HOST_CONFIG
from daemon.container import Container, EndpointSettings, Mount
from daemon.image import Image
from daemon.reference import parse_reference
from daemon.services.image_store import NamedImage
from daemon.summary import ContainerSummary
from daemon.volume import LOCAL, Volume

NEVER = "0001-01-01T00:00:00Z"
_NEVER_S = -62_135_596_800
DRIVER = "overlay2"

_STATE: Mapping[str, Json] = {
    "Status": "created",
    "Running": False,
    "Paused": False,
    "Restarting": False,
    "OOMKilled": False,
    "Dead": False,
    "Pid": 0,
    "ExitCode": 0,
    "Error": "",
    "StartedAt": NEVER,
    "FinishedAt": NEVER,
}
_NO_SANDBOX: Mapping[str, Json] = {
    "Bridge": "",
    "SandboxID": "",
    "SandboxKey": "",
    "Ports": {},
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
}
_OF_BRIDGE = (
    "EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway MacAddress".split()
)
"""What is shown of the endpoint in the default network once more, as before there were others."""

ANNOTATIONS_SINCE = (1, 46)
NAMELESS_IMAGES_SINCE = (1, 43)
WITHOUT_VIRTUAL_SIZE_SINCE = (1, 44)


def inspect_view(
    container: Container, image: Image | None, root: Path, *, own_bytes: int | None = None
) -> dict[str, Json]:
    view: dict[str, Json] = {
        "Id": container.id,
        "Created": rfc3339(container.created_ns),
        "Path": container.path,
        "Args": list(container.args),
        "State": _STATE,
        "Image": container.image_id,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": "",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": DRIVER,
        "Platform": container.platform,
        "MountLabel": container.security.mount_label,
        "ProcessLabel": container.security.process_label,
        "AppArmorProfile": container.security.apparmor_profile,
        "ExecIDs": None,
        "HostConfig": HOST_CONFIG.encode(container.host_config),
        "GraphDriver": _graph_driver(container, image, root),
        "Mounts": mounts_view(container.mounts, root),
        "Config": CONFIG.encode(container.config),
        "NetworkSettings": _network_settings(container),
    }
    if own_bytes is not None:
        view |= {"SizeRw": own_bytes, "SizeRootFs": own_bytes + (image.size_bytes if image else 0)}
    return view


def _graph_driver(container: Container, image: Image | None, root: Path) -> dict[str, Json]:
    home = root / "containers" / container.id
    homes = [chain_id.removeprefix("sha256:") for chain_id in reversed(image.chain_ids if image else ())]
    lower = [
        str(root / "layers" / path)
        for path in (f"{(homes or ['scratch'])[0]}/init", *(f"{home}/diff" for home in homes))
    ]
    return {
        "Data": {
            "ID": container.id,
            "LowerDir": ":".join(lower),
            "MergedDir": str(home / "merged"),
            "UpperDir": str(home / "diff"),
            "WorkDir": str(home / "work"),
        },
        "Name": DRIVER,
    }


def _network_settings(container: Container) -> dict[str, Json]:
    networks = container.networks
    bridge = ENDPOINT.encode(networks.get("bridge", EndpointSettings()))
    addresses = {name: bridge[name] for name in _OF_BRIDGE}
    return {**_NO_SANDBOX, **addresses, "Networks": networks_view(networks)}


def summary_view(
    summary: ContainerSummary,
    image: str,
    root: Path,
    *,
    own_bytes: int = 0,
    size_bytes: int = 0,
    api_version: tuple[int, int] = (1, 50),
) -> dict[str, Json]:
    """`image` is how its image is called, the sizes are those of its own layer and of all its files; 0 where nobody asked."""
    host_config: dict[str, Json] = {"NetworkMode": summary.network_mode} if summary.network_mode else {}
    if summary.annotations and api_version >= ANNOTATIONS_SINCE:
        host_config["Annotations"] = dict(summary.annotations)
    view: dict[str, Json] = {
        "Id": summary.id,
        "Names": sorted(f"/{name}" for name in (summary.name, *summary.linked_as)),
        "Image": image,
        "ImageID": summary.image_id,
        "Command": _command(summary.path, summary.args),
        "Created": summary.created_ns // 1_000_000_000,
        "Ports": [],
        "Labels": dict(summary.labels),
        "State": "created",
        "Status": "Created",
        "HostConfig": host_config,
        "NetworkSettings": {"Networks": networks_view(listed_networks(summary.networks))},
        "Mounts": mounts_view(summary.mounts, root),
    }
    if own_bytes:
        view["SizeRw"] = own_bytes
    if size_bytes:
        view["SizeRootFs"] = size_bytes
    return view


def networks_view(networks: Mapping[str, EndpointSettings]) -> dict[str, Json]:
    return {name: ENDPOINT.encode(endpoint) for name, endpoint in networks.items()}


def listed_networks(networks: Mapping[str, EndpointSettings]) -> Mapping[str, EndpointSettings]:
    """Less of each than inspect shows (moby container/view.go transform)."""
    return {
        name: replace(
            endpoint,
            ipam_config=endpoint.ipam_config and replace(endpoint.ipam_config, link_local_ips=None),
            links=None,
            aliases=None,
            driver_opts=None,
            dns_names=None,
        )
        for name, endpoint in networks.items()
    }


def mounts_view(mounts: tuple[Mount, ...], root: Path) -> list[Json]:
    views = []
    for mount in mounts:
        view: dict[str, Json] = {"Type": mount.type}
        if mount.name:
            view["Name"] = mount.name
        view["Source"] = mountpoint(mount.name, root) if mount.type == "volume" else mount.source
        view["Destination"] = mount.destination
        if mount.driver:
            view["Driver"] = mount.driver
        view |= {"Mode": mount.mode, "RW": mount.rw, "Propagation": mount.propagation}
        views.append(view)
    return views


def volume_view(volume: Volume, root: Path) -> dict[str, Json]:
    created = datetime.datetime.fromtimestamp(volume.created_ns // 1_000_000_000, datetime.UTC)
    return {
        "CreatedAt": created.astimezone().isoformat().replace("+00:00", "Z"),  # Docker's is in local time, too
        "Driver": LOCAL,
        "Labels": None if volume.labels is None else dict(volume.labels),
        "Mountpoint": mountpoint(volume.name, root),
        "Name": volume.name,
        "Options": None if volume.options is None else dict(volume.options),
        "Scope": LOCAL,
    }


def mountpoint(name: str, root: Path) -> str:
    return str(root / "volumes" / name / "_data")


def image_view(named: NamedImage) -> dict[str, Json]:
    image = named.image
    tags, digests = _names(named)
    view: dict[str, Json] = {
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": image.parent_id,
        "Comment": image.comment or (image.history[-1].comment if image.history else ""),
        "Created": image.created or NEVER,
        "DockerVersion": "",
        "Author": image.author,
        "Config": CONFIG.encode(image.config),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size_bytes,
        "GraphDriver": {"Data": None, "Name": DRIVER},
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in image.layers]},
        "Metadata": {"LastTagTime": NEVER},
    }
    if image.variant:
        view["Variant"] = image.variant
    return view


def image_summary_view(
    named: NamedImage, *, shared_bytes: int = -1, containers: int = -1, api_version: tuple[int, int] = (1, 50)
) -> dict[str, Json]:
    tags, digests = _names(named)
    if not tags and not digests and api_version < NAMELESS_IMAGES_SINCE:
        tags, digests = ["<none>:<none>"], ["<none>@<none>"]
    image, labels = named.image, named.image.config.labels
    view: dict[str, Json] = {
        "Id": image.id,
        "ParentId": image.parent_id,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": unix_time(image.created) if image.created else 0,
        "Size": image.size_bytes,
        "SharedSize": shared_bytes,
        "Labels": None if labels is None else dict(labels),
        "Containers": containers,  # the list tells it since 1.51
    }
    if api_version < WITHOUT_VIRTUAL_SIZE_SINCE:
        view["VirtualSize"] = image.size_bytes
    return view


def image_history_view(ancestry: Sequence[NamedImage]) -> list[Json]:
    """Newest first, of an image and those that it was committed on: no other ids are known (moby images/image_history.go)."""
    image = ancestry[0].image
    sizes = iter(layer.unpacked_bytes for layer in image.layers)
    items: list[dict[str, Json]] = [
        {
            "Id": "<missing>",
            "Created": unix_time(step.created) if step.created else 0,
            "CreatedBy": step.created_by,
            "Tags": None,
            "Size": 0 if step.is_empty_layer else next(sizes, 0),
            "Comment": step.comment,
        }
        for step in image.history
    ]
    items.reverse()
    for item, named in zip(items, ancestry, strict=False):
        tags, _ = _names(named)
        item |= {"Id": named.image.id, "Tags": tags or None}
    return list(items)


def rfc3339(time_ns: int) -> str:
    """As Go's RFC3339Nano in UTC: no trailing zeros in the fraction."""
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    text = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def unix_time(text: str) -> int:
    """Seconds since the epoch of an RFC 3339 time; Go's zero time where there is none or it is none."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return _NEVER_S
    return math.floor(moment.timestamp()) if moment.tzinfo is not None else _NEVER_S


def _names(named: NamedImage) -> tuple[list[str], list[str]]:
    references = [parse_reference(text) for text in named.references]
    return (
        [reference.familiar for reference in references if not reference.digest],
        [reference.familiar for reference in references if reference.digest],
    )


def _command(path: str, args: tuple[str, ...]) -> str:
    """Arguments with spaces in single quotes (moby container/view.go)."""
    return " ".join([path, *(f"'{arg}'" if " " in arg else arg for arg in args)])

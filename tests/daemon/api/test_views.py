from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.api.views import (
    NEVER,
    image_summary_view,
    image_view,
    inspect_view,
    mounts_view,
    networks_view,
    rfc3339,
    summary_view,
    unix_time,
)
from daemon.container import (
    Container,
    ContainerConfig,
    EndpointIpam,
    EndpointSettings,
    HostConfig,
    LogConfig,
    Mount,
    SecurityOptions,
)
from daemon.image import Image, Layer
from daemon.services.image_store import NamedImage
from daemon.summary import summary_of

ROOT = Path("/data")
ZERO = -62_135_596_800
"""Go's zero time in Unix seconds."""


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999999Z"),
    ],
)
def test_a_time_is_written_without_trailing_zeros(time_ns: int, text: str) -> None:
    assert rfc3339(time_ns) == text


@pytest.fixture
def far_from_greenwich() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC-9"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.__setitem__("TZ", before)
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-11-14T22:13:20.999999999Z", 1_700_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
        ("1969-12-31T23:59:59.5Z", -1),
        (NEVER, ZERO),
        ("", ZERO),
        ("yesterday", ZERO),
        ("2023-11-14T22:13:20", ZERO),  # of no time zone, so no RFC 3339
    ],
)
def test_the_time_of_an_image_is_shown_in_seconds_wherever_this_machine_is(text: str, seconds: int) -> None:
    assert unix_time(text) == seconds


@given(st.integers(0, 2**33 * 10**9))
@settings(derandomize=True)
def test_a_time_that_is_written_is_read_back_to_the_second(time_ns: int) -> None:
    assert unix_time(rfc3339(time_ns)) == time_ns // 10**9


def a_layer(digit: str) -> Layer:
    return Layer(
        digest=f"sha256:{digit * 64}",
        media_type="",
        blob_bytes=1,
        diff_id=f"sha256:d{digit * 63}",
        chain_id=f"sha256:c{digit * 63}",
        unpacked_bytes=int(digit),
    )


IMAGE = Image(
    id="sha256:abc1" + "0" * 60,
    manifest_digest="sha256:" + "b" * 64,
    manifest_bytes=1,
    created="2023-11-14T22:13:20Z",
    architecture="amd64",
    os="linux",
    author="me",
    config=ContainerConfig(cmd=("sh",), labels={"a": "b"}),
    layers=(a_layer("1"), a_layer("2")),
)
NAMED = NamedImage(
    IMAGE, ("docker.io/library/busybox:latest", f"quay.io/me/app@{IMAGE.manifest_digest}", "quay.io/me/app:v1")
)
CONTAINER = Container(
    id="a" * 64,
    name="web",
    created_ns=1_700_000_000_120_000_000,
    path="/init",
    args=("sh", "-c", "echo hello world"),
    config=ContainerConfig(image="busybox", labels={"tier": "front"}, cmd=("sh", "-c"), entrypoint=("/init",)),
    host_config=HostConfig(network_mode="bridge", log_config=LogConfig(type="json-file", config={})),
    image_id=IMAGE.id,
    mounts=(Mount(type="volume", name="data", destination="/data", driver="local", mode="z"),),
    networks={"bridge": EndpointSettings(mac_address="02:42:ac:11:00:02")},
    security=SecurityOptions(apparmor_profile="mine"),
)


def test_a_container_is_inspected_as_one_that_never_ran() -> None:
    view = inspect_view(CONTAINER, IMAGE, ROOT)
    assert view["Id"] == CONTAINER.id
    assert view["Name"] == "/web"
    assert view["Created"] == "2023-11-14T22:13:20.12Z"
    assert (view["Path"], view["Args"]) == ("/init", ["sh", "-c", "echo hello world"])
    assert view["State"] == {
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
    assert view["Image"] == IMAGE.id
    assert [view[path] for path in ("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath")] == [""] * 4
    assert (view["RestartCount"], view["Driver"], view["Platform"], view["ExecIDs"]) == (0, "overlay2", "linux", None)
    assert (view["AppArmorProfile"], view["MountLabel"], view["ProcessLabel"]) == ("mine", "", "")
    assert view["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert view["Config"]["Entrypoint"] == ["/init"]
    assert view["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == "02:42:ac:11:00:02"
    # No address of any kind: nothing but the names of the networks is known before a container runs, and what was asked for.
    addresses = {name for name, value in view["NetworkSettings"].items() if value} - {"Networks"}
    assert addresses == {"MacAddress"}
    assert not {"SizeRw", "SizeRootFs"} & set(view)


def test_the_layers_of_a_container_are_shown_uppermost_first() -> None:
    data = inspect_view(CONTAINER, IMAGE, ROOT)["GraphDriver"]["Data"]
    home = f"/data/containers/{CONTAINER.id}"
    assert data == {
        "ID": CONTAINER.id,
        "LowerDir": ":".join(
            f"/data/layers/{path}" for path in (f"c{'2' * 63}/init", f"c{'2' * 63}/diff", f"c{'1' * 63}/diff")
        ),
        "MergedDir": f"{home}/merged",
        "UpperDir": f"{home}/diff",
        "WorkDir": f"{home}/work",
    }


def test_what_has_no_image_lies_on_an_init_layer_too() -> None:
    assert inspect_view(CONTAINER, None, ROOT)["GraphDriver"]["Data"]["LowerDir"] == "/data/layers/scratch/init"


@pytest.mark.parametrize(("image", "size"), [(IMAGE, 10), (None, 7)])
def test_the_size_of_a_container_is_that_of_its_image_and_what_was_written_to_it(
    image: Image | None, size: int
) -> None:
    view = inspect_view(CONTAINER, image, ROOT, own_bytes=7)
    assert (view["SizeRw"], view["SizeRootFs"]) == (7, size)


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (
            Mount(type="volume", name="data", destination="/dst", driver="local", mode="z"),
            {
                "Type": "volume",
                "Name": "data",
                "Source": "/data/volumes/data/_data",
                "Destination": "/dst",
                "Driver": "local",
                "Mode": "z",
                "RW": True,
                "Propagation": "",
            },
        ),
        (
            Mount(type="bind", source="/src", destination="/dst", mode="ro", rw=False, propagation="rprivate"),
            {
                "Type": "bind",
                "Source": "/src",
                "Destination": "/dst",
                "Mode": "ro",
                "RW": False,
                "Propagation": "rprivate",
            },
        ),
        (
            Mount(type="tmpfs", destination="/tmp"),
            {"Type": "tmpfs", "Source": "", "Destination": "/tmp", "Mode": "", "RW": True, "Propagation": ""},
        ),
    ],
)
def test_a_mount_is_shown_with_where_it_comes_from(mount: Mount, expected: dict[str, object]) -> None:
    assert mounts_view((mount,), ROOT) == [expected]
    assert list(mounts_view((mount,), ROOT)[0]) == list(expected)


def test_networks_are_shown_by_name() -> None:
    assert networks_view({}) == {}
    assert list(networks_view({"b": EndpointSettings(), "a": EndpointSettings()})) == ["b", "a"]


KEYS_OF_INSPECT = (
    "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver Platform "
    "MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings"
).split()
KEYS_OF_NETWORK_SETTINGS = (
    "Bridge SandboxID SandboxKey Ports HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen SecondaryIPAddresses "
    "SecondaryIPv6Addresses EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway "
    "MacAddress Networks"
).split()
KEYS_OF_ENDPOINT = (
    "IPAMConfig Links Aliases MacAddress DriverOpts GwPriority NetworkID EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway "
    "GlobalIPv6Address GlobalIPv6PrefixLen DNSNames"
).split()
KEYS_OF_CONFIG = (
    "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image Volumes WorkingDir "
    "Entrypoint OnBuild Labels"
).split()
"""Those that are there even if they are empty."""
KEYS_OF_HOST_CONFIG = (
    "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom ConsoleSize "
    "CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode "
    "Privileged PublishAllPorts ReadonlyRootfs SecurityOpt UTSMode UsernsMode ShmSize Runtime Isolation CpuShares Memory "
    "NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps "
    "BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices "
    "DeviceCgroupRules DeviceRequests MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount "
    "CpuPercent IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths"
).split()


def test_inspect_has_every_field_of_docker_and_no_other() -> None:
    view = inspect_view(CONTAINER, IMAGE, ROOT)
    assert list(view) == KEYS_OF_INSPECT
    assert list(view["NetworkSettings"]) == KEYS_OF_NETWORK_SETTINGS
    assert list(view["NetworkSettings"]["Networks"]["bridge"]) == KEYS_OF_ENDPOINT
    assert set(view["HostConfig"]) == set(KEYS_OF_HOST_CONFIG)
    assert set(view["Config"]) == set(KEYS_OF_CONFIG)
    assert list(view["GraphDriver"]) == ["Data", "Name"]


def test_a_container_is_listed_as_created() -> None:
    assert summary_view(summary_of(CONTAINER), "busybox", ROOT) == {
        "Id": CONTAINER.id,
        "Names": ["/web"],
        "Image": "busybox",
        "ImageID": IMAGE.id,
        "Command": "/init sh -c 'echo hello world'",
        "Created": 1_700_000_000,
        "Ports": [],
        "Labels": {"tier": "front"},
        "State": "created",
        "Status": "Created",
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": networks_view(CONTAINER.networks)},
        "Mounts": mounts_view(CONTAINER.mounts, ROOT),
    }


@pytest.mark.parametrize(("size", "shown"), [(0, {}), (3, {"SizeRootFs": 3})])
def test_a_size_is_listed_unless_it_is_nothing(size: int, shown: dict[str, int]) -> None:
    view = summary_view(summary_of(CONTAINER), "busybox", ROOT, size_bytes=size)
    assert {key: value for key, value in view.items() if key.startswith("Size")} == shown


@pytest.mark.parametrize(
    ("path", "args", "command"),
    [
        ("a b", (), "a b"),
        ("sh", ("-c", "echo hi"), "sh -c 'echo hi'"),
        ("sh", ("", "it's"), "sh  it's"),
        ("sh", ("it's so",), "sh 'it's so'"),
        ("sh", ("a\tb",), "sh a\tb"),
    ],
)
def test_of_a_command_arguments_with_blanks_are_quoted(path: str, args: tuple[str, ...], command: str) -> None:
    view = summary_view(msgspec.structs.replace(summary_of(CONTAINER), path=path, args=args), "", ROOT)
    assert view["Command"] == command


@pytest.mark.parametrize(
    ("annotations", "version", "is_shown"),
    [(None, (1, 50), False), ({}, (1, 50), False), ({"a": "b"}, (1, 46), True), ({"a": "b"}, (1, 45), False)],
)
def test_annotations_are_listed_since_1_46_if_there_are_any(
    annotations: dict[str, str] | None, version: tuple[int, int], is_shown: bool
) -> None:
    summary = msgspec.structs.replace(summary_of(CONTAINER), annotations=annotations)
    view = summary_view(summary, "", ROOT, api_version=version)
    assert ("Annotations" in view["HostConfig"]) is is_shown


def test_of_an_endpoint_the_list_shows_the_addresses_only() -> None:
    endpoint = EndpointSettings(
        ipam_config=EndpointIpam(ipv4_address="10.0.0.2", link_local_ips=("169.254.0.2",)),
        links=("db:db",),
        aliases=("web",),
        mac_address="02:01",
        driver_opts={"a": "b"},
        gw_priority=7,
        network_id="n1",
        dns_names=("web",),
    )
    view = summary_view(msgspec.structs.replace(summary_of(CONTAINER), networks={"backend": endpoint}), "", ROOT)
    shown = view["NetworkSettings"]["Networks"]["backend"]
    assert {key: value for key, value in shown.items() if value} == {
        "IPAMConfig": {"IPv4Address": "10.0.0.2"},
        "MacAddress": "02:01",
        "GwPriority": 7,
        "NetworkID": "n1",
    }
    assert list(shown) == KEYS_OF_ENDPOINT


def test_an_image_is_inspected_with_its_names_as_people_write_them() -> None:
    view = image_view(NAMED)
    assert view["RepoTags"] == ["busybox:latest", "quay.io/me/app:v1"]
    assert view["RepoDigests"] == [f"quay.io/me/app@{IMAGE.manifest_digest}"]
    assert (view["Id"], view["Created"], view["Author"]) == (IMAGE.id, "2023-11-14T22:13:20Z", "me")
    assert (view["Architecture"], view["Os"], view["Size"]) == ("amd64", "linux", 3)
    assert view["RootFS"] == {"Type": "layers", "Layers": [f"sha256:d{'1' * 63}", f"sha256:d{'2' * 63}"]}
    assert view["Config"]["Cmd"] == ["sh"]
    assert "Variant" not in view


def test_an_image_shows_its_variant_if_it_has_one_and_no_time_as_never() -> None:
    view = image_view(NamedImage(replace(IMAGE, variant="v7", created=""), ()))
    assert (view["Variant"], view["Created"]) == ("v7", NEVER)
    assert (view["RepoTags"], view["RepoDigests"]) == ([], [])


SUMMARY = {
    "Id": IMAGE.id,
    "ParentId": "",
    "RepoTags": ["busybox:latest", "quay.io/me/app:v1"],
    "RepoDigests": [f"quay.io/me/app@{IMAGE.manifest_digest}"],
    "Created": 1_700_000_000,
    "Size": 3,
    "SharedSize": -1,
    "Labels": {"a": "b"},
    "Containers": -1,
}
NAMELESS = {**SUMMARY, "RepoTags": [], "RepoDigests": []}
OF_OLD = {**SUMMARY, "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "VirtualSize": 3}


@pytest.mark.parametrize(
    ("named", "version", "expected"),
    [
        (NAMED, (1, 50), SUMMARY),
        (NAMED, (1, 44), SUMMARY),
        (NAMED, (1, 43), {**SUMMARY, "VirtualSize": 3}),
        (NAMED, (1, 42), {**SUMMARY, "VirtualSize": 3}),
        (NamedImage(IMAGE, ()), (1, 44), NAMELESS),
        (NamedImage(IMAGE, ()), (1, 43), {**NAMELESS, "VirtualSize": 3}),
        (NamedImage(IMAGE, ()), (1, 42), OF_OLD),
    ],
)
def test_an_image_is_listed_as_each_version_shows_it(
    named: NamedImage, version: tuple[int, int], expected: dict[str, object]
) -> None:
    assert image_summary_view(named, api_version=version) == expected


def test_an_image_that_says_little_is_listed_with_nothing_made_up() -> None:
    bare = replace(IMAGE, created="", config=ContainerConfig())
    view = image_summary_view(NamedImage(bare, ()), shared_bytes=2)
    assert (view["Created"], view["Labels"], view["SharedSize"]) == (0, None, 2)

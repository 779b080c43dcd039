"""The requests that both sides are asked: the tables field by field, fields that meet, images, names, versions of the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.conformance import images
from tests.conformance.bodies import bodies
from tests.conformance.case import Case, case, request, shown
from tests.conformance.mounts import BINDS, MOUNTS, MOUNTS_THAT_MEET
from tests.conformance.tables import CONFIG, HERE, HOST, MB, RESOURCES, Json, Table


def corpus() -> tuple[Case, ...]:
    cases = [
        *_fields(),
        *_wrong_types(),
        *_volumes(),
        *_merges(),
        *_meetings(),
        *_networks(),
        *_images(),
        *_names(),
        *bodies(),
        *_versions(),
    ]
    twice = [name for name, count in Counter(each.name for each in cases).items() if count > 1]
    assert not twice, f"two cases of one name: {twice}"
    return tuple(cases)


def _fields() -> Iterator[Case]:
    for field, values in CONFIG.items():
        for value in values:
            yield case(f"{field}={shown(value)}", request({field: value}))
    for field, values in {**HOST, **RESOURCES}.items():
        for value in values:
            yield case(f"HostConfig.{field}={shown(value)}", request(host={field: value}))


WRONG_TYPES: Mapping[type, Sequence[Json]] = {
    str: [1, True, [], {}],
    bool: [1, "true", [], "", 0],
    int: ["1", 1.5, True, [], {}, 1 << 63, -(1 << 63) - 1],
    list: ["x", 1, {}, [1], [{}], [None], [[]]],
    dict: ["x", 1, [], [{}], {"a": 1}, {"a": None}, {"a": []}, {"a": {}}],
}
"""By what is right for a field, what is wrong, or right in another way."""

_STARTS_NULL = {"StopTimeout": int, "MemorySwappiness": int, "OomKillDisable": bool, "PidsLimit": int, "Init": bool}


def _wrong_types() -> Iterator[Case]:
    host: Table = {**HOST, **RESOURCES, "Binds": [[]], "Mounts": [[]]}
    for prefix, table in (("", CONFIG), ("HostConfig.", host)):
        for field, values in table.items():
            kinds = {type(value) for value in values if value is not None} or {str}
            kind = _STARTS_NULL.get(field) or (kinds & {list, dict} or kinds).pop()
            for value in WRONG_TYPES[kind]:
                if (field, value) == ("Ulimits", [None]):
                    continue  # dockerd 20.10 panics, and holds the container's lock from then on
                if value not in values or type(value) is not type(values[values.index(value)]):
                    body = request(host={field: value}) if prefix else request({field: value})
                    yield case(f"type of {prefix}{field}: {shown(value)}", body)
            if None not in values:
                body = request(host={field: None}) if prefix else request({field: None})
                yield case(f"type of {prefix}{field}: null", body)


def _volumes() -> Iterator[Case]:
    """Volumes get names of their own where one is made, so that no case finds what another has left."""
    for number, bind in enumerate(BINDS):
        own = bind.replace("vol:", f"vol{number}:", 1) if bind.startswith("vol:") else bind
        yield case(f"Binds={shown(bind)}", request({"Image": images.VOLUME}, {"Binds": [own]}))
    for number, mount in enumerate(MOUNTS):
        own = mount | {"Source": f"mnt{number}"} if mount.get("Source") == "vol" else mount
        yield case(f"Mounts={shown(mount)}", request({"Image": images.VOLUME}, {"Mounts": [own]}))
    for text in ("base", "base:ro", "base:rw", "base:z", "base:ro,z", "base:what", "base:nocopy", "base:rslave", "nobody",
                 "", ":", "base:", ":ro", "/base", "@BASE@", "base:ro:rw"):  # fmt: skip
        yield case(f"VolumesFrom={text!r}", request(host={"VolumesFrom": [text]}))
    for name, host in MOUNTS_THAT_MEET.items():
        yield case(f"meet: {name}", request({"Image": images.VOLUME}, host))
    yield case("a volume in Config over content", request({"Image": images.FULL}))
    yield case("the volumes of the image", request({"Image": images.VOLUME}))
    yield case(
        "a volume over tmpfs",
        request({"Volumes": {"/foo": {}, "/bar": {}}}, {"Tmpfs": {"/foo": "", "/bar": "size=999"}}),
    )


def _merges() -> Iterator[Case]:
    """What the image says and what the user says."""
    rows: list[Mapping[str, Json]] = [
        {},
        *({"Entrypoint": entrypoint} for entrypoint in (None, [], [""], ["/e"], ["", "x"])),
        *({"Cmd": cmd} for cmd in (None, [], [""], ["c"])),
        *({"Entrypoint": entrypoint, "Cmd": cmd} for entrypoint in (None, [], [""], ["/e"]) for cmd in ([], ["c"])),
        *({"Env": env} for env in (None, [], ["A=user"], ["A"], ["C=user", "EMPTY=x"], ["PATH="])),
        *({"Labels": labels} for labels in (None, {}, {"a": "user"}, {"z": "user"})),
        *({"Healthcheck": check} for check in (None, {}, {"Test": ["NONE"]}, {"Retries": 9}, {"Test": ["CMD", "x"]})),
        *({"Healthcheck": check} for check in ({"Interval": 2 * MB}, {"Timeout": 2 * MB, "StartPeriod": 3 * MB})),
        *({"ExposedPorts": {key: {} for key in ports}} for ports in ((), ("80/tcp",), ("8080/tcp",), ("80",))),
        *({"Volumes": {key: {} for key in volumes}} for volumes in ((), ("/full",), ("/other",), ("/full/",))),
        *({"WorkingDir": path} for path in ("", "/", "/elsewhere")),
        {"User": "0"},
        {"StopSignal": "SIGINT"},
        {"Shell": ["/bin/zsh"]},
    ]
    for image in (images.FULL, images.BARE):
        for row in rows:
            yield case(f"merge with {image}: {shown(row)}", request({"Image": image, **row}))
    for row in (
        {},
        {"Cmd": ["c"]},
        {"Entrypoint": ["/e"]},
        {"Cmd": []},
        {"Cmd": ["c"], "WorkingDir": "/w", "Volumes": {"/v": {}}},
    ):
        yield case(f"without an image: {shown(row)}", {"Image": "", **row})


def _meetings() -> Iterator[Case]:
    """Fields that exclude or change each other."""
    for name, (config, host) in _FIELDS_THAT_MEET.items():
        yield case(f"meet: {name}", request(config, host))
    for mode in ("container:base", "host", "none", "bridge"):
        for name, (config, host) in _BESIDE_A_NETWORK.items():
            yield case(f"network {mode} with {name}", request(config, {"NetworkMode": mode, **host}))


_FIELDS_THAT_MEET: Mapping[str, tuple[Mapping[str, Json], Mapping[str, Json]]] = {
    "swap below memory": ({}, {"Memory": 64 * MB, "MemorySwap": 32 * MB}),
    "swap as memory": ({}, {"Memory": 64 * MB, "MemorySwap": 64 * MB}),
    "swap above memory": ({}, {"Memory": 64 * MB, "MemorySwap": 128 * MB}),
    "swap unlimited": ({}, {"Memory": 64 * MB, "MemorySwap": -1}),
    "swap without memory": ({}, {"MemorySwap": 64 * MB}),
    "reservation above memory": ({}, {"Memory": 32 * MB, "MemoryReservation": 64 * MB}),
    "reservation as memory": ({}, {"Memory": 32 * MB, "MemoryReservation": 32 * MB}),
    "kernel memory above memory": ({}, {"Memory": 32 * MB, "KernelMemory": 64 * MB}),
    "no OOM killer and memory": ({}, {"Memory": 32 * MB, "OomKillDisable": True}),
    "no OOM killer and no memory": ({}, {"OomKillDisable": True}),
    "nano CPUs and period": ({}, {"NanoCpus": 10**9, "CpuPeriod": 100_000}),
    "nano CPUs and quota": ({}, {"NanoCpus": 10**9, "CpuQuota": 50_000}),
    "period and quota": ({}, {"CpuPeriod": 100_000, "CpuQuota": 50_000}),
    "realtime runtime above period": ({}, {"CpuRealtimePeriod": 1000, "CpuRealtimeRuntime": 2000}),
    "realtime runtime below period": ({}, {"CpuRealtimePeriod": 2000, "CpuRealtimeRuntime": 1000}),
    "removal and a restart policy": ({}, {"AutoRemove": True, "RestartPolicy": {"Name": "always"}}),
    "removal and no restart": ({}, {"AutoRemove": True, "RestartPolicy": {"Name": "no"}}),
    "removal and an unknown policy": ({}, {"AutoRemove": True, "RestartPolicy": {"Name": "x"}}),
    "hostname and the host's UTS": ({"Hostname": "web"}, {"UTSMode": "host"}),
    "domain name and the host's UTS": ({"Domainname": "web"}, {"UTSMode": "host"}),
    "privileged and masked paths": ({}, {"Privileged": True, "MaskedPaths": ["/x"], "ReadonlyPaths": ["/y"]}),
    "privileged and no masked paths": ({}, {"Privileged": True, "MaskedPaths": [], "ReadonlyPaths": []}),
    "privileged and a cgroup namespace": ({}, {"Privileged": True, "CgroupnsMode": "private"}),
    "privileged and seccomp": ({}, {"Privileged": True, "SecurityOpt": ["seccomp=unconfined"]}),
    "ports of the image and published": ({"Image": images.FULL}, {"PublishAllPorts": True}),
    "ports exposed and bound": ({"ExposedPorts": {"80/tcp": {}}}, {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}),
    "ports bound and not exposed": ({}, {"PortBindings": {"80/tcp": [{"HostPort": "80"}], "81/udp": []}}),
    "capabilities added and dropped": ({}, {"CapAdd": ["ALL"], "CapDrop": ["CHOWN"]}),
    "no network": ({"NetworkDisabled": True}, {"NetworkMode": "bridge"}),
    "no network and the host's": ({"NetworkDisabled": True}, {"NetworkMode": "host"}),
    "namespaces of base": ({}, {"NetworkMode": "container:base", "IpcMode": "container:base", "PidMode": "container:base"}),
    "namespaces of the host": ({}, {"NetworkMode": "host", "IpcMode": "host", "PidMode": "host", "UTSMode": "host"}),
    "a tty and standard input": ({"Tty": True, "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}, {}),
    "a bad option and no such image": ({"Image": "nosuch"}, {"Memory": 1}),
    "a bad name of an image and a bad option": ({"Image": "Bad!"}, {"Memory": 1}),
    "no such image and a bad log option": ({"Image": "nosuch"}, {"LogConfig": {"Type": "json-file", "Config": {"x": "y"}}}),
    "no command and a bad log option": (
        {"Image": images.BARE},
        {"LogConfig": {"Type": "json-file", "Config": {"x": "y"}}},
    ),
    "a bad log option and a bad security option": (
        {},
        {"LogConfig": {"Type": "json-file", "Config": {"x": "y"}}, "SecurityOpt": ["nosuch"]},
    ),
    "a bad security option and a bad bind": ({}, {"SecurityOpt": ["nosuch"], "Binds": ["x"]}),
    "a bad bind and a bad link": ({}, {"Binds": ["x"], "Links": ["nobody"]}),
    "a bad volumes-from and a bad bind": ({}, {"VolumesFrom": ["nobody"], "Binds": ["x"]}),
    "a bad link and a working directory that is a file": ({"WorkingDir": "/etc/file"}, {"Links": ["nobody"]}),
    "two bad signals": ({"StopSignal": "x", "WorkingDir": "x"}, {}),
    "a bad variable and a bad signal": ({"StopSignal": "x", "Env": ["=x"]}, {}),
    "a bad check of health and a bad variable": ({"Healthcheck": {"Retries": -1}, "Env": ["=x"]}, {}),
    "a bad hostname and bad memory": ({"Hostname": 300 * "x"}, {"Memory": 1}),
    "bad memory and bad CPUs": ({}, {"Memory": 1, "NanoCpus": -1}),
    "bad CPUs and a bad set": ({}, {"NanoCpus": -1, "CpusetCpus": "x"}),
    "a bad set and a bad weight": ({}, {"CpusetCpus": "x", "BlkioWeight": 1}),
    "bad memory and a bad mode": ({}, {"Memory": 1, "IpcMode": "x"}),
    "a bad mode and a bad size": ({}, {"PidMode": "x", "ShmSize": -1}),
    "a bad capability and bad memory": ({}, {"CapAdd": ["NOPE"], "Memory": 1}),
    "a bad host and a bad capability": ({}, {"ExtraHosts": ["x"], "CapAdd": ["NOPE"]}),
    "a bad mount and a bad host": ({}, {"Mounts": [{}], "ExtraHosts": ["x"]}),
    "a bad directory and a bad mount": ({"WorkingDir": "x"}, {"Mounts": [{}]}),
    "a bad isolation and a bad directory": ({"WorkingDir": "x"}, {"Isolation": "x"}),
    "negative shares and a bad isolation": ({}, {"CpuShares": -1, "Isolation": "x"}),
}  # fmt: skip

_BESIDE_A_NETWORK: Mapping[str, tuple[Mapping[str, Json], Mapping[str, Json]]] = {
    "a hostname": ({"Hostname": "web"}, {}),
    "links": ({}, {"Links": ["base"]}),
    "name servers": ({}, {"Dns": ["1.1.1.1"]}),
    "search domains": ({}, {"DnsSearch": ["x"], "DnsOptions": ["y"]}),
    "extra hosts": ({}, {"ExtraHosts": ["a:1.2.3.4"]}),
    "a MAC address": ({"MacAddress": "02:42:ac:11:00:02"}, {}),
    "bound ports": ({}, {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}),
    "published ports": ({}, {"PublishAllPorts": True}),
    "exposed ports": ({"ExposedPorts": {"80/tcp": {}}}, {}),
    "exposed ports of the image": ({"Image": images.FULL}, {}),
    "a setting of the kernel's": ({}, {"Sysctls": {"net.ipv4.ip_forward": "1"}}),
}


def _networks() -> Iterator[Case]:
    for name, (mode, endpoints) in _ENDPOINTS.items():
        body = request(host={"NetworkMode": mode}) | {"NetworkingConfig": {"EndpointsConfig": endpoints}}
        yield case(f"endpoints: {name}", body)
    values: list[Json] = [
        None,
        {},
        {"EndpointsConfig": None},
        {"EndpointsConfig": {}},
        [],
        "x",
        {"EndpointsConfig": []},
    ]
    for value in values:
        yield case(f"NetworkingConfig={shown(value)}", request() | {"NetworkingConfig": value})


_ENDPOINTS: Mapping[str, tuple[str, Json]] = {
    "one that says nothing": ("bridge", {"bridge": {}}),
    "null": ("bridge", {"bridge": None}),
    "of another network": ("bridge", {"none": {}}),
    "default": ("default", {"default": {}}),
    "two": ("bridge", {"bridge": {}, "none": {}}),
    "two that are not there": ("bridge", {"net1": {}, "net2": {}}),
    "two for no mode": ("", {"net1": {}, "net2": {}}),
    "an address on the bridge": ("bridge", {"bridge": {"IPAMConfig": {"IPv4Address": "172.17.0.9"}}}),
    "a bad address on the bridge": ("bridge", {"bridge": {"IPAMConfig": {"IPv4Address": "x"}}}),
    "a bad address of version 6": ("bridge", {"bridge": {"IPAMConfig": {"IPv6Address": "x"}}}),
    "a bad link-local address": ("bridge", {"bridge": {"IPAMConfig": {"LinkLocalIPs": ["x"]}}}),
    "aliases on the bridge": ("bridge", {"bridge": {"Aliases": ["a"]}}),
    "aliases in the host's": ("host", {"host": {"Aliases": ["a"]}}),
    "links": ("bridge", {"bridge": {"Links": ["base:x"]}}),
    "a MAC address": ("bridge", {"bridge": {"MacAddress": "02:42:ac:11:00:02"}}),
    "options of the driver": ("bridge", {"bridge": {"DriverOpts": {"a": "b"}}}),
    "an empty IPAM": ("bridge", {"bridge": {"IPAMConfig": {}}}),
    "fields that a client cannot set": (
        "bridge",
        {"bridge": {"IPAddress": "1.2.3.4", "NetworkID": "x", "Gateway": "y"}},
    ),
    "for a shared network": ("container:base", {"bridge": {}}),
    "for none": ("none", {"none": {}}),
    "with wrong types": ("bridge", {"bridge": {"Aliases": "x"}}),
    "a list": ("bridge", {"bridge": []}),
}


def _images() -> Iterator[Case]:
    known = images.image_id(images.PLAIN)
    digits = known.removeprefix("sha256:")
    references = [
        "", " ", "nosuch", "nosuch:v1", "nosuch:latest", "Foo", "foo/Bar", "foo:BAR", "a/b/c/d:e", "localhost/x",
            "localhost:5000/x",
        "docker.io/conformance/plain", "index.docker.io/conformance/plain", "conformance/plain", "conformance/plain:latest",
        "conformance/plain:nosuch", "conformance/full", known, digits, digits[:12], digits[:3], f"sha256:{digits[:12]}",
        digits[:12].upper(), f"conformance/plain:{known}", f"conformance/plain:{digits}", f"conformance/plain@{known}",
        f"sha256:{64 * '0'}", 64 * "0", f"nosuch@sha256:{64 * '0'}", "nosuch@sha256:0", "nosuch@md5:0", "@", ":", "a:", ":a",
            "a::b",
        "a//b", "/a", "a/", "a b", "-a", "a-", "a..b", "a__b", "a___b", "a--b", "http://x/y", "x" * 256, "x:" + "t" * 129,
        "scratch", "abcdef", "busybox", "library/busybox", "ä", "a\n", "a.b.c/d", "a_b", ".a",
    ]  # fmt: skip
    for reference in references:
        yield case(f"Image={shown(reference)}", {"Image": reference, "Cmd": ["c"]})
    platforms = [
        "",
        "linux",
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
        "windows/amd64",
        "nosuch",
        "a/b/c/d",
        "LINUX",
        "linux/",
    ]
    for platform in platforms:
        yield case(f"platform={platform!r}", request(), query=f"platform={platform}")
        yield case(f"platform={platform!r} without image", request({"Image": "nosuch"}), query=f"platform={platform}")


def _names() -> Iterator[Case]:
    names = ["x", "ok", "/ok", "//ok", "a.b", "a_b-c", "-a", ".a", "_a", "a/b", "a%20b", "%C3%A4%C3%A4", "a%0Ab", "a%00",
        "/", "a:b",
             "ok/", "base", "/base", "0a", 63 * "a", 64 * "a", 255 * "a", "@BASE@", "a@b", "a,b", "%2Fok", "+a", "a+b", "..",
                 "a.", "A"]  # fmt: skip
    for name in names:
        yield case(f"name={name[:40]!r} of {len(name)}", request(), query=f"name={name}")
    yield case("two names", request(), query="name=first&name=second")
    yield case("a name in another case", request(), query="Name=upper")


def _versions() -> Iterator[Case]:
    """What older clients mean."""
    healthcheck = {"Test": ["NONE"], "StartInterval": 3_000_000}
    mount = {"Type": "bind", "Source": HERE, "Target": "/x", "BindOptions": {"NonRecursive": True}}
    for version in ("1.24", "1.25", "1.30", "1.39", "1.40"):
        rows: dict[str, Json] = {
            "nothing": request(),
            "removal": request(host={"AutoRemove": True}),
            "shares": request(host={"CpuShares": 1}),
            "a platform": request(),
            "a bind": request(host={"Mounts": [mount]}),
            "a healthcheck": request({"Healthcheck": healthcheck}),
            "a size of the console": request(host={"ConsoleSize": [1, 2]}),
            "a limit of processes": request(host={"PidsLimit": 0}),
            "two endpoints": request() | {"NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}},
            "a MAC address": request({"MacAddress": "02:42:ac:11:00:02"}),
            "capabilities as in 1.40": request(host={"Capabilities": ["CHOWN"]}),
            "what is wrong": request({"StopSignal": "x"}),
        }
        for name, body in rows.items():
            query = "platform=nosuch" if name == "a platform" else ""
            yield case(f"API {version}: {name}", body, query=query, version=version)

"""Volumes, binds and mounts that a request may ask for: right, wrong, and meeting each other.

The rows of `MOUNTS` go back to Moby's TestContainersAPICreateMountsValidation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.conformance.tables import HERE, MB, ROOT, Json

BINDS: Sequence[str] = [
    "/data", "vol:/data", "vol:/data:ro", "vol:/data:rw", "vol:/data:nocopy", "vol:/data:ro,nocopy", "vol:/data:z",
    "vol:/data:Z", "vol:/data:z,Z", "vol:/data:rw,ro", "vol:/data:rshared", "vol:/data:what", "vol:/data:", "vol:/data:ro,",
    "vol:/data:,", "vol:/full", "vol:/full:nocopy", "vol:/empty", "vol:/linked", "vol:/etc/file", "vol:/full/sub/tool",
    "vol:data", "vol:", ":/data", ":", "", "::", "vol:/", "vol:/..", "vol:/a/../b", "vol:/data/", "vol://data", "v:/data",
    "_vol:/data", "vol.x-y_z:/data", "vo l:/data", "völ:/data", "vol/x:/data", "./rel:/data", "../rel:/data", "~/x:/data",
    f"{HERE}:/data", f"{HERE}/file:/data", f"{HERE}:/data:ro", f"{HERE}:/data:rslave", f"{HERE}:/data:ro,rshared",
    f"{HERE}:/data:private", f"{HERE}:/data:shared", f"{HERE}:/data:shared,slave", f"{HERE}:/data:nocopy", f"{HERE}:/data:z",
    f"{HERE}:/data:Z,ro", f"{HERE}:/data:cached", f"{HERE}:/data:delegated,consistent", f"{HERE}:/data:consistent",
    f"{HERE}:/data:what", f"{HERE}:/data:RO", f"{HERE}:/", f"{HERE}:data", f"{HERE}:", f"{HERE}", f"{HERE}/../x/.:/data",
    f"{HERE}/nothing:/data", "/nothing/at/all:/data", "/:/data", "/:/", f"{HERE}:/a:/b", f"{HERE}:/a:/b:ro", "a:b:c:d",
    f"{ROOT}/volumes:/data", f"{ROOT}:/data:rshared", f"{ROOT}:/data:rslave", f"{ROOT}:/data", f"{HERE}:/full",
        f"{HERE}:/data:ro,ro",
    300 * "v" + ":/data",
]  # fmt: skip
"""One bind each."""

_VOLUME = {"Type": "volume", "Target": "/data"}
_BIND = {"Type": "bind", "Source": HERE, "Target": "/data"}
_TMPFS = {"Type": "tmpfs", "Target": "/data"}


def _driver(name: str | None = "local", **options: str) -> dict[str, Json]:
    driver: dict[str, Json] = {"Options": options} if options else {}
    return {"VolumeOptions": {"DriverConfig": driver | ({"Name": name} if name is not None else {})}}


MOUNTS: Sequence[Json] = [
    {},
    {"Type": "bind"},
    {"Type": "volume"},
    {"Type": "tmpfs"},
    {"Target": "/data"},
    {"Type": "notreal", "Target": "/data"},
    {"Type": "npipe", "Source": "a", "Target": "/data"},
    {"Type": "cluster", "Source": "a", "Target": "/data"},
    {"Type": "image", "Source": "a", "Target": "/data"},
    {"Type": "Volume", "Target": "/data"},
    {"Type": "bind", "Target": "/data"},
    {"Type": "bind", "Source": "/notexist", "Target": "/data"},
    {"Type": "bind", "Source": "relative", "Target": "/data"},
    _BIND,
    _BIND | {"Target": "/"},
    _BIND | {"Target": "relative"},
    _BIND | {"Target": "/.."},
    _BIND | {"Target": "/a/../b/"},
    _BIND | {"Source": f"{HERE}/file"},
    _BIND | {"Source": f"{HERE}/./"},
    _BIND | {"ReadOnly": True},
    _BIND | {"Consistency": "cached"},
    _BIND | {"Consistency": "whatever"},
    _BIND | {"BindOptions": {}},
    _BIND | {"BindOptions": {"Propagation": "rslave"}},
    _BIND | {"BindOptions": {"Propagation": "rshared"}, "ReadOnly": True},
    _BIND | {"BindOptions": {"Propagation": ""}},
    _BIND | {"BindOptions": {"Propagation": "what"}},
    _BIND | {"BindOptions": {"NonRecursive": True}},
    _BIND | {"BindOptions": {"CreateMountpoint": True}},
    {"Type": "bind", "Source": "/notexist", "Target": "/data", "BindOptions": {"CreateMountpoint": True}},
    _BIND | {"VolumeOptions": {}},
    _BIND | {"VolumeOptions": {"NoCopy": True}},
    _BIND | {"TmpfsOptions": {}},
    _BIND | {"Source": ROOT},
    _BIND | {"Source": ROOT, "BindOptions": {"Propagation": "rslave"}},
    _BIND | {"Source": ROOT, "BindOptions": {"Propagation": "private"}},
    _VOLUME,
    _VOLUME | {"ReadOnly": True},
    _VOLUME | {"Target": "/"},
    _VOLUME | {"Target": "relative"},
    _VOLUME | {"Target": "/full"},
    _VOLUME | {"Target": "/full", "VolumeOptions": {"NoCopy": True}},
    _VOLUME | {"Target": "/etc/file"},
    _VOLUME | {"Source": "vol"},
    _VOLUME | {"Source": "vol", "Target": "/full", "ReadOnly": True},
    _VOLUME | {"Source": "vol", "Target": "/full", "VolumeOptions": {"NoCopy": True}},
    _VOLUME | {"Source": "v"},
    _VOLUME | {"Source": "/abs"},
    _VOLUME | {"Source": "a/b"},
    _VOLUME | {"Source": ""},
    _VOLUME | {"VolumeOptions": {"Labels": {"a": "b"}}},
    _VOLUME | {"Source": "vol", "VolumeOptions": {"Labels": {"a": "b"}}},
    _VOLUME | {"Source": "vol", "VolumeOptions": {}},
    _VOLUME | {"Source": "vol", "VolumeOptions": {"Subpath": "x"}},
    _VOLUME | {"Source": "vol"} | _driver(),
    _VOLUME | {"Source": "vol"} | _driver(""),
    _VOLUME | {"Source": "vol"} | _driver("nosuchdriver1"),
    _VOLUME | _driver(),
    _VOLUME | {"Source": "vol"} | _driver(foobar="foobaz"),
    _VOLUME | {"Source": "vol"} | _driver(type="tmpfs"),
    _VOLUME | {"Source": "vol"} | _driver(device="tmpfs"),
    _VOLUME | {"Source": "vol"} | _driver(o="size=1"),
    _VOLUME | {"Source": "vol"} | _driver(type="nfs", o="addr=nosuchhost", device=":/x"),
    _VOLUME | {"Source": "vol"} | _driver(size="10M"),
    _VOLUME | {"BindOptions": {}},
    _VOLUME | {"BindOptions": {"Propagation": "rslave"}},
    _VOLUME | {"TmpfsOptions": {}},
    _TMPFS,
    _TMPFS | {"Source": "/x"},
    _TMPFS | {"Target": "/"},
    _TMPFS | {"Target": "relative"},
    _TMPFS | {"Target": "/full"},
    _TMPFS | {"ReadOnly": True},
    _TMPFS | {"TmpfsOptions": {}},
    _TMPFS | {"TmpfsOptions": {"SizeBytes": 4 * MB, "Mode": 0o700}},
    _TMPFS | {"TmpfsOptions": {"SizeBytes": -1}},
    _TMPFS | {"TmpfsOptions": {"SizeBytes": 1}},
    _TMPFS | {"TmpfsOptions": {"Mode": 0o7777}},
    _TMPFS | {"TmpfsOptions": {"Options": [["noexec"]]}},
    _TMPFS | {"BindOptions": {}},
    _TMPFS | {"VolumeOptions": {}},
]
"""One entry of `Mounts` each."""

MOUNTS_THAT_MEET: Mapping[str, Mapping[str, Json]] = {
    "two binds for one place": {"Binds": ["meet1:/x", "meet2:/x"]},
    "two binds for one place, one unclean": {"Binds": ["meet1:/x", "meet2:/x/"]},
    "a bind and a mount for one place": {"Binds": ["meet1:/x"], "Mounts": [{"Type": "volume", "Target": "/x"}]},
    "two mounts for one place": {"Mounts": 2 * [{"Type": "volume", "Target": "/x"}]},
    "a bind and a tmpfs for one place": {"Binds": ["meet3:/x"], "Tmpfs": {"/x": ""}},
    "a mount and a tmpfs for one place": {"Mounts": [{"Type": "tmpfs", "Target": "/x"}], "Tmpfs": {"/x": ""}},
    "a bind and volumes-from for one place": {"Binds": ["meet4:/full"], "VolumesFrom": ["base"]},
    "a mount and volumes-from for one place": {"Mounts": [{"Type": "volume", "Target": "/full"}], "VolumesFrom": ["base"]},
    "volumes-from twice": {"VolumesFrom": ["base", "base:ro"]},
    "one volume in two places": {"Binds": ["meet5:/x", "meet5:/y:ro"]},
    "one volume in two places with content": {"Binds": ["meet6:/full", "meet6:/empty"]},
    "a bind inside another": {"Binds": ["meet7:/x", "meet8:/x/y"]},
    "a bind over a volume of the image": {"Binds": [f"{HERE}:/full"]},
    "a tmpfs over a volume of the image": {"Tmpfs": {"/full": ""}},
    "a driver and a mount": {"VolumeDriver": "local", "Mounts": [{"Type": "volume", "Source": "meet9", "Target": "/x"}]},
    "a driver that is not there and a bind": {"VolumeDriver": "nosuchdriver2", "Binds": ["meet10:/x"]},
    "a driver that is not there and a path": {"VolumeDriver": "nosuchdriver3", "Binds": [f"{HERE}:/x"]},
    "a driver that is not there and no volume": {"VolumeDriver": "nosuchdriver4"},
    "the second of two binds is wrong": {"Binds": ["meet11:/x", "meet12:relative"]},
}  # fmt: skip

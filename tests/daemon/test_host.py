"""What a machine can do, read from trees made for the purpose."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from daemon.host import (
    CAPABILITIES,
    NO_ABILITIES,
    Abilities,
    detect,
    effective_capabilities,
    parse_number_list,
    processor_variant,
    subsystem_mounts,
    unified_group,
)


def grow(root: Path, files: dict[str, str]) -> Path:
    """A tree of files below `root`; what ends in a slash is a directory."""
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return root


V2 = {
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "sys/fs/cgroup/cpuset.cpus.effective": "0-3,8\n",
    "sys/fs/cgroup/cpuset.mems.effective": "0-1\n",
    "sys/fs/cgroup/system.slice/docker.service/memory.swap.max": "max\n",
    "proc/self/cgroup": "0::/system.slice/docker.service\n",
    "proc/self/ns/cgroup": "",
}
V2_ABILITIES = Abilities(
    memory_swappiness=False,
    oom_kill_disable=False,
    kernel_memory=False,
    kernel_memory_tcp=False,
    cpu_realtime=False,
    cpus="0-3,8",
    memory_nodes="0-1",
)


def test_with_version_2_of_control_groups_abilities_are_controllers(tmp_path: Path) -> None:
    host = detect(grow(tmp_path, V2))
    assert host.is_cgroup_v2
    assert host.abilities == V2_ABILITIES


@pytest.mark.parametrize(
    ("controller", "lost"),
    [
        ("memory", {"memory_limit": False, "swap_limit": False, "memory_reservation": False}),
        ("cpu", {"cpu_shares": False, "cpu_cfs": False}),
        ("cpuset", {"cpuset": False, "cpus": "", "memory_nodes": ""}),
        ("pids", {"pids_limit": False}),
        (
            "io",
            {
                "blkio_weight": False,
                "blkio_weight_device": False,
                "blkio_read_bps": False,
                "blkio_write_bps": False,
                "blkio_read_iops": False,
                "blkio_write_iops": False,
            },
        ),
        ("rdma", {}),
    ],
)
def test_a_controller_that_is_missing_takes_its_abilities_along(
    controller: str, lost: dict[str, bool], tmp_path: Path
) -> None:
    present = [name for name in "cpuset cpu io memory pids rdma".split() if name != controller]
    tree = grow(tmp_path, {**V2, "sys/fs/cgroup/cgroup.controllers": " ".join(present)})
    expected = attrs.evolve(V2_ABILITIES, **lost)  # type: ignore[arg-type]  # names and values from the table above
    assert detect(tree).abilities == expected


def test_without_its_file_in_the_own_group_swap_cannot_be_limited(tmp_path: Path) -> None:
    tree = grow(tmp_path, {**V2, "proc/self/cgroup": "0::/elsewhere\n"})
    assert detect(tree).abilities == attrs.evolve(V2_ABILITIES, swap_limit=False)


FILES_V1 = {
    "memory": (
        "memory.memsw.limit_in_bytes memory.soft_limit_in_bytes memory.swappiness memory.oom_control "
        "memory.kmem.limit_in_bytes memory.kmem.tcp.limit_in_bytes"
    ),
    "cpu,cpuacct": "cpu.shares cpu.cfs_quota_us cpu.rt_period_us",
    "blkio": (
        "blkio.weight blkio.weight_device blkio.throttle.read_bps_device blkio.throttle.write_bps_device "
        "blkio.throttle.read_iops_device blkio.throttle.write_iops_device"
    ),
    "pids": "",
}
OF_FILE = {
    "memory.memsw.limit_in_bytes": "swap_limit",
    "memory.soft_limit_in_bytes": "memory_reservation",
    "memory.swappiness": "memory_swappiness",
    "memory.oom_control": "oom_kill_disable",
    "memory.kmem.limit_in_bytes": "kernel_memory",
    "memory.kmem.tcp.limit_in_bytes": "kernel_memory_tcp",
    "cpu.shares": "cpu_shares",
    "cpu.cfs_quota_us": "cpu_cfs",
    "cpu.rt_period_us": "cpu_realtime",
    "blkio.weight": "blkio_weight",
    "blkio.weight_device": "blkio_weight_device",
    "blkio.throttle.read_bps_device": "blkio_read_bps",
    "blkio.throttle.write_bps_device": "blkio_write_bps",
    "blkio.throttle.read_iops_device": "blkio_read_iops",
    "blkio.throttle.write_iops_device": "blkio_write_iops",
}


def tree_v1(without: str = "") -> dict[str, str]:
    """A machine with version 1 that has everything but one subsystem, or one file."""
    tree = {"proc/self/ns/cgroup": ""}
    mounts, groups = [], []
    for number, (subsystems, names) in enumerate({**FILES_V1, "cpuset": "cpuset.cpus cpuset.mems"}.items(), 30):
        if subsystems == without:
            continue
        mounts.append(f"{number} 31 0:{number} / /sys/fs/cgroup/{subsystems} rw - cgroup cgroup rw,{subsystems}")
        groups.append(f"{number}:{subsystems}:/docker")
        tree[f"sys/fs/cgroup/{subsystems}/tasks"] = ""
        tree |= {f"sys/fs/cgroup/{subsystems}/{name}": "" for name in names.split() if name != without}
    if without != "cpuset":
        tree |= {"sys/fs/cgroup/cpuset/cpuset.cpus": "0-1\n", "sys/fs/cgroup/cpuset/cpuset.mems": "0\n"}
    return {**tree, "proc/self/mountinfo": "\n".join(mounts), "proc/self/cgroup": "\n".join(groups)}


def test_with_version_1_abilities_are_files_in_the_roots_of_subsystems(tmp_path: Path) -> None:
    host = detect(grow(tmp_path, tree_v1()))
    assert not host.is_cgroup_v2
    assert host.abilities == Abilities(cpus="0-1", memory_nodes="0")


@pytest.mark.parametrize("file", [name for names in FILES_V1.values() for name in names.split()])
def test_a_file_that_is_missing_is_an_ability_less(file: str, tmp_path: Path) -> None:
    lost = {OF_FILE[file]: False}
    expected = attrs.evolve(Abilities(cpus="0-1", memory_nodes="0"), **lost)  # type: ignore[arg-type]  # as above
    assert detect(grow(tmp_path, tree_v1(without=file))).abilities == expected


@pytest.mark.parametrize(
    ("subsystem", "lost"),
    [("memory", "memory_limit"), ("cpu,cpuacct", "cpu_cfs"), ("blkio", "blkio_weight"), ("pids", "pids_limit")],
)
def test_a_subsystem_that_is_not_mounted_is_no_ability(subsystem: str, lost: str, tmp_path: Path) -> None:
    abilities = detect(grow(tmp_path, tree_v1(without=subsystem))).abilities
    assert not getattr(abilities, lost)
    assert not any(getattr(abilities, OF_FILE[name]) for name in FILES_V1[subsystem].split())
    assert abilities.cpuset


def test_a_machine_that_tells_nothing_can_do_nothing(tmp_path: Path) -> None:
    host = detect(tmp_path)
    assert host.abilities == attrs.evolve(NO_ABILITIES, cpus="", memory_nodes="")
    assert (host.is_cgroup_v2, host.is_systemd, host.is_ipv4_forwarding) == (False, False, False)
    assert host.capabilities == frozenset(CAPABILITIES)
    assert host.thermal_throttle_paths == ()


def test_the_rest_of_the_machine_is_read_from_its_files(tmp_path: Path) -> None:
    tree = grow(
        tmp_path,
        {
            "proc/sys/net/ipv4/ip_forward": "1\n",
            "proc/self/status": "Name:\tx\nCapEff:\t0000000000000003\n",
            "sys/devices/system/cpu/cpu10/thermal_throttle/": "",
            "sys/devices/system/cpu/cpu2/thermal_throttle/": "",
            "sys/devices/system/cpu/cpu1/": "",
        },
    )
    host = detect(tree)
    assert host.is_ipv4_forwarding
    assert host.capabilities == {"CHOWN", "DAC_OVERRIDE"}
    assert host.thermal_throttle_paths == (
        "/sys/devices/system/cpu/cpu10/thermal_throttle",
        "/sys/devices/system/cpu/cpu2/thermal_throttle",
    )


def test_where_systemd_bounds_its_services_containers_can_have_the_capabilities_that_it_has_itself(
    tmp_path: Path,
) -> None:
    status = {"proc/self/status": "CapEff:\t0000000000000001\n", "proc/1/status": "CapEff:\t0000000000000003\n"}
    host = detect(grow(tmp_path, {"run/systemd/system/": "", **status}))
    assert host.is_systemd
    assert host.capabilities == {"CHOWN", "DAC_OVERRIDE"}


def test_this_machine_is_one() -> None:
    host = detect()
    assert host.cpus == len(os.sched_getaffinity(0))
    assert host.memory_bytes > 0
    assert host.kernel_version == os.uname().release
    assert parse_number_list(host.abilities.cpus) or not host.abilities.cpuset


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", set()),
        ("7", {7}),
        ("1-6", {1, 2, 3, 4, 5, 6}),
        ("0,3-4,7,8-10", {0, 3, 4, 7, 8, 9, 10}),
        ("0-0,0,1-7", {0, 1, 2, 3, 4, 5, 6, 7}),
        ("03,1-3", {1, 2, 3}),
        ("3,2,1", {1, 2, 3}),
        ("0-8192," * 100_000 + "1", set(range(8193))),  # at once
    ],
)
def test_a_list_of_numbers_has_ranges_in_any_order(text: str, numbers: set[int]) -> None:
    assert parse_number_list(text) == numbers


@pytest.mark.parametrize(
    ("text", "number_max", "complaint"),
    [
        ("1,", 0, "invalid format: 1,"),
        ("2-1", 0, "invalid format: 2-1"),
        ("a", 0, "invalid format: a"),
        ("1--2", 0, "invalid format: 1--2"),
        ("9223372036854775808", 0, "invalid format: 9223372036854775808"),
        ("9223372036854775807", 9, "value of out range, maximum is 9"),
        ("0-10", 9, "value of out range, maximum is 9"),
    ],
)
def test_what_is_no_list_of_numbers_is_told_in_dockers_words(text: str, number_max: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        parse_number_list(text, number_max)


def test_subsystems_are_found_where_the_process_knows_them_by_name() -> None:
    mountinfo = "\n".join(
        [
            "22 1 0:20 / /proc rw - proc proc rw",
            "30 25 0:26 / /sys/fs/cgroup/cpu\\040and\\134more rw,nosuid shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct",
            "31 25 0:27 / /sys/fs/cgroup/again rw - cgroup cgroup rw,cpu",
            "32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
            "33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            "34 25 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer",
            "cut off",
            "",
        ]
    )
    assert subsystem_mounts(mountinfo, "3:cpu,cpuacct:/\n2:name=systemd:/init\n0::/\n") == {
        "cpu": "/sys/fs/cgroup/cpu and\\more",
        "cpuacct": "/sys/fs/cgroup/cpu and\\more",
        "systemd": "/sys/fs/cgroup/systemd",
    }


@pytest.mark.parametrize(
    ("text", "group"), [("0::/a/b\n", "/a/b"), ("1:cpu:/x\n0::/\n", "/"), ("", "/"), ("1:name=systemd:/x", "/")]
)
def test_the_own_group_of_version_2_has_the_number_0(text: str, group: str) -> None:
    assert unified_group(text) == group


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (
            "CapEff:\t00000000a80425fb\n",
            "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE "
            "NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP",
        ),
        ("CapInh:\t0\nCapEff:\t0000010000000000\nCapBnd:\tffff", "CHECKPOINT_RESTORE"),
        ("CapEff:\t000001ffffffffff", " ".join(CAPABILITIES)),
        ("CapEff:\t8000000000000001", "CHOWN"),
        ("CapEff:\t0000000000000000", " ".join(CAPABILITIES)),
        ("CapEff:\tzz", " ".join(CAPABILITIES)),
        ("", " ".join(CAPABILITIES)),
    ],
)
def test_capabilities_are_bits(status: str, names: str) -> None:
    assert effective_capabilities(status) == set(names.split())


V2_FLAGS = "fpu pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
V3_FLAGS = f"{V2_FLAGS} fma movbe xsave avx f16c bmi1 avx2 bmi2 abm"
V4_FLAGS = f"{V3_FLAGS} avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("cpuinfo", "architecture", "variant"),
    [
        (f"flags\t\t: {V4_FLAGS}\n", "amd64", "v4"),
        (f"flags : {V3_FLAGS}\n\nflags : {V4_FLAGS}", "amd64", "v3"),
        (f"flags : {V2_FLAGS} avx512f", "amd64", "v2"),
        ("flags : fpu avx2", "amd64", "v1"),
        ("", "amd64", "v1"),
        ("CPU architecture: 8\n", "arm64", "v8"),
        ("CPU architecture: 7\n", "arm", "v7"),
        ("CPU architecture: 6TEJ", "arm", "v6"),
        ("", "arm64", "v8"),
        ("", "arm", "v7"),
        ("CPU architecture: 99", "arm", "unknown"),
        ("flags : x", "s390x", ""),
    ],
)
def test_a_processor_is_of_the_highest_level_all_of_whose_flags_it_has(
    cpuinfo: str, architecture: str, variant: str
) -> None:
    assert processor_variant(cpuinfo, architecture) == variant

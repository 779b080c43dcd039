"""A real daemon on a small file system of its own that has no space left, or no inodes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contrib.unclaimed import claimed
from daemon import fsck
from tests.daemon.harness import rootfs_tar
from tests.daemon.storage.making import names_in, needs_root
from tests.integration.forked import Forked, forked, log_of

pytestmark = [pytest.mark.integration, needs_root]

BODY = {"Image": "busybox", "Cmd": ["x"]}
FULL = (507, {"message": "no space left on device"})
KINDS = {"no space": ("-N", "20000"), "no inodes": ("-N", "200")}


@pytest.fixture(params=["no space", "no inodes"])
def disk(request: pytest.FixtureRequest, home: Path) -> Iterator[Path]:
    """The data root of a daemon at `home`, a file system of 40 MB."""
    image, data = home / "disk", home / "data"
    with image.open("wb") as file:
        file.truncate(40 << 20)
    data.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *KINDS[request.param], image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, data], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a file system in a file cannot be mounted here: {mounted.stderr}")
    try:
        yield data
    finally:
        subprocess.run(["umount", data], check=True)


def fill(disk: Path) -> None:
    """Take what is left, inodes and bytes, as another program would."""
    (disk / "other").mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (disk / "other" / str(number)).touch(exist_ok=False)
    for size in (1 << 16, 1 << 10):
        with contextlib.suppress(OSError), (disk / "other" / "0").open("ab", buffering=0) as file:
            while file.write(bytes(size)):
                pass


def create(daemon: Forked, name: str) -> bool:
    """Whether there was room for it; if not, the answer says so, and nothing else."""
    status, answer = daemon.call("POST", f"/containers/create?name={name}", BODY)
    assert status == 201 or (status, answer) == FULL, answer
    return status == 201


def listed(daemon: Forked) -> dict[str, str]:
    """Ids by name."""
    status, containers = daemon.call("GET", "/containers/json?all=1")
    assert status == 200
    return {container["Names"][0][1:]: container["Id"] for container in containers}


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Forked]:
    with forked(home) as daemon:
        assert daemon.is_ready, log_of(home)
        yield daemon


def test_creates_until_the_disk_is_full_leave_nothing_of_those_refused(disk: Path, home: Path) -> None:
    with serving(home) as daemon:
        assert daemon.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200
        (disk / "other").mkdir()
        room = os.statvfs(disk)
        with (disk / "other" / "0").open("wb") as file:  # so that it takes less time
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (1 << 20))
        outcomes = {f"c{number}": create(daemon, f"c{number}") for number in range(300)}
        made = {name for name, is_made in outcomes.items() if is_made}
        assert 0 < len(made) < 300
        assert listed(daemon).keys() == made
        for name in made:
            assert daemon.call("DELETE", f"/containers/{name}") == (204, None)
        shutil.rmtree(disk / "other")
        refused = [name for name in outcomes if name not in made][: len(made) // 2]
        assert all(create(daemon, name) for name in refused), "their names were never taken"
        assert daemon.stop() == 0
    assert fsck.check(disk, is_repairing=False, is_verifying=True) == ()


def test_a_full_disk_refuses_what_needs_room_and_nothing_else(disk: Path, home: Path) -> None:
    with serving(home) as daemon:
        assert daemon.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs_tar())[0] == 200
        made = {name for name in (f"c{number}" for number in range(12)) if create(daemon, name)}
        assert len(made) == 12
        assert daemon.stop() == 0
    fill(disk)  # while there is no log: it went with the clean stop
    with serving(home) as daemon:
        assert listed(daemon).keys() == made
        refused = ["d0", "d1"]
        assert not any(create(daemon, name) for name in refused), "the reserve is for removals"
        assert daemon.call("GET", "/containers/c0/json")[0] == 200
        assert listed(daemon).keys() == made
        assert daemon.call("DELETE", "/containers/c0") == (204, None)
        assert daemon.kill() == -signal.SIGKILL
    made.discard("c0")
    fill(disk)
    with serving(home) as daemon:
        assert listed(daemon).keys() == made
        assert names_in(disk / "staging") == []
        assert len(claimed(disk, listed(daemon).values())) == len(made)
        for name in made:
            assert daemon.call("DELETE", f"/containers/{name}") == (204, None)
        shutil.rmtree(disk / "other")
        assert all(create(daemon, name) for name in refused), "their names were never taken"
        assert listed(daemon).keys() == {*refused}
        assert daemon.stop() == 0

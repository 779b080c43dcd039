"""Below a directory the kernel keeps a path, whoever wrote it and whatever it meets."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.storage import openat
from daemon.storage.openat import open_beneath, open_in_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    (inside / "d").mkdir(parents=True)
    (inside / "secret").write_text("inside")
    (inside / "absolute").symlink_to("/secret")
    (inside / "up").symlink_to("../secret")
    (inside / "d/far").symlink_to("../../../secret")
    (inside / "fd").symlink_to("/proc/self/fd")
    (inside / "loop").symlink_to("loop")
    descriptor = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> str:
    with os.fdopen(descriptor) as file:
        return file.read()


def test_a_path_below_is_opened_close_on_exec(root: int) -> None:
    descriptor = open_beneath(root, "d/../secret", os.O_RDONLY)
    assert not os.get_inheritable(descriptor)
    assert read(descriptor) == "inside"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../secret", errno.EXDEV),
        ("/secret", errno.EXDEV),
        ("d/../../secret", errno.EXDEV),
        ("absolute", errno.ELOOP),
        ("up", errno.ELOOP),
        ("d/far", errno.ELOOP),
        ("fd/0", errno.ELOOP),
        ("missing", errno.ENOENT),
        ("a\0b", errno.EINVAL),
    ],
)
def test_what_leads_out_or_through_a_link_is_an_error(root: int, path: str, code: int) -> None:
    with pytest.raises(OSError) as refused:
        open_beneath(root, path, os.O_RDONLY)
    assert refused.value.errno == code


@pytest.mark.parametrize("path", ["absolute", "up", "d/far", "/secret", "../../secret"])
def test_in_a_root_every_link_stays_inside(root: int, path: str) -> None:
    assert read(open_in_root(root, path, os.O_RDONLY)) == "inside"


def test_in_a_root_a_loop_is_an_error(root: int) -> None:
    with pytest.raises(OSError, match="Too many levels"):
        open_in_root(root, "loop", os.O_RDONLY)


def test_a_file_is_created_with_its_mode(root: int, tmp_path: Path) -> None:
    os.close(open_beneath(root, "d/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    assert (tmp_path / "root/d/new").stat().st_mode & 0o777 == 0o600


class _Busy:
    """A kernel that answers EAGAIN, or EINTR, some times."""

    def __init__(self, times: int, code: int) -> None:
        self.left = times
        self.code = code

    def syscall(self, *_: object) -> int:
        if self.left:
            self.left -= 1
            ctypes.set_errno(self.code)
            return -1
        return 99


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EINTR])
def test_a_busy_kernel_is_asked_again_but_not_for_ever(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openat, "_libc", _Busy(5, code))
    assert open_beneath(0, "x", os.O_RDONLY) == 99
    monkeypatch.setattr(openat, "_libc", _Busy(10**6, code))
    with pytest.raises(OSError) as refused:
        open_beneath(0, "x", os.O_RDONLY)
    assert refused.value.errno == code

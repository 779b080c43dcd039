"""A container's own layer as an image's: what is unpacked from the tar is the layer that it was made of."""

from __future__ import annotations

import io
import os
import random
import socket
import stat
import tarfile
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter
from daemon.storage.attributes import is_opaque
from daemon.storage.layer_out import EMPTY_LAYER, tar_of_layer
from daemon.storage.oci import digest_of
from daemon.storage.unpack import unpack_layer
from tests.daemon.storage.making import mark_opaque, needs_root, target_of, whiteout
from tests.daemon.storage.overlays import grow


def tar(upper: Path) -> bytes:
    return b"".join(tar_of_layer(upper))


def entries(upper: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar(upper))) as archive:
        return {info.name: info for info in archive.getmembers()}


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a layer says, below its root."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path.relative_to(root))] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_rdev,
            int(status.st_mtime),
            content,
            target_of(path) if path.is_symlink() else "",
            stat.S_ISDIR(status.st_mode) and is_opaque(str(path)),
        )
    return found


def test_a_layer_that_nothing_was_written_to_is_an_empty_tar(tmp_path: Path) -> None:
    assert digest_of(tar(tmp_path)) == EMPTY_LAYER


@needs_root
@pytest.mark.parametrize("seed", range(8))
def test_what_is_unpacked_is_what_was_there(seed: int, tmp_path: Path) -> None:
    upper, target = tmp_path / "upper", tmp_path / "target"
    upper.mkdir()
    target.mkdir()
    grow(upper, random.Random(seed))
    unpack_layer(io.BytesIO(tar(upper)), target, is_end_required=True)
    unpacked, there = tree(target), tree(upper)
    # A whiteout has the time of its making: an image's layer has nothing to say about it.
    for both in (unpacked, there):
        for name, (mode, *rest) in both.items():
            if stat.S_ISCHR(int(str(mode))):
                both[name] = ("whiteout", rest[2])
    assert unpacked == there, f"seed {seed}"


def test_marks_of_overlay_become_those_of_an_images_layer(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o750)
    mark_opaque(tmp_path / "d")
    whiteout(tmp_path, "gone")
    whiteout(tmp_path / "d", "gone")
    found = entries(tmp_path)
    assert list(found) == ["d", "d/.wh..wh..opq", "d/.wh.gone", ".wh.gone"]
    assert all(found[name].isreg() and found[name].size == 0 for name in found if ".wh." in name)


def test_a_second_name_is_a_link_and_a_socket_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    found = entries(tmp_path)
    assert list(found) == ["a", "b"]
    assert (found["b"].islnk(), found["b"].linkname) == (True, "a")


def test_a_name_that_would_remove_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / ".wh.passwd").touch()
    with pytest.raises(InvalidParameter, match=r"called 'etc/\.wh\.passwd'"):
        tar(tmp_path)


def test_paths_may_be_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(20):
        os.mkdir("n" * 250, dir_fd=descriptor)
        below = os.open("n" * 250, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    assert len(entries(tmp_path)) == 20

"""A layer that wants out, or too much, is refused with its entry named, and leaves nothing anywhere."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter
from daemon.storage.disk import remove_tree
from daemon.storage.layers import LayerBuild, LayerStore
from daemon.storage.unpack import PATH_DEPTH_MAX, Limits, unpack_layer
from tests.daemon.storage.making import (
    Build,
    add,
    add_directory,
    add_files,
    add_link,
    add_symlink,
    tar_by,
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


def raw_header(name: bytes, *, size: bytes = b"00000000000", kind: bytes = b"0", uid: bytes = b"0000000") -> bytes:
    block = bytearray(512)
    block[:100] = name.ljust(100, b"\0")
    block[100:108] = b"0000644\0"
    block[108:116] = uid.ljust(8, b"\0")
    block[116:124] = b"0000000\0"
    block[124:136] = size.ljust(12, b"\0")
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def base256(number: int) -> bytes:
    return struct.pack(">Iq", 0xFFFFFFFF if number < 0 else 0x80000000, number)


def deep(tar: tarfile.TarFile) -> None:
    add(tar, "/".join("d" * (PATH_DEPTH_MAX + 1)))


def through_link(tar: tarfile.TarFile) -> None:
    add_symlink(tar, "door", "../../outside")
    add(tar, "door/evil", b"x")


def deep_through_link(tar: tarfile.TarFile) -> None:
    add_directory(tar, "a")
    add_symlink(tar, "a/door", "../../../outside")
    add_directory(tar, "a/door/evil")


def whiteout_through_link(tar: tarfile.TarFile) -> None:
    add_symlink(tar, "door", "../../outside")
    add(tar, "door/.wh.victim")


def opaque_through_link(tar: tarfile.TarFile) -> None:
    add_symlink(tar, "door", "../../outside")
    add(tar, "door/.wh..wh..opq")


def link_to_link(tar: tarfile.TarFile) -> None:
    add_symlink(tar, "soft", "../../outside/victim")
    add_link(tar, "hard", "soft")


def link_through_link(tar: tarfile.TarFile) -> None:
    add_symlink(tar, "door", "../../outside")
    add_link(tar, "hard", "door/victim")


def link_to_directory(tar: tarfile.TarFile) -> None:
    add_directory(tar, "d")
    add_link(tar, "hard", "d")


def link_over_its_target(tar: tarfile.TarFile) -> None:
    add(tar, "d/f")
    add_link(tar, "d", "d/f")


def file_as_directory(tar: tarfile.TarFile) -> None:
    add(tar, "f")
    add(tar, "f/g")


def path_max_chain(tar: tarfile.TarFile) -> None:
    """Links whose resolution is longer than PATH_MAX, behind which others have escaped (CVE-2025-4517)."""
    component, inner = "d" * 247, ""
    for step in "abcdefghijklmnop":
        add_directory(tar, f"{inner}{component}")
        add_symlink(tar, f"{inner}{step}", component)
        inner += f"{component}/"
    chain = "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p"
    add_symlink(tar, f"{chain}/{'l' * 254}", "../" * 16)
    add_symlink(tar, "escape", f"{chain}/{'l' * 254}/../../outside")
    add(tar, "escape/evil", b"x")


HOSTILE: dict[str, tuple[Build, str]] = {
    "a name that leads out": (lambda tar: add(tar, "../../outside/evil"), "'..'"),
    "a name that leads out in the middle": (lambda tar: add(tar, "a/../../../outside/evil"), "'..'"),
    "an absolute name": (lambda tar: add(tar, "/etc/evil"), "absolute"),
    "a file through a symbolic link": (through_link, "symbolic link is in the way"),
    "a directory through a nested symbolic link": (deep_through_link, "symbolic link is in the way"),
    "a whiteout through a symbolic link": (whiteout_through_link, "symbolic link is in the way"),
    "an opaque mark through a symbolic link": (opaque_through_link, "symbolic link is in the way"),
    "a hard link to a symbolic link": (link_to_link, "no regular file"),
    "a hard link through a symbolic link": (link_through_link, "symbolic link is in the way"),
    "a hard link that leads out": (lambda tar: add_link(tar, "hard", "../../outside/victim"), "'..'"),
    "an absolute hard link": (lambda tar: add_link(tar, "hard", "/etc/passwd"), "absolute"),
    "a hard link to nothing": (lambda tar: add_link(tar, "hard", "nothing"), "no regular file"),
    "a hard link to nothing in nothing": (lambda tar: add_link(tar, "hard", "no/thing"), "no regular file"),
    "a hard link to a directory": (link_to_directory, "no regular file"),
    "a hard link to the root": (lambda tar: add_link(tar, "hard", "./"), "hard link to"),
    "a hard link to itself": (lambda tar: add_link(tar, "hard", "hard"), "hard link to"),
    "a hard link to the empty name": (lambda tar: add_link(tar, "hard", ""), "a name is 1 to"),
    "a hard link to a name like a directory's": (lambda tar: add_link(tar, "hard", "soft/"), "no regular file"),
    "a chain of links longer than a path": (path_max_chain, "symbolic link is in the way"),
    "a hard link in place of its target's directory": (link_over_its_target, "no regular file"),
    "a file as a directory": (file_as_directory, "not a directory"),
    "the root as a file": (lambda tar: add(tar, "./", b"x"), "the root is a directory"),
    "the root as a symbolic link": (lambda tar: add_symlink(tar, ".", "/etc"), "the root is a directory"),
    "a whiteout of the parent": (lambda tar: add(tar, "a/.wh..."), "whiteout of nothing"),
    "a whiteout of the directory": (lambda tar: add(tar, "a/.wh.."), "whiteout of nothing"),
    "a whiteout of nothing": (lambda tar: add(tar, ".wh."), "whiteout of nothing"),
    "a whiteout of a path": (lambda tar: add(tar, ".wh.a/b"), "no directory"),
    "a whiteout of the parent by a path": (lambda tar: add(tar, ".wh.../victim"), "no directory"),
    "a whiteout of aufs' own": (lambda tar: add(tar, ".wh..wh.plnk"), "whiteout of nothing"),
    "a whiteout that is a link": (lambda tar: add_symlink(tar, ".wh.a", "/etc"), "empty file"),
    "a name that is too deep": (deep, "components"),
    "a component that is too long": (lambda tar: add(tar, "n" * 256), "longer than 255"),
    "a name that is too long": (lambda tar: add(tar, "n/" * 3000), "1 to 4095"),
    "a NUL in a name": (lambda tar: add(tar, "a", pax_headers={"path": "a\0b"}), "without NUL"),
    "a NUL in a link": (
        lambda tar: add(tar, "a", type=tarfile.SYMTYPE, linkname="x", pax_headers={"linkpath": "a\0b"}),
        "without NUL",
    ),
    "a link to the empty name": (lambda tar: add_symlink(tar, "a", ""), "target is 1 to"),
    "an owner that means no owner": (lambda tar: add(tar, "a", pax_headers={"uid": "4294967295"}), "its owner"),
    "a negative size": (lambda tar: add(tar, "a", pax_headers={"size": "-512"}), "its size"),
    "a time that is none": (lambda tar: add(tar, "a", pax_headers={"mtime": "nan"}), "its mtime"),
    "a device that cannot be": (
        lambda tar: add(tar, "a", type=tarfile.CHRTYPE, devmajor=4096, devminor=1),
        "device number",
    ),
    "a type nobody knows": (lambda tar: add(tar, "a", type=b"Z"), "not supported"),
    "a sparse file": (lambda tar: add(tar, "a", pax_headers={"GNU.sparse.major": "1"}), "sparse"),
    "more entries than allowed": (lambda tar: add_files(tar, *map(str, range(41))), "more than 40 entries"),
    "more parents than allowed": (lambda tar: add(tar, "a/" * 40 + "f"), "more than 40 entries"),
    "more bytes than allowed": (lambda tar: add(tar, "a", b"x" * 4097), "larger than 4096 bytes"),
}


def snapshot(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything below, but for the time of the store's own directory, in which the layer came and went."""
    seen = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        mtime_ns = 0 if path.name == "layers" else status.st_mtime_ns
        seen[str(path.relative_to(root))] = (status.st_mode, status.st_nlink, mtime_ns, content)
    return seen


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_layer_is_refused_and_leaves_nothing_anywhere(case: str, tmp_path: Path) -> None:
    build, text = HOSTILE[case]
    layers = LayerStore(tmp_path / "layers")
    outside = tmp_path / "layers" / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"untouched")
    before = snapshot(tmp_path)
    place = LayerBuild.made_in(layers.root)
    with pytest.raises(InvalidParameter, match=r"^invalid archive: ") as refused:
        unpack_layer(tar_by(build), place.target, limits=Limits(entries=40, file_bytes=4096))
    remove_tree(place.home)
    assert text in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (base256(-512), "its size is -512"),
        (base256(-1), "its size is -1"),
        (base256(2**63 - 1), "larger than"),
        (b"77777777777", "truncated"),
        (b"9", "octal"),
        (b"-1", "octal"),
        (b"0o17", "octal"),
    ],
)
def test_a_size_that_cannot_be_is_refused(size: bytes, text: str, target: Path) -> None:
    with pytest.raises(InvalidParameter, match=text):
        unpack_layer(io.BytesIO(raw_header(b"file", size=size) + b"x" * 512), target)

"""A tar of a view has all that is there, each file whole, and nothing from elsewhere."""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import pytest

from daemon.errors import System
from daemon.storage.container_view import ContainerView, Mounting
from daemon.storage.overlay import MergedFile
from daemon.storage.streams import CHUNK_BYTES
from daemon.storage.tar_out import DEPTH_MAX, tar_of_tree
from daemon.storage.unpack import unpack_layer
from tests.daemon.storage.making import Layers, make_layers, needs_root, opened, whiteout, write
from tests.daemon.storage.overlays import grow, mounted, tree_of_mount


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


def packed(view: ContainerView, path: str = "/", name: str = "", *, with_top: bool = False) -> bytes:
    return b"".join(tar_of_tree(view, view.resolve(path, follow=False).trail, name, with_top=with_top))


def entries(content: bytes) -> Mapping[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {info.name: info for info in tar}


def test_directories_come_before_what_is_in_them_in_the_order_of_names(layers: Layers) -> None:
    for layer, name in ((0, "b/z"), (2, "b/a/f"), (1, "a"), (0, "c")):
        write(layers[layer], name)
    whiteout(layers[0], "a")
    assert list(entries(packed(ContainerView(layers)))) == ["b", "b/a", "b/a/f", "b/z", "c"]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/d", "d", ["d/", "d/f"]),
        ("/d", ".", ["./", "./f"]),
        ("/", "/", ["/", "/d/", "/d/f"]),
        ("/d/f", "f", ["f"]),
    ],
)
def test_the_top_is_called_as_it_was_asked_for(layers: Layers, path: str, name: str, expected: list[str]) -> None:
    write(layers[1], "d/f")
    content = packed(ContainerView(layers), path, name, with_top=True)
    assert [
        content[start : start + 100].rstrip(b"\0").decode() for start in range(0, len(content) - 1024, 512)
    ] == expected


def test_a_header_says_what_the_file_is(layers: Layers) -> None:
    write(layers[1], "f", "content", mode=0o4751)
    os.utime(layers[1] / "f", ns=(0, 1_700_000_000_900_000_000))
    (layers[0] / "l").symlink_to("../f//.")
    os.mkfifo(layers[0] / "p", 0o600)
    found = entries(packed(ContainerView(layers)))
    file = found["f"]
    assert (file.mode, file.size, file.mtime, file.uname, file.gname) == (0o4751, 7, 1_700_000_000, "", "")
    assert (found["l"].type, found["l"].linkname, found["p"].type) == (tarfile.SYMTYPE, "../f//.", tarfile.FIFOTYPE)


def test_names_of_one_file_are_hard_links(layers: Layers) -> None:
    write(layers[1], "b", "content")
    os.link(layers[1] / "b", layers[1] / "c")
    os.link(layers[1] / "b", layers[1] / "a")
    found = entries(packed(ContainerView(layers)))
    assert (found["a"].type, found["b"].linkname, found["c"].linkname) == (tarfile.REGTYPE, "a", "a")


def test_names_may_be_long_or_no_utf_8(layers: Layers) -> None:
    names = ["d" * 200 + "/" + "f" * 250, os.fsdecode(b"\xff\xfe"), "\N{SNOWMAN}"]
    for name in names:
        write(layers[1], name)
    assert set(names) <= set(entries(packed(ContainerView(layers))))


@needs_root
def test_capabilities_are_kept_without_the_user_of_a_name_space(layers: Layers) -> None:
    version_2 = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    write(layers[1], "f")
    os.setxattr(layers[1] / "f", "security.capability", version_2)
    os.setxattr(layers[1] / "f", "user.note", b"x")
    headers = entries(packed(ContainerView(layers)))["f"].pax_headers
    assert headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == version_2
    assert "SCHILY.xattr.user.note" not in headers
    version_3 = struct.pack("<IIIIII", 0x03000001, 1 << 10, 0, 0, 0, 1000)
    os.setxattr(layers[1] / "f", "security.capability", version_3)
    value = entries(packed(ContainerView(layers)))["f"].pax_headers["SCHILY.xattr.security.capability"]
    assert value.encode("utf-8", "surrogateescape") == version_2


def test_sockets_are_left_out(layers: Layers) -> None:
    with socket.socket(socket.AF_UNIX) as listener, opened(layers[0]) as directory:
        listener.bind(f"/proc/self/fd/{directory}/s")
        write(layers[0], "t")
        assert list(entries(packed(ContainerView(layers)))) == ["t"]


def test_pieces_are_small_whatever_the_file(layers: Layers) -> None:
    with (layers[0] / "large").open("wb") as file:
        file.truncate(5 * CHUNK_BYTES + 1)
    view = ContainerView(layers)
    sizes = [len(piece) for piece in tar_of_tree(view, (view.root,), "", with_top=False)]
    assert max(sizes) == CHUNK_BYTES
    assert sum(sizes) % 512 == 0


def test_a_file_that_changes_meanwhile_has_the_length_of_its_header(layers: Layers) -> None:
    for name, size in (("grows", 10), ("shrinks", 3 * CHUNK_BYTES), ("z", 1)):
        write(layers[0], name, "x" * size)
    view = ContainerView(layers)
    pieces = []
    for piece in tar_of_tree(view, (view.root,), "", with_top=False):
        pieces.append(piece)
        if b"grows" in piece:
            os.truncate(layers[0] / "grows", 1000)
        if b"shrinks" in piece:
            os.truncate(layers[0] / "shrinks", 100)
    found = entries(b"".join(pieces))
    assert {name: info.size for name, info in found.items()} == {"grows": 10, "shrinks": 3 * CHUNK_BYTES, "z": 1}


def test_what_disappears_meanwhile_breaks_the_archive_off(layers: Layers, tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        write(layers[0], name, "x")
    view = ContainerView(layers)
    pieces = tar_of_tree(view, (view.root,), "", with_top=False)
    next(pieces)
    layers[0].rename(tmp_path / "removed")
    with pytest.raises(System) as failed:
        list(pieces)
    assert str(tmp_path) not in str(failed.value)


def test_nothing_is_read_through_a_link_or_waited_for(layers: Layers, tmp_path: Path) -> None:
    """What has become a link or a pipe since its directory was listed is left out."""
    write(layers[0], "a")
    write(layers[0], "b")
    write(layers[0], "c")
    view = ContainerView(layers)
    pieces = tar_of_tree(view, (view.root,), "", with_top=False)
    first = next(pieces)
    write(tmp_path, "secret", "secret")
    (layers[0] / "b").unlink()
    (layers[0] / "b").symlink_to(tmp_path / "secret")
    (layers[0] / "c").unlink()
    os.mkfifo(layers[0] / "c")
    rest = b"".join(pieces)
    assert b"secret" not in rest
    assert entries(first + rest)["a"].size == 0


@attrs.frozen
class Trap:
    """A volume whose directory `d` is swapped for a link to somebody else's files, at the worst moment."""

    home: Path

    def set(self) -> Mounting:
        write(self.home / "volume", "d/f", "mine")
        write(self.home / "secret", "f", "secret")
        return Mounting(destination="/v", source=self.home / "volume", is_writable=True)

    def spring(self) -> None:
        (self.home / "volume/d").rename(self.home / "volume/was")
        (self.home / "volume/d").symlink_to(self.home / "secret")


def test_a_directory_swapped_for_a_link_while_it_is_packed_is_not_followed(layers: Layers, tmp_path: Path) -> None:
    trap = Trap(tmp_path)
    view = ContainerView(layers, (trap.set(),))
    content = b""
    with pytest.raises(System):
        for piece in tar_of_tree(view, view.resolve("/v").trail, "v"):
            content += piece
            if piece.startswith(b"v/d/\0"):
                trap.spring()
    assert b"secret" not in content


def test_a_directory_swapped_for_a_link_while_a_path_is_looked_up_is_still_itself(
    layers: Layers, tmp_path: Path
) -> None:
    trap = Trap(tmp_path)

    class Swapping(ContainerView):
        def child(self, trail: Sequence[MergedFile], name: str) -> MergedFile | None:
            if name == "f":
                trap.spring()
            return super().child(trail, name)

    view = Swapping(layers, (trap.set(),))
    assert b"mine" in b"".join(tar_of_tree(view, view.resolve("/v/d/f").trail, "f"))


def test_a_volume_that_is_too_deep_is_an_error_and_not_a_crash(layers: Layers, tmp_path: Path) -> None:
    source = tmp_path / "volume"
    source.mkdir()
    with opened(source) as bottom:
        for _ in range(DEPTH_MAX + 1):
            os.mkdir("d", dir_fd=bottom)
            below = os.open("d", os.O_RDONLY, dir_fd=bottom)
            os.dup2(below, bottom)
            os.close(below)
    volume = Mounting(destination="/v", source=source, is_writable=True)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(System, match=f"more than {DEPTH_MAX} directories"):
        packed(ContainerView(layers, (volume,)), "/v", "v")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_paths_longer_than_the_kernel_takes_are_read(layers: Layers) -> None:
    path = layers[2]
    with opened(path) as bottom:
        for _ in range(30):
            os.mkdir("n" * 200, dir_fd=bottom)
            below = os.open("n" * 200, os.O_RDONLY, dir_fd=bottom)
            os.dup2(below, bottom)
            os.close(below)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=bottom))
    assert "/".join(["n" * 200] * 30) + "/f" in entries(packed(ContainerView(layers)))


def test_of_a_mount_its_own_files_are_in_the_archive(layers: Layers, tmp_path: Path) -> None:
    write(layers[1], "data/hidden")
    write(tmp_path / "volume", "f", "x")
    write(tmp_path, "file", "y")
    mountings = (
        Mounting(destination="/data", source=tmp_path / "volume", is_writable=True),
        Mounting(destination="/etc/file", source=tmp_path / "file", is_writable=False),
    )
    found = entries(packed(ContainerView(layers, mountings)))
    assert {name: info.size for name, info in found.items()} == {
        "data": 0,
        "data/f": 1,
        "etc": 0,
        "etc/file": 1,
    }


@needs_root
@pytest.mark.parametrize("seed", range(20))
def test_an_archive_unpacked_is_what_a_mounted_overlay_shows(seed: int, layers: Layers, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for layer in layers:
        grow(layer, rng)
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o755)
    unpack_layer(io.BytesIO(packed(ContainerView(layers))), copy)
    with mounted(layers, tmp_path) as point:
        assert without_root(tree_of_mount(copy)) == without_root(tree_of_mount(point))


def without_root(tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    return {path: file for path, file in tree.items() if path != "/"}

"""The init layer makes of an image what Docker's makes of it; and a container's layers are ready for the kernel to mount."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import tarfile
from pathlib import Path

import pytest

from daemon.storage.init_layer import DIRECTORIES, FILES, LINKS, build_init_layer
from daemon.storage.rootfs import Rootfs
from daemon.storage.trees import ContainerTrees
from tests.daemon.storage.making import (
    add,
    add_directory,
    add_link,
    add_symlink,
    archive_of,
    make_layers,
    needs_root,
    ready_at,
    stores_in,
    tar_by,
)
from tests.daemon.storage.overlays import grow, mounted, tree_of_mount, without_ghosts

NAMES = ("dev", "etc", "proc", "sys", ".dockerenv", "pts", "shm", "console", "hosts", "mtab")

Tree = dict[str, tuple[object, ...]]


def described(path: Path) -> tuple[object, ...]:
    """All that a process inside could find out, but for times of directories and the inode."""
    status = path.lstat()
    is_file, is_link = stat.S_ISREG(status.st_mode), stat.S_ISLNK(status.st_mode)
    names = [] if is_link else [name for name in os.listxattr(path) if not name.startswith("trusted.")]
    return (
        *(stat.filemode(status.st_mode), status.st_uid, status.st_gid, status.st_rdev),
        (status.st_size, status.st_nlink, status.st_mtime_ns) if is_file else (),
        path.read_bytes() if is_file else path.readlink() if is_link else b"",
        {name: os.getxattr(path, name) for name in names},
    )


def tree_of_view(rootfs: Rootfs, path: str = "/") -> Tree:
    node = rootfs.lookup(path, follow=False)
    assert node is not None
    tree = {path: described(node.real_path)}
    if stat.S_ISDIR(node.real_path.lstat().st_mode):
        for name in rootfs.listdir(path):
            tree |= tree_of_view(rootfs, f"{path.rstrip('/')}/{name}")
    return tree


def tree_of(point: Path) -> Tree:
    found = {"/": described(point)}
    return found | {
        f"/{path.relative_to(point)}": described(path) for path in point.rglob("*") if os.path.lexists(path)
    }


def as_docker(point: Path) -> None:
    """Moby's daemon/initlayer/setup_unix.go on a mounted overlay."""
    for path in (*DIRECTORIES, *FILES, *LINKS):
        place = point / path[1:]
        for step in reversed([place, *place.relative_to(point).parents][:-1]):
            with contextlib.suppress(OSError):
                (point / step).unlink()
        if os.path.lexists(place):
            continue
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path in DIRECTORIES:
            place.mkdir(mode=0o755)
        elif path in FILES:
            place.touch(mode=0o755)
        else:
            place.symlink_to(LINKS[path])


@needs_root
@pytest.mark.parametrize("seed", range(12))
def test_an_image_looks_through_it_as_through_dockers(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    layers = make_layers(tmp_path)
    for layer in layers:
        grow(layer, rng, NAMES)
    without_ghosts(layers, tmp_path)
    (tmp_path / "empty").mkdir()
    with mounted((tmp_path / "empty", *layers), tmp_path, is_writable=True) as point:
        as_docker(point)
        expected = tree_of_mount(point)
    init = tmp_path / "init"
    init.mkdir()
    build_init_layer(init, layers)
    again = tmp_path / "again"
    again.mkdir()
    with mounted((init, *layers), again) as point:
        assert tree_of_mount(point) == expected, f"seed {seed}"


def test_of_what_has_no_layer_it_is_all_there_is(tmp_path: Path) -> None:
    build_init_layer(tmp_path, ())
    assert sorted(f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*")) == sorted(
        (*DIRECTORIES, *FILES, *LINKS, "/dev", "/etc")
    )
    assert {stat.filemode((tmp_path / path[1:]).stat().st_mode) for path in FILES} == {"-rwxr-xr-x"}


def test_it_is_made_once_and_goes_with_the_layer(tmp_path: Path) -> None:
    stores = stores_in(tmp_path)
    (loaded,) = stores.load(archive_of(base()))
    chain_ids = loaded.image.chain_ids
    stores.layers.make_init(chain_ids)
    init = stores.layers.lower(chain_ids)[0]
    before = init.stat().st_ino
    stores.layers.make_init(chain_ids)
    stores.layers.make_init(())
    assert stores.layers.sweep(chain_ids) == ()
    assert init.stat().st_ino == before
    stores.layers.delete(chain_ids[-1])
    assert not init.exists()
    assert stores.layers.lower(())[0].is_dir()


def base() -> bytes:
    def build(tar: tarfile.TarFile) -> None:
        add_directory(tar, ".", mode=0o751)
        for name in ("etc", "dev", "gone", "opaque", "kept"):
            add_directory(tar, name, mtime=7)
            add(tar, f"{name}/inside", name.encode(), mtime=5)
        add(tar, "etc/hosts", b"of the image")
        add(tar, "tool", b"x", mode=0o4755, uid=3, gid=4, pax_headers={"SCHILY.xattr.user.note": "n"})
        add_link(tar, "same", "tool")
        add_symlink(tar, "etc/mtab", "/elsewhere")

    return tar_by(build).getvalue()


def top() -> bytes:
    def build(tar: tarfile.TarFile) -> None:
        add(tar, ".wh.gone")
        add_directory(tar, "opaque", mode=0o700)
        add(tar, "opaque/.wh..wh..opq")
        add(tar, "opaque/new", b"new")
        add(tar, "kept/.wh.inside")
        add(tar, "kept/fifo", type=tarfile.FIFOTYPE)
        add(tar, "kept/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
        add_symlink(tar, "kept/link", "../tool")
        add(tar, "capable", b"x", pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode()})

    return tar_by(build).getvalue()


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service, in revision 2."""


@needs_root
@pytest.mark.parametrize("working_dir", ["", "/srv/app", "/gone/deep", "/opaque/sub"])
def test_the_kernel_shows_of_a_containers_layers_what_the_view_shows(working_dir: str, tmp_path: Path) -> None:
    stores = stores_in(tmp_path)
    (loaded,) = stores.load(archive_of(base(), top()))
    chain_ids = loaded.image.chain_ids
    stores.layers.make_init(chain_ids)
    (tmp_path / "root").mkdir()
    trees = ContainerTrees(tmp_path / "root", ready_at(tmp_path / "root", 0))
    trees.create("c" * 64, tuple(stores.layers.path(each) for each in reversed(chain_ids)), working_dir)
    layers = (trees.upper("c" * 64), *stores.layers.lower(chain_ids))
    with mounted(layers, tmp_path, is_writable=True) as point:
        shown = tree_of(point)
        assert shown == tree_of_view(Rootfs(layers))
        (point / "written").write_text("x")  # it is a working overlay, upper and work directory included
    assert shown["/etc/hosts"][-2:] == (b"", {})
    assert shown["/etc/mtab"][-2] == Path("/proc/mounts")
    assert shown["/capable"][-1] == {"security.capability": CAPABILITY}
    assert "/gone/inside" not in shown
    assert "/opaque/inside" not in shown
    assert not working_dir or working_dir in shown

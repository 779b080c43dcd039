"""A layer's tar becomes a tree that is ready for an overlay, or an error and nothing outside the target."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.errors import InvalidParameter, System
from daemon.storage import unpack as unpack_module
from daemon.storage.unpack import Limits, components_of, measure_layer, unpack_layer
from tests.daemon.storage.making import (
    Build,
    add,
    add_directory,
    add_files,
    add_link,
    add_symlink,
    adding,
    names_in,
    needs_root,
    tar_by,
    target_of,
)


def unpack(build: Build, target: Path, limits: Limits | None = None) -> None:
    target.mkdir(exist_ok=True)
    unpack_layer(tar_by(build), target, limits=limits)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


class TestWhatALayerHas:
    def test_a_file_has_the_content_mode_and_time_of_its_entry(self, target: Path) -> None:
        unpack(lambda tar: add(tar, "bin/tool", b"\x7fELF", mode=0o4755, mtime=1_600_000_000), target)
        status = (target / "bin/tool").stat()
        assert (target / "bin/tool").read_bytes() == b"\x7fELF"
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o4755, 1_600_000_000 * 10**9)

    @needs_root
    def test_owners_are_those_of_the_archive(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add(tar, "file", uid=1000, gid=2000)
            add(tar, "link", type=tarfile.SYMTYPE, linkname="file", uid=7, gid=8)

        unpack(build, target)
        assert [(p.lstat().st_uid, p.lstat().st_gid) for p in (target / "file", target / "link")] == [
            (1000, 2000),
            (7, 8),
        ]

    def test_missing_parents_are_made_0755_whatever_the_umask(self, target: Path) -> None:
        before = os.umask(0o077)
        try:
            unpack(lambda tar: add(tar, "a/b/file"), target)
        finally:
            os.umask(before)
        assert [stat.S_IMODE((target / name).stat().st_mode) for name in ("a", "a/b")] == [0o755, 0o755]

    def test_a_directory_keeps_its_time_when_entries_follow(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add_directory(tar, "etc", mtime=1000)
            add(tar, "etc/passwd", mtime=2000)
            add_symlink(tar, "etc/mtab", "/proc/mounts")

        unpack(build, target)
        assert (target / "etc").stat().st_mtime == 1000

    def test_an_entry_for_the_root_sets_the_roots_mode(self, target: Path) -> None:
        unpack(lambda tar: add_directory(tar, "./", mode=0o1750), target)
        assert stat.S_IMODE(target.stat().st_mode) == 0o1750

    def test_hard_links_are_one_inode(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add(tar, "bin/busybox", b"x")
            add_link(tar, "sbin/init", "bin/busybox")

        unpack(build, target)
        assert (target / "sbin/init").stat().st_ino == (target / "bin/busybox").stat().st_ino

    def test_a_fifo_is_made_with_its_mode(self, target: Path) -> None:
        unpack(lambda tar: add(tar, "pipe", type=tarfile.FIFOTYPE, mode=0o666), target)
        assert (target / "pipe").stat().st_mode == stat.S_IFIFO | 0o666

    @needs_root
    def test_a_device_is_made_as_root(self, target: Path) -> None:
        unpack(lambda tar: add(tar, "null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666), target)
        status = (target / "null").stat()
        assert (status.st_mode, status.st_rdev) == (stat.S_IFCHR | 0o666, os.makedev(1, 3))

    def test_a_device_is_refused_without_root(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(System, match=r"cannot unpack 'null': a device needs root"):
            unpack(lambda tar: add(tar, "null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), target)

    def test_only_allowed_extended_attributes_are_kept(self, target: Path) -> None:
        headers = {
            "SCHILY.xattr.user.comment": "kept",
            "SCHILY.xattr.user.overlay.opaque": "y",
            "SCHILY.xattr.trusted.overlay.redirect": "/etc",
            "SCHILY.xattr.security.selinux": "x",
        }
        unpack(lambda tar: add(tar, "file", b"", pax_headers=headers), target)
        assert {n: os.getxattr(target / "file", n) for n in os.listxattr(target / "file")} == {"user.comment": b"kept"}

    def test_the_answer_counts_the_tar_and_names_its_digest(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add(tar, "a", b"12345")
            add(tar, "b", b"678")
            add_symlink(tar, "c", "b")
            add_link(tar, "d", "a")

        stream = tar_by(build)
        unpacked = unpack_layer(stream, target)
        assert (unpacked.file_bytes, unpacked.entries, unpacked.diff_bytes) == (9, 4, len(stream.getvalue()))
        stream.seek(0)
        assert measure_layer(stream) == unpacked


class TestReplacing:
    def test_a_later_file_replaces_an_earlier_one_and_its_links_keep_the_old_content(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add(tar, "a", b"old")
            add_link(tar, "b", "a")
            add(tar, "a", b"new")

        unpack(build, target)
        assert ((target / "a").read_bytes(), (target / "b").read_bytes()) == (b"new", b"old")

    def test_a_file_over_a_symbolic_link_replaces_the_link(self, target: Path, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"untouched")

        def build(tar: tarfile.TarFile) -> None:
            add_symlink(tar, "a", str(victim))
            add(tar, "a", b"new")

        unpack(build, target)
        assert victim.read_bytes() == b"untouched"
        assert (target / "a").read_bytes() == b"new"
        assert not (target / "a").is_symlink()

    def test_a_file_over_a_directory_removes_what_was_in_it(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add(tar, "a/b/c", b"x")
            add(tar, "a", b"file")

        unpack(build, target)
        assert (target / "a").read_bytes() == b"file"

    def test_a_directory_twice_keeps_its_content_and_takes_the_later_mode(self, target: Path) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add_directory(tar, "a", 0o700)
            add(tar, "a/b", b"x")
            add_directory(tar, "a", 0o711)

        unpack(build, target)
        assert (target / "a/b").exists()
        assert stat.S_IMODE((target / "a").stat().st_mode) == 0o711


def opaque(path: Path) -> bool:
    return any(name in os.listxattr(path) for name in ("trusted.overlay.opaque", "user.overlay.opaque"))


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


class TestWhiteouts:
    def test_a_whiteout_becomes_overlays_device(self, target: Path) -> None:
        unpack(lambda tar: add(tar, "etc/.wh.passwd"), target)
        assert is_whiteout(target / "etc/passwd")
        assert names_in(target / "etc") == ["passwd"]

    def test_an_opaque_mark_becomes_overlays_attribute(self, target: Path) -> None:
        unpack(lambda tar: add(tar, "etc/.wh..wh..opq"), target)
        assert opaque(target / "etc")
        assert names_in(target / "etc") == []

    @pytest.mark.parametrize("order", [("new", ".wh.new"), (".wh.new", "new")])
    def test_a_whiteout_does_not_hide_a_file_of_its_own_layer(self, target: Path, order: tuple[str, str]) -> None:
        unpack(lambda tar: add_files(tar, *order), target)
        assert stat.S_ISREG((target / "new").lstat().st_mode)

    @pytest.mark.parametrize("order", [("d/f", ".wh.d"), (".wh.d", "d/f")])
    def test_a_whiteout_beside_a_directory_of_its_own_layer_makes_it_opaque(
        self, target: Path, order: tuple[str, str]
    ) -> None:
        unpack(lambda tar: add_files(tar, *order), target)
        assert (target / "d/f").is_file()
        assert opaque(target / "d")


def test_a_truncated_layer_is_refused_wherever_it_is_cut(target: Path) -> None:
    whole = tar_by(lambda tar: add(tar, "a", b"x" * 700, pax_headers={"comment": "c"})).getvalue()
    for cut in range(1, 4 * 512 + 700, 97):
        with pytest.raises(InvalidParameter, match="truncated"):
            unpack_layer(io.BytesIO(whole[:cut]), target)


def test_a_layer_cut_between_two_entries_is_refused_where_its_end_is_required(target: Path) -> None:
    whole = tar_by(lambda tar: add(tar, "a", b"x" * 512), form=tarfile.USTAR_FORMAT).getvalue()
    assert unpack_layer(io.BytesIO(whole[:1024]), target).entries == 1
    with pytest.raises(InvalidParameter, match="truncated"):
        unpack_layer(io.BytesIO(whole[:1024]), target, is_end_required=True)


def test_a_large_layer_goes_to_the_disk_as_it_comes_and_not_in_one_go(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack_module, "UNSYNCED_BYTES_MAX", 10)
    synced: list[list[str]] = []
    monkeypatch.setattr(unpack_module, "sync_file_system_of", lambda _: synced.append(names_in(target)))
    unpack_layer(tar_by(adding("a", "b", "c", "d", "e", content=b"12345")), target)
    assert synced == [["a", "b"], ["a", "b", "c", "d"]]


def test_names_are_reduced_to_their_components() -> None:
    assert components_of("./a//b/./c/") == ("a", "b", "c")
    assert components_of("./") == ()


Tree = dict[str, tuple[str, object, int, int]]
"""Kind, body, mode and time by name."""

names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and not name.startswith(".wh.")
)
modes = st.integers(0, 0o7777)
times = st.integers(0, 2**33)
leaves = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=1500), modes, times),
    st.tuples(st.just("link"), names, st.just(0o777), times),
)
trees: st.SearchStrategy[Tree] = st.dictionaries(names, st.deferred(lambda: st.one_of(leaves, branches)), max_size=4)
branches: st.SearchStrategy[tuple[str, object, int, int]] = st.tuples(
    st.just("directory"), trees, modes.map(lambda mode: mode | 0o700), times
)


def pack(tar: tarfile.TarFile, tree: Tree, prefix: str = "") -> None:
    for name, (kind, body, mode, mtime) in tree.items():
        if kind == "directory":
            add_directory(tar, prefix + name, mode, mtime=mtime)
            assert isinstance(body, dict)
            pack(tar, body, f"{prefix}{name}/")
        elif kind == "file":
            assert isinstance(body, bytes)
            add(tar, prefix + name, body, mode=mode, mtime=mtime)
        else:
            add(tar, prefix + name, type=tarfile.SYMTYPE, linkname=body, mtime=mtime)


def read_back(root: Path) -> Tree:
    tree: Tree = {}
    for path in root.iterdir():
        status = path.lstat()
        mode, mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        if path.is_symlink():
            tree[path.name] = ("link", target_of(path), 0o777, mtime)
        elif path.is_dir():
            tree[path.name] = ("directory", read_back(path), mode, mtime)
        else:
            tree[path.name] = ("file", path.read_bytes(), mode, mtime)
    return tree


@needs_root
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(tree=trees, form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_any_tree_that_tarfile_packs_comes_out_equal(
    tree: Tree, form: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("tree")
    unpack_layer(tar_by(lambda tar: pack(tar, tree), form=form), target)
    assert read_back(target) == tree

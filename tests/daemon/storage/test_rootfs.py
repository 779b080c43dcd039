"""The merged view is what a mounted overlay shows, and what a process with that root would be led to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter, System
from daemon.storage.rootfs import LINKS_MAX, NodeKind, Rootfs
from tests.daemon.storage.making import (
    Layers,
    make_layers,
    mark_opaque,
    names_in,
    needs_root,
    target_of,
    whiteout,
    write,
)


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


def content(rootfs: Rootfs, path: str) -> str | None:
    node = rootfs.lookup(path)
    return None if node is None else node.real_path.read_text()


class TestLookup:
    def test_the_uppermost_layer_decides(self, layers: Layers) -> None:
        write(layers[0], "a/f", "upper")
        write(layers[2], "a/f", "lower")
        write(layers[2], "a/g", "lower")
        rootfs = Rootfs(layers)
        assert (content(rootfs, "/a/f"), content(rootfs, "/a/g")) == ("upper", "lower")
        assert rootfs.listdir("/a") == ("f", "g")

    def test_a_whiteout_hides_what_is_below_it_only(self, layers: Layers) -> None:
        write(layers[2], "a/f")
        whiteout(layers[1], "a")
        rootfs = Rootfs(layers)
        assert rootfs.lookup("/a") is None
        assert rootfs.listdir("/") == ()
        write(layers[0], "a/g")
        assert rootfs.listdir("/a") == ("g",)

    def test_an_opaque_directory_hides_what_lower_layers_have_in_it(self, layers: Layers) -> None:
        write(layers[2], "a/f")
        mark_opaque(layers[1], "a")
        write(layers[0], "a/g")
        assert Rootfs(layers).listdir("/a") == ("g",)

    def test_an_opaque_root_ends_the_layers(self, layers: Layers) -> None:
        write(layers[2], "f")
        mark_opaque(layers[1])
        assert Rootfs(layers).layers == layers[:2]
        assert Rootfs(layers).lookup("/f") is None

    def test_a_file_over_a_directory_hides_it_also_from_a_directory_above(self, layers: Layers) -> None:
        write(layers[2], "a/f")
        write(layers[1], "a")
        write(layers[0], "a/g")
        assert Rootfs(layers).listdir("/a") == ("g",)

    def test_a_node_tells_what_and_where_it_is(self, layers: Layers) -> None:
        write(layers[1], "bin/su", "x" * 10, mode=0o4711)
        node = Rootfs(layers).lookup("bin/../bin//./su")
        assert node is not None
        assert (node.path, node.kind, node.mode, node.size, node.layer, node.real_path) == (
            "/bin/su",
            NodeKind.FILE,
            0o4711,
            10,
            1,
            layers[1] / "bin/su",
        )

    def test_nothing_is_below_a_file(self, layers: Layers) -> None:
        write(layers[0], "f")
        assert Rootfs(layers).lookup("/f/g") is None

    def test_a_path_that_the_kernel_would_refuse_is_refused(self, layers: Layers) -> None:
        for path in ("/a\0b", "/\ud800"):
            with pytest.raises(InvalidParameter, match="invalid path"):
                Rootfs(layers).lookup(path)

    def test_listing_what_is_no_directory_is_an_error(self, layers: Layers) -> None:
        write(layers[0], "f")
        for path in ("/f", "/missing"):
            with pytest.raises(System, match=f"{path} is not a directory"):
                Rootfs(layers).listdir(path)


class TestLinks:
    @pytest.mark.parametrize("target", ["/real", "real", "../../../real", "/../real", "sub/../real", "missing/../real"])
    def test_links_stay_inside_the_root(self, layers: Layers, target: str) -> None:
        write(layers[2], "real/f", "inside")
        (layers[2] / "sub").mkdir()
        (layers[0] / "link").symlink_to(target)
        assert content(Rootfs(layers), "/link/f") == "inside"

    def test_a_link_in_one_layer_leads_to_files_of_another(self, layers: Layers) -> None:
        (layers[2] / "lib").symlink_to("usr/lib")
        write(layers[0], "usr/lib/libc.so", "c")
        assert content(Rootfs(layers), "/lib/libc.so") == "c"

    def test_the_last_link_is_kept_on_request(self, layers: Layers) -> None:
        (layers[0] / "a").symlink_to("b")
        (layers[0] / "b").mkdir()
        node = Rootfs(layers).lookup("/a", follow=False)
        assert node is not None
        assert node.kind is NodeKind.SYMLINK
        assert Rootfs(layers).lookup("/a/.", follow=False) is not None

    def test_a_dangling_link_leads_to_nothing(self, layers: Layers) -> None:
        (layers[0] / "a").symlink_to("/nowhere")
        assert Rootfs(layers).lookup("/a") is None

    def test_a_loop_is_an_error(self, layers: Layers) -> None:
        (layers[0] / "a").symlink_to("b")
        (layers[0] / "b").symlink_to("/a")
        with pytest.raises(InvalidParameter, match="too many levels of symbolic links: /a/f"):
            Rootfs(layers).lookup("/a/f")

    def test_the_longest_chain_of_links_is_the_kernels(self, layers: Layers) -> None:
        write(layers[0], "0")
        for number in range(LINKS_MAX + 1):
            (layers[0] / str(number + 1)).symlink_to(str(number))
        assert Rootfs(layers).lookup(f"/{LINKS_MAX}") is not None
        with pytest.raises(InvalidParameter):
            Rootfs(layers).lookup(f"/{LINKS_MAX + 1}")


class TestMakeDirectory:
    def test_an_existing_directory_writes_nothing(self, layers: Layers) -> None:
        write(layers[1], "srv/app/f")
        assert not Rootfs(layers[1:]).make_directory(layers[0], "/srv/app")
        assert names_in(layers[0]) == []

    def test_a_missing_directory_is_made_with_its_parents_0755(self, layers: Layers) -> None:
        before = os.umask(0o077)
        try:
            assert Rootfs(layers[1:]).make_directory(layers[0], "/srv/app")
        finally:
            os.umask(before)
        for name in ("srv", "srv/app"):
            status = (layers[0] / name).stat()
            assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o755, os.geteuid())

    @needs_root
    def test_parents_from_lower_layers_are_copied_up_with_all_they_have(self, layers: Layers) -> None:
        (layers[1] / "srv/deep").mkdir(parents=True)
        for name in ("srv", "srv/deep"):
            os.setxattr(layers[1] / name, "user.note", b"x")
            os.chown(layers[1] / name, 1000, 2000)
            (layers[1] / name).chmod(0o2750)
        os.utime(layers[1] / "srv", (1000, 1000))
        assert Rootfs(layers[1:]).make_directory(layers[0], "/srv/deep/new")
        for name in ("srv", "srv/deep"):
            status = (layers[0] / name).stat()
            assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o2750, 1000, 2000)
            assert os.getxattr(layers[0] / name, "user.note") == b"x"
        assert (layers[0] / "srv").stat().st_mtime == 1000
        made = (layers[0] / "srv/deep/new").stat()
        assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (0o2755, 0, 0)

    def test_links_on_the_way_stay_inside_and_a_dangling_one_gets_its_target(self, layers: Layers) -> None:
        (layers[1] / "var").mkdir()
        (layers[1] / "var/run").symlink_to("/run")
        (layers[1] / "run").mkdir()
        (layers[1] / "app").symlink_to("../../opt/app")
        rootfs = Rootfs(layers[1:])
        assert rootfs.make_directory(layers[0], "/var/run/x")
        assert rootfs.make_directory(layers[0], "/app")
        assert sorted(str(p.relative_to(layers[0])) for p in layers[0].rglob("*")) == ["opt", "opt/app", "run", "run/x"]

    @pytest.mark.parametrize("path", ["/f", "/f/below", "/link"])
    def test_a_file_in_the_way_is_mobys_error(self, layers: Layers, path: str) -> None:
        write(layers[1], "f")
        (layers[1] / "link").symlink_to("f")
        with pytest.raises(InvalidParameter, match=f"^Cannot mkdir: {path} is not a directory$"):
            Rootfs(layers[1:]).make_directory(layers[0], path)
        assert names_in(layers[0]) == []

    def test_a_removed_directory_comes_back_empty(self, layers: Layers) -> None:
        write(layers[1], "srv/old")
        whiteout(layers[0], "srv")
        assert Rootfs(layers[1:]).make_directory(layers[0], "/srv")
        assert Rootfs(layers).listdir("/srv") == ()

    def test_a_link_in_the_upper_layer_never_leads_out_of_it(self, layers: Layers, tmp_path: Path) -> None:
        (layers[0] / "out").symlink_to(tmp_path)
        assert Rootfs(layers[1:]).make_directory(layers[0], "/out/evil")
        assert not (tmp_path / "evil").exists()


class TestCopyDirectory:
    def test_a_volume_gets_the_merged_content_with_all_its_attributes(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[2], "data/lower", "lower", mode=0o4711)
        write(layers[2], "data/removed")
        write(layers[2], "data/sub/f", "deep")
        (layers[2] / "data/link").symlink_to("//etc/./passwd")
        os.mkfifo(layers[2] / "data/pipe")
        write(layers[1], "data/upper", "upper")
        whiteout(layers[1], "data/removed")
        os.setxattr(layers[1] / "data", "user.note", b"x")
        os.utime(layers[2] / "data/sub", (1000, 1000))
        os.utime(layers[1] / "data", (2000, 2000))
        (layers[1] / "data").chmod(0o1777)
        volume = tmp_path / "volume"
        volume.mkdir()
        assert Rootfs(layers).copy_directory("/data", volume)
        assert names_in(volume) == ["link", "lower", "pipe", "sub", "upper"]
        assert target_of(volume / "link") == "//etc/./passwd"
        assert ((volume / "lower").read_text(), (volume / "sub/f").read_text()) == ("lower", "deep")
        assert stat.S_IMODE((volume / "lower").stat().st_mode) == 0o4711
        assert stat.S_IMODE(volume.stat().st_mode) == 0o1777
        assert ((volume / "sub").stat().st_mtime, volume.stat().st_mtime) == (1000, 2000)
        assert os.getxattr(volume, "user.note") == b"x"
        assert stat.S_ISFIFO((volume / "pipe").stat().st_mode)

    def test_names_of_one_file_are_names_of_one_file_in_the_copy(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[0], "data/a")
        write(layers[0], "outside")
        (layers[0] / "data/sub").mkdir()
        os.link(layers[0] / "data/a", layers[0] / "data/sub/b")
        os.link(layers[0] / "outside", layers[0] / "data/c")
        volume = tmp_path / "volume"
        volume.mkdir()
        assert Rootfs(layers).copy_directory("/data", volume)
        assert (volume / "a").samefile(volume / "sub/b")
        assert [(volume / name).stat().st_nlink for name in ("a", "sub/b", "c")] == [2, 2, 1]

    @needs_root
    def test_owners_and_devices_are_copied_as_root(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[0], "data/f")
        os.chown(layers[0] / "data/f", 7, 8)
        os.mknod(layers[0] / "data/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        volume = tmp_path / "volume"
        volume.mkdir()
        assert Rootfs(layers).copy_directory("/data", volume)
        assert ((volume / "f").stat().st_uid, (volume / "f").stat().st_gid) == (7, 8)
        assert (volume / "null").stat().st_rdev == os.makedev(1, 3)

    def test_a_volume_that_has_content_is_left_alone(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[0], "data/f")
        write(tmp_path / "volume", "mine")
        assert not Rootfs(layers).copy_directory("/data", tmp_path / "volume")
        assert names_in(tmp_path / "volume") == ["mine"]

    def test_what_is_no_directory_is_not_copied(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[0], "f")
        volume = tmp_path / "volume"
        volume.mkdir()
        assert not Rootfs(layers).copy_directory("/f", volume)
        assert not Rootfs(layers).copy_directory("/missing", volume)

    def test_after_a_failure_the_volume_is_empty_again(
        self, layers: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(layers[0], "data/a/f")
        write(layers[0], "data/g")
        volume = tmp_path / "volume"
        volume.mkdir()

        def fail(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "sendfile", fail)
        with pytest.raises(System, match=r"(?i)no space left on device") as failed:
            Rootfs(layers).copy_directory("/data", volume)
        assert str(tmp_path) not in str(failed.value)
        assert names_in(volume) == []

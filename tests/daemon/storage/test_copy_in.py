"""What `docker cp` writes into a container is where a process inside would have written it, and nowhere else."""

from __future__ import annotations

import contextlib
import io
import os
import random
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from daemon.errors import DaemonError, InvalidParameter
from daemon.storage import copy_in as copy_in_module
from daemon.storage.container_view import ContainerView, Mounting
from daemon.storage.copy_in import SYNCED_SINGLY_MAX, Rules, copy_in
from daemon.storage.tar_out import tar_of_tree
from daemon.storage.unpack import Limits
from tests.daemon.storage.making import (
    Build,
    Layers,
    add,
    add_directory,
    add_link,
    add_symlink,
    adding,
    make_layers,
    names_in,
    needs_root,
    tar_by,
    target_of,
    whiteout,
    write,
)
from tests.daemon.storage.overlays import grow, mounted, tree_of_mount, without_ghosts

RULES = Rules(keeps_kinds=False, owner=None, is_rootfs_writable=True)


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


def copied(layers: Layers, build: Build, path: str = "/", *mountings: Mounting, rules: Rules = RULES) -> ContainerView:
    """The view of the layers once the archive has been copied in."""
    copy_in(tar_by(build), ContainerView(layers, mountings), path, rules)
    return ContainerView(layers, mountings)


def refusal(layers: Layers, build: Build, path: str = "/", *mountings: Mounting, rules: Rules = RULES) -> str:
    with pytest.raises(InvalidParameter) as caught:
        copied(layers, build, path, *mountings, rules=rules)
    return str(caught.value)


def text_at(view: ContainerView, path: str) -> str:
    resolution = view.resolve(path)
    assert not resolution.missing
    return Path(resolution.trail[-1].real_path).read_text()


def names_at(view: ContainerView, path: str) -> list[str]:
    return [child.name for child in view.children(view.resolve(path).trail)]


class TestLayers:
    def test_a_new_file_has_the_name_content_and_attributes_of_its_entry(self, layers: Layers) -> None:
        view = copied(layers, lambda tar: add(tar, "f", b"new", mode=0o4751, mtime=1000))
        assert text_at(view, "/f") == "new"
        status = (layers[0] / "f").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o4751, 1000)

    def test_lower_layers_are_never_touched(self, layers: Layers) -> None:
        write(layers[1], "etc/f", "old", mode=0o600)
        os.utime(layers[1] / "etc", (5, 5))
        view = copied(layers, lambda tar: add(tar, "etc/f", b"new"))
        assert text_at(view, "/etc/f") == "new"
        assert (layers[1] / "etc/f").read_text() == "old"
        assert names_in(layers[1] / "etc") == ["f"]

    @needs_root
    def test_parents_are_copied_up_with_what_they_have(self, layers: Layers) -> None:
        write(layers[2], "srv/app/old")
        os.chown(layers[2] / "srv", 7, 8)
        (layers[2] / "srv").chmod(0o2750)
        view = copied(layers, lambda tar: add(tar, "new"), "/srv/app")
        status = (layers[0] / "srv").stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (7, 8, 0o2750)
        assert names_at(view, "/srv/app") == ["new", "old"]

    def test_parents_that_the_archive_lacks_are_made_0755(self, layers: Layers) -> None:
        copied(layers, lambda tar: add(tar, "a/b/f"))
        assert stat.S_IMODE((layers[0] / "a/b").stat().st_mode) == 0o755

    def test_links_on_the_way_are_followed_inside_the_container(self, layers: Layers, tmp_path: Path) -> None:
        (layers[1] / "usr").mkdir()
        (layers[1] / "lib").symlink_to("usr/lib")
        (layers[1] / "out").symlink_to(tmp_path)

        def build(tar: tarfile.TarFile) -> None:
            add(tar, "lib/f")
            add(tar, "out/evil")

        view = copied(layers, build)
        assert names_at(view, "/usr/lib") == ["f"]
        assert names_at(view, str(tmp_path)) == ["evil"]
        assert not (tmp_path / "evil").exists()

    def test_a_link_of_the_archive_leads_its_later_entries_inside_the_container(
        self, layers: Layers, tmp_path: Path
    ) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add_symlink(tar, "out", str(tmp_path))
            add(tar, "out/evil")

        assert names_at(copied(layers, build), str(tmp_path)) == ["evil"]
        assert not (tmp_path / "evil").exists()

    def test_what_exists_is_replaced_never_written_through(self, layers: Layers, tmp_path: Path) -> None:
        write(tmp_path, "victim", "safe")
        (layers[0] / "link").symlink_to(tmp_path / "victim")
        os.link(tmp_path / "victim", layers[0] / "hard")

        def build(tar: tarfile.TarFile) -> None:
            add(tar, "link", b"new")
            add(tar, "hard", b"new")

        view = copied(layers, build)
        assert (text_at(view, "/link"), text_at(view, "/hard")) == ("new", "new")
        assert (tmp_path / "victim").read_text() == "safe"

    def test_a_directory_in_place_of_a_file_or_a_removed_directory_hides_what_was_hidden(self, layers: Layers) -> None:
        write(layers[2], "removed/old")
        write(layers[2], "covered/old")
        whiteout(layers[0], "removed")
        write(layers[0], "covered")

        def build(tar: tarfile.TarFile) -> None:
            add_directory(tar, "removed")
            add_directory(tar, "covered")

        view = copied(layers, build)
        assert (names_at(view, "/removed"), names_at(view, "/covered")) == ([], [])

    def test_a_directory_that_is_there_is_merged_and_gets_the_attributes_of_its_entry(self, layers: Layers) -> None:
        write(layers[1], "a/old")

        def build(tar: tarfile.TarFile) -> None:
            add_directory(tar, "a", mode=0o711, mtime=1000)
            add(tar, "a/new")

        view = copied(layers, build)
        assert names_at(view, "/a") == ["new", "old"]
        status = (layers[0] / "a").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o711, 1000)

    def test_the_root_of_an_archive_changes_nothing_where_it_is_unpacked(self, layers: Layers) -> None:
        (layers[1] / "a").mkdir(mode=0o700)
        copied(layers, lambda tar: add_directory(tar, "./", mode=0o777), "/a")
        assert names_in(layers[0]) == []

    def test_absolute_names_count_from_where_the_archive_is_unpacked(self, layers: Layers) -> None:
        (layers[1] / "a").mkdir()

        def build(tar: tarfile.TarFile) -> None:
            add_directory(tar, "/")
            add(tar, "/f", b"x")
            add_link(tar, "/g", "/f")

        assert names_at(copied(layers, build, "/a"), "/a") == ["f", "g"]

    def test_a_hard_link_to_a_file_of_a_lower_layer_copies_that_up(self, layers: Layers) -> None:
        write(layers[1], "a/f", "content", mode=0o640)
        view = copied(layers, lambda tar: add_link(tar, "g", "a/f"))
        assert text_at(view, "/g") == "content"
        assert (layers[0] / "g").samefile(layers[0] / "a/f")
        assert stat.S_IMODE((layers[0] / "g").stat().st_mode) == 0o640
        assert (layers[1] / "a/f").stat().st_nlink == 1

    def test_links_keep_their_text(self, layers: Layers) -> None:
        copied(layers, lambda tar: add_symlink(tar, "l", "../..//etc/./x"))
        assert target_of(layers[0] / "l") == "../..//etc/./x"

    @needs_root
    def test_an_owner_may_be_given_to_everything(self, layers: Layers) -> None:
        def build(tar: tarfile.TarFile) -> None:
            add(tar, "f", uid=1, gid=2)
            add(tar, "d", type=tarfile.DIRTYPE, uid=1, gid=2, mode=0o755)

        rules = Rules(keeps_kinds=False, owner=(1000, 2000), is_rootfs_writable=True)
        copied(layers, build, rules=rules)
        for name in ("f", "d"):
            assert ((layers[0] / name).stat().st_uid, (layers[0] / name).stat().st_gid) == (1000, 2000)


class TestRefusals:
    @pytest.mark.parametrize(
        ("build", "why"),
        [
            (lambda tar: add(tar, "../evil"), "'..'"),
            (lambda tar: add(tar, "a/../../evil"), "'..'"),
            (lambda tar: add(tar, "/../evil"), "'..'"),
            (lambda tar: add(tar, "n" * 256), "longer than 255 bytes"),
            (lambda tar: add(tar, "d/" * 200 + "f"), "more than 128"),
            (lambda tar: add(tar, "old/f"), "a file is in the way"),
            (lambda tar: add(tar, "link-to-old/f"), "a file is in the way"),
            (lambda tar: add(tar, "."), "the root is a directory"),
            (lambda tar: add_link(tar, "f", "missing"), "no regular file"),
            (lambda tar: add_link(tar, "f", "link-to-old"), "no regular file"),
            (lambda tar: add_link(tar, "f", "dir"), "no regular file"),
            (lambda tar: add_link(tar, "f", "../../etc/passwd"), "'..'"),
            (lambda tar: add_link(tar, "old", "old"), "a hard link to itself"),
            (lambda tar: add_link(tar, "dir", "dir/inside"), "which it replaces"),
            (lambda tar: add(tar, "w", type=tarfile.CHRTYPE, devmajor=0, devminor=0), "a whiteout"),
            (lambda tar: add_symlink(tar, "l", "x" * 5000), "1 to 4095 bytes"),
        ],
    )
    def test_an_archive_that_makes_no_sense_is_refused_with_the_reason(
        self, layers: Layers, tmp_path: Path, build: Build, why: str
    ) -> None:
        write(layers[0], "old", "old")
        write(layers[0], "dir/inside", "inside")
        (layers[0] / "link-to-old").symlink_to("old")
        before = set(tmp_path.rglob("*"))  # the layers, and what is around them
        assert why in refusal(layers, build)
        assert set(tmp_path.rglob("*")) <= before
        assert (layers[0] / "old").read_text() == "old"

    def test_what_is_cut_off_leaves_no_part_of_a_file(self, layers: Layers) -> None:
        whole = tar_by(lambda tar: add(tar, "f", b"x" * 100_000)).getvalue()
        with pytest.raises(InvalidParameter, match="truncated"):
            copy_in(io.BytesIO(whole[:50_000]), ContainerView(layers), "/", RULES)
        assert names_in(layers[0]) == []

    def test_more_entries_and_bytes_than_are_allowed_are_refused(self, layers: Layers) -> None:
        for limits, why in ((Limits(entries=3), "3 entries"), (Limits(file_bytes=10), "10 bytes")):
            with pytest.raises(InvalidParameter, match=why):
                tar = tar_by(adding("d/0/f", "d/1/f", "d/2/f", content=b"x" * 6))
                copy_in(tar, ContainerView(layers), "/", RULES, limits=limits)

    @pytest.mark.parametrize("count", [1, SYNCED_SINGLY_MAX, SYNCED_SINGLY_MAX + 1])
    def test_a_small_copy_does_not_wait_for_what_others_write(
        self, count: int, layers: Layers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[str] = []
        fsync = os.fsync

        def noting(descriptor: int) -> None:
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - a link of the kernel's
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", noting)
        monkeypatch.setattr(copy_in_module, "sync_file_system", lambda path: synced.append(f"all of {path}"))
        (layers[0] / "d").mkdir()
        names = [f"d/{number}" for number in range(count)]
        copied(layers, adding(*names))
        upper = str(layers[0])
        singly = {upper, f"{upper}/d", *(f"{upper}/{name}" for name in names)}
        if count > SYNCED_SINGLY_MAX:
            assert f"all of {upper}" in synced
        else:
            assert singly <= set(synced)
            assert f"all of {upper}" not in synced

    def test_copies_cannot_be_stacked_deeper_than_a_tree_may_be(self, layers: Layers) -> None:
        deep = "d/" * 120
        copied(layers, lambda tar: add(tar, f"{deep}f"))
        assert "128 directories within each other" in refusal(layers, lambda tar: add(tar, f"{deep}f"), f"/{deep}")

    def test_a_path_that_could_not_be_opened_by_name_is_not_made(self, layers: Layers) -> None:
        long = "/".join(["n" * 250] * 10)
        copied(layers, lambda tar: add(tar, f"{long}/f"))
        assert "more than 4095 bytes" in refusal(layers, lambda tar: add(tar, f"{long}/f"), f"/{long}")

    @pytest.mark.parametrize("path", ["/f", "/missing", "/link"])
    def test_it_must_be_unpacked_into_a_directory(self, layers: Layers, path: str) -> None:
        write(layers[1], "f")
        (layers[1] / "link").symlink_to("f")
        assert refusal(layers, lambda tar: add(tar, "x"), path) == "extraction point is not a directory"

    def test_kinds_are_kept_on_request_in_mobys_words(self, layers: Layers) -> None:
        write(layers[1], "a/f")
        write(layers[1], "a/d/g")
        rules = Rules(keeps_kinds=True, owner=None, is_rootfs_writable=True)
        assert (
            refusal(layers, lambda tar: add(tar, "d"), "/a", rules=rules)
            == 'cannot overwrite directory "/a/d" with non-directory "/a"'
        )
        assert (
            refusal(layers, lambda tar: add_directory(tar, "f"), "/a", rules=rules)
            == 'cannot overwrite non-directory "/a/f" with directory "/a"'
        )
        view = copied(layers, adding("f", content=b"new"), "/a", rules=rules)
        assert text_at(view, "/a/f") == "new"

    def test_a_read_only_container_takes_nothing_but_in_its_volumes(self, layers: Layers, tmp_path: Path) -> None:
        rules = Rules(keeps_kinds=False, owner=None, is_rootfs_writable=False)
        assert refusal(layers, adding("x"), rules=rules) == "container rootfs is marked read-only"
        volume, data = mounting(tmp_path, "/data")
        copied(layers, lambda tar: add(tar, "x"), "/data", volume, rules=rules)
        assert names_in(data) == ["x"]
        (data / "link").symlink_to("/")
        complaint = refusal(layers, lambda tar: add(tar, "link/x"), "/data", volume, rules=rules)
        assert complaint == "container rootfs is marked read-only"


def mounting(tmp_path: Path, destination: str, *, is_writable: bool = True) -> tuple[Mounting, Path]:
    """A volume, and its directory."""
    source = tmp_path / f"volume{destination.replace('/', '-')}"
    source.mkdir(exist_ok=True)
    return Mounting(destination=destination, source=source, is_writable=is_writable), source


class TestMounts:
    def test_what_is_mounted_gets_what_is_copied_there(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[1], "data/hidden")
        volume, data = mounting(tmp_path, "/data")
        view = copied(layers, lambda tar: add(tar, "data/a/f", b"x"), "/", volume)
        assert names_at(view, "/data") == ["a"]
        assert (data / "a/f").read_text() == "x"
        assert names_in(layers[0]) == []

    def test_a_place_that_the_image_lacks_is_there(self, layers: Layers, tmp_path: Path) -> None:
        volume, data = mounting(tmp_path, "/a/b/c")
        view = copied(layers, lambda tar: add(tar, "f"), "/a/b/c", volume)
        assert names_at(view, "/a/b") == ["c"]
        assert names_in(data) == ["f"]
        view = copied(layers, lambda tar: add(tar, "g"), "/a/b", volume)
        assert (names_at(view, "/a/b"), names_in(layers[0] / "a/b")) == (["c", "g"], ["g"])

    def test_a_mount_is_where_the_links_of_the_image_lead(self, layers: Layers, tmp_path: Path) -> None:
        (layers[1] / "run").mkdir()
        (layers[1] / "var").mkdir()
        (layers[1] / "var/run").symlink_to("/run")
        volume, data = mounting(tmp_path, "/var/run")
        copied(layers, lambda tar: add(tar, "f"), "/run", volume)
        assert names_in(data) == ["f"]

    def test_a_mount_on_a_mount_counts(self, layers: Layers, tmp_path: Path) -> None:
        inner, inner_data = mounting(tmp_path, "/data/inner")
        outer, outer_data = mounting(tmp_path, "/data")
        view = copied(layers, adding("f", "inner/g"), "/data", inner, outer)
        assert (names_in(outer_data), names_in(inner_data)) == (["f"], ["g"])
        assert names_at(view, "/data") == ["f", "inner"]

    def test_a_read_only_mount_takes_nothing(self, layers: Layers, tmp_path: Path) -> None:
        volume, data = mounting(tmp_path, "/data", is_writable=False)
        for path, name in (("/data", "f"), ("/", "data/f")):
            complaint = refusal(layers, adding(name), path, volume)
            assert complaint == "mounted volume is marked read-only"
        assert names_in(data) == []

    def test_a_mount_is_not_replaced(self, layers: Layers, tmp_path: Path) -> None:
        volume, _ = mounting(tmp_path, "/a/data")
        for name in ("a", "a/data"):
            assert "something is mounted there" in refusal(layers, adding(name), "/", volume)

    def test_a_link_in_a_volume_leads_inside_the_container(self, layers: Layers, tmp_path: Path) -> None:
        volume, data = mounting(tmp_path, "/data")
        (data / "out").symlink_to(tmp_path)
        view = copied(layers, lambda tar: add(tar, "out/evil"), "/data", volume)
        assert not (tmp_path / "evil").exists()
        assert names_at(view, str(tmp_path)) == ["evil"]

    def test_a_hard_link_does_not_cross_a_mount(self, layers: Layers, tmp_path: Path) -> None:
        write(layers[1], "f")
        volume, _ = mounting(tmp_path, "/data")
        assert "another file system" in refusal(layers, lambda tar: add_link(tar, "data/f", "f"), "/", volume)

    def test_a_bind_that_is_still_to_be_made_is_empty_and_takes_nothing(self, layers: Layers, tmp_path: Path) -> None:
        for source in (tmp_path / "missing", None):
            bind = Mounting(destination="/data", source=source, is_writable=True)
            assert names_at(ContainerView(layers, (bind,)), "/data") == []
            complaint = refusal(layers, adding("f"), "/data", bind)
            assert complaint == "what is mounted at /data is not there before the container starts"

    def test_a_directory_that_becomes_a_link_while_it_is_written_to_leads_nowhere(
        self, layers: Layers, tmp_path: Path
    ) -> None:
        volume, data = mounting(tmp_path, "/data")
        secret = tmp_path / "secret"
        secret.mkdir()
        write(secret, "password", "secret")
        flipping = Flipping(data / "d", secret)
        archive = tar_by(adding(*(f"d/{number}" for number in range(10)))).getvalue()
        with flipping:
            for _ in range(20):
                view = ContainerView(layers, (volume,))
                with contextlib.suppress(DaemonError):
                    copy_in(io.BytesIO(archive), view, "/data", RULES)
                try:
                    content = b"".join(tar_of_tree(view, view.resolve("/data").trail, "data"))
                except DaemonError:
                    continue
                assert b"password" not in content
        assert names_in(secret) == ["password"]


class Flipping:
    """A thread that makes a path a directory and a link in turn, as fast as it can."""

    def __init__(self, path: Path, target: Path) -> None:
        self._path = path
        self._target = target
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._flip)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _flip(self) -> None:
        link, kept = self._path.with_name("link"), self._path.with_name("kept")
        link.symlink_to(self._target)
        kept.mkdir()
        while not self._is_over.is_set():
            for one, back in ((kept, kept), (link, link)):
                try:
                    one.rename(self._path)
                    self._path.rename(back)
                except OSError:
                    continue


def random_archive(rng: random.Random) -> bytes:
    """Over the names of `grow`, so that it collides with what is there in every way."""

    def build(tar: tarfile.TarFile) -> None:
        for _ in range(25):
            name = "/".join(rng.choice("abcd") for _ in range(rng.randint(1, 3)))
            kind = rng.choice(("file", "file", "directory", "symlink", "link"))
            if kind == "file":
                add(
                    tar,
                    name,
                    rng.randbytes(3).hex().encode(),
                    mode=rng.choice((0o600, 0o4755)),
                    uid=rng.randint(0, 3),
                    mtime=7,
                )
            elif kind == "directory":
                add_directory(tar, name, mode=rng.choice((0o700, 0o755)), mtime=9)
            elif kind == "symlink":
                add_symlink(tar, name, rng.choice(("a", "b/c", "/c", "../d")))
            else:
                add_link(tar, name, "/".join(rng.choice("abcd") for _ in range(rng.randint(1, 2))))

    return tar_by(build).getvalue()


def outcome(archive: bytes, view: ContainerView) -> str:
    try:
        copy_in(io.BytesIO(archive), view, "/", RULES)
    except DaemonError as error:
        return str(error)
    return "done"


@needs_root
@pytest.mark.parametrize("seed", range(40))
def test_a_copy_is_what_it_would_be_in_a_mounted_overlay(seed: int, layers: Layers, tmp_path: Path) -> None:
    """Onto a mounted overlay, which is one directory, the kernel does what we do on the layers."""
    rng = random.Random(seed)
    for layer in layers:
        grow(layer, rng)
    without_ghosts(layers, tmp_path)
    archive = random_archive(rng)
    (tmp_path / "kernel").mkdir()
    with mounted(layers, tmp_path / "kernel", is_writable=True) as point:
        expected = outcome(archive, ContainerView((point,)))
        reference, times = tree_of_mount(point), times_in(point)
    assert outcome(archive, ContainerView(layers)) == expected
    with mounted(layers, tmp_path) as point:
        assert (tree_of_mount(point), times_in(point)) == (reference, times)


def times_in(root: Path) -> dict[str, float]:
    """Of what is no directory, and of the directories that an archive gave a time."""
    found = {str(path.relative_to(root)): path.lstat() for path in root.rglob("*") if os.path.lexists(path)}
    return {name: s.st_mtime for name, s in found.items() if not stat.S_ISDIR(s.st_mode) or s.st_mtime < 10}

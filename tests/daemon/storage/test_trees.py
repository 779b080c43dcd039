from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter, System
from daemon.storage.ready import VOLUME
from daemon.storage.rootfs import Rootfs
from daemon.storage.trees import ContainerTrees, VolumeTrees
from daemon.volume import NAME_LENGTH_MAX
from tests.daemon.storage.making import Layers, make_layers, names_in, needs_root, ready_at, write

ID = "0" * 64
WHOLE = {"checkpoints": 0o700, "diff": 0o755}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    return root


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return make_layers(tmp_path)


def containers_at(root: Path) -> ContainerTrees:
    return ContainerTrees(root, ready_at(root, 1))


def volumes_at(root: Path, *, ready: int = 0) -> VolumeTrees:
    """With so many trees made beforehand."""
    trees = VolumeTrees(root, ready_at(root, ready, VOLUME))
    trees.ready.prepare(ready)
    return trees


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def shape(path: Path) -> dict[str, int]:
    """Every file below and its mode."""
    return {str(each.relative_to(path)): mode_of(each) for each in sorted(path.rglob("*"))}


def is_tidy(root: Path) -> bool:
    return not any((root / "staging").iterdir())


Make = Callable[[ContainerTrees, tuple[Path, ...], str], str]
"""A container's tree, and its id."""


@pytest.fixture(params=[False, True], ids=["none ready", "one ready"])
def make(request: pytest.FixtureRequest) -> Make:
    """Without one that was made beforehand, and of that: what comes of a create is the same."""

    def create(trees: ContainerTrees, layers: tuple[Path, ...], working_dir: str) -> str:
        trees.create(ID, layers, working_dir)
        return ID

    def claim(trees: ContainerTrees, layers: tuple[Path, ...], working_dir: str) -> str:
        trees.ready.prepare(1)
        trees.create(ID, layers, working_dir)
        assert len(trees.ready) == 0
        return ID

    return claim if request.param else create


# Containers ----------------------------------------------------------------------------------------------------------


def test_a_container_is_three_directories(root: Path, layers: Layers, make: Make) -> None:
    trees = containers_at(root)
    made = make(trees, layers, "")
    assert mode_of(trees.path(made)) == 0o700
    assert shape(trees.path(made)) == WHOLE
    assert list(trees.names()) == [made]
    assert is_tidy(root)


def test_only_root_may_look_into_the_directories(root: Path) -> None:
    containers_at(root)
    volumes_at(root)
    assert shape(root) == {"containers": 0o700, "ready": 0o700, "staging": 0o700, "volumes": 0o700}


def test_the_working_directory_is_made_where_the_image_has_none(root: Path, layers: Layers, make: Make) -> None:
    trees = containers_at(root)
    assert shape(trees.path(make(trees, layers, "/srv/app")) / "diff") == {"srv": 0o755, "srv/app": 0o755}


def test_the_working_directory_of_the_image_is_not_made_again(root: Path, layers: Layers, make: Make) -> None:
    (layers[1] / "srv" / "app").mkdir(parents=True)
    trees = containers_at(root)
    assert shape(trees.path(make(trees, layers, "/srv/app")) / "diff") == {}


def test_a_container_without_an_image_layer_gets_its_working_directory(root: Path, make: Make) -> None:
    trees = containers_at(root)
    assert shape(trees.path(make(trees, (), "/srv")) / "diff") == {"srv": 0o755}


@needs_root
def test_the_root_of_the_container_is_owned_and_moded_as_that_of_the_image(
    root: Path, layers: Layers, make: Make
) -> None:
    layers[0].chmod(0o1777)
    os.chown(layers[0], 12, 34)
    trees = containers_at(root)
    found = (trees.path(make(trees, layers, "")) / "diff").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o1777, 12, 34)


def test_a_tree_is_plain_if_its_container_needs_no_more(root: Path, layers: Layers) -> None:
    (layers[1] / "srv").mkdir()
    trees = containers_at(root)
    assert trees.is_plain(layers, "")
    assert trees.is_plain(layers, "/srv")
    assert trees.is_plain((), "")
    assert not trees.is_plain(layers, "/opt")
    assert not trees.is_plain((), "/srv")
    layers[0].chmod(0o700)
    assert not containers_at(root).is_plain(layers, "")


def test_a_working_directory_that_is_a_file_is_refused_and_leaves_nothing(root: Path, layers: Layers) -> None:
    write(layers[2], "etc/passwd")
    trees = containers_at(root)
    with pytest.raises((System, InvalidParameter)):
        trees.create(ID, layers, "/etc/passwd")
    assert list(trees.names()) == []
    assert is_tidy(root)


def test_a_container_that_is_there_is_not_made_again_and_stays(root: Path, layers: Layers) -> None:
    trees = containers_at(root)
    trees.create(ID, layers, "")
    write(trees.path(ID) / "diff", "precious")
    with pytest.raises(System, match=r"^cannot make the container's directories: Directory not empty$"):
        trees.create(ID, layers, "")
    assert names_in(trees.path(ID) / "diff") == ["precious"]
    assert is_tidy(root)


def test_what_is_left_of_a_create_that_was_cut_short_is_no_obstacle(root: Path, layers: Layers) -> None:
    trees = containers_at(root)
    write(root / "staging" / f"containers-{ID}", "diff/half")
    trees.create(ID, layers, "")
    assert shape(trees.path(ID)) == {"checkpoints": 0o700, "diff": 0o755}
    assert is_tidy(root)


# Removal -------------------------------------------------------------------------------------------------------------


def test_a_removed_tree_is_gone_and_may_be_removed_again(root: Path, layers: Layers) -> None:
    trees = containers_at(root)
    trees.create(ID, layers, "/srv")
    write(trees.path(ID) / "diff", "file")
    for _ in range(2):
        trees.remove(ID)
        assert list(trees.names()) == []
        assert is_tidy(root)


def test_what_is_left_of_a_removal_that_was_cut_short_is_no_obstacle(root: Path, layers: Layers) -> None:
    trees = containers_at(root)
    write(root / "staging" / f"containers-{ID}.removed", "diff/half")
    trees.create(ID, layers, "")
    trees.remove(ID)
    assert list(trees.names()) == []
    assert is_tidy(root)


def test_a_removal_finishes_the_one_that_was_cut_short_before(root: Path) -> None:
    trees = containers_at(root)
    write(root / "staging" / f"containers-{ID}.removed", "diff/half")
    trees.remove(ID)
    assert is_tidy(root)


def test_links_in_a_tree_are_removed_and_not_followed(root: Path, layers: Layers, tmp_path: Path) -> None:
    write(tmp_path, "outside/precious")
    trees = containers_at(root)
    trees.create(ID, layers, "")
    (trees.path(ID) / "diff" / "link").symlink_to(tmp_path / "outside")
    trees.remove(ID)
    assert names_in(tmp_path / "outside") == ["precious"]


# Volumes -------------------------------------------------------------------------------------------------------------


def test_a_volume_is_a_directory_anyone_may_read_below_one_that_nobody_may(root: Path) -> None:
    trees = volumes_at(root)
    trees.create("v")
    assert shape(root / "volumes") == {"v": 0o700, "v/_data": 0o755}
    assert trees.data("v") == root / "volumes" / "v" / "_data"
    assert is_tidy(root)


def test_a_volume_that_is_there_keeps_its_content(root: Path) -> None:
    trees = volumes_at(root)
    trees.create("v")
    write(trees.data("v"), "precious")
    trees.create("v")
    assert names_in(trees.data("v")) == ["precious"]


def test_an_empty_volume_is_filled_with_the_content_of_the_image(root: Path, layers: Layers) -> None:
    write(layers[2], "data/low")
    write(layers[0], "data/sub/high")
    trees = volumes_at(root)
    trees.create("v")
    trees.fill("v", layers, "/data", complaint="")
    assert shape(trees.data("v")) == {"low": 0o644, "sub": 0o755, "sub/high": 0o644}


def test_a_volume_with_content_is_not_filled(root: Path, layers: Layers) -> None:
    write(layers[0], "data/new")
    trees = volumes_at(root)
    trees.create("v")
    write(trees.data("v"), "old")
    trees.fill("v", layers, "/data", complaint="")
    assert names_in(trees.data("v")) == ["old"]


def test_a_volume_for_an_image_without_a_layer_stays_empty(root: Path) -> None:
    trees = volumes_at(root)
    trees.create("v")
    (root / "upper").mkdir()
    trees.fill("v", (root / "upper",), "/data", complaint="")
    assert names_in(trees.data("v")) == []


def test_a_volume_for_a_directory_that_the_image_does_not_have_stays_empty(root: Path, layers: Layers) -> None:
    trees = volumes_at(root)
    trees.create("v")
    trees.fill("v", layers, "/none", complaint="")
    assert names_in(trees.data("v")) == []


def test_a_volume_is_filled_with_what_the_container_has_already_made_there(root: Path, layers: Layers) -> None:
    write(layers[0], "data/file")
    containers = containers_at(root)
    containers.create(ID, layers, "/data/some/dir")
    trees = volumes_at(root)
    trees.create("v")
    trees.fill("v", containers.layers(ID, layers, "/data/some/dir"), "/data", complaint="")
    assert shape(trees.data("v")) == {"file": 0o644, "some": 0o755, "some/dir": 0o755}


def test_a_volume_in_the_place_of_a_file_is_refused_and_stays_empty(root: Path, layers: Layers) -> None:
    write(layers[0], "data")
    trees = volumes_at(root)
    trees.create("v")
    with pytest.raises(InvalidParameter, match=r"^a file is there$"):
        trees.fill("v", layers, "/data", complaint="a file is there")
    assert names_in(trees.data("v")) == []
    assert is_tidy(root)


def test_a_volume_with_content_may_have_the_place_of_a_file(root: Path, layers: Layers) -> None:
    write(layers[0], "data")
    trees = volumes_at(root)
    trees.create("v")
    write(trees.data("v"), "old")
    trees.fill("v", layers, "/data", complaint="")
    assert names_in(trees.data("v")) == ["old"]


@pytest.mark.parametrize("step", ["copy_directory", "rename"])
def test_a_volume_that_cannot_be_filled_is_empty_as_before(
    step: str, root: Path, layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write(layers[0], "data/file")
    trees = volumes_at(root)
    trees.create("v")
    with monkeypatch.context() as patch:
        patch.setattr(Rootfs if step == "copy_directory" else Path, step, fail)
        with pytest.raises(System, match=r"^no space left on device$"):
            trees.fill("v", layers, "/data", complaint="")
    assert shape(root / "volumes") == {"v": 0o700, "v/_data": 0o755}
    assert is_tidy(root)
    trees.fill("v", layers, "/data", complaint="")
    assert names_in(trees.data("v")) == ["file"]


def test_what_is_written_while_a_volume_is_being_filled_stays(
    root: Path, layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Rootfs.copy_directory

    def copy_and_write(rootfs: Rootfs, path: str, destination: Path) -> bool:
        write(trees.data("v"), "precious")
        return copy(rootfs, path, destination)

    write(layers[0], "data/file")
    trees = volumes_at(root)
    trees.create("v")
    monkeypatch.setattr(Rootfs, "copy_directory", copy_and_write)
    trees.fill("v", layers, "/data", complaint="")
    assert names_in(trees.data("v")) == ["precious"]
    assert is_tidy(root)


def test_a_volume_that_is_set_aside_gives_its_name_back_before_it_is_gone(root: Path) -> None:
    trees = volumes_at(root)
    trees.create("v")
    write(trees.data("v"), "old")
    os.link(trees.data("v") / "old", trees.data("v") / "hard")
    write(trees.data("v"), "sub/more")
    (trees.data("v") / "link").symlink_to("old")
    aside = trees.set_aside("v")
    assert aside is not None
    trees.create("v")
    assert names_in(trees.data("v")) == []
    sizes = [(aside / "_data" / name).lstat().st_size for name in ("old", "sub/more", "link")]
    assert trees.size(aside) == sum(sizes) > 0
    trees.discard(aside)
    assert list(trees.names()) == ["v"]
    assert is_tidy(root)
    assert trees.set_aside("none") is None


@pytest.mark.parametrize("name", ["v", "v.removed", "x" * NAME_LENGTH_MAX])
def test_a_volume_of_any_name_is_made_and_removed_and_touches_no_other(name: str, root: Path) -> None:
    trees = volumes_at(root)
    for other in ("v.removed", "v"):
        trees.create(other)
        write(trees.data(other), other)
    trees.create(name)
    trees.remove(name)
    assert set(trees.names()) == {"v", "v.removed"} - {name}
    for other in trees.names():
        assert names_in(trees.data(other)) == [other]
    assert is_tidy(root)


# The disk ------------------------------------------------------------------------------------------------------------


def test_an_error_of_the_disk_is_told_without_its_paths(root: Path) -> None:
    trees = volumes_at(root)
    (root / "staging").rmdir()
    (root / "staging").write_text("no directory")
    with pytest.raises(System) as failed:
        trees.create("v")
    assert str(failed.value) == "cannot make the volume's directory: Not a directory"


def test_a_volume_that_is_made_beforehand_is_like_any_other(root: Path) -> None:
    trees = volumes_at(root, ready=1)
    for name in ("claimed", "made", "made"):
        trees.create(name)
    assert shape(root / "volumes") == {
        "claimed": 0o700,
        "claimed/_data": 0o755,
        "made": 0o700,
        "made/_data": 0o755,
    }
    assert names_in(root / "ready") == []


def test_a_volume_that_is_there_takes_none_that_is_made_beforehand(root: Path) -> None:
    trees = volumes_at(root)
    trees.create("v")
    write(trees.data("v"), "precious")
    trees = volumes_at(root, ready=1)
    trees.create("v")
    assert (names_in(trees.data("v")), len(trees.ready)) == (["precious"], 1)


def test_where_there_is_no_root_there_is_no_store(root: Path) -> None:
    with pytest.raises(System, match=r"^cannot open the volumes directory: No such file or directory$"):
        VolumeTrees(root / "missing", ready_at(root, 0, VOLUME))

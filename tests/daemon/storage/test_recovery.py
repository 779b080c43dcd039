from __future__ import annotations

import json
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import attrs
import pytest
from msgspec.structs import replace

from daemon.container import Container, ContainerConfig
from daemon.errors import System
from daemon.image import Image
from daemon.storage.findings import Kind, Problem, Records, index_entry
from daemon.storage.recovery import (
    Stores,
    leave_clean_marker,
    locked,
    look,
    open_stores,
    read_engine_id,
    recover,
    take_clean_marker,
)
from daemon.volume import Volume
from tests.daemon.storage.making import names_in, put_blob, put_layer, write
from tests.daemon.storage.records import container, id_of, image, layer, volume

LAYER = layer(b"layer")

Counts = tuple[int, int]
"""Leftovers that were removed, directories that were made again."""

NOTHING = (0, 0)
INODES = 3


@attrs.frozen
class Disk:
    """A data root, and what the database says about it."""

    root: Path
    stores: Stores
    images: tuple[Image, ...] = ()
    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()

    def recover(self) -> Counts:
        references = [("docker.io/library/a:1", image.id) for image in self.images]
        records = Records(containers=self.containers, images=self.images, references=references, volumes=self.volumes)
        problems = [outcome.finding.problem for outcome in recover(self.root, self.stores, records)]
        return problems.count(Problem.RESIDUE), problems.count(Problem.MISSING)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """An image, a container of it and a volume, all in order."""
    root = tmp_path / "root"
    root.mkdir()
    stores = open_stores(root, ready_trees_max=1)
    blobs = [put_blob(stores.content, content, root) for content in (b"config", b"manifest", b"blob")]
    put_layer(stores.layers, LAYER.chain_id, lambda target: write(target, "etc/passwd"))
    stored = replace(image(), id=blobs[0], manifest_digest=blobs[1], layers=(replace(LAYER, digest=blobs[2]),))
    made = container(1, image_id=stored.id, config=ContainerConfig(working_dir="/srv"))
    stores.containers.create(made.id, (stores.layers.path(LAYER.chain_id),), "/srv")
    stores.volumes.create("v")
    stores.content.write_index([index_entry(stored, ["docker.io/library/a:1"])])
    return Disk(root, stores, (stored,), (made,), (volume("v"),))


def test_where_all_is_in_order_there_is_nothing_to_do(disk: Disk) -> None:
    before = disk.files()
    assert disk.recover() == NOTHING
    assert disk.files() == before


RESIDUE = {
    "a container being made": f"staging/containers-{id_of(2)}/diff/half",
    "a container being removed": f"staging/containers-{id_of(2)}.removed/diff/half",
    "a container that nobody was told of": f"containers/{id_of(2)}/diff/file",
    "a volume that nobody was told of": "volumes/w/_data/file",
    "a blob without a record": f"content/blobs/sha256/{'0' * 64}",
    "an index being written": "content/.replace-123",
    "a layer without a record": f"layers/{'0' * 64}/diff/file",
    "a layer being unpacked": "layers/.ingest-123/diff/file",
}


@pytest.mark.parametrize("name", RESIDUE.values(), ids=RESIDUE)
def test_what_no_record_names_is_removed(name: str, disk: Disk) -> None:
    before = disk.files()
    write(disk.root, name)
    assert disk.recover() == (1, 0)
    assert disk.files() == before
    assert disk.recover() == NOTHING


def test_all_residue_at_once_is_removed(disk: Disk) -> None:
    before = disk.files()
    for name in RESIDUE.values():
        write(disk.root, name)
    disk.recover()
    assert disk.files() == before


def test_a_container_that_a_power_cut_took_is_made_again_as_it_was(disk: Disk) -> None:
    before = disk.files()
    disk.stores.containers.remove(id_of(1))
    assert disk.recover() == (0, 1)
    assert disk.files() == before
    assert names_in(disk.stores.containers.path(id_of(1)) / "diff") == ["srv"]


def test_a_container_made_again_lies_on_the_layers_of_its_image(disk: Disk) -> None:
    at_home = container(2, image_id=disk.images[0].id, config=ContainerConfig(working_dir="/etc"))
    assert attrs.evolve(disk, containers=(at_home,)).recover() == (1, 1)
    assert names_in(disk.stores.containers.path(id_of(2)) / "diff") == [], "the image has /etc"


def test_a_volume_that_a_power_cut_took_is_made_again_empty(disk: Disk) -> None:
    before = disk.files()
    disk.stores.volumes.remove("v")
    assert disk.recover() == (0, 1)
    assert disk.files() == before


def test_a_container_whose_image_has_no_record_is_made_again_all_the_same(disk: Disk) -> None:
    orphan = attrs.evolve(disk, images=())
    disk.stores.containers.remove(id_of(1))
    assert orphan.recover() == (4, 1)
    assert names_in(disk.stores.containers.path(id_of(1)) / "diff") == ["srv"]


def test_the_index_is_as_the_records_are_whatever_a_crash_has_left_in_it(disk: Disk) -> None:
    index = disk.root / "content/index.json"
    for images, names in ((disk.images, ["docker.io/library/a:1"]), ((), [])):
        index.write_text("{")
        attrs.evolve(disk, images=images).recover()
        found = json.loads(index.read_text())["manifests"]
        assert [entry["annotations"]["io.containerd.image.name"] for entry in found] == names


def test_nothing_of_an_empty_database_is_kept(disk: Disk) -> None:
    empty = Disk(disk.root, disk.stores)
    assert empty.recover() == (6, 0)
    for store in ("containers", "volumes", "layers", "staging", "content/blobs/sha256"):
        assert names_in(disk.root / store) == []


# The data root -------------------------------------------------------------------------------------------------------


def test_a_data_root_is_for_one_daemon_at_a_time(tmp_path: Path) -> None:
    root = tmp_path / "a" / "root"
    with locked(root):
        assert root.stat().st_mode & 0o777 == 0o700
        with pytest.raises(System, match=r"^another daemon is using this data root$"), locked(root):
            pass
    with locked(root):
        pass


def test_a_data_root_is_closed_to_others(tmp_path: Path) -> None:
    new, empty, ours = tmp_path / "new", tmp_path / "empty", tmp_path / "ours"
    empty.mkdir()
    ours.mkdir()
    with locked(ours):
        (ours / "more").touch()
    for root in (empty, ours):
        root.chmod(0o755)
    for root in (new, empty, ours):
        with locked(root):
            assert stat.S_IMODE(root.stat().st_mode) == 0o700


@pytest.mark.parametrize(("mode", "what"), [(0o755, "theirs"), (0o1777, "lock")])
def test_a_directory_that_is_not_ours_alone_keeps_its_mode_and_that_is_logged(
    mode: int, what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / what).touch()
    tmp_path.chmod(mode)
    with locked(tmp_path):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == mode
    assert caplog.messages == ["others may look into the data root: it should be a directory of its own, of mode 0700"]


def test_the_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from daemon.storage.recovery import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=Path.cwd(), check=False)
    assert killed.returncode == -9
    with locked(tmp_path):
        pass


def test_a_data_root_that_cannot_be_made_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(System, match=r"^cannot make the data root: Not a directory$"),
        locked(tmp_path / "file" / "root"),
    ):
        pass


def test_a_clean_stop_is_believed_once(tmp_path: Path) -> None:
    assert not take_clean_marker(tmp_path)
    leave_clean_marker(tmp_path)
    assert take_clean_marker(tmp_path)
    assert not take_clean_marker(tmp_path)
    assert names_in(tmp_path) == []


def test_what_was_made_beforehand_is_no_difference_and_is_taken_over(disk: Disk) -> None:
    before = disk.files()
    for name in (id_of(2), id_of(3)):
        disk.stores.containers.create(name, (), "")
    disk.stores.containers.create(id_of(4), (), "/srv")
    records = Records(containers=disk.containers)
    found = [each.path for each in look(disk.root, records) if each.kind is Kind.CONTAINER]
    assert found == [f"containers/{id_of(4)}"], "somebody was about to have that one"
    assert disk.files() > before
    assert disk.recover() == (1, 0)
    assert disk.stores.containers.ready.names() == {id_of(2), id_of(3)}
    while disk.stores.containers.ready.has_room:
        disk.stores.containers.ready.prepare(1)
    assert len(disk.files()) == len(before) + INODES, "there is room for one"


def test_those_of_records_that_cannot_be_read_are_spared(disk: Disk) -> None:
    disk.stores.containers.create(id_of(2), (), "")
    records = Records(
        containers=disk.containers, images=disk.images, volumes=disk.volumes, set_aside=[("containers", id_of(2))]
    )
    recover(disk.root, disk.stores, records)
    assert disk.stores.containers.path(id_of(2)).is_dir()


def test_a_data_root_keeps_its_id_for_good(tmp_path: Path) -> None:
    (tmp_path / "engine-id.new").write_text("of a start that was cut short")
    drawn = read_engine_id(tmp_path)
    assert str(uuid.UUID(drawn)) == drawn
    assert read_engine_id(tmp_path) == drawn
    assert names_in(tmp_path) == ["engine-id"]


def test_stores_are_opened_where_there_are_none_and_where_there_are_some(tmp_path: Path) -> None:
    open_stores(tmp_path, ready_trees_max=1)
    before = sorted(tmp_path.rglob("*"))
    open_stores(tmp_path, ready_trees_max=1)
    assert sorted(tmp_path.rglob("*")) == before
    assert names_in(tmp_path) == ["containers", "content", "layers", "ready", "staging", "volumes"]

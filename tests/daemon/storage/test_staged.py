"""A commit moves what is in an area into the stores, all or nothing, and only what is the kind of thing it is said to be."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from daemon.errors import DiskFull, SyncFailed, System
from daemon.storage import failpoints
from daemon.storage.failpoints import Plan
from daemon.storage.layers import LayerBuild
from daemon.storage.oci import digest_of
from daemon.storage.received import ReceivedFiles
from daemon.storage.recovery import Stores, open_stores
from daemon.storage.staged import Area, Staged, commit
from tests.daemon.storage.making import names_in

BLOB, GIVEN, CHAIN = digest_of(b"blob"), digest_of(b"given"), digest_of(b"chain")


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return open_stores(tmp_path, ready_trees_max=0)


@attrs.frozen
class Made:
    """An area with a blob, a layer, and a blob that the daemon has fetched."""

    area: Area
    staged: Staged
    given: dict[str, str]
    blob: Path
    layer: Path

    def commit(self, stores: Stores) -> None:
        commit(self.staged, self.area, stores.content, stores.layers, given=self.given)


@pytest.fixture
def made(stores: Stores) -> Made:
    area = Area.made_in(stores.root)
    blob = ReceivedFiles(area.blobs).add(b"blob").path
    given = ReceivedFiles(area.given).add(b"given").path
    layer = LayerBuild.made_in(area.layers)
    (layer.target / "file").write_text("x")
    whole = Staged(images=(), blobs={BLOB: blob.name}, layers={CHAIN: layer.home.name})
    return Made(area, whole, {GIVEN: given.name}, blob, layer.home)


def stored(stores: Stores) -> tuple[list[str], list[str]]:
    return names_in(stores.root / "content/blobs/sha256"), names_in(stores.root / "layers")


def test_what_is_committed_is_in_the_stores(stores: Stores, made: Made) -> None:
    made.commit(stores)
    assert stores.content.read(BLOB, bytes_max=10) == b"blob"
    assert stores.content.read(GIVEN, bytes_max=10) == b"given"
    assert (stores.layers.path(CHAIN) / "file").read_text() == "x"
    assert stat.S_IMODE(stores.layers.path(CHAIN).stat().st_mode) == 0o755


def test_what_is_there_is_kept(stores: Stores, made: Made) -> None:
    made.commit(stores)
    inode = stores.layers.path(CHAIN).stat().st_ino
    layer = LayerBuild.made_in(made.area.layers)
    again = ReceivedFiles(made.area.blobs).add(b"blob").path
    commit(
        Staged(images=(), blobs={BLOB: again.name}, layers={CHAIN: layer.home.name}),
        made.area,
        stores.content,
        stores.layers,
    )
    assert stores.layers.path(CHAIN).stat().st_ino == inode
    assert (again.exists(), layer.home.exists()) == (True, True)


def be_a_link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def be_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def be_a_file(path: Path) -> None:
    path.rename(path.parent.with_name("aside"))
    path.touch()


LIES: dict[str, Callable[[Made], object]] = {
    "a blob that is a link": lambda made: be_a_link(made.blob),
    "a blob that is a pipe": lambda made: be_a_pipe(made.blob),
    "a layer that is a link": lambda made: be_a_link(made.layer),
    "a layer whose files are behind a link": lambda made: be_a_link(made.layer / "diff"),
    "a layer that brings its init layer along": lambda made: (made.layer / "init").symlink_to("/"),
    "a layer that is a file": lambda made: be_a_file(made.layer / "diff"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_what_is_not_what_it_is_said_to_be_is_refused_and_leaves_nothing(
    lie: Callable[[Made], object], stores: Stores, made: Made
) -> None:
    lie(made)
    with pytest.raises(System, match=r"^what was unpacked is not what it is said to be$"):
        made.commit(stores)
    assert stored(stores) == ([], [])


@pytest.mark.parametrize("name", ["../given", "..", "", ".", "/etc/passwd", "a/b", "a\0b"])
def test_a_name_that_leads_out_of_the_area_is_refused(name: str, stores: Stores, made: Made) -> None:
    lies = (
        attrs.evolve(made.staged, blobs={BLOB: name}),
        attrs.evolve(made.staged, layers={CHAIN: name}),
    )
    for lie in lies:
        with pytest.raises(System):
            attrs.evolve(made, staged=lie).commit(stores)
        assert stored(stores) == ([], [])


@pytest.mark.parametrize(
    ("point", "call", "kind"),
    [
        ("disk.sync_file_system", 0, SyncFailed),
        ("content.before_rename", 0, System),
        ("content.before_rename", 1, System),
        ("content.after_rename", 0, System),
        ("content.after_rename", 1, System),
        ("layers.before_rename", 0, System),
        ("layers.after_rename", 0, System),
        ("disk.sync_directory", 0, SyncFailed),
        ("disk.sync_directory", 1, SyncFailed),
    ],
)
def test_a_disk_that_fails_leaves_nothing(
    point: str, call: int, kind: type[Exception], stores: Stores, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_plan", Plan(f"{point}={call}*off->1*error(EIO)"))
    with pytest.raises(kind, match="Input/output error"):
        made.commit(stores)
    assert stored(stores) == ([], [])


def test_an_area_that_cannot_be_made_whole_leaves_nothing(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_plan", Plan("intake.begun=error(ENOSPC)"))
    with pytest.raises(DiskFull):
        Area.made_in(stores.root)
    assert names_in(stores.root / "staging") == []

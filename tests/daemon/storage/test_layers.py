"""A layer is there whole, under its chain id, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from daemon.errors import InvalidParameter
from daemon.storage.layers import LayerBuild, LayerStore
from daemon.storage.oci import digest_of
from tests.daemon.storage.making import names_in, put_layer

A, B = digest_of(b"a"), digest_of(b"b")


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "layers")


def put(store: LayerStore, chain_id: str, content: str = "x") -> None:
    put_layer(store, chain_id, lambda target: (target / "f").write_text(content))


def test_an_adopted_layer_is_found_by_its_chain_id(store: LayerStore, tmp_path: Path) -> None:
    put(store, A)
    assert store.contains(A)
    assert store.path(A) == tmp_path / "layers" / A.removeprefix("sha256:") / "diff"
    assert (store.path(A) / "f").read_text() == "x"


def test_the_store_is_0700_and_the_root_of_a_layer_0755_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store = LayerStore(tmp_path / "layers")
        put(store, A)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "layers", store.path(A).parent, store.path(A))]
    assert modes == [0o700, 0o700, 0o755]


def test_deleting_is_harmless_twice_and_leaves_nothing(store: LayerStore, tmp_path: Path) -> None:
    put(store, A)
    store.delete(A)
    store.delete(A)
    assert names_in(tmp_path / "layers") == []


@pytest.mark.parametrize("chain_id", ["", "sha256:../../etc", A + "/diff"])
def test_what_is_no_digest_never_becomes_a_path(store: LayerStore, chain_id: str) -> None:
    for use in (store.path, store.contains, store.delete, lambda text: put(store, text)):
        with pytest.raises(InvalidParameter, match="invalid digest"):
            use(chain_id)


def test_a_sweep_removes_builds_and_layers_that_nobody_names(store: LayerStore, tmp_path: Path) -> None:
    put(store, A)
    put(store, B)
    left = LayerBuild.made_in(store.root)
    (left.target / "half").write_text("x")
    removed = LayerStore(tmp_path / "layers").sweep({A})
    assert len(removed) == 2
    assert names_in(tmp_path / "layers") == [A.removeprefix("sha256:")]

from __future__ import annotations

import attrs
import pytest

from daemon.storage.findings import Finding, Kind, Listing, Problem, Records, findings_of, index_entries
from daemon.storage.oci import encode_index
from tests.daemon.storage.records import container, id_of, image, layer, volume

LAYER = layer(b"layer")
IMAGE = image(b"image", LAYER)
RECORDS = Records(
    containers=(container(1, image_id=IMAGE.id),),
    images=(IMAGE, image(b"other")),
    references=(("docker.io/library/a:1", IMAGE.id), ("docker.io/library/a@" + IMAGE.manifest_digest, IMAGE.id)),
    volumes=(volume("v"),),
)
BLOBS = {digest.removeprefix("sha256:") for each in RECORDS.images for digest in each.digests}
CHAIN = LAYER.chain_id.removeprefix("sha256:")
IN_ORDER = Listing(
    names={
        Kind.CONTAINER: frozenset({id_of(1)}),
        Kind.VOLUME: frozenset({"v"}),
        Kind.LAYER: frozenset({CHAIN, "scratch"}),
        Kind.BLOB: frozenset(BLOBS),
        Kind.STAGED: frozenset(),
        Kind.INDEX: frozenset(),
    },
    index=encode_index(index_entries(RECORDS)),
)


def changed(kind: Kind, names: set[str]) -> Listing:
    return attrs.evolve(IN_ORDER, names={**IN_ORDER.names, kind: frozenset(names)})


def test_where_all_is_in_order_nothing_is_found() -> None:
    assert findings_of(RECORDS, IN_ORDER) == ()
    assert findings_of(RECORDS, attrs.evolve(IN_ORDER, index=encode_index(index_entries(RECORDS)[::-1]))) == ()
    assert b"@sha256" not in IN_ORDER.index, "a digest is no name"


@pytest.mark.parametrize("kind", IN_ORDER.names)
def test_what_no_record_names_is_found_and_can_go(kind: Kind) -> None:
    (found,) = findings_of(RECORDS, changed(kind, {*IN_ORDER.names[kind], "stray"}))
    assert found == Finding(path=f"{kind.value}/stray", problem=Problem.RESIDUE, kind=kind)
    assert found.name == "stray"
    assert found.is_repairable


@pytest.mark.parametrize(
    ("kind", "name", "is_repairable"),
    [
        (Kind.CONTAINER, id_of(1), True),
        (Kind.VOLUME, "v", True),
        (Kind.LAYER, CHAIN, False),
        (Kind.BLOB, IMAGE.id.removeprefix("sha256:"), False),
    ],
)
def test_what_a_record_lacks_is_found(kind: Kind, name: str, is_repairable: bool) -> None:
    (found,) = findings_of(RECORDS, changed(kind, {*IN_ORDER.names[kind]} - {name}))
    assert found == Finding(path=f"{kind.value}/{name}", problem=Problem.MISSING, kind=kind)
    assert found.is_repairable is is_repairable


@pytest.mark.parametrize("index", [b"", b"{", b"[]", encode_index(()), encode_index(index_entries(RECORDS)[:1])])
def test_an_index_that_is_not_that_of_the_records_is_found(index: bytes) -> None:
    (found,) = findings_of(RECORDS, attrs.evolve(IN_ORDER, index=index))
    assert (found.path, found.problem, found.is_repairable) == ("content/index.json", Problem.DAMAGED, True)


@pytest.mark.parametrize(("table", "key", "kind"), [("containers", "c", Kind.CONTAINER), ("volumes", "w", Kind.VOLUME)])
def test_what_belongs_to_a_record_that_is_set_aside_stays(table: str, key: str, kind: Kind) -> None:
    records = attrs.evolve(RECORDS, set_aside=((table, key),))
    (found,) = findings_of(records, changed(kind, {*IN_ORDER.names[kind], key}))
    assert found == Finding(path=f"{table}/{key}", problem=Problem.DAMAGED, kind=Kind.RECORD)
    assert not found.is_repairable


def test_no_content_goes_while_the_record_of_an_image_cannot_be_read() -> None:
    records = attrs.evolve(RECORDS, images=RECORDS.images[1:], references=(), set_aside=(("images", IMAGE.id),))
    listing = attrs.evolve(IN_ORDER, index=encode_index(index_entries(records)))
    assert [found.problem for found in findings_of(records, listing)] == [Problem.DAMAGED]

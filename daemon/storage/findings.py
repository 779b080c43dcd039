"""In what the disk and the records differ, and what may be done about each difference. Pure: reads and changes nothing.

What no record names is residue of work that nobody was told of, and goes. A tree that a record names and a power cut took is made
again: a fresh one is a function of its record. Content that is gone cannot be: its image has to be loaded again. What belongs to
a record that has been set aside (`records.py`), or may belong to it, is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, StrEnum

import attrs
import msgspec

from daemon.container import Container
from daemon.image import Image
from daemon.storage.layers import SCRATCH
from daemon.storage.oci import Descriptor, IndexEntry, Platform, encode_index
from daemon.storage.outline import Footing
from daemon.volume import Volume


class Kind(Enum):
    """What is named by a file or a directory: the directory, below the data root, that has one for each of them."""

    CONTAINER = "containers"
    VOLUME = "volumes"
    LAYER = "layers"
    BLOB = "content/blobs/sha256"
    STAGED = "staging"
    INDEX = "content"
    """`index.json`; of the rest of this directory, only what was to become one is listed."""
    RECORD = "boatyard.db"


class Problem(StrEnum):
    RESIDUE = "belongs to no record"
    MISSING = "is missing"
    DAMAGED = "is damaged"


@attrs.frozen(kw_only=True, order=True)
class Finding:
    path: str
    """Below the data root; of a record, the table and its key."""
    problem: Problem
    kind: Kind = attrs.field(order=False)

    @property
    def name(self) -> str:
        return self.path.removeprefix(f"{self.kind.value}/")

    @property
    def is_repairable(self) -> bool:
        """Whether recovery can do something about it."""
        return (
            self.problem is Problem.RESIDUE
            or self.kind is Kind.INDEX
            or (self.problem is Problem.MISSING and self.kind in (Kind.CONTAINER, Kind.VOLUME))
        )


@attrs.frozen
class Outcome:
    finding: Finding
    is_repaired: bool


@attrs.frozen(kw_only=True)
class Records:
    """What the database says there is."""

    containers: Sequence[Container | Footing] = ()
    images: Sequence[Image] = ()
    references: Sequence[tuple[str, str]] = ()
    """Reference, image id."""
    volumes: Sequence[Volume] = ()
    set_aside: Sequence[tuple[str, str]] = ()
    """Table and key of each record that could not be read."""


@attrs.frozen(kw_only=True)
class Listing:
    """What is on the disk, by name; what the names stand for is not looked at."""

    names: Mapping[Kind, frozenset[str]]
    index: bytes
    """The content of `index.json`."""


def findings_of(records: Records, listing: Listing) -> tuple[Finding, ...]:
    """Every difference, sorted by path."""
    return tuple(sorted(_differences(records, listing)))


def index_entries(records: Records) -> tuple[IndexEntry, ...]:
    """What other tools are to find in `index.json`."""
    names: dict[str, list[str]] = {}
    for reference, image_id in sorted(records.references):
        names.setdefault(image_id, []).append(reference)
    return tuple(index_entry(image, names.get(image.id, ())) for image in records.images)


def index_entry(image: Image, references: Sequence[str]) -> IndexEntry:
    """Of an image; a reference by digest says nothing that the entry does not."""
    return IndexEntry(
        manifest=Descriptor(image.manifest_digest, image.manifest_bytes),
        references=tuple(reference for reference in references if "@" not in reference),
        platform=Platform(os=image.os, architecture=image.architecture, variant=image.variant),
    )


def _differences(records: Records, listing: Listing) -> Iterator[Finding]:
    expected = _expected(records)
    unknown = {table for table, _ in records.set_aside}
    for kind, found in listing.names.items():
        wanted = expected.get(kind, frozenset())
        spared = {key for table, key in records.set_aside if table == kind.value}
        if kind in (Kind.LAYER, Kind.BLOB) and "images" in unknown:
            spared = set(found)  # nobody can say which are those of the images that cannot be read
        if kind is Kind.LAYER:
            spared.add(SCRATCH)
        yield from (_finding(kind, Problem.RESIDUE, name) for name in found - wanted - spared)
        yield from (_finding(kind, Problem.MISSING, name) for name in wanted - found)
    if _listed(listing.index) != _listed(encode_index(index_entries(records))):
        yield _finding(Kind.INDEX, Problem.DAMAGED, "index.json")
    for table, key in records.set_aside:
        yield Finding(path=f"{table}/{key}", problem=Problem.DAMAGED, kind=Kind.RECORD)


def _listed(index: bytes) -> list[bytes]:
    """What an index lists, in no order; nothing that any other index has if it is none."""
    try:
        return sorted(map(msgspec.json.encode, msgspec.json.decode(index, type=_Index).manifests))
    except msgspec.DecodeError:
        return [b"damaged"]


class _Index(msgspec.Struct):
    manifests: list[object]


def _expected(records: Records) -> Mapping[Kind, frozenset[str]]:
    """What must be there, and nothing else may."""
    chains = (chain_id for image in records.images for chain_id in image.chain_ids)
    digests = (digest for image in records.images for digest in image.digests)
    return {
        Kind.CONTAINER: frozenset(container.id for container in records.containers),
        Kind.VOLUME: frozenset(volume.name for volume in records.volumes),
        Kind.LAYER: frozenset(chain_id.removeprefix("sha256:") for chain_id in chains),
        Kind.BLOB: frozenset(digest.removeprefix("sha256:") for digest in digests),
    }


def _finding(kind: Kind, problem: Problem, name: str) -> Finding:
    return Finding(path=f"{kind.value}/{name}", problem=problem, kind=kind)

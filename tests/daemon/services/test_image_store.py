from __future__ import annotations

from pathlib import Path

import pytest

from actors import Supervisor
from daemon.container import ContainerConfig
from daemon.errors import Conflict, InvalidParameter, NotFound
from daemon.image import Image
from daemon.services.image_store import ImageIndex, ImageStore, NamedImage
from daemon.storage.database import Database


def an_image(digits: str) -> Image:
    """The image whose id begins with these."""
    return Image(
        id=f"sha256:{digits:0<64}",
        manifest_digest=f"sha256:{digits:f<64}",
        manifest_bytes=1,
        created="",
        architecture="amd64",
        os="linux",
        config=ContainerConfig(),
        layers=(),
    )


BUSYBOX, ALPINE, MINE = an_image("abc1"), an_image("abc2"), an_image("d")
REFERENCES = (
    ("docker.io/library/busybox:latest", BUSYBOX.id),
    ("docker.io/library/busybox:1.36", BUSYBOX.id),
    ("docker.io/library/alpine:latest", ALPINE.id),
    ("docker.io/library/abc10:latest", ALPINE.id),  # a name that is the prefix of another's id
    ("quay.io/me/mine:v1", MINE.id),
)


@pytest.fixture
def index() -> ImageIndex:
    return ImageIndex([BUSYBOX, ALPINE, MINE], REFERENCES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BUSYBOX.id, BUSYBOX),
        (BUSYBOX.id.removeprefix("sha256:"), BUSYBOX),
        ("busybox", BUSYBOX),
        ("busybox:latest", BUSYBOX),
        ("busybox:1.36", BUSYBOX),
        ("library/busybox", BUSYBOX),
        ("docker.io/busybox", BUSYBOX),
        ("index.docker.io/library/busybox:1.36", BUSYBOX),
        ("quay.io/me/mine:v1", MINE),
        ("abc10", ALPINE),  # a name beats a prefix
        ("abc100", BUSYBOX),
        ("abc2", ALPINE),
        ("sha256:abc2", ALPINE),
        ("sha256:d", MINE),
        (f"busybox@{BUSYBOX.manifest_digest}", BUSYBOX),
        (f"busybox@{BUSYBOX.id}", BUSYBOX),
        (f"busybox:whatever@{BUSYBOX.manifest_digest}", BUSYBOX),
    ],
)
def test_an_image_is_found_by_whole_id_then_name_then_prefix(index: ImageIndex, text: str, expected: Image) -> None:
    assert index.find(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("debian", "debian:latest"),
        ("busybox:2", "busybox:2"),
        ("quay.io/me/mine", "quay.io/me/mine:latest"),
        ("abc", "abc:latest"),  # the prefix of two
        ("abcdef", "abcdef:latest"),
        ("sha256:abc", "sha256:abc"),
        ("sha256:" + "0" * 64, "sha256:" + "0" * 64),
        ("0" * 64, "sha256:" + "0" * 64),
        ("busybox:" + "a" * 64, "busybox:" + "a" * 64),
        (f"alpine@{BUSYBOX.manifest_digest}", f"alpine@{BUSYBOX.manifest_digest}"),
        ("busybox@sha256:" + "9" * 64, "busybox@sha256:" + "9" * 64),
    ],
)
def test_an_image_that_is_not_there_is_named_in_full(index: ImageIndex, text: str, shown: str) -> None:
    with pytest.raises(NotFound) as caught:
        index.find(text)
    assert str(caught.value) == f"No such image: {shown}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "invalid reference format"),
        ("busybox:sha256:" + "a" * 64, "invalid reference format"),
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("busy box", "invalid reference format"),
        ("A" * 64, "invalid reference format: repository name (library/" + "A" * 64 + ") must be lowercase"),
    ],
)
def test_what_is_no_reference_is_the_clients_mistake(index: ImageIndex, text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        index.find(text)
    assert str(caught.value) == complaint


def test_a_reference_that_is_given_to_another_image_leaves_the_first(index: ImageIndex) -> None:
    index.add(MINE, ["docker.io/library/busybox:latest"])
    assert index.find("busybox") == MINE
    assert index.references(BUSYBOX.id) == ("docker.io/library/busybox:1.36",)
    assert index.references(MINE.id) == ("docker.io/library/busybox:latest", "quay.io/me/mine:v1")


def test_all_images_are_listed_with_their_sorted_names_and_without(index: ImageIndex) -> None:
    nameless = an_image("e")
    index.add(nameless, ())
    assert index.all() == (
        NamedImage(BUSYBOX, ("docker.io/library/busybox:1.36", "docker.io/library/busybox:latest")),
        NamedImage(ALPINE, ("docker.io/library/abc10:latest", "docker.io/library/alpine:latest")),
        NamedImage(MINE, ("quay.io/me/mine:v1",)),
        NamedImage(nameless, ()),
    )


DIGEST, OTHER = "sha256:" + "7" * 64, "sha256:" + "8" * 64
BUSYBOX_TAG, BUSYBOX_DIGEST = "docker.io/library/busybox:latest", f"docker.io/library/busybox@{DIGEST}"
MINE_TAG, MINE_DIGEST = "quay.io/me/mine:v1", f"quay.io/me/mine@{OTHER}"


def test_an_image_is_found_by_the_digest_it_was_pulled_by_whatever_tag_stands_beside_it() -> None:
    index = ImageIndex([BUSYBOX], [(BUSYBOX_DIGEST, BUSYBOX.id)])
    assert index.find(f"busybox@{DIGEST}") == BUSYBOX
    assert index.find(f"busybox:1.0@{DIGEST}") == BUSYBOX
    with pytest.raises(NotFound):
        index.find(f"alpine@{DIGEST}")
    assert index.all()[0].tags == ()


REMOVALS = [
    # text, references, force, in use: untagged, deleted; or the complaint
    ("busybox", (BUSYBOX_TAG, BUSYBOX_DIGEST), False, False, ((BUSYBOX_TAG, BUSYBOX_DIGEST), True)),
    (f"busybox@{DIGEST}", (BUSYBOX_TAG, BUSYBOX_DIGEST), False, False, ((BUSYBOX_DIGEST,), False)),
    (f"busybox:x@{DIGEST}", (BUSYBOX_DIGEST,), False, False, ((BUSYBOX_DIGEST,), True)),
    ("busybox", (BUSYBOX_TAG, BUSYBOX_DIGEST, MINE_DIGEST), False, False, ((BUSYBOX_TAG, BUSYBOX_DIGEST), False)),
    ("busybox", (BUSYBOX_TAG, BUSYBOX_DIGEST), False, True, "must force"),
    ("busybox", (BUSYBOX_TAG, BUSYBOX_DIGEST), True, True, ((BUSYBOX_TAG, BUSYBOX_DIGEST), False)),
    ("busybox", (BUSYBOX_TAG, BUSYBOX_DIGEST, MINE_TAG), False, True, ((BUSYBOX_TAG, BUSYBOX_DIGEST), False)),
    (BUSYBOX.id, (BUSYBOX_TAG, BUSYBOX_DIGEST), False, False, ((BUSYBOX_TAG, BUSYBOX_DIGEST), True)),
    (BUSYBOX.id, (BUSYBOX_DIGEST,), False, False, ((BUSYBOX_DIGEST,), True)),
    (BUSYBOX.id, (BUSYBOX_TAG, MINE_DIGEST), False, False, "multiple repositories"),
    (BUSYBOX.id, (BUSYBOX_TAG, BUSYBOX_DIGEST, MINE_DIGEST), False, False, "multiple repositories"),
    (BUSYBOX.id, (BUSYBOX_DIGEST, MINE_DIGEST), False, False, "multiple repositories"),
]


@pytest.mark.parametrize(("text", "references", "force", "is_used", "expected"), REMOVALS)
def test_the_digests_of_a_repository_go_with_its_last_tag(
    text: str, references: tuple[str, ...], force: bool, is_used: bool, expected: tuple[tuple[str, ...], bool] | str
) -> None:
    index = ImageIndex([BUSYBOX], [(reference, BUSYBOX.id) for reference in references])
    users = {BUSYBOX.id: "c" * 64} if is_used else {}
    if isinstance(expected, str):
        with pytest.raises(Conflict, match=expected):
            index.plan_removal(text, force=force, users=users)
    else:
        removal = index.plan_removal(text, force=force, users=users)
        assert (tuple(sorted(removal.untagged)), removal.is_deleted) == (tuple(sorted(expected[0])), expected[1])


def test_a_digest_is_no_name_for_an_archive() -> None:
    index = ImageIndex([BUSYBOX], [(BUSYBOX_TAG, BUSYBOX.id), (BUSYBOX_DIGEST, BUSYBOX.id)])
    assert index.named(["busybox"]) == (NamedImage(BUSYBOX, (BUSYBOX_TAG,)),)
    assert index.named([f"busybox@{DIGEST}"]) == (NamedImage(BUSYBOX, ()),)


@pytest.mark.anyio
async def test_the_actor_makes_an_image_durable_and_begins_with_what_is(tmp_path: Path) -> None:
    name = "docker.io/library/busybox:latest"
    for _ in range(2):
        async with Supervisor("rest_for_one") as supervisor:
            database = await supervisor.start(lambda: Database(tmp_path / "db"), name="database")
            images = await supervisor.start(lambda: ImageStore(database), name="images")  # noqa: B023 - within the turn
            if not await images.ask(ImageStore.list):
                await images.ask(ImageStore.add, BUSYBOX, (name,))
            assert await images.ask(ImageStore.find, "busybox") == BUSYBOX
            assert await images.ask(ImageStore.find_named, "abc1") == NamedImage(BUSYBOX, (name,))
            assert await images.ask(ImageStore.list) == (NamedImage(BUSYBOX, (name,)),)
            with pytest.raises(InvalidParameter, match="invalid reference format"):
                await images.ask(ImageStore.find, "")

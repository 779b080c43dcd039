"""What Docker 20.10 answers and what we answer, request by request: the same, but for what `known` has on its list."""

from __future__ import annotations

from collections.abc import Mapping

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from contrib.unclaimed import claimed
from tests.conformance import images
from tests.conformance.case import PRESENT, Case
from tests.conformance.comparing import Difference, Known
from tests.conformance.conftest import Sides
from tests.conformance.corpus import corpus
from tests.conformance.generated import cases
from tests.conformance.known import KNOWN
from tests.conformance.known_stories import KNOWN_IN_STORIES
from tests.conformance.not_yet import NOT_YET
from tests.conformance.stories import stories

pytestmark = pytest.mark.integration

SEED = 20_10_24
EXAMPLES = 150
NOT_YET_MAX = 1
"""It only shrinks."""

ALL_KNOWN = (*KNOWN, *KNOWN_IN_STORIES)


def unexplained(found: list[Difference]) -> list[str]:
    return [str(difference) for difference in found if not any(known.explains(difference) for known in ALL_KNOWN)]


@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_the_answer_is_dockers(case: Case, found: Mapping[str, list[Difference]]) -> None:
    unknown = unexplained(found[case.name])
    assert not unknown, "\n".join(["differs, and is not on the list:", *unknown])


STEPS = [story.named(number) for story in stories() for number in range(len(story.steps))]


@pytest.mark.parametrize("step", STEPS)
def test_each_step_of_a_story_is_answered_as_by_docker(
    step: str, found_in_stories: Mapping[str, list[Difference]]
) -> None:
    unknown = unexplained(found_in_stories[step])
    assert not unknown, "\n".join(["differs, and is not on the list:", *unknown])


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.where}: {known.theirs} -> {known.ours}")
def test_a_difference_on_the_list_is_still_one(known: Known, found: Mapping[str, list[Difference]]) -> None:
    is_one = any(known.explains(difference) for each in found.values() for difference in each)
    assert is_one, "no case of the corpus shows it: strike it off the list"


@pytest.mark.parametrize("known", KNOWN_IN_STORIES, ids=lambda known: f"{known.where}: {known.theirs} -> {known.ours}")
def test_a_difference_on_the_list_of_the_stories_is_still_one(
    known: Known, found_in_stories: Mapping[str, list[Difference]]
) -> None:
    is_one = any(known.explains(difference) for each in found_in_stories.values() for difference in each)
    assert is_one, "no step of a story shows it: strike it off the list"


def test_what_is_not_yet_there_only_shrinks() -> None:
    assert len(NOT_YET) <= NOT_YET_MAX


@hypothesis.seed(SEED)
@settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_fields_together_are_answered_as_by_docker(case: Case, sides: Sides) -> None:
    unknown = unexplained(sides.differences(case))
    assert not unknown, "\n".join([f"seed {SEED}:", case.body.decode(), *unknown])


def test_both_sides_call_the_images_alike(sides: Sides) -> None:
    for engine in (sides.theirs, sides.ours):
        for reference in images.CONFIGS:
            status, image = engine.call("GET", f"/images/{reference}/json")
            assert (status, image["Id"]) == (200, images.image_id(reference)), engine.name


def test_what_was_refused_and_what_was_removed_has_left_nothing(
    found: Mapping[str, list[Difference]], sides: Sides
) -> None:
    assert len(found) == len(corpus())
    for engine in (sides.theirs, sides.ours):
        status, listed = engine.call("GET", "/containers/json?all=1")
        assert status == 200
        assert {name for container in listed for name in container["Names"]} == {f"/{name}" for name in PRESENT}
    root = sides.ours.data_root
    listed = sides.ours.call("GET", "/containers/json?all=1")[1]
    assert len(claimed(root, {container["Id"] for container in listed})) == len(PRESENT)
    assert not list((root / "staging").iterdir())
    anonymous = [path for path in (root / "volumes").iterdir() if len(path.name) == 64]
    assert len(anonymous) == 3  # those of `base`, from its image

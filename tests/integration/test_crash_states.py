"""One create and one load are traced; each state of the disk that a power cut may leave is built, and recovered."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from tests.integration.forked import forked
from tests.integration.replay import STRING_BYTES, TRACED, Kind, Loss, Step, rebuild, steps_of
from tests.integration.told import Client, Known, audit
from tests.integration.tracing import tracing

pytestmark = pytest.mark.integration

SAMPLED = 1 if os.environ.get("SWEEP") else 40
"""Of so many states one is tried: each is two starts."""


@attrs.frozen
class Recording:
    root: Path
    base: Path
    """The data root before the first step."""
    steps: Sequence[Step]
    known: Known
    """In the end."""
    at_first: Known


@pytest.fixture
def recording(home: Path) -> Recording:
    root, base, trace = home / "data", home / "base", home / "trace"
    known = Known()
    with forked(home) as daemon:
        client = Client(daemon, known, [])
        client.make_base()
        at_first = Known(images={*known.images})
        subprocess.run(["cp", "-a", root, base], check=True)
        with tracing(daemon, trace, TRACED, "-y", "-s", str(STRING_BYTES)):
            client.create("plain")
            client.load("a:1")
        assert daemon.stop() == 0
    return Recording(root, base, steps_of(trace.read_text(), root), known, at_first)


def test_every_state_that_a_power_cut_may_leave_is_recovered(recording: Recording, home: Path) -> None:
    steps = recording.steps
    assert sum(step.kind is Kind.ANSWER for step in steps) == 2
    cuts = [(number, loss) for number in range(1, len(steps) + 1) for loss in Loss]
    for number, loss in cuts[::-SAMPLED]:
        place = home / "cut"
        place.mkdir()
        rebuild(recording.base, steps[:number], loss, root=recording.root, into=place / "data")
        try:
            audit(place, known_after(recording, number))
        except AssertionError as error:
            error.add_note(
                f"a power cut that takes {loss.value} after step {number} of {len(steps)}: {steps[number - 1]}"
            )
            raise
        shutil.rmtree(place)


def known_after(recording: Recording, number: int) -> Known:
    """What the client had been told."""
    answers = sum(step.kind is Kind.ANSWER for step in recording.steps[:number])
    images = {*recording.at_first.images, *(["a:1"] if answers == 2 else [])}
    return Known(
        containers=recording.known.containers if answers else {},
        images=images,
        doubtful={"plain", "a:1"},
    )

"""The measurement of crashed actors, on a small crowd, and what it makes of answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from contrib.crash_actors.__main__ import EXIT_OK, EXIT_USAGE, main, noticed
from contrib.crash_actors.crowd import Answer
from tests.daemon.harness import in_memory


@pytest.mark.integration
def test_no_create_is_lost_and_no_connection_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    with in_memory() as home:
        options = ["--place", str(home), "--plain", "--rounds", "1", "--clients", "4", "--present", "10"]
        exit_code = main([*options, "--actor", "registrar", "--actor", "keys"])
    told = capsys.readouterr().out
    assert exit_code == EXIT_OK, told
    assert ", 0 of them missing" in told


def test_where_there_is_no_place_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--place", str(tmp_path / "nowhere")]) == EXIT_USAGE
    assert "nowhere" in capsys.readouterr().err


def test_service_is_back_with_the_first_answer_after_the_actor_is_up() -> None:
    answers = [
        Answer(0.0, 1.0, 201),
        Answer(1.0, 1.5, 201),
        Answer(1.0, 2.25, 201),  # it was past that actor
        Answer(1.5, 3.5, 201),
        Answer(1.5, 2.6, 503),
        Answer(2.6, 4.0, 201),
        Answer(3.0, 4.5, 201),
    ]
    found = noticed("keys", 2.0, 3.0, answers, 1)
    assert (found.up_s, found.back_s, found.later_s) == (1.0, 1.5, 2.0)
    assert (found.silence_s, found.silence_before_s) == (1.25, 0.5)
    assert (found.usual_p50_s, found.usual_p99_s) == (0.75, 1.0)
    assert (found.told_to_wait, found.dropped, found.created) == (1, 1, 6)


def test_service_that_does_not_come_back_is_told() -> None:
    found = noticed("keys", 2.0, 3.0, [Answer(0.0, 1.0, 201)], 0)
    assert found.back_s == found.later_s == float("inf")

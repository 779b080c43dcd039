from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest import document as doc
from loadtest.describing import describe_run
from loadtest.errors import HarnessError
from loadtest.runner import run
from loadtest.scenario import Scenario
from loadtest.slo import Slo
from tests.loadtest.fake_docker import FakeDocker

SCHEMA = Path(__file__).parents[2] / "docs" / "loadtest.schema.json"


def test_the_published_schema_is_that_of_the_types() -> None:
    # To publish a change: python -m tests.loadtest.publish_schema
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(doc.schema()))


def test_a_run_reads_back_as_it_was_written(docker: FakeDocker) -> None:
    slos = [Slo.parse("errors==0"), Slo.parse("p99<1s")]
    scenario = Scenario(host=docker.host, count=40, mix="create=3,inspect=1", body={"Labels": {"a": "b"}})
    described = describe_run(run(scenario), slos=slos, command=("boatyard-load", "run"))
    assert doc.decode(doc.encode(described)) == described
    assert [objective.is_kept for objective in described.objectives] == [True, False]
    assert described.server.version == "1.2.3 (API 1.51)"
    assert (described.server.driver, described.plan.body) == ("fake", {"Labels": {"a": "b"}})
    assert set(described.operations) == {"inspect"}
    assert described.counts.created == len(described.containers or ())
    assert described.cleanup == doc.Removal(described.counts.created, ())
    assert described.response_time.curve[-1][0] == 1.0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is not a result of boatyard-load"),
        (b"[]", "is not a result of boatyard-load"),
        (b'{"kind": "walk"}', "is not a result of boatyard-load"),
        (b'{"kind": "run", "version": 2}', "missing required field"),
        (b'{"kind": "sweep", "version": 2, "command": [], "runs": [], "fit": null}', "has no runs in it"),
        (b'{"kind": "sweep", "version": 1, "command": [], "runs": [], "fit": null}', "has version 1 of the format"),
    ],
)
def test_what_is_none_of_ours_is_refused_by_name(data: bytes, text: str) -> None:
    with pytest.raises(HarnessError, match=text):
        doc.decode(data, "x.json")

from __future__ import annotations

import json
from collections import Counter

import pytest

from loadtest.errors import BadScenario, ErrorKind
from loadtest.requests import Requests
from loadtest.response import Response
from loadtest.runner import run
from loadtest.scenario import Operation, Scenario, parse_mix
from loadtest.target import listed
from tests.loadtest.fake_docker import FakeDocker, http

MIX = "create=4,inspect=2,list=1,rename=2,remove=1"


def first_line(request: bytes) -> str:
    return request.split(b"\r\n", 1)[0].decode()


def test_a_create_is_its_parts_around_the_number() -> None:
    scenario = Scenario(run_id="r", image="busybox")
    request = Requests(scenario).make(7)
    head, body = request.split(b"\r\n\r\n")
    assert first_line(request) == "POST /containers/create?name=lt-r-7 HTTP/1.1"
    assert b"Content-Length: %d" % len(body) in head
    assert json.loads(body) == json.loads(scenario.create_body())


def test_generated_names_are_not_asked_for() -> None:
    requests = Requests(Scenario(names="generated"))
    assert first_line(requests.make(0)) == "POST /containers/create HTTP/1.1"
    assert requests.make(0) == requests.make(1)


def test_what_needs_a_container_creates_one_where_there_is_none() -> None:
    requests = Requests(Scenario(run_id="r", mix="create=1,inspect=1000,remove=1000"))
    assert {first_line(requests.make(number))[:23] for number in range(20)} == {"POST /containers/create"}


def test_a_container_that_is_renamed_or_removed_is_nobody_elses_meanwhile() -> None:
    requests = Requests(Scenario(run_id="r", mix="create=1,remove=1000000"))
    requests.make(0)
    assert requests.answered(0, Response(201, b'{"Id":"%064x"}' % 1, True)) is Operation.CREATE
    assert first_line(requests.make(1)) == f"DELETE /containers/{1:064x}?force=1&v=1 HTTP/1.1"
    assert first_line(requests.make(2)).startswith("POST /containers/create")
    assert requests.answered(1, Response(204, b"", True)) is Operation.REMOVE
    assert requests.removed == {f"{1:064x}"}


def test_an_answer_in_another_order_of_fields_is_read_too() -> None:
    requests = Requests(Scenario(run_id="r", mix="create=1,inspect=1000000"))
    requests.make(0)
    requests.answered(0, Response(201, b'{"Warnings":[],"Id":"%064x"}' % 9, True))
    assert first_line(requests.make(1)) == f"GET /containers/{9:064x}/json HTTP/1.1"


def test_a_container_that_is_inspected_is_not_removed_meanwhile() -> None:
    requests = Requests(Scenario(run_id="r", mix="create=1,inspect=1000000"))
    requests.make(0)
    requests.answered(0, Response(201, b'{"Id":"%064x"}' % 1, True))
    assert first_line(requests.make(1)).startswith("GET")
    assert first_line(requests.make(2)).startswith("POST /containers/create")
    requests.answered(1, Response(200, b"{}", True))
    assert first_line(requests.make(3)).startswith("GET")
    assert requests.failed(3) is Operation.INSPECT
    assert first_line(requests.make(4)).startswith("GET")


@pytest.mark.parametrize("operation", ["rename", "remove"])
@pytest.mark.parametrize("is_given_up", [True, False])
def test_a_change_that_gets_no_answer_leaves_its_container_in_doubt(operation: str, is_given_up: bool) -> None:
    requests = Requests(Scenario(run_id="r", mix=f"create=1,{operation}=1000000"))
    requests.make(0)
    requests.answered(0, Response(201, b'{"Id":"%064x"}' % 1, True))
    requests.make(1)
    if is_given_up:
        requests.failed(1)
    assert requests.in_doubt() == {f"{1:064x}"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b'{"Id":5}', b'{"Id":"short"}', b'{"Id":"%b"}' % (b"\xff" * 64), b'{"Id":"%b"}' % (b"\r\n" * 32)),
        *(b'{"Id":"' + "\u00e4".encode() * 64 + b'"}', b'{"Warnings":[],"Id":"' + b"\\ud800" * 64 + b'"}'),
    ],
)
def test_a_container_whose_id_cannot_be_read_is_left_alone(body: bytes) -> None:
    requests = Requests(Scenario(run_id="r", mix="create=1,inspect=1000000"))
    requests.make(0)
    requests.answered(0, Response(201, body, True))
    assert first_line(requests.make(1)).startswith("POST /containers/create")


def test_the_draws_repeat_with_their_seed() -> None:
    def drawn(seed: int) -> list[str]:
        requests = Requests(Scenario(run_id="r", mix="create=1,list=1", seed=seed))
        return [first_line(requests.make(number)) for number in range(100)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_mix_does_to_the_containers_what_it_says(docker: FakeDocker) -> None:
    result = run(Scenario(host=docker.host, run_id="r", count=400, concurrency=8, mix=MIX, keep=True))
    assert result.errors == ()
    counts = Counter(Operation(operation) for operation in result.samples.operations())
    assert counts[Operation.CREATE] == pytest.approx(160, rel=0.25)
    assert all(result.statistics_of(operation).created == count for operation, count in counts.items())
    assert len(result.removed) == counts[Operation.REMOVE]
    left = {id_: result.renamed.get(id_, name) for name, id_ in result.created if id_ not in result.removed}
    assert {ack.id: ack.name for ack in listed("r", docker.host)} == left
    assert result.renamed


def test_an_operation_that_fails_is_an_error_like_a_creates(docker: FakeDocker) -> None:
    docker.script_delete = lambda number, request: http(500, {"message": "busy"})
    result = run(Scenario(host=docker.host, count=50, mix="create=1,remove=1", keep=True))
    assert [group.label for group in result.errors] == ["http_500"]
    assert (result.removed, result.errors[0].kind) == (frozenset(), ErrorKind.HTTP_STATUS)


@pytest.mark.parametrize("text", ["", "create", "create=x", "create=-1", "walk=1", "create=1,create=2", "create=1,"])
def test_a_mix_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadScenario, match="is not like create=80"):
        parse_mix(text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"mix": "inspect=1"}, "a mix needs creates"),
        ({"mix": "create=0,inspect=1"}, "a mix needs creates"),
        ({"mix": "create=1,list=1", "names": "collide:2"}, "names that collide need a mix of creates only"),
        ({"rate_per_s": 0.0}, "rate 0/s is not positive"),
        ({"duration_s": float("inf")}, "duration inf s is not positive"),
        ({"warmup_s": -1.0}, "warm-up -1 s is not a time"),
        ({"is_poisson": True}, "a Poisson process needs a rate"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(fields: dict[str, object], text: str) -> None:
    with pytest.raises(BadScenario, match=text):
        Scenario(**fields)  # type: ignore[arg-type]  # checked at run time

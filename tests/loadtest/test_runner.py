from __future__ import annotations

import gc
import threading
from collections import Counter
from pathlib import Path

import pytest

from loadtest.errors import ErrorKind, TargetRefused, TargetUnreachable
from loadtest.image import REFERENCE
from loadtest.runner import Load, run
from loadtest.scenario import Scenario
from loadtest.work import Progress
from tests.loadtest.fake_docker import FakeDocker, Reply, Request, http


def scenario(docker: FakeDocker, **changes: object) -> Scenario:
    fields: dict[str, object] = {"host": docker.host, "count": 24, "concurrency": 4, "run_id": "r", **changes}
    return Scenario(**fields)  # type: ignore[arg-type]  # the fields are the test's own, and checked at run time


def test_every_container_has_its_own_name_and_is_acknowledged_with_its_id(docker: FakeDocker) -> None:
    result = run(scenario(docker, keep=True))
    assert [name for name, _ in result.created] == [f"lt-r-{number}" for number in range(24)]
    assert {id_: name for name, id_ in result.created} == {c.id: c.name for c in docker.containers.values()}
    assert (result.errors, dict(result.statuses), result.sent, result.abandoned) == ((), {201: 24}, 24, 0)


def test_the_server_names_the_containers_when_asked_to(docker: FakeDocker) -> None:
    result = run(scenario(docker, names="generated", keep=True))
    assert all(request.query == {} for request in docker.creates)
    assert {ack.name for ack in result.created} == {""}
    assert len(result.created) == 24


def test_of_the_clients_that_collide_one_wins_and_the_others_conflict(docker: FakeDocker) -> None:
    result = run(scenario(docker, names="collide:4", keep=True))
    assert Counter(request.query["name"] for request in docker.creates) == {f"lt-r-{n}": 4 for n in range(6)}
    assert dict(result.statuses) == {201: 6, 409: 18}
    assert (len(result.created), result.errors) == (6, ())


def test_a_name_that_two_clients_win_lacks_a_conflict(docker: FakeDocker) -> None:
    docker.script = lambda number, request: http(201, {"Id": f"{number:064x}"})
    result = run(scenario(docker, count=4, names="collide:2", keep=True))
    assert [(group.kind, group.count) for group in result.errors] == [(ErrorKind.MISSING_409, 2)]


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        (http(500, {"message": "no space left on device"}), "http_500"),
        (http(409, {"message": "Conflict."}), "unexpected_409"),
        (Reply(b"", closes=True), "eof_before_response"),
        (Reply(b"HTTP/1.1 201 C\r\nContent-Length: 9\r\n\r\n{", closes=True), "eof_in_body"),
        (Reply(b"HTTP/1.1 201 C\r\nContent-Length: 1\r\n\r\n{"), "bad_json"),
        (http(201, {"Id": "short"}), "wrong_id"),
        (Reply(b"\x15\x03\x01"), "bad_http"),
    ],
)
def test_each_fault_is_counted_as_its_kind_and_the_rest_goes_on(docker: FakeDocker, reply: Reply, label: str) -> None:
    docker.script = lambda number, request: reply if number in (3, 9) else None
    result = run(scenario(docker, keep=True))
    assert {group.label: group.count for group in result.errors} == {label: 2}
    assert len(result.created) == len(docker.containers) == 22


def test_an_id_that_is_given_twice_is_a_duplicate(docker: FakeDocker) -> None:
    docker.script = lambda number, request: http(201, {"Id": "a" * 64})
    result = run(scenario(docker, count=3, keep=True))
    assert [(group.kind, group.count) for group in result.errors] == [(ErrorKind.DUPLICATE_ID, 2)]


def test_the_tiny_image_is_loaded_when_the_target_lacks_it_and_only_then(docker: FakeDocker) -> None:
    run(scenario(docker))
    run(scenario(docker))
    assert docker.images == {REFERENCE}
    assert [request.path for request in docker.requests].count("/images/load") == 1


def test_no_image_is_loaded_when_one_is_named(docker: FakeDocker) -> None:
    run(scenario(docker, image="busybox"))
    assert docker.images == set()
    assert b'"Image":"busybox"' in docker.creates[0].body


def test_a_run_leaves_nothing_of_its_own_and_all_that_is_not(docker: FakeDocker) -> None:
    run(scenario(docker, run_id="other", count=3, keep=True))
    result = run(scenario(docker))
    assert result.cleanup is not None
    assert (result.cleanup.removed, result.cleanup.failures) == (24, ())
    assert docker.names == ["lt-other-0", "lt-other-1", "lt-other-2"]


def test_a_container_whose_id_was_never_told_is_removed_by_its_label(docker: FakeDocker) -> None:
    def swallow(number: int, request: Request) -> Reply | None:
        if number != 5:
            return None
        docker.create(request)
        return Reply(b"", closes=True)

    docker.script = swallow
    result = run(scenario(docker))
    assert len(result.created) == 23
    assert result.cleanup is not None
    assert result.cleanup.removed == 24
    assert docker.containers == {}


def test_a_removal_by_id_that_fails_is_made_up_for_by_label(docker: FakeDocker) -> None:
    docker.script_delete = lambda number, request: http(500, {"message": "busy"}) if number == 0 else None
    result = run(scenario(docker))
    assert result.cleanup is not None
    assert (result.cleanup.removed, result.cleanup.failures) == (24, ())


def test_keep_keeps(docker: FakeDocker) -> None:
    result = run(scenario(docker, keep=True))
    assert (result.cleanup, len(docker.containers)) == (None, 24)


def test_a_target_that_is_not_there_is_unreachable(docker: FakeDocker) -> None:
    with pytest.raises(TargetUnreachable, match="No such file"):
        run(Scenario(host=docker.host + "x"))


def test_an_image_that_cannot_be_loaded_ends_the_run_before_it_starts(docker: FakeDocker) -> None:
    docker.load_reply = http(200, {"error": "no space left on device"})
    with pytest.raises(TargetRefused, match="no space left on device"):
        run(scenario(docker))
    assert docker.creates == []


def test_progress_ends_at_all_and_counts_errors(docker: FakeDocker) -> None:
    docker.script = lambda number, request: http(500, {"message": "m"}) if number == 0 else None
    seen: list[Progress] = []
    run(scenario(docker), seen.append)
    assert (seen[-1].done, seen[-1].count, seen[-1].errors) == (24, 24, 1)
    assert seen[-1].elapsed_s > 0


def test_a_run_that_is_broken_off_cleans_up_and_says_why(docker: FakeDocker) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario(docker), interrupt)
    assert len(docker.creates) == 24
    assert docker.containers == {}


def test_a_stopped_load_sends_no_more_and_waits_for_what_is_under_way(docker: FakeDocker) -> None:
    load = Load(scenario(docker))
    load.prepare()
    barrier = threading.Barrier(4)

    def stop(number: int, request: Request) -> None:
        barrier.wait()
        load.stop()
        barrier.wait()

    docker.script = stop
    result = load.create()
    assert (result.sent, len(result.created), result.abandoned, result.is_interrupted) == (4, 4, 0, True)
    assert load.clean_up().removed == 4


def test_times_are_in_order_and_the_clients_own_cost_is_known(docker: FakeDocker) -> None:
    result = run(scenario(docker, concurrency=1))
    samples = list(result.samples)
    assert all(s.intended_start_ns < s.sent_at_ns < s.done_at_ns for s in samples)
    # In the closed model a client is free for its next request when it has read the last answer.
    assert [s.intended_start_ns for s in samples[1:]] == [s.done_at_ns for s in samples[:-1]]
    assert result.conditions is not None
    assert result.conditions.client_cpu_s > 0
    assert result.statistics().created == 24


def test_the_garbage_collector_is_off_during_the_load_and_on_again_after_it(docker: FakeDocker) -> None:
    seen: list[bool] = []
    docker.script = lambda number, request: seen.append(gc.isenabled())
    run(scenario(docker))
    assert set(seen) == {False}
    assert gc.isenabled()


def test_a_load_that_is_stopped_before_its_image_is_found_sends_nothing(docker: FakeDocker) -> None:
    docker.images.add(f"docker.io/{REFERENCE}")  # as Podman names it, so that the run has to be planned anew
    load = Load(scenario(docker))
    load.stop()
    load.prepare()
    result = load.create()
    assert (result.sent, result.is_interrupted, result.scenario.reference) == (0, True, f"docker.io/{REFERENCE}")
    load.clean_up()


def test_what_is_created_after_its_request_was_given_up_is_removed_and_the_run_stays_in_the_journal(
    docker: FakeDocker, journal: Path
) -> None:
    is_cleaning = threading.Event()

    def be_late(number: int, request: Request) -> None:
        if number == 2:
            is_cleaning.wait(30)

    def note(number: int, request: Request) -> None:
        is_cleaning.set()

    docker.script, docker.script_delete = be_late, note
    result = run(scenario(docker, timeout_s=0.5))
    assert [group.label for group in result.errors] == ["timeout"]
    assert result.cleanup is not None
    assert (result.cleanup.removed, docker.containers) == (24, {})
    # Whether there is another to come nobody knows.
    assert [path.name for path in journal.glob("*.json")] == ["r.json"]

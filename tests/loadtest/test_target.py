from __future__ import annotations

import attrs
import pytest

from loadtest.errors import BadScenario, TargetRefused, TargetUnreachable
from loadtest.image import REFERENCE
from loadtest.runner import run
from loadtest.scenario import Scenario
from loadtest.target import clean, listed, load_image, server_version
from tests.loadtest.fake_docker import FakeDocker, Reply, Request, http


def create(docker: FakeDocker, run_id: str, count: int = 3) -> None:
    run(Scenario(host=docker.host, run_id=run_id, count=count, keep=True))


def test_the_image_is_loaded_once(docker: FakeDocker) -> None:
    assert load_image(docker.host) is True
    assert load_image(docker.host) is False
    assert docker.images == {REFERENCE}


def test_the_image_is_loaded_under_the_reference_that_was_asked_for(docker: FakeDocker) -> None:
    assert load_image(docker.host, "registry.example/a/b:c") is True
    assert docker.images == {"registry.example/a/b:c"}


@pytest.mark.parametrize(
    "reply",
    [
        http(500, {"message": "no space left on device"}),
        http(200, {"errorDetail": {"message": "x"}, "error": "no space left on device"}),
        Reply(b'HTTP/1.1 200 OK\r\n\r\nLoading\n{"stream":"x"}\n{"error":"no space left on device"}\n', closes=True),
    ],
)
def test_an_error_of_loading_is_told_wherever_it_stands(docker: FakeDocker, reply: Reply) -> None:
    docker.load_reply = reply
    with pytest.raises(TargetRefused, match="no space left on device"):
        load_image(docker.host)


def test_clean_removes_the_containers_of_one_run_or_of_all(docker: FakeDocker) -> None:
    create(docker, "a")
    create(docker, "b")
    assert clean("a", docker.host).removed == 3
    assert docker.names == ["lt-b-0", "lt-b-1", "lt-b-2"]
    create(docker, "c")
    assert clean(None, docker.host).removed == 6
    assert docker.names == []


def test_the_containers_of_a_run_are_listed_with_names_and_ids(docker: FakeDocker) -> None:
    result = run(Scenario(host=docker.host, run_id="a", count=3, keep=True))
    create(docker, "b")
    assert sorted(listed("a", docker.host)) == sorted(result.created)
    assert len(listed(None, docker.host)) == 6


def test_containers_are_removed_by_force_and_with_their_volumes(docker: FakeDocker) -> None:
    create(docker, "a", 1)
    clean("a", docker.host)
    (delete,) = [request for request in docker.requests if request.method == "DELETE"]
    assert delete.query == {"force": "1", "v": "1"}


def test_a_clean_target_stays_as_it_is(docker: FakeDocker) -> None:
    assert clean("a", docker.host).removed == 0


def test_a_container_that_cannot_be_removed_is_told_and_does_not_hold_up_the_others(docker: FakeDocker) -> None:
    create(docker, "a")
    stuck = next(iter(docker.containers))

    def refuse(number: int, request: Request) -> Reply | None:
        return http(500, {"message": "device is busy"}) if request.path.endswith(stuck) else None

    docker.script_delete = refuse
    cleanup = clean("a", docker.host)
    assert (cleanup.removed, [failure.text for failure in cleanup.failures]) == (2, ["device is busy"])


def test_a_removal_that_fails_once_is_tried_again(docker: FakeDocker) -> None:
    create(docker, "a")
    docker.script_delete = lambda number, request: Reply(b"", closes=True) if number == 1 else None
    cleanup = clean("a", docker.host)
    assert (cleanup.removed, cleanup.failures, docker.names) == (3, (), [])


def test_a_container_that_is_gone_already_is_no_failure(docker: FakeDocker) -> None:
    create(docker, "a")

    def vanish(number: int, request: Request) -> None:
        docker.containers.clear()

    docker.script_delete = vanish
    cleanup = clean("a", docker.host)
    assert (cleanup.removed, cleanup.failures) == (0, ())


def test_what_cannot_be_named_cannot_be_cleaned(docker: FakeDocker) -> None:
    with pytest.raises(BadScenario):
        clean('"]}', docker.host)


def test_a_list_that_is_no_text_is_told(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'[{"Id":"\xff"}]'
    reply = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    monkeypatch.setattr(docker, "_answer_setup", lambda request: reply)
    with pytest.raises(TargetRefused, match="containers could not be listed"):
        clean("a", docker.host)


def test_progress_of_a_load_that_is_no_text_is_passed_over(docker: FakeDocker) -> None:
    body = b'{"error": "\xff\xfe"}\n'
    docker.load_reply = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert load_image(docker.host) is True


def test_a_target_that_is_not_settled_is_looked_at_until_nothing_new_is_there(docker: FakeDocker) -> None:
    create(docker, "a", 2)
    others = list(docker.containers.values())

    def go_on(number: int, request: Request) -> None:
        if number in (1, 2):  # the second of those that are there, and then the one that this makes appear
            late = f"{100 + number:064x}"
            docker.containers[late] = attrs.evolve(others[0], id=late, name=f"late-{number}")

    docker.script_delete = go_on
    assert clean("a", docker.host, is_settled=False).removed == 4
    assert docker.containers == {}


def test_a_version_is_what_the_target_calls_itself(docker: FakeDocker) -> None:
    assert server_version(docker.host) == "1.2.3 (API 1.51)"


def test_a_target_that_is_not_there_is_unreachable(docker: FakeDocker) -> None:
    with pytest.raises(TargetUnreachable):
        clean("a", docker.host + "x")

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from loadtest.errors import BadScenario
from loadtest.scenario import Names, Naming, Scenario, default_host, socket_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unique", Names(Naming.UNIQUE)),
        ("generated", Names(Naming.GENERATED)),
        ("collide:2", Names(Naming.COLLIDE, 2)),
        ("collide:16", Names(Naming.COLLIDE, 16)),
    ],
)
def test_names_read_back_as_they_are_written(text: str, expected: Names) -> None:
    assert Names.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    ["", "uniq", "unique:2", "unique:", "generated:", "collide", "collide:", "collide:1", "collide:-2", "collide:x"],
)
def test_other_names_are_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(BadScenario, match="none of unique, generated, collide:K"):
        Names.parse(text)


def test_k_clients_in_a_row_ask_for_the_same_name() -> None:
    scenario = Scenario(names="collide:3", run_id="r")
    assert [scenario.name_of(number) for number in range(7)] == ["lt-r-0"] * 3 + ["lt-r-1"] * 3 + ["lt-r-2"]


def test_a_generated_name_is_not_asked_for() -> None:
    assert Scenario(names="generated").name_of(5) == ""


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Scenario(count=0), "count 0 is not between 1 and 10,000,000"),
        (lambda: Scenario(count=10_000_001), "count 10000001 is not between"),
        (lambda: Scenario(concurrency=0), "concurrency 0 is not between 1 and 10,000"),
        (lambda: Scenario(timeout_s=0), "timeout 0 s is not positive"),
        (lambda: Scenario(timeout_s=float("nan")), "timeout nan s is not positive"),
        (lambda: Scenario(run_id="a b"), "run id 'a b' does not match"),
        (lambda: Scenario(run_id=""), "run id '' does not match"),
        (lambda: Scenario(run_id="x" * 33), "does not match"),
        (lambda: Scenario(host="tcp://localhost:2375"), "'tcp://localhost:2375' is not a unix socket"),
        (lambda: Scenario(host="/var/run/docker.sock"), "is not a unix socket"),
        (lambda: Scenario(host="unix://"), "is not a unix socket"),
        (lambda: Scenario(host="unix:///" + "x" * 107), "is longer than 107 bytes"),
        (lambda: Scenario(body={"Labels": ["a"]}), r"labels \['a'\] are not a mapping"),
        (lambda: Scenario(body={"Env": {1}}), "body is not JSON"),
    ],
)
def test_a_run_that_cannot_be_is_refused_by_name(build: Callable[[], Scenario], text: str) -> None:
    with pytest.raises(BadScenario, match=text):
        build()


def test_the_longest_path_that_a_socket_may_have_is_accepted() -> None:
    assert socket_path("unix:///" + "x" * 106) == "/" + "x" * 106


def test_the_body_has_the_image_a_command_and_the_label_of_the_run() -> None:
    body = json.loads(Scenario(run_id="r", image="busybox").create_body())
    assert body == {"Image": "busybox", "Cmd": ["/bin/sh"], "Labels": {"loadtest.run": "r"}}


def test_own_fields_win_and_own_labels_are_joined_by_that_of_the_run() -> None:
    scenario = Scenario(run_id="r", body={"Cmd": ["true"], "Tty": True, "Labels": {"a": "b", "loadtest.run": "other"}})
    body = json.loads(scenario.create_body())
    assert (body["Cmd"], body["Tty"], body["Labels"]) == (["true"], True, {"a": "b", "loadtest.run": "r"})


def test_the_caller_cannot_change_a_scenario_through_its_body() -> None:
    fields: dict[str, object] = {"Tty": True}
    scenario = Scenario(body=fields)
    fields["Tty"] = False
    assert scenario.body == {"Tty": True}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("unix:///a", "unix:///a"), ("", "unix:///var/run/docker.sock"), (None, "unix:///var/run/docker.sock")],
)
def test_the_host_is_that_of_the_environment_or_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    if value is not None:
        monkeypatch.setenv("DOCKER_HOST", value)
    assert default_host() == expected


def test_each_run_has_an_id_of_its_own() -> None:
    assert Scenario().run_id != Scenario().run_id

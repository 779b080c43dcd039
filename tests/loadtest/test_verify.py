from __future__ import annotations

import shlex
import sys
from pathlib import Path

import attrs
import pytest

from loadtest import document as doc
from loadtest.__main__ import main
from loadtest.describing import describe_run
from loadtest.errors import HarnessError
from loadtest.runner import run
from loadtest.scenario import Scenario
from loadtest.target import everything
from loadtest.verify import Verification, verify
from tests.loadtest.fake_docker import Container, FakeDocker, Reply, Request


@pytest.fixture
def kept(docker: FakeDocker) -> doc.Run:
    scenario = Scenario(host=docker.host, run_id="r", count=5, body={"Labels": {"tier": "web"}}, keep=True)
    return describe_run(run(scenario))


def verified(docker: FakeDocker, run: doc.Run) -> Verification:
    return verify(run, everything(docker.host))


def kinds(verification: Verification) -> list[str]:
    return [finding.kind for finding in verification.findings]


def first(docker: FakeDocker) -> Container:
    return next(iter(docker.containers.values()))


def change(docker: FakeDocker, **fields: object) -> None:
    container = first(docker)
    docker.containers[container.id] = attrs.evolve(container, **fields)  # type: ignore[arg-type]  # the test's own


def test_what_was_acknowledged_and_is_there_passes(docker: FakeDocker, kept: doc.Run) -> None:
    assert verified(docker, kept) == Verification(5, 5, ())


def test_a_lost_container_is_found(docker: FakeDocker, kept: doc.Run) -> None:
    lost = first(docker)
    del docker.containers[lost.id]
    verification = verified(docker, kept)
    assert (verification.found, kinds(verification)) == (4, ["lost"])
    assert verification.findings[0].text == f"{lost.id} ({lost.name}) was acknowledged and is not listed"


def test_a_doubled_name_is_found(docker: FakeDocker, kept: doc.Run) -> None:
    docker.containers["f" * 64] = Container("f" * 64, first(docker).name, {})
    verification = verified(docker, kept)
    assert kinds(verification) == ["doubled"]
    assert verification.findings[0].text == f"the name {first(docker).name!r} is held by 2 containers"


def test_a_container_that_is_listed_twice_is_found(docker: FakeDocker, kept: doc.Run) -> None:
    listed = everything(docker.host)
    assert kinds(verify(kept, [*listed, listed[0]])) == ["doubled"]


@pytest.mark.parametrize("labels", [{"loadtest.run": "other", "tier": "web"}, {"loadtest.run": "r"}, {}])
def test_a_wrong_label_is_found(docker: FakeDocker, kept: doc.Run, labels: dict[str, str]) -> None:
    change(docker, labels=labels)
    assert set(kinds(verified(docker, kept))) == {"wrong_label"}


def test_a_wrong_name_is_found(docker: FakeDocker, kept: doc.Run) -> None:
    change(docker, name="lt-r-99")
    assert kinds(verified(docker, kept)) == ["wrong_name"]


def test_a_container_that_nobody_was_told_of_is_found(docker: FakeDocker, kept: doc.Run) -> None:
    docker.containers["e" * 64] = Container("e" * 64, "lt-r-7", {"loadtest.run": "r"})
    docker.containers["d" * 64] = Container("d" * 64, "other", {"loadtest.run": "other"})
    assert kinds(verified(docker, kept)) == ["unknown"]


def test_a_create_that_got_no_answer_may_have_made_one(docker: FakeDocker) -> None:
    def swallow(number: int, request: Request) -> Reply | None:
        if number != 2:
            return None
        docker.create(request)
        return Reply(b"", closes=True)

    docker.script = swallow
    kept = describe_run(run(Scenario(host=docker.host, run_id="r", count=5, keep=True)))
    assert kinds(verified(docker, kept)) == []


def test_the_last_name_counts_and_what_was_removed_is_not_missed(docker: FakeDocker) -> None:
    mix = "create=2,rename=1,remove=1"
    kept = describe_run(run(Scenario(host=docker.host, run_id="r", count=60, mix=mix, keep=True)))
    assert kept.containers is not None
    assert 0 < len(kept.containers) < kept.counts.created
    assert verified(docker, kept).is_passed


def test_a_removal_that_got_no_answer_leaves_nothing_to_miss(docker: FakeDocker) -> None:
    def swallow(number: int, request: Request) -> Reply:
        docker.containers.pop(request.path.removeprefix("/containers/"), None)
        return Reply(b"", closes=True)

    docker.script_delete = swallow
    kept = describe_run(run(Scenario(host=docker.host, run_id="r", count=40, mix="create=2,remove=1", keep=True)))
    assert {group.kind for group in kept.errors} == {"eof_before_response"}
    assert verified(docker, kept).is_passed


def test_a_run_that_was_cleaned_up_cannot_be_verified(docker: FakeDocker) -> None:
    cleaned = describe_run(run(Scenario(host=docker.host, run_id="r", count=5)))
    with pytest.raises(HarnessError, match="run r was cleaned up"):
        verified(docker, cleaned)


def test_the_command_has_exit_code_5_and_survives_a_restart(
    docker: FakeDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    assert main(["run", "-H", docker.host, "-n", "10", "--keep", "--json", str(file)]) == 0
    # A restart, for a fake: away under another name, and back as soon as somebody has asked in vain.
    away = docker.path.with_suffix(".away")
    restart = f"import os, time; os.rename({str(docker.path)!r}, {str(away)!r})"
    back = f"import os; os.rename({str(away)!r}, {str(docker.path)!r})"
    python = shlex.quote(sys.executable)
    command = f"{python} -c {shlex.quote(restart)} && {{ {python} -c {shlex.quote(back)} >/dev/null 2>&1 & }}"
    assert main(["verify", str(file), "--restart-cmd", command]) == 0
    assert "10 of 10 containers" in capsys.readouterr().out
    del docker.containers[first(docker).id]
    assert main(["verify", str(file)]) == 5
    assert "lost" in capsys.readouterr().out


def test_a_restart_that_fails_or_a_file_that_is_none_is_exit_1(
    docker: FakeDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    assert main(["run", "-H", docker.host, "-n", "3", "--keep", "--json", str(file)]) == 0
    assert main(["verify", str(file), "--restart-cmd", "exit 3"]) == 1
    assert "failed with exit code 3" in capsys.readouterr().err
    file.write_text("{}")
    assert main(["verify", str(file)]) == 1
    assert "is not a result of boatyard-load" in capsys.readouterr().err

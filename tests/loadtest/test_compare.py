from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import attrs
import pytest

from loadtest import document as doc
from loadtest.__main__ import main
from loadtest.compare import Compared, Comparing, fairness, pooled, quotients
from loadtest.describing import describe_run
from loadtest.errors import HarnessError
from loadtest.report_many import comparison_text
from loadtest.runner import Load, Result
from loadtest.scenario import Scenario
from loadtest.target import Cleanup, Target
from tests.loadtest.fake_docker import FakeDocker, Reply, Request, http
from tests.loadtest.virtual import VirtualSystem

MS = 1_000_000


@pytest.fixture
def other(socket_file: Path) -> Iterator[FakeDocker]:
    with FakeDocker(socket_file.with_name("b.sock")) as fake:
        yield fake


def blocks(count: int, service_ms: Callable[[Random], float], rng: Random) -> tuple[Result, ...]:
    """Loads of 200 creates on virtual time."""
    found = []
    for _ in range(count):

        def done(number: int, at_ns: int) -> int:
            return at_ns + round(service_ms(rng) * MS)

        result = Load(Scenario(host="unix:///s", image="i"), lambda: VirtualSystem(done)).create()
        found.append(attrs.evolve(result, cleanup=Cleanup(200), target=TARGET))
    return tuple(found)


TARGET = Target("1", 1, "dockerd", "overlay2", "/d", "ext4", 0, "sha256:1")


def compared(a: Callable[[Random], float], b: Callable[[Random], float]) -> Compared:
    rng = Random(4)
    return Compared(blocks(20, a, rng), blocks(20, b, rng), False)


def test_targets_that_are_the_same_are_not_told_apart() -> None:
    found = quotients(compared(lambda rng: rng.uniform(5, 15), lambda rng: rng.uniform(5, 15)), Random(0))
    assert [quotient.metric for quotient in found] == ["creates/s", "p50", "p90"]
    assert not any(quotient.is_significant for quotient in found)


def test_a_target_that_is_a_tenth_slower_is_and_the_interval_holds_the_ratio() -> None:
    found = quotients(compared(lambda rng: rng.uniform(5, 15), lambda rng: rng.uniform(5.5, 16.5)), Random(0))
    assert all(quotient.is_significant for quotient in found)
    rate, p50, _ = found
    assert rate.low <= 1.1 <= rate.high
    assert (rate.ratio > 1, p50.ratio < 1) == (True, True)
    assert rate.p < 0.001


def test_blocks_of_both_come_in_turn_after_one_of_each_to_warm_up(docker: FakeDocker, other: FakeDocker) -> None:
    order: list[tuple[int, int, str]] = []
    scenarios = [Scenario(host=fake.host, count=10, concurrency=2) for fake in (docker, other)]
    found = Comparing(*scenarios, rounds=2).run(lambda number, total, side, result: order.append((number, total, side)))
    assert order == [(number, 8, side) for number, side in enumerate("ABBAABBA", 1)]
    assert (len(found.a), len(found.b), found.is_interrupted) == (4, 4, False)
    assert (len(docker.creates), len(other.creates)) == (50, 50)
    assert (docker.containers, other.containers) == ({}, {})
    assert [result.target.containers for result in found.a if result.target] == [0, 0, 0, 0]


def test_a_comparison_stops_after_the_block_that_is_under_way(docker: FakeDocker, other: FakeDocker) -> None:
    comparing = Comparing(*(Scenario(host=fake.host, count=4, concurrency=1) for fake in (docker, other)), rounds=5)
    found = comparing.run(lambda number, total, side, result: comparing.stop())
    assert (len(found.a), len(found.b), found.is_interrupted) == (1, 0, True)
    assert docker.containers == {}


def test_a_comparison_that_is_stopped_while_it_warms_up_sends_nothing_more(
    docker: FakeDocker, other: FakeDocker
) -> None:
    comparing = Comparing(*(Scenario(host=fake.host, count=40, concurrency=1) for fake in (docker, other)), rounds=5)

    def stop(number: int, request: Request) -> None:
        if number == 3:
            comparing.stop()

    docker.script = stop
    found = comparing.run(lambda number, total, side, result: None)
    assert (found.a, found.b, found.is_interrupted) == ((), (), True)
    assert (len(docker.creates) < 40, other.creates, docker.containers) == (True, [], {})


def test_what_cannot_be_removed_ends_the_comparison(docker: FakeDocker, other: FakeDocker) -> None:
    other.script_delete = lambda number, request: http(500, {"message": "busy"})
    comparing = Comparing(*(Scenario(host=fake.host, count=4) for fake in (docker, other)), rounds=1)
    with pytest.raises(HarnessError, match="B: busy"):
        comparing.run(lambda number, total, side, result: None)


@pytest.mark.parametrize(
    ("change", "unmet"),
    [
        ({}, []),
        ({"image": "sha256:2"}, ["the same image (i)"]),
        ({"driver": "overlay"}, []),  # which is what Podman calls it
        ({"driver": "vfs"}, ["the same kind of storage driver"]),
        ({"file_system": "xfs"}, ["data on the same kind of file system"]),
        ({"containers": 981}, ["as many containers there before each block (0 and 981)"]),
    ],
)
def test_what_is_not_alike_is_said(change: dict[str, object], unmet: list[str]) -> None:
    a = blocks(1, lambda rng: 1, Random(0))
    target = attrs.evolve(TARGET, **change)  # type: ignore[arg-type]  # the table's own
    b = (attrs.evolve(a[0], target=target),)
    conditions = fairness(Compared(a, b, False))
    assert [condition.text for condition in conditions if condition.is_met is False] == unmet


def test_what_a_target_does_not_say_cannot_be_told() -> None:
    a = blocks(1, lambda rng: 1, Random(0))
    b = (attrs.evolve(a[0], target=attrs.evolve(TARGET, file_system="")),)
    unknown = [condition.text for condition in fairness(Compared(a, b, False)) if condition.is_met is None]
    assert unknown == ["data on the same kind of file system"]


def test_blocks_put_together_lie_one_after_the_other() -> None:
    results = blocks(3, lambda rng: 2, Random(0))
    whole = pooled(results)
    assert len(whole.samples) == 600
    assert whole.statistics().response_time.count == 600
    assert whole.statistics().elapsed_s == pytest.approx(sum(r.statistics().elapsed_s for r in results), rel=0.01)
    done = [sample.done_at_ns for sample in whole.samples]
    assert max(done[:200]) < min(done[200:400]) < max(done[200:400]) < min(done[400:])


def test_the_command_compares_prints_the_conditions_and_writes_it_down(
    docker: FakeDocker, other: FakeDocker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow(number: int, request: Request) -> Reply | None:
        sum(range(200_000))
        return None

    other.script = slow
    file, page = tmp_path / "c.json", tmp_path / "c.html"
    flags = ["--rounds", "4", "-n", "40", "-c", "4", "--json", str(file), "--html", str(page)]
    assert main(["compare", docker.host, other.host, *flags]) == 0
    captured = capsys.readouterr()
    assert "A creates" in captured.out
    assert "times as many containers per second as B" in captured.out
    assert "Fair, if all of this holds" in captured.out
    assert "16 of 16  A" in captured.err
    assert captured.out.count("its ceiling here is") == 2
    assert page.read_text().count("its ceiling here is") == 2
    read = json.loads(file.read_text())
    assert (read["kind"], read["rounds"], len(read["quotients"][0]["a"])) == ("comparison", 4, 8)
    assert "<svg" in page.read_text()


def test_a_verdict_names_the_winner_whoever_it_is() -> None:
    def verdict(ratio: float, low: float, high: float, p: float, is_significant: bool) -> str:
        rate = doc.Quotient("creates/s", "/s", True, (1.0,), (1.0,), ratio, low, high, p, is_significant)
        both = pooled(blocks(1, lambda rng: 1, Random(0)))
        run = describe_run(both)
        return comparison_text(doc.Comparison(2, (), 10, 200, 0.99, ("a", "b"), (rate,), (), run, run))

    assert verdict(2.0, 1.5, 2.5, 0.0001, True).startswith(
        "A creates 2.00 times as many containers per second as B (1.50 to 2.50"
    )
    assert verdict(0.5, 0.4, 0.8, 0.004, True).startswith(
        "B creates 2.00 times as many containers per second as A (1.25 to 2.50, p = 0.004"
    )
    assert verdict(1.1, 0.9, 1.2, 0.42, False) == "~ no difference in throughput that 10 rounds can tell (p = 0.42)"

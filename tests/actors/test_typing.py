"""What a type checker must see, mypy and pyright alike: replies are inferred, wrong uses are errors.

pyright is run as basedpyright, a fork with the same engine whose wheels have all of it: the package `pyright` fetches its program
from another registry at its first run. In the mode `standard` it reports what pyright does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]

HEAD = """
from collections.abc import Sequence
from random import Random
from typing import Protocol, assert_type

import attrs

from actors import (
    ActorContext, BatchThread, Channel, Deferred, Event, Exit, Inbox, Pool, Ref, Restart, Snapshot, Subscription, Supervisor,
    TellSubscriber, ThreadRef, Topic, cancel_on_abandon,
)
from actors.adapters import combine
from actors.testing import Chaos, Probe, open_probe, run_seeded

class Counter:
    async def add(self, n: int = 1) -> int: return n
    async def name(self, prefix: str, *, width: int = 0) -> str: return prefix
    def write(self, data: bytes) -> Deferred[float]: return Deferred()
    @cancel_on_abandon
    async def read(self, key: str, *, deep: bool = False) -> list[str]: return [key]
    def total(self) -> int: return 0
class Adder(Protocol):
    async def add(self, n: int = 1) -> int: ...
class Other:
    async def go(self) -> None: ...
    async def add(self, n: str) -> str: return n

@attrs.frozen
class Add:
    amount: int
@attrs.frozen
class Find:
    answer: Deferred[str]
    key: str
@attrs.frozen
class Total:
    answer: Deferred[int]
@attrs.frozen
class Foreign:
    answer: Deferred[int]
class Sum:
    async def run(self, inbox: Inbox[Add | Find | Total]) -> None: ...

async def work(number: int) -> str: return ''
async def scenario(rng: Random) -> int: return 1
def store(jobs: Sequence[bytes]) -> list[int | Exception]: return []
def on_event(event: Event) -> None: ...

class Inside:
    def __init__(self) -> None:
        self.context = ActorContext.of(self)
    async def tick(self, n: int) -> None:
        ActorContext.of(self).after(1.0, Inside.tick, 1)
        self.context.every(1.0, Inside.tick, 1, key='tick', is_fixed_rate=True)

async def main(
    ref: Ref[Counter], adder: Ref[Adder], supervisor: Supervisor, channel: Channel[Add | Find | Total],
    thread: ThreadRef[Counter], inbox: Inbox[Add | Find | Total], context: ActorContext[Counter],
    topic: Topic[int], subscription: Subscription[int], probe: Probe[Counter], counter: Counter, answer: Deferred[int],
) -> None:
"""

INFERRED = [
    ("await ref.ask(Counter.add)", "int"),
    ("await ref.ask(Counter.add, 2)", "int"),
    ("await ref.ask(Counter.add, n=2)", "int"),
    ("await ref.ask(Counter.add, timeout=1.0)", "int"),
    ("await ref.ask(Counter.add, 2, timeout=1.0)", "int"),
    ("await ref.ask(Counter.name, 'x', width=3)", "str"),
    ("await ref.ask(Counter.write, b'')", "float"),
    ("await ref.ask(Counter.write, b'', timeout=2)", "float"),
    ("await ref.send(Counter.add, 1)", "None"),
    ("ref.tell(Counter.name, 'x', width=3)", "None"),
    ("await ref.watch()", "Exit"),
    ("await adder.ask(Adder.add, 2)", "int"),
    ("await ref.ask(Adder.add, 2)", "int"),
    # what `cancel_on_abandon` decorates keeps its signature
    ("await ref.ask(Counter.read, 'x', deep=True)", "list[str]"),
    ("await counter.read('x', deep=True)", "list[str]"),
    # from a thread
    ("ref.from_thread", "ThreadRef[Counter]"),
    ("thread.ask(Counter.add, 2)", "int"),
    ("thread.ask(Counter.add, 2, timeout=1.0)", "int"),
    ("thread.ask(Counter.write, b'')", "float"),
    ("thread.tell(Counter.add, n=2)", "None"),
    # starting
    ("await supervisor.start(Counter, name='c')", "Ref[Counter]"),
    (
        "await supervisor.start(lambda: Counter(), name='c', restart=Restart.TRANSIENT, overflow='reject')",
        "Ref[Counter]",
    ),
    ("await supervisor.start_loop(Sum, name='s')", "Channel[Add | Find | Total]"),
    ("await supervisor.start_loop(lambda: Sum(), name='s', context='caller')", "Channel[Add | Find | Total]"),
    ("await Pool.start(supervisor, Counter, name='p', size=2)", "Pool[Counter]"),
    ("await (await Pool.start(supervisor, Counter, name='p', size=2)).ask(Counter.add)", "int"),
    ("supervisor.snapshot()", "Snapshot"),
    # loops
    ("await channel.ask(Total)", "int"),
    ("await channel.ask(Find, 'x')", "str"),
    ("await channel.ask(Find, key='x')", "str"),
    ("await channel.send(Add(1))", "None"),
    ("channel.tell(Add(1))", "None"),
    ("await inbox.receive()", "Add | Find | Total"),
    ("[message async for message in inbox]", "list[Add | Find | Total]"),
    ("inbox.after(1.0, Add(1))", "None"),
    ("inbox.every(1.0, Add(1), key='add')", "None"),
    # from the inside
    ("context.ref", "Ref[Counter]"),
    ("context.after(1.0, Counter.add, 2)", "None"),
    ("context.every(1.0, Counter.add, 2, key='add')", "None"),
    ("context.spawn(work, 1)", "None"),
    ("await answer", "int"),
    ("answer.resolve(1)", "None"),
    ("BatchThread(store, name='b', batch_max=1).submit(b'x')", "Deferred[int]"),
    # topics
    ("[value async for value in subscription]", "list[int]"),
    ("await subscription.receive_all()", "list[int]"),
    ("topic.subscribe(subscription)", "None"),
    ("topic.subscribe(TellSubscriber(ref, Counter.add))", "None"),
    # the test kit, and hooks
    ("probe.ref", "Ref[Counter]"),
    ("probe.reply(Counter.add, 1, 2)", "None"),
    ("probe.reply(Counter.write, 1.5)", "None"),
    ("probe.hang(Counter.add)", "None"),
    ("await open_probe(Counter).__aenter__()", "Probe[Counter]"),
    ("await open_probe(Adder).__aenter__()", "Probe[Adder]"),
    ("run_seeded(scenario, 1)", "int"),
    ("Supervisor('rest_for_one', hooks=Chaos(Random(1)), on_event=combine(on_event, on_event))", "Supervisor"),
]
"""Expressions and their types."""

ALLOWED = [
    "narrow: Ref[Adder] = ref",
    "pool: Ref[Counter] = await Pool.start(supervisor, Counter, name='p', size=2)",
    "part: Channel[Add] = channel",
]

WRONG = [
    "await ref.ask(Counter.add, 'x')",
    "await ref.ask(Counter.add, m=1)",
    "await ref.ask(Counter.add, 'x', timeout=1.0)",
    "await ref.ask(Counter.name)",
    "await ref.ask(Counter.name, 'x', 3)",
    "await ref.ask(Counter.total)",
    "await ref.ask(Other.go)",
    "await ref.ask('add')",
    "reply: str = await ref.ask(Counter.add)",
    "assert_type(await ref.ask(Counter.add), str)",
    "ref.tell(Counter.name)",
    "ref.tell(Other.go)",
    "ref.tell(Counter.add, 1, timeout=1.0)",
    "await ref.send(Counter.add, 'x')",
    "await adder.ask(Counter.add)",
    "wide: Ref[Counter] = adder",
    "foreign: Ref[Other] = ref",
    "foreign_adder: Ref[Adder] = await supervisor.start(Other, name='o')",
    "await ref.ask(Counter.read, 1)",
    "await ref.ask(Counter.read, 'x', depth=1)",
    "await counter.read(1)",
    "cancel_on_abandon(Counter.total)",
    # from a thread
    "thread.ask(Counter.add, 'x')",
    "thread.ask(Counter.add, 'x', timeout=1.0)",
    "thread.ask(Other.go)",
    "thread.tell(Counter.name)",
    "thread_reply: str = thread.ask(Counter.add)",
    # starting
    "await supervisor.start(Counter)",
    "await supervisor.start(Counter(), name='c')",
    "await supervisor.start(Counter, name='c', restarts=3)",
    "await supervisor.start(Counter, name='c', restart='always')",
    "await supervisor.start(Counter, name='c', overflow='drop')",
    "await supervisor.start(Counter, name='c', mailbox_capacity='many')",
    "await supervisor.start_loop(Counter, name='c')",
    "await supervisor.start_loop(Sum, name='s', capacity=1)",
    "await Pool.start(supervisor, Counter, name='p')",
    "await Pool.start(supervisor, Counter, name='p', size=2, capacity=1)",
    "foreign_pool: Ref[Other] = await Pool.start(supervisor, Counter, name='p', size=2)",
    "Supervisor('one_for_two')",
    "Supervisor(on_event=work)",
    "Supervisor(hooks=Random(1))",
    # loops
    "await channel.ask(Find)",
    "await channel.ask(Find, 1)",
    "await channel.ask(Add, 1)",
    "await channel.ask(Foreign)",
    "await channel.send(Foreign(answer))",
    "await channel.send(Add)",
    "channel.tell('x')",
    "found: int = await channel.ask(Find, 'x')",
    "more: Channel[Add | Foreign] = channel",
    "received: Add = await inbox.receive()",
    "inbox.after(1.0, Foreign(answer))",
    "inbox.every(1.0, 'x')",
    # from the inside
    "context.after(1.0, Counter.add, 'x')",
    "context.after(1.0, Other.go)",
    "context.after('soon', Counter.add)",
    "context.every(1.0, Counter.name)",
    "context.every(1.0, Counter.total)",
    "context.spawn(work)",
    "context.spawn(work, 'x')",
    "context.spawn(Counter.total, counter)",
    "ActorContext.of(counter).after(1.0, Counter.add, 'x')",
    "answer.resolve('x')",
    # topics
    "topic.publish('x')",
    "topic.subscribe(Subscription[str]())",
    "topic.subscribe(TellSubscriber(ref, Counter.read))",
    "TellSubscriber(ref, Other.go)",
    "Subscription[int](overflow='wait')",
    "value: str = await subscription.receive()",
    # the test kit
    "probe.reply(Counter.add, 'x')",
    "probe.reply(Counter.add, 1, 'x')",
    "probe.reply(Other.go, None)",
    "probe.fail(Counter.add, 'x')",
    "await probe.wait_call(Other.go)",
    "run_seeded(work, 1)",
]
"""Each is an error."""

BOTH_FIT = "no signature can say that the values decide nothing: the checker finds a type that both fit"

BEYOND = {
    ("mypy", "probe.reply(Counter.add, 1, 'x')"): BOTH_FIT,
    ("pyright", "probe.reply(Counter.add, 'x')"): BOTH_FIT,
    ("pyright", "probe.reply(Counter.add, 1, 'x')"): BOTH_FIT,
    ("mypy", "assert_type(await open_probe(Adder).__aenter__(), Probe[Adder])"): (
        "mypy takes no Protocol where a class is wanted (type-abstract); the type is right nevertheless"
    ),
}
"""Where a checker sees an error too few or too many, and why. What it has learned since is to be removed here."""

LINES = [*(f"assert_type({claim}, {kind})" for claim, kind in INFERRED), *ALLOWED, *WRONG]
FIRST_LINE = HEAD.count("\n") + 1
NUMBERS = {line: FIRST_LINE + number for number, line in enumerate(LINES)}

Report = dict[int, list[str]]
"""A checker's errors by line, from one run for all claims."""


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    claims = tmp_path_factory.mktemp("typing") / "claims.py"
    claims.write_text(HEAD + textwrap.indent("\n".join(LINES), "    ") + "\n")
    return claims


@pytest.fixture(scope="module")
def mypy(claims: Path) -> Report:
    output, errors, _ = api.run(
        [
            "--strict",
            "--no-incremental",
            "--allow-redefinition",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            str(claims),
        ]
    )
    assert not errors
    report: Report = defaultdict(list)
    for found in re.finditer(r"claims\.py:(\d+): error: (.*)", output):
        report[int(found[1])].append(found[2])
    return report


@pytest.fixture(scope="module")
def pyright(claims: Path) -> Report:
    settings = {"include": ["claims.py"], "typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (claims.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "basedpyright",
            "--outputjson",
            "--pythonpath",
            sys.executable,
            "-p",
            str(claims.parent),
        ],
        capture_output=True,
        text=True,
    )
    report: Report = defaultdict(list)
    for found in json.loads(run.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            report[found["range"]["start"]["line"] + 1].append(found["message"])
    return report


@pytest.fixture(params=["mypy", "pyright"])
def checker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def report(checker: str, request: pytest.FixtureRequest) -> Report:
    report: Report = request.getfixturevalue(checker)
    return report


def test_what_the_claims_are_about_has_no_errors_itself(report: Report) -> None:
    assert not {line: texts for line, texts in report.items() if line < FIRST_LINE}


@pytest.mark.parametrize("line", LINES[: -len(WRONG)])
def test_a_type_is_inferred(line: str, checker: str, report: Report) -> None:
    errors = report.get(NUMBERS[line], [])
    assert bool(errors) == ((checker, line) in BEYOND), errors


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_use_is_an_error(line: str, checker: str, report: Report) -> None:
    assert bool(report.get(NUMBERS[line])) == ((checker, line) not in BEYOND)

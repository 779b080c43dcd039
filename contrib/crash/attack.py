"""One mode: on one data root, rounds of traffic, end, start and audit; then everything is removed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random

import attrs

from contrib.connection import Connection
from contrib.crash.audit import READY_TREES, Verdict, audit, entries, remove_everything
from contrib.crash.disks import Disk, disk_at
from contrib.crash.endings import MODES, Ending
from contrib.crash.history import History, Kind, State, Thing
from contrib.crash.images import SmallImage
from contrib.crash.registry import registry
from contrib.crash.traffic import BASE, Scene, traffic
from contrib.engines import Engine, boatyard
from contrib.unclaimed import leftover


@attrs.frozen(kw_only=True)
class Plan:
    rounds: int
    clients: int
    seed: int


@attrs.define
class Outcome:
    mode: str
    rounds: int = 0
    sent: int = 0
    told: int = 0
    unanswered: int = 0
    starts_s: list[float] = attrs.field(factory=list)
    """The first has nothing to recover."""
    verdict: Verdict = attrs.field(factory=Verdict)
    misbehaved: list[str] = attrs.field(factory=list)
    """What a daemon that has not been harmed yet did wrong."""
    entries_left: int = 0

    @property
    def broken(self) -> list[str]:
        return [*self.verdict.broken, *self.misbehaved]


def attack(mode: str, plan: Plan, home: Path, say: Callable[[str], None]) -> Outcome:
    """Raises CannotMount, and DidNotStart: of a data root on which a daemon has been before that is a finding, too."""
    with ExitStack() as stack:
        disk = stack.enter_context(disk_at(home / "data", home / "disk")) if MODES[mode].cuts_power else None
        attacked = _Attack(mode, plan, disk, host=stack.enter_context(registry()))
        with boatyard(home, ready_trees=READY_TREES) as engine:
            attacked.begin(engine)
            attacked.harm(engine)
        for _ in range(1, plan.rounds):
            with attacked.started_again(home) as engine:
                attacked.harm(engine)
        with attacked.started_again(home) as engine:
            attacked.end(engine)
        attacked.look_at_rest(engine.data_root)
        say(f"{mode}: {len(attacked.outcome.broken)} promises broken in {plan.rounds} rounds")
    return attacked.outcome


class _Attack:
    def __init__(self, mode: str, plan: Plan, disk: Disk | None, *, host: str) -> None:
        self.outcome = Outcome(mode)
        self._mode = MODES[mode]
        self._plan = plan
        self._disk = disk
        self._host = host
        self._rng = Random(f"{plan.seed} {mode}")
        self._known = History()
        self._fresh = History()
        """Of the last round."""
        self._entries: frozenset[str] = frozenset()
        """What there is on the disk before anybody has asked for anything."""

    def begin(self, engine: Engine) -> None:
        self.outcome.starts_s.append(engine.start_s)
        self._entries = entries(engine.data_root)
        base = Thing(Kind.IMAGE, BASE, mark="base", steps=[(time.monotonic(), State.THERE)])
        with closing(Connection(engine.socket)) as connection:
            status, answer = connection.call("POST", "/images/load?quiet=1", SmallImage(base.mark).archive(base.name))
        assert status == 200, answer
        self._known.things.append(base)

    def harm(self, engine: Engine) -> None:
        """End it in the midst of traffic."""
        ending = Ending(self._mode, engine, self._disk, self._rng)
        scene = Scene(socket=engine.socket, registry=self._host, round=str(self.outcome.rounds), on_told=ending.on_told)
        with traffic(scene, self._plan.clients, self._rng) as histories:
            try:
                exit_code = ending.wait()
            finally:
                engine.process.kill()  # else nobody would ever end the clients; it is dead already
        self._fresh = History()
        self._fresh.merge(histories)
        self._fresh.forget_after(ending.cut_at)
        self._known.merge([self._fresh])
        self._note(exit_code)

    @contextmanager
    def started_again(self, home: Path) -> Iterator[Engine]:
        """And audited."""
        if self._disk is not None:
            self._disk.come_back()
        with boatyard(home, ready_trees=READY_TREES) as engine:
            self.outcome.starts_s.append(engine.start_s)
            self.outcome.verdict.add(audit(engine, self._known, self._fresh, self._rng))
            yield engine

    def end(self, engine: Engine) -> None:
        """Without everything that was made."""
        stuck = remove_everything(engine)
        left = sorted(entries(engine.data_root) ^ self._entries)
        self.outcome.entries_left = len(left)
        self.outcome.verdict.left += [*stuck, *(f"{name} is left, or missing, in the end" for name in left)]

    def look_at_rest(self, root: Path) -> None:
        """After a stop in good order."""
        self.outcome.verdict.left += [f"containers/{name} belongs to nothing" for name in leftover(root)]

    def _note(self, exit_code: int) -> None:
        outcome, fresh = self.outcome, self._fresh
        outcome.rounds += 1
        outcome.sent += fresh.sent
        outcome.told += fresh.told
        outcome.misbehaved += [text for _, text in fresh.refusals]
        outcome.unanswered += fresh.unanswered
        if self._mode.number is signal.SIGTERM:
            if exit_code != 0:
                outcome.misbehaved.append(f"a daemon that was told to stop exits with {exit_code}")
            if fresh.unanswered:
                outcome.misbehaved.append(f"a daemon that was told to stop leaves {fresh.unanswered} without an answer")

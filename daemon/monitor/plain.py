"""An overview as lines of text, for files, pipes and `grep`: one for the daemon, one for creates, for each actor and event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from daemon.monitor.words import known, rate, shown, totals, uptime, utc, waited
from daemon.overview import Overview, Tree


def lines(overview: Overview) -> Iterator[str]:
    creates, recent = overview.creates, overview.creates.recent
    yield f"daemon {utc(overview.time_ns)} {shown(overview.version)} pid {overview.pid} up {uptime(overview.uptime_s)}"
    times = f"p50 {known(recent.p50_s)} p99 {known(recent.p99_s)} longest {known(recent.longest_s)}"
    yield f"creates {rate(recent.created_per_s)} {times}: {totals(creates)}"
    yield from _actors(overview.trees, "")
    for event in overview.events:
        words = (event.kind, event.action, event.name, event.id[:12], event.text)
        yield " ".join(("event", utc(event.time_ns), *(shown(word) for word in words if word)))


def _actors(trees: Iterable[Tree], above: str) -> Iterator[str]:
    for tree in trees:
        for actor in tree.actors:
            path = f"{above}{tree.name}/{actor.name}"
            mailbox = f"mailbox {actor.queued}/{actor.capacity} waited {waited(actor.waited_s)}"
            crash = f" last crash {shown(actor.last_crash)}" if actor.last_crash else ""
            work = f"handled {rate(actor.handled_per_s)} restarts {actor.restarts}"
            yield f"actor {shown(path)} {shown(actor.state)} {mailbox} {work}{crash}"
            yield from _actors(actor.trees, f"{path}/")

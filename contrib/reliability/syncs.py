"""Calls that wait for the disk, while clients create: counted by strace, which the other calls do not notice."""

from __future__ import annotations

import re
import time
from pathlib import Path

import attrs

from contrib.engines import installed
from contrib.reliability.clients import Clients, create, load_base
from contrib.reliability.part import Part
from contrib.reliability.site import Subject

TRAFFIC_S = 3.0
CALLS = ("fsync", "fdatasync", "sync", "syncfs")

_CALL = re.compile(rf"\d+ +(\d+\.\d+) (?:{'|'.join(CALLS)})\(", re.ASCII)


@attrs.define
class Found:
    creates: int = 0
    calls: int = 0
    alone: float = 0.0
    """Calls of one create, where there is but one client."""

    @property
    def per_create(self) -> float:
        return self.calls / self.creates if self.creates else 0.0


ALONE = 20
"""Creates of one client."""


def examine(subject: Subject) -> Found:
    with subject.site() as site:
        trace = site.home / "trace"
        wrapper = [installed("strace"), "--daemonize", "--seccomp-bpf", "-f", "-qq", "-ttt", "-s", "0"]
        wrapper += ["--trace", ",".join(CALLS), "--output", str(trace)]
        with site.running(wrapper) as (engine, connection):
            load_base(connection)
            began = time.time()
            for number in range(ALONE):
                status, answer = create(connection, f"alone{number}")
                assert status == 201, answer
            between = time.time()
            crowd = Clients(engine.socket, "r")
            crowd.run(subject.clients, TRAFFIC_S, time.monotonic)
            ended = time.time()
        creates = len(crowd.acknowledged) + len(crowd.unanswered)
        return Found(creates, calls(trace, between, ended), calls(trace, began, between) / ALONE)


def calls(trace: Path, since: float, until: float) -> int:
    found = (_CALL.match(line) for line in trace.read_text(errors="replace").splitlines())
    return sum(since <= float(match[1]) < until for match in found if match)


SYNCS = Part(
    name="syncs",
    examine=examine,
    rows=(
        ("creates counted by strace", lambda found: f"{found.creates}"),
        ("fsync and fdatasync calls for a create, many clients", lambda found: f"{found.per_create:.2f}"),
        ("fsync and fdatasync calls for a create, one client", lambda found: f"{found.alone:.2f}"),
    ),
    is_broken=lambda found: found.per_create >= 1.0,
)

"""`boatyardd fsck`: whether the disk and the records of a data root agree, while no daemon runs.

What it finds and what it repairs is what recovery finds and does at a start after a crash (`storage/recovery.py`). Besides, it
can read all content, which a start has no time for.
Exit codes: 0 all is well, or is now; 1 it could not be found out; 2 wrong usage; 3 something is wrong, and still is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon.config import READY_TREES_MAX
from daemon.errors import SyncFailed, System
from daemon.storage.findings import Finding, Kind, Outcome, Problem
from daemon.storage.records import DATABASE_NAME, read_offline
from daemon.storage.recovery import damaged_content, locked, look, open_stores, recover

WELL, UNKNOWN, WRONG = 0, 1, 3

_REMEDIES = {
    Problem.RESIDUE: "removed",
    Problem.MISSING: "made again",
    Problem.DAMAGED: "written anew",
}


def run(given: argparse.Namespace) -> int:
    try:
        results = check(given.data_root, is_repairing=given.repair, is_verifying=given.verify)
    except (System, SyncFailed) as error:
        print(f"boatyardd: {error}", file=sys.stderr)
        return UNKNOWN
    print(as_json(results) if given.json else as_text(results), end="")
    return WRONG if not all(result.is_repaired for result in results) else WELL


def check(root: Path, *, is_repairing: bool, is_verifying: bool) -> tuple[Outcome, ...]:
    """Raises System, SyncFailed (by a repair)."""
    if not (root / DATABASE_NAME).is_file():
        raise System("there is no data root of Boatyard")
    with locked(root):
        records, damages = read_offline(root / DATABASE_NAME, is_verifying=is_verifying)
        if is_repairing and not damages:
            outcomes = recover(root, open_stores(root, ready_trees_max=READY_TREES_MAX), records)
        else:
            outcomes = tuple(Outcome(finding, False) for finding in look(root, records))
        content = damaged_content(root) if is_verifying else ()
    return (*outcomes, *(Outcome(each, False) for each in (*content, *map(_damaged_database, damages))))


def as_text(results: Sequence[Outcome]) -> str:
    return "".join(
        f"{result.finding.path} {result.finding.problem.value}{f': {remedy}' if (remedy := _remedy(result)) else ''}\n"
        for result in results
    )


def as_json(results: Sequence[Outcome]) -> str:
    findings = [
        {"path": result.finding.path, "problem": result.finding.problem.name.lower(), "remedy": _remedy(result)}
        for result in results
    ]
    return json.dumps({"findings": findings}) + "\n"


def _remedy(outcome: Outcome) -> str:
    return _REMEDIES[outcome.finding.problem] if outcome.is_repaired else ""


def _damaged_database(complaint: str) -> Finding:
    return Finding(path=f"{DATABASE_NAME}: {complaint}", problem=Problem.DAMAGED, kind=Kind.RECORD)

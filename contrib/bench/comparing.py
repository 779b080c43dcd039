"""The harness's own comparison of two engines, A B B A, as the page that it makes of one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from contrib.bench.measuring import Failed, wait_idle
from contrib.bench.plan import ENGINES, Plan
from contrib.places import Places
from loadtest import Result, Scenario, describe_run
from loadtest import document as doc
from loadtest.compare import CONFIDENCE, Comparing, fairness, pooled, quotients
from loadtest.html import html_text
from loadtest.report import server_text

CLIENTS = 16
COMMAND = ("make", "bench")


def comparison_page(names: tuple[str, str], plan: Plan, places: Places, say: Callable[[str], None]) -> str:
    """HTML, without the paths that it was measured in. Raises `NotHere`, `HarnessError`."""
    start_a, start_b = (ENGINES[name] for name in names)
    with places.fresh() as one, places.fresh() as other, start_a(one) as ours, start_b(other) as theirs:
        a, b = (Scenario(host=engine.host, count=plan.compared, concurrency=CLIENTS) for engine in (ours, theirs))
        wait_idle(ours)
        wait_idle(theirs)

        def on_block(number: int, total: int, side: str, result: Result) -> None:
            say(f"comparison: block {number} of {total}")

        compared = Comparing(a, b, rounds=plan.compared_rounds).run(on_block)
    if not (compared.a and compared.b):
        raise Failed("a block of the comparison was cut short")
    first, second = (
        _nameless(describe_run(pooled(side), command=COMMAND), name)
        for side, name in zip((compared.a, compared.b), names, strict=True)
    )
    comparison = doc.Comparison(
        version=doc.VERSION,
        command=COMMAND,
        rounds=plan.compared_rounds,
        count=plan.compared,
        confidence=CONFIDENCE,
        names=(f"{names[0]}  {server_text(first)}", f"{names[1]}  {server_text(second)}"),
        quotients=quotients(compared, Random(0)),
        conditions=fairness(compared),
        a=first,
        b=second,
    )
    return html_text([comparison])


def _nameless(run: doc.Run, name: str) -> doc.Run:
    server = msgspec.structs.replace(run.server, host=name, data_root="")
    return msgspec.structs.replace(run, server=server)

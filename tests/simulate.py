"""Runs the scenarios of the actors and of the daemon under many seeds: `make simulate SEEDS=100000`.

Every run begins at a seed of its own, which it prints. It ends at the first failure, saying how to repeat that.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from random import Random, SystemRandom

from actors.testing import run_seeded
from tests.actors import scenarios as of_actors
from tests.simulation.scenario import daemon

SCENARIOS = (*of_actors.SCENARIOS, daemon)

HANGS_AFTER_S = 60
"""Of real time, for one seed, which takes some milliseconds: then it is in a loop, or behind a shield."""

Scenario = Callable[[Random], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all went well, 1 at a failure."""
    by_name = {scenario.__name__: scenario for scenario in SCENARIOS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000, help="how many, each for every scenario")
    parser.add_argument("--first", type=int, default=SystemRandom().randrange(10**9), help="random unless given")
    parser.add_argument("--scenario", choices=by_name, action="append", help="all unless given")
    options = parser.parse_args(arguments)
    scenarios = [by_name[name] for name in options.scenario or by_name]
    if options.seeds > 1:  # a run that is repeated tells more
        logging.disable(logging.CRITICAL)
    say(f"{options.seeds} seeds from {options.first} on, of {len(scenarios)} scenarios\n")
    began = time.monotonic()
    for count in range(options.seeds):
        for scenario in scenarios:
            if not is_good(scenario, options.first + count):
                return 1
        if sys.stderr.isatty() or count % 1000 == 999:
            say(f"\r{count + 1}/{options.seeds} seeds, {(count + 1) / (time.monotonic() - began):.0f} a second ")
    say(f"\nall {options.seeds} good\n")
    return 0


def is_good(scenario: Scenario, seed: int) -> bool:
    replay = f"make simulate SCENARIO={scenario.__name__} FIRST={seed} SEEDS=1"
    faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
    try:
        run_seeded(scenario, seed)
    except Exception:  # noqa: BLE001 - it is printed, and the run has failed
        say(f"\n{traceback.format_exc()}\nseed {seed} of {scenario.__name__} failed; repeat it with\n    {replay}\n")
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
    return True


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Fixtures for tests of actors, and the option `--actor-seed`: the seed of a run is printed, and given back repeats it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

_SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("actors").addoption(
        "--actor-seed", type=int, default=None, help="the seed for `actor_seed` and `actor_rng`; random unless given"
    )


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--actor-seed")
    config.stash[_SEED] = random.SystemRandom().randrange(2**32) if given is None else given


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and {"actor_seed", "actor_rng"} & set(getattr(item, "fixturenames", ())):
        report.sections.append(("actors", f"replay with --actor-seed {item.config.stash[_SEED]}"))
    return report


@pytest.fixture
def actor_seed(request: pytest.FixtureRequest) -> int:
    """For `run_seeded` and the like. The same for all tests of a run; a failure says how to repeat it."""
    return request.config.stash[_SEED]


@pytest.fixture
def actor_rng(actor_seed: int) -> random.Random:
    return random.Random(actor_seed)


@pytest.fixture
def unchanged_arguments() -> Iterator[None]:
    """The test receives every message as it was sent."""
    from actors.testing import unchanged_arguments

    with unchanged_arguments():
        yield


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """The test ends all tasks, threads and descriptors that it starts. For tests that run under anyio's plugin."""
    from actors.testing import no_leaks

    async with no_leaks():
        yield

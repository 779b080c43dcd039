from __future__ import annotations

from random import Random

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest
import anyio

def test_seed(actor_seed, actor_rng):
    assert actor_rng.random() < 0, actor_seed

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_tidy(no_leaks):
    await anyio.sleep(0)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_changed(unchanged_arguments):
    from actors import Supervisor
    class Shop:
        async def take(self, items): ...
    async with Supervisor() as supervisor:
        shop = await supervisor.start(Shop, name="shop")
        items = []
        shop.tell(Shop.take, items)
        items.append("milk")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_untidy(no_leaks):
    import threading
    threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
"""


def test_the_fixtures_work_and_a_failure_says_how_to_repeat_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--actor-seed", "77")
    result.assert_outcomes(passed=6, failed=1, errors=4)
    result.stdout.fnmatch_lines(["*AssertionError: 77*", "*replay with --actor-seed 77*"])
    result.stdout.fnmatch_lines(["*Changed: shop: sent as take(*), received as take(*milk*)*"])
    result.stdout.fnmatch_lines(["*Leak: left behind: thread forgotten*"])


def test_the_generator_is_the_seeds(actor_seed: int, actor_rng: Random) -> None:
    assert actor_rng.random() == Random(actor_seed).random()

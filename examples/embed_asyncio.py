"""Supervised actors inside a plain asyncio program: a rate counter that survives its crashes.

python -m examples.embed_asyncio
"""

from __future__ import annotations

import asyncio

from actors import ActorCrashed, Ref, Supervisor


class Hits:
    """Counts hits by page. Its state is its own: a crash begins afresh."""

    def __init__(self) -> None:
        self.by_page: dict[str, int] = {}

    async def hit(self, page: str) -> int:
        if not page.startswith("/"):
            raise ValueError(f"no page: {page}")
        self.by_page[page] = self.by_page.get(page, 0) + 1
        return self.by_page[page]


async def visit(hits: Ref[Hits], page: str, times: int) -> None:
    for _ in range(times):
        await hits.ask(Hits.hit, page)


async def main() -> None:
    # The supervisor lives where it is entered; the program's own tasks run beside it.
    async with Supervisor("one_for_one", name="web") as supervisor:
        hits = await supervisor.start(Hits, name="hits")
        await asyncio.gather(visit(hits, "/", 100), visit(hits, "/about", 50))
        print("hits of /:", await hits.ask(Hits.hit, "/"))
        try:
            await hits.ask(Hits.hit, "nonsense")
        except ActorCrashed as error:
            print(error, "because of", repr(error.__cause__))
        print("hits of / after the restart:", await hits.ask(Hits.hit, "/"))


if __name__ == "__main__":
    asyncio.run(main())

from __future__ import annotations

import asyncio

import pytest
import trio

from examples import embed_asyncio, embed_trio


def test_actors_live_inside_a_plain_asyncio_program(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(embed_asyncio.main())
    assert capsys.readouterr().out.splitlines() == [
        "hits of /: 101",
        "hits.hit crashed because of ValueError('no page: nonsense')",
        "hits of / after the restart: 1",
    ]


def test_actors_live_inside_a_trio_program(capsys: pytest.CaptureFixture[str]) -> None:
    trio.run(embed_trio.main)
    assert capsys.readouterr().out.splitlines() == [
        "no reply from printer.print_page within 0.001 s: it had not begun",
        "mailbox of 'printer' is full (3 messages)",
        "done",
    ]

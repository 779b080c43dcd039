from __future__ import annotations

import textwrap

import pytest

import actors


@pytest.mark.anyio
async def test_the_tour_in_the_docstring_runs_as_it_stands() -> None:
    assert actors.__doc__ is not None
    code = "\n".join(line for line in actors.__doc__.splitlines() if not line or line.startswith("    "))
    names: dict[str, object] = {"__name__": "tour"}
    exec(compile(textwrap.dedent(code), "the tour", "exec"), names)
    main = names["main"]
    assert callable(main)
    await main()

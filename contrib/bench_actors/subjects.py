"""Which libraries are measured, on which loops. A subject is a row of the table."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import attrs

from contrib.bench_actors.contract import AsyncLibrary, SyncLibrary


@attrs.frozen(kw_only=True)
class Subject:
    key: str
    library: str
    """What `--only` names, and for the foreign ones the package."""
    label: str
    loop: str
    adapter: str
    """Module and class in `libraries`."""
    compared_with: str
    """The subject of ours on the comparable loop; asyncio where there is none."""
    requires: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot be measured here, if so."""
        absent = [name for name in self.requires if importlib.util.find_spec(name) is None]
        return f"{' and '.join(absent)} not installed" if absent else None

    def load(self) -> AsyncLibrary[Any] | SyncLibrary[Any]:
        module, _, name = self.adapter.partition(":")
        adapter: type[AsyncLibrary[Any]] | type[SyncLibrary[Any]] = getattr(
            importlib.import_module(f"contrib.bench_actors.libraries.{module}"), name
        )
        return adapter(self.loop) if issubclass(adapter, AsyncLibrary) else adapter()


def _on_loop(library: str, loop: str, *, label: str, adapter: str, key: str = "") -> Subject:
    requires = [library] if library not in ("ours", "bare") else []
    if loop in ("uvloop", "trio"):
        requires.append(loop)
    return Subject(
        key=f"{key or library}-{loop}",
        library=library,
        label=label,
        loop=loop,
        adapter=adapter,
        compared_with=f"ours-{loop}",
        requires=tuple(requires),
    )


def _off_loop(library: str, key: str, *, label: str, runs_in: str, adapter: str) -> Subject:
    return Subject(
        key=key,
        library=library,
        label=label,
        loop=runs_in,
        adapter=adapter,
        compared_with="ours-asyncio",
        requires=(library,),
    )


SUBJECTS = (
    *(_on_loop("ours", loop, label="ours", adapter="ours:Ours") for loop in ("asyncio", "uvloop", "trio")),
    *(
        _on_loop("bare", loop, label="bare queue + Future", adapter="bare:BareAsyncio")
        for loop in ("asyncio", "uvloop")
    ),
    _on_loop("bare", "trio", label="bare channel + Event", adapter="bare:BareTrio"),
    _off_loop("pykka", "pykka", label="pykka", runs_in="threads", adapter="pykka_threads:PykkaThreads"),
    _off_loop(
        "pykka", "pykka-one-core", label="pykka, one core", runs_in="threads", adapter="pykka_threads:PykkaOneCore"
    ),
    _off_loop(
        "pykka", "pykka-futures", label="pykka, 64 futures", runs_in="threads", adapter="pykka_threads:PykkaFutures"
    ),
    *(_on_loop("xoscar", loop, label="xoscar", adapter="xoscar_pool:XoscarPool") for loop in ("asyncio", "uvloop")),
    *(
        _on_loop("xoscar", loop, label="xoscar, local ref", adapter="xoscar_pool:XoscarLocal", key="xoscar-local")
        for loop in ("asyncio", "uvloop")
    ),
    _off_loop(
        "thespian", "thespian", label="thespian simple", runs_in="the caller", adapter="thespian_system:ThespianSimple"
    ),
    _off_loop(
        "thespian",
        "thespian-processes",
        label="thespian multiprocQueue",
        runs_in="processes",
        adapter="thespian_system:ThespianProcesses",
    ),
    _on_loop("triotp", "trio", label="triotp", adapter="triotp_node:Triotp", key="triotp"),
)

BY_KEY = {subject.key: subject for subject in SUBJECTS}
LIBRARIES = tuple(dict.fromkeys(subject.library for subject in SUBJECTS))

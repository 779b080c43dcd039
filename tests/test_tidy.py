"""The house rules that a machine can check: who may import whom, how long a file and a function may be, what is banned."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for package in ("actors", "contrib", "daemon", "loadtest") for path in (ROOT / package).rglob("*.py")
)
ALL_FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))]

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
CORE_LINES_MAX = 1500
"""Of code in the core of `actors`, which who embeds it should be able to read in an afternoon."""

# For each part of the house: what else of the house it may import, and which libraries. The longest prefix counts.
NOUNS = {
    "daemon.errors",
    "daemon.container",
    "daemon.evolve",
    "daemon.image",
    "daemon.network",
    "daemon.reference",
    "daemon.summary",
    "daemon.volume",
}
MAY_IMPORT: dict[str, tuple[set[str], set[str]]] = {
    "actors": (set(), {"anyio", "attrs"}),
    "actors._trio": ({"actors"}, {"trio"}),
    "actors.testing": ({"actors"}, {"anyio", "attrs", "trio"}),
    "actors.pytest_plugin": ({"actors.testing"}, {"pytest"}),
    "actors.adapters": ({"actors"}, {"attrs", "opentelemetry"}),
    "daemon": (set(), set()),
    "daemon.errors": ({"actors"}, set()),
    "daemon.container": ({"daemon.entropy"}, {"attrs", "msgspec"}),
    "daemon.entropy": (set(), set()),
    "daemon.summary": ({"daemon.container"}, {"msgspec"}),
    "daemon.image": ({"daemon.container"}, {"attrs", "msgspec"}),
    "daemon.network": ({"daemon.container", "daemon.errors"}, {"attrs", "msgspec"}),
    "daemon.reference": ({"daemon.errors"}, {"attrs", "msgspec"}),
    "daemon.volume": ({"daemon.errors"}, {"attrs", "msgspec"}),
    "daemon.config": (set(), {"attrs", "msgspec"}),
    "daemon.instruments": ({"actors"}, {"attrs", "msgspec"}),
    "daemon.host": (set(), {"attrs", "msgspec"}),
    "daemon.host_subnets": (set(), set()),
    "daemon.access_log": (
        {"daemon.config", "daemon.http.account", "daemon.http.message", "daemon.logs"},
        {"attrs", "msgspec"},
    ),
    "daemon.logs": ({"daemon.config", "daemon.errors"}, {"msgspec"}),
    "daemon.options": ({"daemon.config", "daemon.errors", "daemon.registry.addresses"}, {"attrs", "msgspec"}),
    "daemon.outcomes": ({"daemon.errors"}, {"anyio"}),
    "daemon.overview": ({"actors", "daemon.instruments", "daemon.outcomes"}, {"attrs", "msgspec"}),
    "daemon.overview.watching": (
        {"actors", "daemon.engine", "daemon.errors", "daemon.outcomes", "daemon.overview", "daemon.services.event_bus"},
        {"anyio"},
    ),
    "daemon.monitor": ({"daemon.overview", "loadtest.live", "loadtest.units"}, {"attrs", "httpx", "msgspec", "rich"}),
    "daemon.monitor.dashboard": (
        {"daemon.errors", "daemon.http", "daemon.monitor.client", "daemon.serving"},
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.process": (set(), set()),
    "daemon.systemd": ({"daemon.errors"}, {"anyio"}),
    "daemon.http": ({"daemon.errors"}, {"anyio", "attrs", "msgspec", "httptools"}),
    "daemon.storage": ({"actors", "daemon.entropy"} | NOUNS, {"attrs", "msgspec"}),
    "daemon.storage.streams": ({"daemon.errors"}, {"backports", "compression"}),
    "daemon.services": ({"actors", "daemon.storage"} | NOUNS, {"anyio", "attrs", "msgspec"}),
    "daemon.create": (
        {"actors", "daemon.config", "daemon.host", "daemon.instruments", "daemon.services"}
        | {"daemon.storage.database", "daemon.storage.ready"}
        | NOUNS,
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.create.commit": (
        {"actors", "daemon.create", "daemon.services", "daemon.storage"} | NOUNS,
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.create.files": (
        {"actors", "daemon.create.events", "daemon.create.records", "daemon.create.streaming"}
        | {"daemon.create.turns"}
        | {"daemon.services", "daemon.storage"}
        | NOUNS,
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.create.image_intake": (
        {"actors", "daemon.services", "daemon.storage"} | NOUNS,
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.create.image_maker": (
        {"actors", "daemon.create.events", "daemon.create.image_intake", "daemon.services", "daemon.storage"} | NOUNS,
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.create.image_saver": (
        {"actors", "daemon.create.events", "daemon.create.streaming", "daemon.services", "daemon.storage"} | NOUNS,
        {"attrs", "msgspec"},
    ),
    "daemon.registry": (
        {"daemon.errors", "daemon.reference", "daemon.storage.oci"},
        {"anyio", "attrs", "httpx", "msgspec"},
    ),
    **dict.fromkeys(
        [f"daemon.create.{name}" for name in ("blob_download", "image_puller", "image_pusher", "registry_inspector")],
        (
            {"daemon.create", "daemon.host", "daemon.registry", "daemon.services", "daemon.storage"} | NOUNS,
            {"anyio", "attrs", "msgspec"},
        ),
    ),
    "daemon.supervision": (
        {"actors", "daemon.config", "daemon.instruments", "daemon.network", "daemon.services", "daemon.storage"},
        set(),
    ),
    "daemon.fsck": ({"daemon.config", "daemon.errors", "daemon.storage"}, {"attrs", "msgspec"}),
    "daemon.engine": (
        {"actors", "daemon.config", "daemon.host", "daemon.create", "daemon.services", "daemon.storage"}
        | {"daemon.host_subnets", "daemon.instruments", "daemon.overview.recorder", "daemon.process"}
        | {"daemon.registry.registries"}
        | {"daemon.serving", "daemon.supervision"}
        | NOUNS,
        {"anyio"},
    ),
    "daemon.api": (
        {"actors", "daemon.config", "daemon.create", "daemon.engine", "daemon.host", "daemon.http"}
        | {"daemon.overview.watching", "daemon.services", "daemon.storage.database", "daemon.version"}
        | NOUNS,
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.api.registries": (
        {"daemon.api", "daemon.create", "daemon.http", "daemon.registry.credentials", "daemon.services"} | NOUNS,
        {"msgspec"},
    ),
    "daemon.api.authorization_plugins": (
        {"daemon.api.authorization", "daemon.errors"},
        {"anyio", "attrs", "httpx", "msgspec"},
    ),
    "daemon.api.patterns": ({"daemon.errors"}, {"re2"}),
    "daemon.serving": (
        {"daemon.api", "daemon.config", "daemon.engine", "daemon.http", "daemon.process"},
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.metrics": (
        {"actors", "daemon.engine", "daemon.instruments", "daemon.outcomes"},
        {"attrs", "msgspec", "prometheus_client"},
    ),
    "daemon.metrics_page": (
        {"daemon.engine", "daemon.http", "daemon.metrics", "daemon.serving"},
        {"attrs", "msgspec", "prometheus_client"},
    ),
    "daemon.tracing": ({"daemon.instruments"}, {"opentelemetry"}),
    "daemon.testing": (
        {"actors", "daemon.config", "daemon.container", "daemon.engine", "daemon.errors", "daemon.instruments"}
        | {"daemon.services"},
        {"anyio", "attrs", "msgspec"},
    ),
    "daemon.pytest_plugin": ({"daemon.testing"}, {"docker", "pytest"}),
    "daemon.running": ({"actors", "daemon"}, {"anyio", "attrs", "msgspec"}),
    "daemon.version": (set(), set()),
    "daemon.__main__": ({"daemon"}, set()),
    "loadtest": (set(), {"attrs", "httptools", "rich", "msgspec"}),
    "contrib": (set(), {"anyio", "attrs", "msgspec", "rich"}),
    "contrib.engines": ({"loadtest"}, {"attrs", "msgspec"}),
    "contrib.places": ({"loadtest"}, {"attrs"}),
    "contrib.bench_load": ({"contrib.connection", "contrib.engines", "loadtest.procfs"}, {"attrs", "msgspec", "rich"}),
    "contrib.crash": (
        {"contrib.arguments", "contrib.connection", "contrib.engines", "contrib.unclaimed", "loadtest"},
        {"attrs", "msgspec", "rich"},
    ),
    "contrib.reliability": (
        {"contrib.arguments", "contrib.connection", "contrib.crash", "contrib.engines", "contrib.marks"}
        | {"contrib.unclaimed", "loadtest"},
        {"attrs", "msgspec"},
    ),
    "contrib.crash_actors": (
        {
            *(
                "actors",
                "contrib.arguments",
                "contrib.connection",
                "contrib.places",
                "daemon.config",
                "daemon.engine",
                "daemon.instruments",
                "daemon.services",
            ),
            *("loadtest.client", "loadtest.errors", "loadtest.response", "loadtest.statistics"),
        },
        {"anyio", "attrs", "msgspec", "rich"},
    ),
    "contrib.bench_start": (
        {"contrib.engines", "daemon.container", "daemon.storage", "loadtest"},
        {"anyio", "attrs", "msgspec", "rich"},
    ),
    "contrib.bench_peers": (
        {"contrib.arguments", "contrib.engines", "contrib.places", "loadtest"},
        {"attrs", "msgspec", "rich"},
    ),
    "contrib.bench": (
        {"contrib.arguments", "contrib.engines", "contrib.marks", "contrib.places", "loadtest"},
        {"attrs", "msgspec", "rich"},
    ),
    "contrib.bench_actors.libraries": (
        {"actors", "contrib.bench_actors.contract"},
        {"pykka", "thespian", "trio", "triotp", "xoscar"},
    ),
}

BANNED = {
    r"except Exception:\s*\n\s*pass": "handle the error where something can be done about it",
    r"\bextractall\b": "daemon/storage/unpack.py is the safe way to unpack",
    r"\btime\.sleep\(": "wait for a condition, not for a time",
    r"\bcreate_memory_object_stream\b": "an actor's mailbox, or `Deferred`",
}
"""Patterns that must not appear in the sources, each with what to use instead."""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = frozenset(map(module_of, SOURCES))


def rule_for(module: str) -> tuple[str, set[str], set[str]]:
    prefix = max((key for key in MAY_IMPORT if is_within(module, key)), key=len)
    return prefix, *MAY_IMPORT[prefix]


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_module_imports_only_what_the_table_allows(path: Path) -> None:
    module = module_of(path)
    prefix, house, libraries = rule_for(module)
    for imported in imports_of(path):
        top = imported.partition(".")[0]
        if top in sys.stdlib_module_names:
            continue
        allowed = {prefix if prefix != "daemon" else module, *house}
        is_house = top in ("actors", "contrib", "daemon", "loadtest")
        fits = any(is_within(imported, package) for package in allowed) if is_house else top in libraries
        assert fits, f"{module} may not import {imported}"


def test_only_the_backend_and_the_test_kit_import_trio() -> None:
    importers = {module_of(path) for path in SOURCES if "trio" in {name.partition(".")[0] for name in imports_of(path)}}
    assert {module for module in importers if not is_within(module, "contrib")} == {
        "actors._trio",
        "actors.testing._seeded",
    }


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_files_and_functions_stay_readable_in_one_go(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, f"{node.name} is too long"


def test_the_core_of_the_actors_stays_small() -> None:
    outside = {"_pool.py", "_topic.py", "_thread.py"}  # which the core does not need
    core = [path for path in (ROOT / "actors").glob("_*.py") if path.name not in {"__init__.py", *outside}]
    lines = {path.name: code_lines(path.read_text()) for path in core}
    assert sum(lines.values()) <= CORE_LINES_MAX, f"{sum(lines.values())} lines of code: {lines}"


def code_lines(text: str) -> int:
    """How many lines are code: not blank, no comment, no docstring, no import."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {line for token in tokens if token.type not in layout for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.Expr) and is_text(node.value)):
            assert node.end_lineno is not None
            code -= set(range(node.lineno, node.end_lineno + 1))
    return len(code)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_lines_of_code_are_neither_blank_nor_comments_nor_docstrings_nor_imports() -> None:
    text = '''"""Doc."""

from a import (
    b,
)

X = """two
lines"""  # a comment
"""Of X."""

def f() -> None:
    """Doc,

    longer.
    """
    # a comment
    g(
        X,
    )
'''
    assert code_lines(text) == 6


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_module_says_what_it_is_and_uses_no_banned_way(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{path.name} needs a docstring"
    for pattern, instead in BANNED.items():
        assert not re.search(pattern, text), f"{path.name}: {instead}"


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_type_ignore_names_its_code(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert not re.search(r"#\s*type:\s*ignore(?!\[)", line), line


def test_there_is_no_init_file_under_tests() -> None:
    # With one, `import daemon` would find tests/daemon.
    assert not list((ROOT / "tests").rglob("__init__.py"))

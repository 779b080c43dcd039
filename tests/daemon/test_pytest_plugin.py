"""The plugin as a stranger uses it: in a pytest of its own, with docker-py, and as nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engines import not_here

ROOT = Path(__file__).parents[2]
UNPRIVILEGED = ("examples/test_my_app.py", "tests/daemon/testing/test_docker_engine.py")
NOBODY = 65534
TIMEOUT_S = 120

AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
ONLY_READING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""Where the directories that lead here are closed to others: a right to read, and none to change anything."""


def run(wrapper: Sequence[str], home: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """pytest as it is without our settings; a warning is an error."""
    command = [*wrapper, sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(ROOT), "-q", "-W", "error"]
    command += ["-p", "no:cacheprovider", "--basetemp", str(home / "tests"), *files]
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)  # meant for those who run us
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that anybody can get to, as pytest's are not."""
    with TemporaryDirectory(prefix="by-") as path:
        yield Path(path)


@pytest.mark.integration
def test_a_strangers_tests_pass_with_docker_client_and_without_root(home: Path) -> None:
    wrapper: Sequence[str] = ()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        wrapper = nobody()
    done = run(wrapper, home, *UNPRIVILEGED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def nobody() -> Sequence[str]:
    def can_read(wrapper: Sequence[str]) -> bool:
        # What starts it is still root when it does that: what it starts itself is not.
        once_more = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'import daemon']))"
        probe = [*wrapper, sys.executable, "-c", once_more]
        return subprocess.run(probe, cwd=ROOT, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0

    wrapper = next(filter(can_read, (AS_NOBODY, (*AS_NOBODY, *ONLY_READING))), None)
    return not_here("nobody cannot read this checkout") if wrapper is None else wrapper


def test_docker_is_looked_for_at_the_engine_and_nowhere_else(
    pytestconfig: pytest.Config, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pytestconfig.pluginmanager.hasplugin("boatyard")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    engine = request.getfixturevalue("docker_engine")
    assert os.environ["DOCKER_HOST"] == engine.host
    assert "DOCKER_CONTEXT" not in os.environ

"""A daemon that is killed anywhere in a load or a removal leaves the whole image or none of it, and starts again."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("work", "effects_min"), [("load", 12), ("remove", 8)])
def test_a_kill_before_any_effect_on_the_disk_leaves_all_or_nothing(work: str, effects_min: int) -> None:
    command = [sys.executable, "-m", "tests.daemon.services.crashing", work]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) >= effects_min

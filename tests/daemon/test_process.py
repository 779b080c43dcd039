"""In a process of its own: what is given up here is not to be had again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[2]

PROGRAM = """
import ctypes, resource
from daemon.process import keep_memory_private
keep_memory_private()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_memory_is_neither_dumped_nor_shown_to_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=SOURCES, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "(0, 0) 0\n"

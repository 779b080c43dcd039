"""strace on a daemon that runs, and on what it has started, for a while."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.procfs import descendants
from tests.engines import not_here
from tests.integration.forked import Forked


@contextmanager
def tracing(daemon: Forked, trace: Path, calls: str, *arguments: str) -> Iterator[None]:
    """For the time of the block these calls are written to the file `trace`; `arguments` are others of strace."""
    if shutil.which("strace") is None:
        not_here("strace is not installed")
    pid = daemon.process.pid
    assert pid is not None
    pids = [pid, *descendants(pid)]
    command = ["strace", "-f", "-o", str(trace), "-e", f"trace={calls}", *arguments]
    for each in pids:
        command += ["-p", str(each)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        for _ in pids:
            line = strace.stderr.readline()
            assert "attached" in line, line
        try:
            yield
        finally:
            strace.kill()  # the kernel detaches it; by itself it can wait for ever for a thread that is just ending

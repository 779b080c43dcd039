"""Processes of ours beside the daemon: each is the `main` of one module, and has a socket to the daemon as its standard input."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def command(module: str) -> Sequence[str]:
    """How to run it: the code of this process, whatever the environment, the directory or `site` would make of it."""
    root = str(Path(__file__).parent.parent.parent)
    boot = f"import sys; sys.path[:] = sys.argv[1:]; from {module} import main; main()"
    return (sys.executable, "-I", "-S", "-X", "utf8", "-c", boot, root, *(path for path in sys.path if path))


def start_beside(module: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process that runs `module.main()`, and our end of the SOCK_SEQPACKET pair whose other end it has. Raises OSError.

    When the daemon goes, its socket is at its end.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            return subprocess.Popen(command(module), stdin=theirs.fileno(), cwd="/", env={}), ours
        except BaseException:
            ours.close()
            raise

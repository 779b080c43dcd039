"""A machine of its own, for what a page says of systemd: one boots in a container, over the files of this machine.

What it changes of them is in memory. Its mounts, processes, control groups, network and names are its own, and gone when it is
off; it ends with whoever has booted it, however that happens. Needed are root, overlayfs, a tree of control groups of version 2
(mounted or not) and systemd-nspawn(1).

It is as after an installation: nothing of this machine's settings of systemd is there, nor what the page is to install. The
checkout is at `CHECKOUT`, with its `.venv`.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import attrs

from tests.docs.pages import Shell, shell

CHECKOUT = Path("/opt/boatyard")
PROGRAMS = ("systemd-nspawn", "unshare", "nsenter", "setpriv")

BOOT_TIMEOUT_S = 60.0
"""It takes a second, on a quiet machine."""
POWER_OFF_TIMEOUT_S = 60.0
REMOVE_TIMEOUT_S = 10.0
"""Until the last process of a killed machine has been reaped."""
PAUSE_S = 0.05

ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
"""Of root's shell in it."""

_FIRST = "X_NSPAWN_LEADER_PID="
_DEFECT = 70
"""Exit code of what prepares a machine, where it is not this machine's fault."""
_BOOT = rf"""
set -Eeu
trap 'exit {_DEFECT}' ERR
memory=$1 sources=$2 venv=$3 checkout=$4 group=$5 root=$1/root
over() {{
    mkdir -p "$2" "$memory/$3/upper" "$memory/$3/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$memory/$3/upper,workdir=$memory/$3/work" "$2" || exit
}}
mount -t cgroup2 groups /sys/fs/cgroup || exit
echo 0 > "/sys/fs/cgroup/$group/cgroup.procs" || exit
mount -t tmpfs machine "$memory" || exit
mount -t tmpfs run /run || exit  # systemd-nspawn leaves something there
over / "$root" system
over "$sources" "$root$checkout" sources
over "$venv" "$root$checkout/.venv" venv

cd "$root"
rm -rf etc/systemd/system/* etc/fstab etc/crypttab var/log/journal  # of this machine
rm -rf usr/local/bin/boatyardd etc/boatyard var/lib/boatyard
sed -i /^docker:/d etc/group etc/gshadow
echo uninitialized > etc/machine-id
cd "./$checkout/.venv"
sed -i "1s|^#!$venv/|#!$checkout/.venv/|" bin/boatyardd
echo "$checkout" > lib/python3*/site-packages/_editable_impl_boatyard.pth

# What may confine itself on a machine may do so in this one: its own filter knows no Landlock.
exec systemd-nspawn --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
    --directory="$root" --machine=boatyard --private-network --resolv-conf=off --timezone=off --link-journal=no \
    --quiet --settings=no --register=no --keep-unit --console=pipe --notify-ready=yes --boot systemd.unit=basic.target
"""
_OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")


class CannotBoot(Exception):
    """There are no such machines to be had here; the text says why."""


class DidNotBoot(AssertionError):
    """It began to, and did not get there."""


@attrs.frozen
class Machine:
    """One that runs."""

    process: subprocess.Popen[bytes]
    container: int
    """systemd-nspawn, the first process of a name space of its own."""
    first: int
    """The machine's own first process, by the id it has there."""

    @contextmanager
    def shell(self) -> Iterator[Shell]:
        """Root's, in the checkout."""
        outside = ["nsenter", "--target", str(self.container), "--pid", "--mount"]
        inside = ["nsenter", "--target", str(self.first), "--all", "env", f"--chdir={CHECKOUT}"]
        with shell(Path("/"), ENVIRONMENT, [*outside, *inside]) as reader:
            yield reader

    def power_off(self) -> int:
        """How it ended: 0 after an orderly shutdown."""
        os.kill(self.container, signal.SIGTERM)
        return self.process.wait(POWER_OFF_TIMEOUT_S)


@contextmanager
def booted(home: Path, sources: Path) -> Iterator[Machine]:
    """One that is ready for what is to be installed; off, or killed, at the end. Raises CannotBoot, DidNotBoot."""
    if os.geteuid() != 0:
        raise CannotBoot("only root can boot a machine")
    (home / "memory").mkdir()
    # Closed when it has told us that it is ready: it waits for who listens and does not read.
    with _group() as group, closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as told:
        told.bind(str(home / "told"))
        process = _started(home, sources, group)
        try:
            first = _wait_booted(process, told, home / "console")
            told.close()
            container = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
            yield Machine(process, container, first)
        finally:
            process.kill()  # and with it all of the machine that is still there
            process.wait()


@contextmanager
def _group() -> Iterator[str]:
    """The name of a control group at the root of their tree. Raises CannotBoot."""
    name = f"boatyard-{uuid4().hex}"
    if refused := _with_groups(f"mkdir /sys/fs/cgroup/{name}"):
        raise CannotBoot(refused)
    try:
        yield name
    finally:
        # It takes a moment until the last process of a machine that was killed has left it.
        deadline, pause = time.monotonic() + REMOVE_TIMEOUT_S, threading.Event()
        while refused := _with_groups(f"find /sys/fs/cgroup/{name} -depth -type d -exec rmdir {{}} +"):
            assert time.monotonic() < deadline, refused
            pause.wait(PAUSE_S)


def _with_groups(command: str) -> str:
    """What it says when it fails; empty if it does not."""
    script = f"mount -t cgroup2 groups /sys/fs/cgroup && {command}"
    done = subprocess.run([*_OWN_MOUNTS, "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""


def _started(home: Path, sources: Path, group: str) -> subprocess.Popen[bytes]:
    command = ["setpriv", "--pdeathsig", "KILL", *_OWN_MOUNTS, "--pid", "--fork", "--kill-child", "--mount-proc"]
    command += ["bash", "-c", _BOOT, "boot", str(home / "memory"), str(sources), sys.prefix, str(CHECKOUT), group]
    environment = {**os.environ, "NOTIFY_SOCKET": str(home / "told")}
    with (home / "console").open("wb") as console:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console, process_group=0
        )


def _wait_booted(process: subprocess.Popen[bytes], told: socket.socket, console: Path) -> int:
    """Its first process."""
    first, deadline = 0, time.monotonic() + BOOT_TIMEOUT_S
    ended = os.pidfd_open(process.pid)
    watched: list[socket.socket | int] = [told, ended]
    try:
        while told in select.select(watched, [], [], max(0.0, deadline - time.monotonic()))[0]:
            said = told.recv(4096).decode().splitlines()
            first = next((int(line.partition("=")[2]) for line in said if line.startswith(_FIRST)), first)
            if "READY=1" in said:
                return first
    finally:
        os.close(ended)
    text = console.read_text(errors="replace").strip()
    if not first and process.poll() not in (None, _DEFECT):
        raise CannotBoot(f"no machine can be booted here: {text}")
    raise DidNotBoot(text)

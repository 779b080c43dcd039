"""What the pages say of the daemon as a service of systemd, on a machine that has booted with it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.machine import ENVIRONMENT, PROGRAMS, CannotBoot, Machine, booted
from tests.docs.pages import Block, Shell, Step, blocks_of, steps_of
from tests.engines import not_here

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs/operations.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

MAKE = """
$ mkdir -p tree/data && mknod tree/null c 1 3 && mkfifo tree/fifo
$ install -o 1000 -g 1001 -m 6755 /bin/true tree/su
$ install -o 1000 -m 0700 -d tree/private && install -o 1000 -m 0000 /dev/null tree/private/secret
$ echo hi > tree/data/hi && chown 7:8 tree/data/hi
$ capability=0100000200200000000000000000000000000000
$ .venv/bin/python -c "import os; os.setxattr('tree/data/hi', 'security.capability', bytes.fromhex('$capability'))"
"""
CREATE = """
$ tar --xattrs --xattrs-include='*' -C tree -c . | docker import - demo
sha256:...
$ docker create --name web -v /data -v shared:/shared -v /srv/anywhere:/anywhere demo true
...
$ docker cp --quiet --archive tree web:/copied
$ docker cp web:/copied - | tar -tv | sort
---------- 1000/0 ... copied/private/secret
-rw-r--r-- 7/8             3 ... copied/data/hi
-rwsr-sr-x 1000/1001 ... copied/su
crw-r--r-- 0/0           1,3 ... copied/null
drwx------ 1000/0 ... copied/private/
drwxr-xr-x ... copied/
drwxr-xr-x ... copied/data/
prw-r--r-- 0/0             0 ... copied/fifo
$ .venv/bin/python -c "
> import os, pathlib
> copies = pathlib.Path('/var/lib/boatyard/volumes').glob('*/**/hi')
> print(*(os.getxattr(path, 'security.capability').hex() == '$capability' for path in copies))"
True
$ docker commit web again
sha256:...
$ docker save again | docker load
Loaded image: again:latest
$ mkdir -p opaque/dir && touch opaque/dir/.wh..wh..opq && tar -C opaque -c . | docker import - opaque
sha256:...
$ docker network create --subnet 10.1.0.0/16 net
...
$ docker rm -v web
web
"""
"""Owners, modes, kinds and capabilities of files, in layers and volumes: what a right that is missing would show."""

AS_FREE = """
$ systemd-run --quiet --service-type notify boatyardd serve --ready-trees 16 --data-root /var/lib/free --socket /run/free.sock
$ tar -C examples -c . | tee examples.tar | docker import - demo && docker -H unix:///run/free.sock import examples.tar demo
sha256:...
sha256:...
$ said() { docker -H unix://$1 info 2>&1 | grep -vE 'ID:|Root Dir:|Containers:|Images:|Created:'; }
$ diff <(said /run/free.sock) <(said /run/boatyard.sock)
$ mkdir -p /tmp/bound /home/somebody
$ docker create --mount type=bind,src=/tmp/bound,dst=/a --mount type=bind,src=/home/somebody,dst=/b demo true
...
$ docker create --cap-add SYS_PTRACE demo true
...
"""
"""What it sees of its machine, and what containers are to have of it, is what a daemon without the unit's restrictions sees."""

RESTART = """
$ systemctl restart boatyard.service & while kill -0 $! 2> /dev/null; do docker ps --quiet 2>> refused || true; done
$ wait $! && docker ps --quiet
$ grep -v 'the daemon is stopping$' refused; rm refused /etc/boatyard/daemon.toml
"""
HANG = """
$ printf '[Service]\\nWatchdogSec=3s\\n' > /run/systemd/system/boatyard.service.d/watchdog.conf
$ systemctl daemon-reload && systemctl restart boatyard.service
$ hanging=$(systemctl show --property MainPID --value boatyard.service)
$ kill -STOP $hanging && docker ps --quiet
$ test $(systemctl show --property MainPID --value boatyard.service) != $hanging
$ journalctl --sync && journalctl --quiet --unit boatyard.service --grep 'Watchdog timeout'
... boatyard.service: Watchdog timeout ...
"""
QUICK_START = """
$ export DOCKER_HOST=unix:///run/boatyard.sock
$ mkdir -p /run/systemd/system/boatyard.service.d
$ printf '[Service]\\nEnvironment=BOATYARD_READY_TREES_MAX=16\\n' > /run/systemd/system/boatyard.service.d/trees.conf
$ systemctl daemon-reload && systemctl start boatyard.service
"""


def steps_in_machine(page: Path) -> Sequence[Step]:
    return [step for block in blocks_of(page.read_text()) if block.in_machine for step in steps_of(block)]


def follow(reader: Shell, console: str) -> None:
    for step in steps_of(Block(line=0, language="console", text=console.lstrip())):
        reader.follow(step)


@contextmanager
def a_machine() -> Iterator[Machine]:
    for program in (*PROGRAMS, "docker"):
        if shutil.which(program, path=ENVIRONMENT["PATH"]) is None:
            not_here(f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="by-") as home:
        try:
            with booted(Path(home), ROOT) as machine:
                yield machine
        except CannotBoot as error:  # whatever is installed
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def service() -> Iterator[Shell]:
    """A shell where it is installed, as the page says."""
    with a_machine() as machine, machine.shell() as reader:
        for step in steps_in_machine(OPERATIONS):
            reader.follow(step)
            if "systemctl enable" in step.command:
                break
        follow(reader, QUICK_START)
        yield reader


@pytest.mark.parametrize("page", [page for page in PAGES if steps_in_machine(page)], ids=lambda page: page.name)
def test_what_a_page_shows_of_it_is_so(page: Path) -> None:
    with a_machine() as machine:
        with machine.shell() as reader:
            for step in steps_in_machine(page):
                reader.follow(step)
        assert machine.power_off() == 0


def test_its_restrictions_leave_it_the_rights_that_creates_need(service: Shell) -> None:
    follow(service, MAKE + CREATE.lstrip())


def test_its_restrictions_leave_the_machine_to_containers(service: Shell) -> None:
    follow(service, AS_FREE)


def test_who_connects_while_it_restarts_with_the_file_on_the_page_is_not_refused(service: Shell) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    service.follow(Step(line=0, command=f"cat > /etc/boatyard/daemon.toml <<END\n{text}END", shown=""))
    follow(service, RESTART)


def test_one_that_hangs_is_started_again(service: Shell) -> None:
    follow(service, HANG)

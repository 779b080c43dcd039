"""The process that starts workers (`worker.py`), each by a fork: ready in milliseconds, a new interpreter takes half a second.

It is small, has one thread and reads nothing that a stranger wrote, so that it can be forked at any moment, as the daemon cannot.
Its standard input is a SOCK_SEQPACKET pair with the daemon; each message is one byte and carries one socket, a job:

    the worker has that socket as its standard input
    the daemon shuts its writing half down   -> the worker is killed
    the worker ends                          -> `DIED` and its wait status go to the daemon, and the socket is closed

So the end of the socket says that the worker is gone for certain. When the daemon goes, this process and all workers go, too.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import traceback

from daemon.storage.confine import die_with_parent
from daemon.storage.worker import DIED, work

_POLLRDHUP = 0x2000
"""poll(2); the module `select` has it on Linux only in newer versions."""


def main() -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends it to the daemon, too, which ends this in good order
    gc.freeze()  # what has been made so far is shared with the workers, and stays so
    with socket.socket(fileno=0) as control:
        _Host(control).run()


class _Host:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._jobs: dict[int, socket.socket] = {}
        """By the process id of the worker."""
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def run(self) -> None:
        """Until the daemon goes."""
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            # In this order: a socket that is closed gives its number to the next one.
            for descriptor in ready - {self._woken, self._control.fileno()}:
                self._kill(descriptor)
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._begin():
                return  # and the workers with it

    def _begin(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if not message:
            return False
        job = socket.socket(fileno=descriptors[0])
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(job, parent)
        self._jobs[pid] = job
        self._poll.register(job, _POLLRDHUP)
        return True

    def _become_worker(self, job: socket.socket, parent: int) -> None:
        code = 1
        try:
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (*self._jobs.values(), self._control):
                other.close()
            os.dup2(job.fileno(), 0)
            job.close()
            work(0)
            code = 0
        except BaseException:  # noqa: BLE001 - told, and the end of this process either way
            traceback.print_exc()
        finally:
            os._exit(code)

    def _kill(self, descriptor: int) -> None:
        """The worker whose socket that is: nobody wants its answer."""
        self._poll.unregister(descriptor)
        for pid, job in self._jobs.items():
            if job.fileno() == descriptor:
                os.kill(pid, signal.SIGKILL)  # it has not been waited for, so it is still the one

    def _reap(self) -> None:
        for pid in tuple(self._jobs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                job = self._jobs.pop(pid)
                with contextlib.suppress(KeyError):
                    self._poll.unregister(job)
                with contextlib.suppress(OSError), job:  # full, or closed: nobody waits for it
                    job.send(DIED + status.to_bytes(4, "big"), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

"""HTTP over many Unix sockets from one thread: a plan, or a batch of requests and what became of each. It knows no Docker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadtest.errors import ErrorKind, Failure
from loadtest.loop import Loop, Plan
from loadtest.response import Response
from loadtest.statistics import Times
from loadtest.system import Kernel, System


class Client:
    """Carries out plans against one socket, over connections that each run opens afresh."""

    def __init__(self, path: str, *, concurrency: int, timeout_s: float) -> None:
        self._path = path
        self._concurrency = concurrency
        self._timeout_s = timeout_s

    def run(self, plan: Plan, schedule: Iterator[int] | None = None, system: System | None = None) -> int:
        """Returns when the plan has nothing more to send and every request has been answered or given up.

        Returned is the longest that the loop was late in coming back, in nanoseconds. `schedule` has the intended starts
        of an open loop, ascending, by the system's clock.
        """
        system = system if system is not None else Kernel()
        timeout_ns = round(self._timeout_s * 1e9)
        loop = Loop(plan, system, self._path, concurrency=self._concurrency, timeout_ns=timeout_ns, schedule=schedule)
        try:
            loop.run()
        finally:
            loop.close()
            system.close()
        return loop.worst_lag_ns

    def exchange(self, requests: Sequence[bytes]) -> list[Response | Failure]:
        """What became of each of `requests`, in their order."""
        batch = _Batch(requests)
        self.run(batch)
        return [batch.outcomes[number] for number in range(len(requests))]


def request_bytes(method: str, target: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """A request, ready to send. `target` is path and query, percent-encoded."""
    lines = [f"{method} {target} HTTP/1.1", "Host: docker"]
    if body:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    elif method == "POST":
        lines += ["Content-Length: 0"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class _Batch:
    """A plan of requests that are all known beforehand."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = enumerate(requests)
        self.outcomes: dict[int, Response | Failure] = {}

    def next_request(self, intended_start_ns: int) -> tuple[int, bytes] | None:
        return next(self._requests, None)

    def answered(self, number: int, times: Times, response: Response) -> None:
        self.outcomes[number] = response

    def failed(self, number: int, times: Times, kind: ErrorKind, text: str) -> None:
        self.outcomes[number] = Failure(number, kind, text)

    def abandoned(self, count: int) -> None:
        raise AssertionError("a batch has no schedule")

    def tick(self) -> bool:
        """Nobody watches a batch."""
        return True

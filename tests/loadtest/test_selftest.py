from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from loadtest import nullserver, procfs
from loadtest.__main__ import main
from loadtest.caveats import caveats, is_client_limited
from loadtest.client import Client, request_bytes
from loadtest.conditions import Conditions, Meter, together
from loadtest.errors import HarnessError
from loadtest.pinning import pinned
from loadtest.response import Response
from loadtest.runner import run
from loadtest.scenario import Scenario
from loadtest.selftest import Ceiling, null_server, quick_ceiling
from loadtest.statistics import Statistics, distribution
from tests.loadtest.fake_docker import FakeDocker

MS = 1_000_000
CPU_US_PER_REQUEST_MAX = 60.0
"""The promise is 25 on an idle machine; tests share theirs, where caches are cold."""


def test_the_null_server_carries_out_any_mix_and_leaves_when_it_is_left() -> None:
    with null_server() as host:
        path = Path(host.removeprefix("unix://"))
        pid = procfs.peer_pid(str(path))
        assert pid is not None
        scenario = Scenario(
            host=host, count=500, mix="create=2,inspect=1,list=1,rename=1,remove=1", keep=True, image="i"
        )
        result = run(scenario)
        assert (result.errors, sum(result.statuses.values())) == ((), 500)
        assert len({ack.id for ack in result.created}) == len(result.created)
    assert not path.exists()
    assert procfs.usage(pid) is None


def test_ctrl_c_on_the_terminal_is_not_for_the_null_server() -> None:
    with null_server() as host:
        pid = procfs.peer_pid(host.removeprefix("unix://"))
        assert pid is not None
        assert os.getsid(pid) != os.getsid(0)


def test_the_null_server_puts_pieces_together() -> None:
    big = request_bytes("POST", "/containers/create", b"x" * 3_000_000)
    with null_server() as host:
        outcomes = Client(host.removeprefix("unix://"), concurrency=2, timeout_s=30).exchange([big, big, big])
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Response)] == [201] * 3


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /containers/create?name=a HTTP/1.1\r\n\r\n", 201),
        (b"POST /containers/x/rename?name=b HTTP/1.1\r\n\r\n", 204),
        (b"DELETE /containers/x HTTP/1.1\r\n\r\n", 204),
        (b"GET /containers/json?all=1 HTTP/1.1\r\n\r\n", 200),
        (b"GET /version HTTP/1.1\r\n\r\n", 200),
    ],
)
def test_each_operation_has_its_answer(request_: bytes, status: int) -> None:
    assert nullserver.answer(request_, count(1)).startswith(b"HTTP/1.1 %d " % status)


def test_the_client_is_cheap() -> None:
    with null_server() as host:
        costs = []
        for _ in range(3):
            result = run(Scenario(host=host, count=5000, keep=True, image="i"))
            assert result.conditions is not None
            costs.append(result.conditions.client_cpu_s * 1e6 / result.sent)
    assert min(costs) < CPU_US_PER_REQUEST_MAX


def test_every_report_has_a_ceiling_and_a_floor(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-H", docker.host, "-n", "20"]) == 0
    assert "its ceiling here is" in capsys.readouterr().out
    ceiling = quick_ceiling(Scenario(host=docker.host, concurrency=4, names="collide:2", rate_per_s=5.0))
    assert ceiling.requests_per_s > 100
    assert 0 < ceiling.floor_p50_ns < 1000 * MS


def test_the_command_tells_what_this_client_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "-n", "500", "--rate", "500/s", "-d", "200ms"]) == 0
    output = capsys.readouterr().out
    for part in ("ceiling here", "floor of", "CPU per request", "lateness of the schedule", "100 requests at 500/s"):
        assert part in output


def statistics(response_ms: int = 10, lag_ns: int = 0) -> Statistics:
    times = distribution([response_ms * MS] * 20_000)
    lags = distribution([lag_ns] * 20_000)
    return Statistics(20_000, 10.0, 2000.0, times, times, lags, lags)


def conditions(**fields: float | str | None) -> Conditions:
    usual: dict[str, object] = {"client_cpu_s": 0.1, "client_run_queue_s": 0.0, "server": None}
    usual |= {"cpu_pressure": 0.0, "elapsed_s": 10.0, **fields}
    return Conditions(**usual)  # type: ignore[arg-type]  # checked at run time


def said(
    *,
    rate: float = 1000.0,
    of: Statistics | None = None,
    under: Conditions | None = None,
    loop_lag_ns: int = 0,
    offered: float | None = None,
) -> str:
    ceiling = Ceiling(10_000, 100_000, 10.0)
    scenario = Scenario(host="unix:///s", rate_per_s=offered)
    found = caveats(
        scenario,
        of or statistics(),
        rate,
        conditions=under or conditions(),
        ceiling=ceiling,
        loop_lag_ns=loop_lag_ns,
    )
    return "; ".join(found)


def test_numbers_that_hold_need_no_caveat() -> None:
    assert said() == ""
    assert said(offered=1000.0, of=statistics(lag_ns=100_000)) == ""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (said(rate=5_001), "more than half of what this client can do here (10,000/s)"),
        (said(rate=8_001), "client-limited"),
        (said(under=conditions(client_cpu_s=8.1)), "client-limited"),
        (said(offered=1000.0, of=statistics(lag_ns=1_100_000)), "the client itself sent late, 1.10 ms at its p99"),
        (said(offered=1000.0, of=statistics(lag_ns=600_000)), "more than 5 % of the median"),
        (said(under=conditions(client_run_queue_s=2.5)), "the client waited 2.50 s of 10.0 s for a CPU"),
        (
            said(under=conditions(cpu_pressure=0.4)),
            "in 40% of the time somebody waited for a CPU; client and server share",
        ),
        (said(loop_lag_ns=6 * MS), "held up for 6.00 ms once"),
        (said(of=Statistics(5, 1, 5, *[distribution([MS] * 5)] * 4)), "p50 needs 20 samples"),
    ],
)
def test_each_reason_for_doubt_is_said(text: str, part: str) -> None:
    assert part in text


def test_a_closed_loop_is_never_late_by_its_schedule() -> None:
    assert said(of=statistics(lag_ns=5 * MS)) == ""


@pytest.mark.parametrize(("rate", "expected"), [(8000, False), (8001, True)])
def test_beyond_four_fifths_of_its_ceiling_it_is_the_client_that_is_measured(rate: float, expected: bool) -> None:
    assert is_client_limited(rate, Ceiling(10_000, 1, 1), None) is expected
    assert is_client_limited(rate, None, None) is False


def test_what_the_client_used_is_read_from_the_kernel() -> None:
    meter = Meter(os.getpid())
    sum(range(3_000_000))
    found = meter.read()
    assert 0 < found.client_cpu_s <= found.elapsed_s * 1.01
    assert found.server is not None
    assert found.server.resident_bytes > 1_000_000
    assert found.cpu_pressure is None or 0 <= found.cpu_pressure <= 1


def test_what_a_server_has_its_helpers_do_is_its_own_cost() -> None:
    work = "import time\nwhile time.process_time() < 0.2: pass"
    # One helper has ended when its cost is read, one has not; each is the child of another helper.
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    for script in (work, f"{work}\nprint(flush=True)\ninput()"):
        helper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {script!r}], check=True)"
        with subprocess.Popen([*command, helper], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdout.readline()
            alone, family = procfs.usage(server.pid), procfs.family_usage(server.pid)
            server.stdin.write("\n")
            server.stdin.close()
        assert alone is not None
        assert family is not None
        assert family.cpu_s >= 0.19 > alone.cpu_s
        assert family.resident_bytes >= alone.resident_bytes
    assert procfs.family_usage(2**22) is None


def test_a_server_that_is_gone_is_not_measured() -> None:
    assert Meter(None).read().server is None
    assert procfs.usage(2**22) is None  # above any pid, proc(5)


def test_several_conditions_add_up() -> None:
    server = procfs.Usage("d", 1.0, 0.5, 100)
    one = Conditions(1.0, 0.1, server, 0.2, 10.0)
    found = together([one, Conditions(2.0, None, None, 0.4, 30.0)])
    assert (found.client_cpu_s, found.client_run_queue_s, found.elapsed_s) == (3.0, 0.1, 40.0)
    assert found.cpu_pressure == pytest.approx(0.35)
    assert found.server == server


def test_the_peer_of_a_socket_is_the_process_that_listens(docker: FakeDocker) -> None:
    assert procfs.peer_pid(str(docker.path)) == os.getpid()
    assert procfs.peer_pid(str(docker.path) + "x") is None


def test_a_name_with_anything_in_it_is_read() -> None:
    assert procfs.parse_stat("42 (a) b (c)) S 1 2") == ("a) b (c)", ["S", "1", "2"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/data/x", "xfs"), ("/data", "xfs"), ("/database", "ext4"), ("/with space/d", "tmpfs"), ("/", "ext4"), ("", "")],
)
def test_the_file_system_is_that_of_the_deepest_mount_above(path: str, expected: str) -> None:
    text = (
        "1 0 8:1 / / rw shared:1 - ext4 /dev/a rw\n2 1 8:2 / /data rw - xfs /dev/b rw\n"
        "3 1 0:5 / /with\\040space rw - tmpfs tmpfs rw\n"
    )
    assert procfs.file_system(path, text) == expected


def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("pinning needs two CPUs")
    with null_server() as host:
        pid = procfs.peer_pid(host.removeprefix("unix://"))
        assert pid is not None
        with pinned(pid) as text:
            assert os.sched_getaffinity(0) == {max(before)}
            assert os.sched_getaffinity(pid) == before - {max(before)}
            assert text.startswith(f"client on CPU {max(before)}, server on ")
        assert os.sched_getaffinity(pid) == before
    assert os.sched_getaffinity(0) == before


def test_a_server_that_cannot_be_seen_cannot_be_pinned() -> None:
    with pytest.raises(HarnessError, match="not to be seen"), pinned(None):
        pass

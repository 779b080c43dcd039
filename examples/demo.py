"""`make demo`: a daemon, 2,000 containers from 16 clients, a kill -9, and the proof that nothing was lost.

Everything happens in one temporary directory, which is removed at the end with the daemon in it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from loadtest import Ack, HarnessError, Progress, Result, Scenario, listed, load_image, run

IMAGE = "boatyard/demo:latest"
SOCKET_HINT = "/tmp/boatyard.sock"


class DemoFailed(Exception):
    """What was promised did not happen."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--count", type=int, default=2_000, help="containers to create (default: %(default)s)")
    parser.add_argument("-c", "--concurrency", type=int, default=16, help="clients at once (default: %(default)s)")
    parser.add_argument("--backend", default="uvloop", help="uvloop, asyncio or trio (default: %(default)s)")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    home = Path(tempfile.mkdtemp(prefix="boatyard-"))
    try:
        show(console, home, options.count, options.concurrency, options.backend)
    except KeyboardInterrupt:
        console.print("\ninterrupted")
        return 130
    except (DemoFailed, HarnessError) as error:
        console.print(f"[bold red]failed:[/] {error}")
        return 1
    finally:
        shutil.rmtree(home)
        console.print(f"[dim]removed {home}; no process is left behind[/]")
    return 0


def show(console: Console, home: Path, count: int, concurrency: int, backend: str) -> None:
    host = f"unix://{home / 'socket'}"
    with daemon(home, backend) as (process, started_s):
        console.print(
            f"[bold]boatyardd[/] on {backend} is up after {started_s * 1000:.0f} ms, data root {home / 'data'}"
        )
        load_image(host, IMAGE)
        console.print(f"image [bold]{IMAGE}[/] loaded")
        result = create(console, Scenario(host=host, count=count, concurrency=concurrency, image=IMAGE, keep=True))
        report(console, result)
        check(not result.errors, f"{result.error_count} creates failed")
        check_unique(result.created, count)
        console.print(f"[green]unique[/]    {count:,} ids and {count:,} names, none twice")
        process.kill()
        process.wait()
        console.print("[bold]kill -9[/]    right after the last answer")
    with daemon(home, backend) as (_, started_s):
        check_survived(result.created, listed(result.scenario.run_id, host))
        console.print(
            f"[green]survived[/]  all {count:,} are there again, {started_s * 1000:.0f} ms after the restart began"
        )
    print_next_steps(console)


def create(console: Console, scenario: Scenario) -> Result:
    columns = (TextColumn("creating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("creating", total=scenario.count)

        def on_progress(progress: Progress) -> None:
            bar.update(task, completed=progress.done)

        return run(scenario, on_progress)


def report(console: Console, result: Result) -> None:
    statistics = result.statistics()
    times = statistics.response_time
    rows = {
        "clients": f"{result.scenario.concurrency}",
        "created": f"{statistics.created:,} in {statistics.elapsed_s:.2f} s",
        "rate": f"[bold]{statistics.creates_per_s:,.0f} creates/s[/]",
        "p50": milliseconds(times.value_ns("p50")),
        "p90": milliseconds(times.value_ns("p90")),
        "p99": milliseconds(times.value_ns("p99")),
        "max": milliseconds(times.max_ns),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def milliseconds(time_ns: int | None) -> str:
    return "needs more samples" if time_ns is None else f"{time_ns / 1e6:.2f} ms"


def check_unique(created: Sequence[Ack], count: int) -> None:
    check(len(created) == count, f"{len(created)} of {count} were acknowledged")
    check(len({ack.id for ack in created}) == count, "an id was given twice")
    check(len({ack.name for ack in created}) == count, "a name was given twice")


def check_survived(created: Sequence[Ack], found: Sequence[Ack]) -> None:
    lost = set(created) - set(found)
    check(not lost, f"{len(lost)} acknowledged containers are lost, such as {next(iter(lost), None)}")
    check(len(found) == len(created), f"{len(found) - len(created)} containers are there that nobody was told of")


def check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise DemoFailed(otherwise)


def print_next_steps(console: Console) -> None:
    docker = f"docker -H unix://{SOCKET_HINT}"
    console.print("\n[bold]try it yourself[/]")
    for line in (
        f".venv/bin/boatyardd serve --data-root ./data --socket {SOCKET_HINT} &",
        f"tar -C examples -c . | {docker} import - demo",
        f"{docker} create --name web -e A=1 -v /data -p 80:80 demo sh -c 'echo hi'",
        f"{docker} ps -a",
        f"{docker} inspect web",
        f"{docker} rm -v web",
        f".venv/bin/boatyard-load run -H unix://{SOCKET_HINT} -n 2000 -c 16",
    ):
        console.print(f"  {line}", soft_wrap=True)


@contextmanager
def daemon(home: Path, backend: str) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """A daemon that is ready, and the seconds that took; stopped at the end."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "daemon", "serve", "--backend", backend]
    command += ["--data-root", str(home / "data"), "--socket", str(home / "socket")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            log = []
            for line in process.stderr:
                log.append(line)
                if "is listening on" in line:
                    break
            else:
                raise DemoFailed(f"the daemon did not start: {''.join(log).strip()}")
            drain(process.stderr.read)
            yield process, time.monotonic() - begun
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait()


def drain(read: Callable[[], str]) -> None:
    """Keep the pipe of the daemon's log empty, so that it never waits for us."""
    threading.Thread(target=read, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

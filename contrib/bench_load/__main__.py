"""The command line: how large, how often, and the table of what was measured."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
from rich.console import Console
from rich.table import Table

from contrib.bench_load.archive import write_archive
from contrib.bench_load.loading import load, remove
from contrib.bench_load.watching import Seen, watching
from contrib.engines import Engine, NotHere, boatyard, dockerd, installed
from loadtest.procfs import family_usage

Start = Callable[[Path], AbstractContextManager[Engine]]

MIB = 1 << 20


@attrs.frozen
class Load:
    seconds: float
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    console = Console() if sys.stdout.isatty() else Console(width=100)
    engines: dict[str, Start] = {"boatyard": boatyard}
    if not arguments.only_ours:
        try:
            installed("dockerd")
            engines["dockerd"] = dockerd
        except NotHere as reason:
            console.print(f"without dockerd: {reason}")
    with tempfile.TemporaryDirectory(prefix="by-", dir=arguments.directory) as name:
        home = Path(name)
        archive = home / "image.tar"
        write_archive(archive, layer_bytes=arguments.mib * MIB, is_compressed=arguments.gzip)
        times = _race(engines, archive, home, arguments.rounds)
        console.print(_race_table(times, arguments.mib, is_compressed=arguments.gzip))
        if arguments.seconds:
            quiet, busy, seen = _company(archive, home, arguments.rate, arguments.seconds)
            console.print(_company_table(quiet, busy, seen, arguments.rate))
    return 0


def _race(engines: dict[str, Start], archive: Path, home: Path, rounds: int) -> dict[str, list[Load]]:
    """Each load, the engines in turn, each time into an empty data root."""
    times: dict[str, list[Load]] = {name: [] for name in engines}
    for number in range(rounds):
        for name, start in engines.items():
            with start(_directory(home, f"{name}{number}")) as engine:
                before_s = _cpu_s(engine)
                seconds = load(engine, archive)
                times[name].append(Load(seconds, _cpu_s(engine) - before_s))
                remove(engine)
    return times


def _directory(home: Path, name: str) -> Path:
    directory = home / name
    directory.mkdir()
    return directory


def _cpu_s(engine: Engine) -> float:
    """Of it and everything it has started: what a busy machine changes least."""
    usage = family_usage(engine.process.pid)
    assert usage is not None, "it runs"
    return usage.cpu_s


def _company(archive: Path, home: Path, rate: int, seconds: int) -> tuple[dict[str, float], dict[str, float], Seen]:
    """What creates cost alone, and while loads go on; and what was seen meanwhile."""
    with boatyard(_directory(home, "company")) as engine:
        load(engine, archive)  # what is needed once, such as the process that starts workers
        remove(engine)
        with watching(engine) as rested:
            quiet = _creates(engine, home, rate, seconds)
        with watching(engine) as seen, _loading(engine, archive):
            busy = _creates(engine, home, rate, seconds)
    return quiet | _pings(rested), busy | _pings(seen), seen


@contextlib.contextmanager
def _loading(engine: Engine, archive: Path) -> Iterator[None]:
    """The image is loaded and removed again and again, in a thread; at the end the last load is waited for."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.is_set():
            load(engine, archive)
            remove(engine)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _creates(engine: Engine, home: Path, rate: int, seconds: int) -> dict[str, float]:
    """Creates a second, and percentiles of their response times in milliseconds."""
    report = home / "creates.json"
    command = [sys.executable, "-m", "loadtest", "run", "-H", engine.host, "--json", str(report)]
    command += ["--rate", f"{rate}/s", "-d", f"{seconds}s", "--warmup", "1s"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(report.read_text())
    response = found["response_time"]
    percentiles = {f"response time {name}, ms": ns / 1e6 for name, ns in response["percentiles_ns"].items() if ns}
    return {"creates a second": found["creates_per_s"], **percentiles, "longest, ms": response["max_ns"] / 1e6}


def _pings(seen: Seen) -> dict[str, float]:
    return {f"ping, {share:.1%} below, ms": seen.ping_s(share) * 1000 for share in (0.5, 0.99, 0.999, 1.0)}


def _race_table(times: dict[str, list[Load]], mib: int, *, is_compressed: bool) -> Table:
    table = Table(title=f"docker load, a layer of {mib} MiB, {'gzip' if is_compressed else 'plain'}")
    for heading in ("engine", "median s", "fastest s", "MiB/s", "CPU s"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for name, found in times.items():
        median, cpu = (statistics.median(values) for values in zip(*map(attrs.astuple, found), strict=True))
        fastest = min(load.seconds for load in found)
        table.add_row(name, f"{median:.2f}", f"{fastest:.2f}", f"{mib / median:.0f}", f"{cpu:.2f}")
    return table


def _company_table(quiet: dict[str, float], busy: dict[str, float], seen: Seen, rate: int) -> Table:
    table = Table(title=f"meanwhile: {rate} creates a second and a ping every 2 ms")
    for heading in ("", "alone", "with loads"):
        table.add_column(heading, justify="left" if not heading else "right")
    for key in quiet:
        table.add_row(key, f"{quiet[key]:.1f}", f"{busy[key]:.1f}")
    table.add_row("daemon's memory grows by, MiB", "", f"{seen.grown_bytes / MIB:.0f}")
    table.add_row("largest process below it, MiB", "", f"{seen.worker_bytes / MIB:.0f}")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench_load", description="Measures how an image is loaded, beside dockerd, and what that does to creates."
    )
    parser.add_argument("--mib", type=int, default=2048, help="size of the layer (default: %(default)s)")
    parser.add_argument("--gzip", action="store_true", help="the layer is compressed")
    parser.add_argument("--rounds", type=int, default=3, help="loads by each engine (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=200, help="creates a second meanwhile (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=int, default=15, help="how long to create, 0 for not at all (default: %(default)s)"
    )
    parser.add_argument("--only-ours", action="store_true", help="without dockerd")
    parser.add_argument("--directory", type=Path, help="where the data roots are made (default: the temporary one)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""A load harness for container creation, on any socket that speaks the Docker Engine API.

It creates containers from many clients at once, checks what became of each, measures how long they took without estimating
anything, and removes what it made. On the command line it is `boatyard-load run`; in a script:

    from loadtest import Scenario, run

    result = run(Scenario(host="unix:///var/run/docker.sock", count=2_000, concurrency=16))
    statistics = result.statistics()
    print(f"{statistics.creates_per_s:,.0f} creates/s, p99 {statistics.response_time.value_ns('p99')} ns")
    for error in result.errors:
        print(error.label, error.count, error.samples[0])

The way through the house: `scenario` (what is to be done) -> `runner` (does it) -> `client` and `response` (sockets and bytes)
-> `outcome` (verdicts) and `statistics` (numbers) -> `report`, `progress` (for people). `target` holds the Docker calls around
a run, `image` the image that containers are made from. It knows nothing of the daemon it measures: it imports neither `daemon`
nor `actors`.
"""

from loadtest.errors import BadScenario, ErrorKind, HarnessError, TargetRefused, TargetUnreachable
from loadtest.image import image_tar, rootfs_tar
from loadtest.outcome import Ack, ErrorGroup
from loadtest.runner import Load, Result, run
from loadtest.scenario import Names, Naming, Scenario
from loadtest.statistics import Distribution, Percentile, Sample, Samples, Statistics
from loadtest.target import Cleanup, clean, listed, load_image
from loadtest.work import Progress

__all__ = [
    "Ack",
    "BadScenario",
    "Cleanup",
    "Distribution",
    "ErrorGroup",
    "ErrorKind",
    "HarnessError",
    "Load",
    "Names",
    "Naming",
    "Percentile",
    "Progress",
    "Result",
    "Sample",
    "Samples",
    "Scenario",
    "Statistics",
    "TargetRefused",
    "TargetUnreachable",
    "clean",
    "image_tar",
    "listed",
    "load_image",
    "rootfs_tar",
    "run",
]

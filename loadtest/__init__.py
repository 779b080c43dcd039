"""A load harness for container creation, on any socket that speaks the Docker Engine API: dockerd, podman, boatyardd.

It creates containers from many clients at once or at a rate, checks what became of each, measures how long they took without
estimating anything, says what it costs itself, and removes what it made. On the command line it is `boatyard-load`; in a script:

    from loadtest import Scenario, run

    result = run(Scenario(host="unix:///var/run/docker.sock", count=2_000, rate_per_s=200, concurrency=64))
    statistics = result.statistics()
    print(f"{statistics.creates_per_s:,.0f} creates/s, p99 {statistics.response_time.value_ns('p99')} ns")
    for error in result.errors:
        print(error.label, error.count, error.samples[0])

The way through the house:

- a run: `scenario` (what is to be done) and `arrivals` (when) -> `runner` -> `work` and `requests` (what to send next) ->
  `client`, `loop`, `system` and `response` (clock, sockets, bytes) -> `outcome` (verdicts), `statistics` and `series` (numbers);
- around it: `target` (Docker's calls), `image` (what containers are made from), `journal` (what to clean up after kill -9);
- the client's own part: `conditions`, `procfs`, `pinning`, `nullserver`, `selftest`; `caveats` says what to make of it;
- several runs: `sweep`, `knee`, `compare` with `significance`; also `slo` and `verify`;
- told: `describing` -> `document` (the published format) -> `report` and `report_many` (terminal), `html`, `plots` and `svg`
  (a page), `export` (other tools); while it goes on, `progress` and `live`;
- the command line: `arguments` -> `commands`, with `stopping` for Ctrl-C and `units` for numbers.

It knows nothing of the daemon it measures: it imports neither `daemon` nor `actors`.
"""

from loadtest.describing import describe_run
from loadtest.errors import BadScenario, ErrorKind, HarnessError, TargetRefused, TargetUnreachable
from loadtest.image import image_tar, rootfs_tar
from loadtest.outcome import Ack, ErrorGroup
from loadtest.runner import Load, Result, run
from loadtest.scenario import Names, Naming, Operation, Scenario
from loadtest.slo import Slo, Verdict
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
    "Operation",
    "Percentile",
    "Progress",
    "Result",
    "Sample",
    "Samples",
    "Scenario",
    "Slo",
    "Statistics",
    "TargetRefused",
    "TargetUnreachable",
    "Verdict",
    "clean",
    "describe_run",
    "image_tar",
    "listed",
    "load_image",
    "rootfs_tar",
    "run",
]

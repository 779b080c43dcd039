from __future__ import annotations

import pytest

from daemon.create.checks.platform import (
    namespace_modes_are_known,
    oom_score_is_in_range,
    runtime_is_known,
    shm_size_is_not_negative,
    tmpfs_destinations_are_absolute,
)
from tests.daemon.create.asking import HOST, Check, Fields, asking

ACCEPTED: list[tuple[Check, Fields]] = [
    *((namespace_modes_are_known, {"ipc_mode": mode}) for mode in ("", "none", "private", "shareable", "host")),
    (namespace_modes_are_known, {"ipc_mode": "container:web"}),
    *((namespace_modes_are_known, {"pid_mode": mode}) for mode in ("", "host", "container:web")),
    *((namespace_modes_are_known, {"uts_mode": mode}) for mode in ("", "host")),
    *((namespace_modes_are_known, {"cgroupns_mode": mode}) for mode in ("", "private", "host")),
    (shm_size_is_not_negative, {"shm_size": 0}),
    (shm_size_is_not_negative, {"shm_size": 1}),
    *((oom_score_is_in_range, {"oom_score_adj": score}) for score in (-1000, 0, 1000)),
    *((runtime_is_known, {"runtime": runtime}) for runtime in ("", "runc")),
    (tmpfs_destinations_are_absolute, {}),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"/tmp": "size=1m", "/run/../var": ""}}),
]

REFUSED: list[tuple[Check, Fields, str]] = [
    *(
        (namespace_modes_are_known, {"ipc_mode": mode}, f"invalid IPC mode: {mode}")
        for mode in ("Host", "container", "container:", "shared")
    ),
    *(
        (namespace_modes_are_known, {"pid_mode": mode}, f"invalid PID mode: {mode}")
        for mode in ("private", "container:", "container")
    ),
    (namespace_modes_are_known, {"uts_mode": "container:web"}, "invalid UTS mode: container:web"),
    (namespace_modes_are_known, {"cgroupns_mode": "shareable"}, "invalid cgroup namespace mode: shareable"),
    (shm_size_is_not_negative, {"shm_size": -1}, "SHM size can not be less than 0"),
    *(
        (
            oom_score_is_in_range,
            {"oom_score_adj": score},
            f"Invalid value {score}, range for oom score adj is [-1000, 1000]",
        )
        for score in (-1001, 1001)
    ),
    (runtime_is_known, {"runtime": "kata"}, "unknown or invalid runtime name: kata"),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"/": ""}}, "invalid specification: destination can't be '/'"),
    (tmpfs_destinations_are_absolute, {"tmpfs": {"/a/..": ""}}, "invalid specification: destination can't be '/'"),
    (
        tmpfs_destinations_are_absolute,
        {"tmpfs": {"/tmp": "", "run": ""}},
        "invalid mount path: 'run' mount path must be absolute",
    ),
]


@pytest.mark.parametrize(("check", "fields"), ACCEPTED)
def test_what_linux_can_do_is_accepted(check: Check, fields: Fields) -> None:
    assert check(asking(**fields), HOST) is None


@pytest.mark.parametrize(("check", "fields", "text"), REFUSED)
def test_what_linux_cannot_do_is_refused(check: Check, fields: Fields, text: str) -> None:
    assert check(asking(**fields), HOST) == text

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from daemon.storage import failpoints
from daemon.storage.failpoints import Plan, failpoint


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def outcomes(plan: Plan, point: str, calls: int) -> list[int]:
    """The error number of each call, 0 for none."""
    return [outcome(plan, point) for _ in range(calls)]


def outcome(plan: Plan, point: str) -> int:
    try:
        plan.reach(point)
    except OSError as error:
        return error.errno or -1
    return 0


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("off", [0, 0, 0]),
        ("error(EIO)", [errno.EIO] * 3),
        ("1*error(EIO)", [errno.EIO, 0, 0]),
        ("0*off->1*error(EIO)", [errno.EIO, 0, 0]),
        ("1*off->error(ENOSPC)", [0, errno.ENOSPC, errno.ENOSPC]),
        ("1*error(EIO)->1*off->1*error(ENOSPC)", [errno.EIO, 0, errno.ENOSPC]),
    ],
)
def test_the_calls_of_a_point_do_what_its_terms_say_in_order(terms: str, expected: list[int]) -> None:
    plan = Plan(f"disk.sync_file={terms}; disk.sync_directory=off")
    assert outcomes(plan, "disk.sync_file", 3) == expected
    assert outcomes(plan, "disk.sync_file_system", 1) == [0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nowhere=kill", "there is no point 'nowhere'"),
        ("disk.sync_file", "'' is none of"),
        ("disk.sync_file=error", "'error' is none of"),
        ("disk.sync_file=error(ENONSENSE)", "none of"),
        ("disk.sync_file=-1*kill", "none of"),
    ],
)
def test_what_cannot_be_planned_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        failpoints.arm(text)


def test_a_point_does_nothing_unless_armed() -> None:
    failpoint("disk.sync_file")
    failpoints.arm("disk.sync_file=error(EIO)")
    with pytest.raises(OSError, match="Input/output error"):
        failpoint("disk.sync_file")
    failpoints.arm("")
    failpoint("disk.sync_file")

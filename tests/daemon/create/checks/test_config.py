from __future__ import annotations

import pytest

from daemon.container import Healthcheck
from daemon.create.checks.config import (
    environment_variables_have_names,
    healthcheck_is_not_too_fast,
    stop_signal_exists,
    working_dir_is_absolute,
)
from tests.daemon.create.asking import HOST, asking


@pytest.mark.parametrize(
    ("working_dir", "text"),
    [
        ("", None),
        ("/", None),
        ("/srv/../app", None),
        ("app", "the working directory 'app' is invalid, it needs to be an absolute path"),
        ("./", "the working directory './' is invalid, it needs to be an absolute path"),
        ("c:\\app", "the working directory 'c:\\app' is invalid, it needs to be an absolute path"),
    ],
)
def test_a_working_directory_is_absolute(working_dir: str, text: str | None) -> None:
    assert working_dir_is_absolute(asking(working_dir=working_dir), HOST) == text


@pytest.mark.parametrize(
    "signal",
    [
        "",
        "SIGTERM",
        "TERM",
        "term",
        "sigQuit",
        "CLD",
        "IOT",
        "STKFLT",
        "SIGWINCH",
        "RTMIN",
        "SIGRTMIN+1",
        "rtmin+15",
        "RTMAX-1",
        "SIGRTMAX-14",
        "RTMAX",
        "1",
        "9",
        "64",
        "+15",
        "65",
        "-1",
        "999999999999999999",
    ],
)
def test_a_stop_signal_is_any_name_with_or_without_sig_or_any_number_but_zero(signal: str) -> None:
    assert stop_signal_exists(asking(stop_signal=signal), HOST) is None


@pytest.mark.parametrize(
    "signal",
    [
        "0",
        "00",
        "-0",
        "SIG",
        "SIGSIGTERM",
        "SIG9",
        "TERMINATE",
        "TERM ",
        "SIG_IGN",
        "SIG_DFL",
        "RTMIN+0",
        "RTMIN+16",
        "RTMAX-15",
        "RTMAX+1",
        "1.0",
        "\u0663",  # a three, in Arabic
        "9" * 10_000,  # more digits than Python converts
    ],
)
def test_what_is_no_signal_is_refused(signal: str) -> None:
    assert stop_signal_exists(asking(stop_signal=signal), HOST) == f"invalid signal: {signal}"


@pytest.mark.parametrize(
    ("env", "text"),
    [
        (None, None),
        ((), None),
        (("PATH=/bin", "EMPTY=", "UNSET", "A=b=c", " =space"), None),
        (("PATH=/bin", ""), "invalid environment variable: "),
        (("=",), "invalid environment variable: ="),
        (("=foo", "="), "invalid environment variable: =foo"),
    ],
)
def test_an_environment_variable_has_a_name_but_needs_no_value(env: tuple[str, ...] | None, text: str | None) -> None:
    assert environment_variables_have_names(asking(env=env), HOST) == text


MS = 1_000_000


@pytest.mark.parametrize(
    ("healthcheck", "text"),
    [
        (None, None),
        (Healthcheck(), None),
        (Healthcheck(interval_ns=MS, timeout_ns=MS, start_period_ns=MS, start_interval_ns=MS, retries=3), None),
        (Healthcheck(interval_ns=MS - 1), "Interval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(interval_ns=-1), "Interval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(timeout_ns=1), "Timeout in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_period_ns=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_interval_ns=-MS), "StartInterval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(timeout_ns=1, retries=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (Healthcheck(retries=-1, start_period_ns=1), "Retries in Healthcheck cannot be negative"),
        (Healthcheck(start_period_ns=1, start_interval_ns=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Healthcheck(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_a_health_check_has_no_duration_under_a_millisecond(healthcheck: Healthcheck | None, text: str | None) -> None:
    assert healthcheck_is_not_too_fast(asking(healthcheck=healthcheck), HOST) == text

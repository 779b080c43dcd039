from __future__ import annotations

import signal

import pytest

from daemon.create.signals import NUMBERS, check_deliverable, is_signal
from daemon.errors import InvalidParameter


@pytest.mark.parametrize(
    "text",
    [
        "KILL",
        "SIGKILL",
        "sigkill",
        "Term",
        "RTMIN",
        "SIGRTMIN+15",
        "rtmax-14",
        "IOT",
        "CLD",
        "1",
        "64",
        "+9",
        "999",
        "-1",
    ],
)
def test_a_signal_has_a_name_or_a_number(text: str) -> None:
    assert is_signal(text)


@pytest.mark.parametrize(
    "text",
    ["0", "", "SIG", "SIGSIGKILL", "KILLS", "RTMIN+0", "RTMIN+16", "RTMAX-15", "RTMAX+1", "1.0", "\u0661", "UNKNOWN"],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_signal(text)
    with pytest.raises(InvalidParameter) as caught:
        check_deliverable(text)
    assert str(caught.value) == f"invalid signal: {text}"


@pytest.mark.parametrize("number", [-1, 32, 33, 65, 999])
def test_a_number_without_a_name_cannot_be_delivered(number: int) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_deliverable(str(number))
    assert str(caught.value) == f"the linux daemon does not support signal {number}"


def test_every_number_that_this_machine_names_can_be_delivered() -> None:
    assert {number.value for number in signal.valid_signals() if isinstance(number, signal.Signals)} <= NUMBERS
    for number in NUMBERS:
        check_deliverable(str(number))

from __future__ import annotations

from random import Random

import pytest

from daemon.registry.challenges import Challenge, parse_challenges

BEARER = {"realm": "https://auth.docker.io/token", "service": "registry.docker.io", "scope": "repository:a/b:pull,push"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [Challenge("basic")]),
        (['Basic realm="a b"'], [Challenge("basic", {"realm": "a b"})]),
        (['BASIC Realm="x"'], [Challenge("basic", {"realm": "x"})]),
        (
            [
                'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'
            ],
            [Challenge("bearer", BEARER)],
        ),
        (["Bearer realm=x , service = y"], [Challenge("bearer", {"realm": "x", "service": "y"})]),
        (
            ['Bearer realm="r", Basic realm="s"'],
            [Challenge("bearer", {"realm": "r"}), Challenge("basic", {"realm": "s"})],
        ),
        (
            ["Bearer realm=r", "Basic realm=s"],
            [Challenge("bearer", {"realm": "r"}), Challenge("basic", {"realm": "s"})],
        ),
        (["Negotiate, Basic realm=s"], [Challenge("negotiate"), Challenge("basic", {"realm": "s"})]),
        (['Basic realm="a\\"b\\\\c"'], [Challenge("basic", {"realm": 'a"b\\c'})]),
        (["Bearer realm=a,realm=b"], [Challenge("bearer", {"realm": "a"})]),
        (['Bearer realm="never closed'], [Challenge("bearer", {"realm": ""})]),
        (["=;="], []),
    ],
)
def test_challenges_are_read_with_their_parameters(headers: list[str], expected: list[Challenge]) -> None:
    assert list(parse_challenges(headers)) == expected


def test_no_header_is_too_strange() -> None:
    seed = 20_260_101
    rng = Random(seed)
    for number in range(500):
        header = "".join(rng.choice('Bearer realm=",\\ \t:/x') for _ in range(rng.randrange(80)))
        assert isinstance(parse_challenges([header]), tuple), (seed, number)
    assert len(parse_challenges(["Basic realm=x, " * 10_000])) < 2000

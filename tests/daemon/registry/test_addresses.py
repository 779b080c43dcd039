from __future__ import annotations

import pytest

from daemon.errors import InvalidParameter
from daemon.registry.addresses import address_of, address_of_login, is_loopback


@pytest.mark.parametrize(
    ("domain", "insecure", "origin"),
    [
        ("docker.io", (), "https://registry-1.docker.io"),
        ("quay.io", (), "https://quay.io"),
        ("quay.io:8443", (), "https://quay.io:8443"),
        ("localhost", (), "http://localhost"),
        ("localhost:5000", (), "http://localhost:5000"),
        ("127.0.0.1:5000", (), "http://127.0.0.1:5000"),
        ("127.9.8.7", (), "http://127.9.8.7"),
        ("[::1]:5000", (), "http://[::1]:5000"),
        ("[2001:db8::1]:5000", (), "https://[2001:db8::1]:5000"),
        ("localhost.example.com", (), "https://localhost.example.com"),
        ("127.0.0.1.example.com", (), "https://127.0.0.1.example.com"),
        ("registry:5000", ("registry:5000",), "http://registry:5000"),
        ("registry:5000", ("registry",), "http://registry:5000"),
        ("registry:5001", ("registry:5000",), "https://registry:5001"),
        ("10.1.2.3:5000", ("10.0.0.0/8",), "http://10.1.2.3:5000"),
        ("11.1.2.3:5000", ("10.0.0.0/8",), "https://11.1.2.3:5000"),
        ("registry", ("10.0.0.0/8",), "https://registry"),
    ],
)
def test_only_this_machine_and_what_the_operator_named_is_spoken_to_without_tls(
    domain: str, insecure: tuple[str, ...], origin: str
) -> None:
    assert address_of(domain, insecure).origin == origin


@pytest.mark.parametrize(
    ("server", "origin"),
    [
        ("", "https://registry-1.docker.io"),
        ("https://index.docker.io/v1/", "https://registry-1.docker.io"),
        ("docker.io", "https://registry-1.docker.io"),
        ("quay.io", "https://quay.io"),
        ("https://quay.io/v2/", "https://quay.io"),
        ("http://quay.io", "https://quay.io"),  # the scheme is not for the client to choose
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_login_is_for_a_host_however_it_is_written(server: str, origin: str) -> None:
    assert address_of_login(server, ()).origin == origin


@pytest.mark.parametrize("server", ["user@host", "a b", "https://", "[", "h\xf6st", "a\nb"])
def test_what_is_no_host_is_refused(server: str) -> None:
    with pytest.raises(InvalidParameter, match="unable to parse server address"):
        address_of_login(server, ())


def test_a_name_that_only_looks_like_this_machine_is_another() -> None:
    assert is_loopback("localhost:1")
    assert not is_loopback("128.0.0.1")

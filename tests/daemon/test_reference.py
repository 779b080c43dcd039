from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import InvalidParameter
from daemon.reference import NAME_LENGTH_MAX, Reference, parse_image_id, parse_reference

HEX64 = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX64}"


@pytest.mark.parametrize(
    ("text", "expected", "familiar"),
    [
        ("busybox", Reference("docker.io", "library/busybox"), "busybox"),
        ("busybox:1.36", Reference("docker.io", "library/busybox", "1.36"), "busybox:1.36"),
        ("library/busybox", Reference("docker.io", "library/busybox"), "busybox"),
        ("docker.io/busybox", Reference("docker.io", "library/busybox"), "busybox"),
        ("index.docker.io/busybox", Reference("docker.io", "library/busybox"), "busybox"),
        ("me/app", Reference("docker.io", "me/app"), "me/app"),
        ("library/a/b", Reference("docker.io", "library/a/b"), "library/a/b"),
        ("quay.io/a/b:1.2", Reference("quay.io", "a/b", "1.2"), "quay.io/a/b:1.2"),
        ("quay.io/busybox", Reference("quay.io", "busybox"), "quay.io/busybox"),
        ("localhost/app", Reference("localhost", "app"), "localhost/app"),
        ("localhost:5000/app", Reference("localhost:5000", "app"), "localhost:5000/app"),
        ("Host/app", Reference("Host", "app"), "Host/app"),
        ("[::1]:5000/app:v1", Reference("[::1]:5000", "app", "v1"), "[::1]:5000/app:v1"),
        ("localhost", Reference("docker.io", "library/localhost"), "localhost"),
        ("busybox:5000", Reference("docker.io", "library/busybox", "5000"), "busybox:5000"),
        (f"busybox@{DIGEST}", Reference("docker.io", "library/busybox", "", DIGEST), f"busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", Reference("docker.io", "library/busybox", "1", DIGEST), f"busybox:1@{DIGEST}"),
        ("a__b-c/d.e--f_g", Reference("docker.io", "a__b-c/d.e--f_g"), "a__b-c/d.e--f_g"),
        ("busybox:_A.b-C", Reference("docker.io", "library/busybox", "_A.b-C"), "busybox:_A.b-C"),
        ("busybox:" + "t" * 128, Reference("docker.io", "library/busybox", "t" * 128), "busybox:" + "t" * 128),
        (f"busybox:{HEX64}", Reference("docker.io", "library/busybox", HEX64), f"busybox:{HEX64}"),
    ],
)
def test_a_reference_has_a_normal_form_and_one_that_people_write(text: str, expected: Reference, familiar: str) -> None:
    reference = parse_reference(text)
    assert reference == expected
    assert reference.familiar == familiar


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "/",
        "busybox:",
        "busybox@",
        "busybox/",
        "/busybox",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a b",
        "busybox\n",
        "busybox: latest",
        "busybox:.1",
        "busybox:-1",
        "busybox:" + "t" * 129,
        f"busybox:{DIGEST}",
        "busybox@sha256:abc",
        f"busybox@{DIGEST}@{DIGEST}",
        f"busybox@{HEX64}",
        "local host:5000/app",
        "-quay.io/app",
        "quay.io:port/app",
        "b\u00fcsybox",
    ],
)
def test_what_does_not_follow_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_reference(text)
    assert str(caught.value) == "invalid reference format"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("quay.io/Foo/bar:1", "invalid reference format: repository name (Foo/bar) must be lowercase"),
        ("me/Foo", "invalid reference format: repository name (me/Foo) must be lowercase"),
        (HEX64, f"invalid repository name ({HEX64}), cannot specify 64-byte hexadecimal strings"),
        ("quay.io/" + "a" * NAME_LENGTH_MAX, "repository name must not be more than 255 characters"),
    ],
)
def test_the_commonest_mistakes_are_named(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_reference(text)
    assert str(caught.value) == complaint


def test_a_name_may_have_255_characters_with_its_domain() -> None:
    path = "a" * (NAME_LENGTH_MAX - len("quay.io/"))
    assert parse_reference(f"quay.io/{path}").path == path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}"),
    ],
)
def test_a_reference_without_tag_and_digest_means_the_latest(text: str, expected: str) -> None:
    assert str(parse_reference(text).tagged()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEX64, DIGEST),
        (DIGEST, DIGEST),
        (HEX64.upper(), None),
        (HEX64[:-1], None),
        (f"{HEX64}0", None),
        (f"sha512:{HEX64}", None),
        ("sha256:", None),
        ("", None),
    ],
)
def test_a_whole_image_id_has_64_digits_with_or_without_the_algorithm(text: str, expected: str | None) -> None:
    assert parse_image_id(text) == expected


domains = st.from_regex(r"\A([a-z0-9]{1,5}\.[a-z]{1,3}|localhost|[a-z]{1,5}:[0-9]{1,5}|[A-Z][a-z0-9]{0,5})\Z")
paths = st.from_regex(r"\A[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,5}){0,2}\Z")
tags = st.just("") | st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}\Z")
digests = st.just("") | st.just(DIGEST)
references = st.builds(Reference, domains | st.just("docker.io"), paths, tags, digests).filter(
    lambda reference: reference.domain != "docker.io" or "/" in reference.path
)


@given(references)
@settings(derandomize=True)
def test_what_is_written_in_full_is_read_back(reference: Reference) -> None:
    assert parse_reference(str(reference)) == reference


@given(references)
@settings(derandomize=True)
def test_what_people_write_is_read_back(reference: Reference) -> None:
    first = reference.path.partition("/")[0]
    if reference.domain == "docker.io" and ("." in first or first == "localhost"):
        return  # read as the host that it looks like, as in Docker
    assert parse_reference(reference.familiar) == reference


@given(st.text("aA0./:@-_[ ]", max_size=20) | st.text(max_size=20))
@settings(derandomize=True)
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidParameter:
        return
    assert parse_reference(str(reference)) == reference

"""An image's configuration: Docker's and OCI's fields become the daemon's, and wrong ones are refused."""

from __future__ import annotations

import json

import pytest

from daemon.container import ContainerConfig, Healthcheck
from daemon.errors import InvalidParameter
from daemon.image import History
from daemon.storage.image_config import ImageConfig, decode_config, encode_config
from daemon.storage.oci import digest_of

A = digest_of(b"a")
ROOTFS = {"type": "layers", "diff_ids": [A]}

FULL = ImageConfig(
    created="2024-01-02T03:04:05.123456789Z",
    architecture="arm64",
    os="linux",
    variant="v8",
    author="somebody",
    comment="why",
    config=ContainerConfig(
        user="1000:1000",
        exposed_ports=("443/tcp", "80/tcp"),
        env=("A=1", "B"),
        entrypoint=("/bin/e",),
        cmd=("c", "d"),
        healthcheck=Healthcheck(
            test=("CMD", "true"), interval_ns=1, timeout_ns=2, start_period_ns=3, start_interval_ns=4, retries=5
        ),
        args_escaped=True,
        volumes=("/a", "/b"),
        working_dir="/w",
        labels={"k": "v"},
        stop_signal="SIGINT",
        stop_timeout=7,
        on_build=("RUN x",),
        shell=("/bin/sh", "-c"),
    ),
    diff_ids=(A,),
    history=(
        History(created="0001-01-01T00:00:00Z", created_by="RUN printf '\\\\u0000'", author="a", comment="c"),
        History(is_empty_layer=True),
    ),
)


def test_a_full_configuration_survives_the_way_out_and_back() -> None:
    assert decode_config(encode_config(FULL)) == FULL


def test_the_encoding_is_the_same_every_time() -> None:
    assert encode_config(FULL) == encode_config(decode_config(encode_config(FULL)))


@pytest.mark.parametrize("config", [{}, {"config": None}, {"config": {}, "history": None, "created": None}])
def test_what_is_absent_or_null_is_the_default(config: dict[str, object]) -> None:
    decoded = decode_config(json.dumps({"rootfs": ROOTFS, "os": "linux", "architecture": "amd64", **config}).encode())
    assert decoded == ImageConfig(os="linux", architecture="amd64", config=ContainerConfig(), diff_ids=(A,))


def test_absent_and_empty_lists_stay_different() -> None:
    config: dict[str, object] = {"Entrypoint": [], "Cmd": None, "Env": [], "Volumes": {}, "Labels": {}}
    decoded = decode_config(json.dumps({"rootfs": ROOTFS, "config": config}).encode()).config
    assert (decoded.entrypoint, decoded.cmd, decoded.env, decoded.volumes, decoded.labels) == ((), None, (), (), {})


def test_a_bare_string_is_a_list_of_one_as_in_old_images() -> None:
    decoded = decode_config(json.dumps({"rootfs": ROOTFS, "config": {"Cmd": "sh", "Entrypoint": ["e"]}}).encode())
    assert (decoded.config.cmd, decoded.config.entrypoint) == (("sh",), ("e",))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rootfs": None}, "invalid image configuration"),
        ({"rootfs": {"diff_ids": ["sha256:../../x"]}}, "invalid digest"),
        ({"rootfs": {"diff_ids": [A] * 128}}, "128 layers, more than 127"),
        ({"config": {"Env": "A=1"}}, "invalid image configuration"),
        ({"config": {"Env": [1]}}, "invalid image configuration"),
        ({"config": {"Env": ["A=\0"]}}, "NUL"),
        ({"config": {"Labels": {"a\0": "b"}}}, "NUL"),
        ({"config": {"Volumes": {"/a\0": {}}}}, "NUL"),
        ({"config": {"Labels": {"a": 1}}}, "invalid image configuration"),
        ({"config": {"StopTimeout": 2**63}}, "invalid image configuration"),
        ({"config": {"Healthcheck": {"Interval": "1s"}}}, "invalid image configuration"),
        ({"config": []}, "invalid image configuration"),
        ({"created": "yesterday"}, "RFC 3339"),
        ({"created": "2024-01-02T03:04:05Z\n"}, "RFC 3339"),
        ({"history": [{"created": "x"}]}, "RFC 3339"),
        ({"os": 1}, "invalid image configuration"),
    ],
)
def test_a_bad_configuration_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        decode_config(json.dumps({"rootfs": ROOTFS, **change}).encode())
    assert text in str(refused.value)

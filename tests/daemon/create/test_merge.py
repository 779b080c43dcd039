from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from daemon.container import ContainerConfig, Healthcheck, LogConfig
from daemon.create.merge import merge_config, merge_log_config, path_and_args
from daemon.errors import InvalidParameter

Strings = tuple[str, ...] | None
RUN = ContainerConfig(cmd=("run",))

# entrypoint and command of the user, of the image, and of both together
COMMANDS: list[tuple[tuple[Strings, Strings], tuple[Strings, Strings], tuple[Strings, Strings] | None]] = [
    ((None, None), (("/i",), ("ic",)), (("/i",), ("ic",))),
    ((None, None), (None, ("ic",)), (None, ("ic",))),
    ((None, None), (("/i",), None), (("/i",), None)),
    ((None, ()), (("/i",), ("ic",)), (("/i",), ("ic",))),
    ((None, ("uc",)), (("/i",), ("ic",)), (("/i",), ("uc",))),
    ((None, ("uc",)), (None, None), (None, ("uc",))),
    # a user's entrypoint suppresses the image's command
    ((("/u",), None), (("/i",), ("ic",)), (("/u",), None)),
    ((("/u",), ("uc",)), (("/i",), ("ic",)), (("/u",), ("uc",))),
    # [] clears the image's entrypoint, but not its command
    (((), None), (("/i",), ("ic",)), ((), ("ic",))),
    (((), ("uc",)), (("/i",), ("ic",)), ((), ("uc",))),
    # [""] clears the image's entrypoint and, being one, its command
    ((("",), ("uc",)), (("/i",), ("ic",)), (None, ("uc",))),
    ((("",), None), (("/i",), ("ic",)), None),
    (((), None), (("/i",), None), None),
    (((), ()), (("/i",), ()), None),
    ((None, None), (None, None), None),
    ((None, None), (("",), None), None),
    ((None, None), (("",), ("ic",)), (None, ("ic",))),
    ((("", "x"), None), (None, None), (("", "x"), None)),
]


@pytest.mark.parametrize(("user", "image", "merged"), COMMANDS)
def test_entrypoint_and_command_are_merged_as_a_pair(
    user: tuple[Strings, Strings], image: tuple[Strings, Strings], merged: tuple[Strings, Strings] | None
) -> None:
    of_user = ContainerConfig(entrypoint=user[0], cmd=user[1])
    of_image = ContainerConfig(entrypoint=image[0], cmd=image[1])
    if merged is None:
        with pytest.raises(InvalidParameter, match=r"^no command specified$"):
            merge_config(of_user, of_image)
    else:
        config = merge_config(of_user, of_image)
        assert (config.entrypoint, config.cmd) == merged


@pytest.mark.parametrize(
    ("entrypoint", "cmd"), [(None, None), ((), ()), (("",), None), (("",), ())], ids=lambda value: str(value)
)
def test_without_an_image_there_must_be_something_to_run(entrypoint: Strings, cmd: Strings) -> None:
    with pytest.raises(InvalidParameter, match=r"^no command specified$"):
        merge_config(ContainerConfig(entrypoint=entrypoint, cmd=cmd), None)


def test_a_container_from_an_empty_layer_keeps_what_the_user_says() -> None:
    user = ContainerConfig(cmd=("/app",), env=("A=1",), entrypoint=("",))
    assert merge_config(user, None) == replace(user, entrypoint=None)
    labelled = ContainerConfig(cmd=("/app",), labels={"a": "b"})
    assert merge_config(labelled, None) == labelled


@pytest.mark.parametrize(
    ("field", "user", "image", "merged"),
    [
        ("user", "", "root", "root"),
        ("user", "app", "root", "app"),
        ("working_dir", "", "/srv", "/srv"),
        ("working_dir", "/app", "/srv", "/app"),
        ("stop_signal", "", "SIGQUIT", "SIGQUIT"),
        ("stop_signal", "SIGINT", "SIGQUIT", "SIGINT"),
        ("exposed_ports", None, None, None),
        ("exposed_ports", None, ("80/tcp",), ("80/tcp",)),
        ("exposed_ports", ("90/tcp",), None, ("90/tcp",)),
        ("exposed_ports", ("90/tcp", "80/tcp"), ("80/tcp", "70/udp"), ("70/udp", "80/tcp", "90/tcp")),
        ("volumes", None, ("/data",), ("/data",)),
        ("volumes", (), ("/data",), ("/data",)),
        ("volumes", (), None, None),
        ("volumes", ("/cache",), None, ("/cache",)),
        ("volumes", ("/cache",), ("/data",), ("/cache", "/data")),
        ("env", None, None, None),
        ("env", None, ("A=1",), ("A=1",)),
        ("env", (), ("A=1",), ("A=1",)),
        ("env", ("B=2",), None, ("B=2",)),
        ("env", ("B=2", "A=9"), ("A=1", "C=3"), ("B=2", "A=9", "C=3")),
        ("env", ("A",), ("A=1",), ("A",)),
        ("env", ("A=",), ("A=1", "AB=1"), ("A=", "AB=1")),
        ("env", ("A=1=2",), ("A=3",), ("A=1=2",)),
        ("env", ("a=1",), ("A=3",), ("a=1", "A=3")),
        ("labels", None, None, {}),
        ("labels", None, {"a": "i"}, {"a": "i"}),
        ("labels", {"a": "u"}, {"a": "i", "b": "i"}, {"a": "u", "b": "i"}),
        ("labels", {"a": ""}, {"a": "i"}, {"a": ""}),
    ],
)
def test_the_image_fills_in_where_the_user_says_nothing(field: str, user: Any, image: Any, merged: Any) -> None:
    # With something in it: an image that says nothing is not merged at all.
    given = ContainerConfig(**{"domainname": "of.the.image", field: image})
    config = merge_config(replace(RUN, **{field: user}), given)
    assert getattr(config, field) == merged


def test_an_image_that_says_nothing_changes_nothing() -> None:
    assert merge_config(replace(RUN, volumes=()), ContainerConfig()) == replace(RUN, volumes=())


IMAGE_CHECK = Healthcheck(
    test=("CMD", "image"), interval_ns=1, timeout_ns=2, start_period_ns=3, start_interval_ns=4, retries=5
)


@pytest.mark.parametrize(
    ("user", "image", "merged"),
    [
        (None, None, None),
        (None, IMAGE_CHECK, IMAGE_CHECK),
        (IMAGE_CHECK, None, IMAGE_CHECK),
        (Healthcheck(), IMAGE_CHECK, IMAGE_CHECK),
        (Healthcheck(test=()), IMAGE_CHECK, IMAGE_CHECK),
        *(
            (Healthcheck(**_set), IMAGE_CHECK, replace(IMAGE_CHECK, **_set))
            for _set in (
                {"test": ("NONE",)},
                {"interval_ns": 9},
                {"timeout_ns": 9},
                {"start_period_ns": 9},
                {"start_interval_ns": 9},
                {"retries": 9},
            )
        ),
    ],
)
def test_a_health_check_is_filled_in_field_by_field(
    user: Healthcheck | None, image: Healthcheck | None, merged: Healthcheck | None
) -> None:
    config = merge_config(replace(RUN, healthcheck=user), ContainerConfig(healthcheck=image))
    assert config.healthcheck == merged


def test_what_is_not_merged_stays_the_users() -> None:
    image = ContainerConfig(
        hostname="image",
        domainname="image",
        tty=True,
        open_stdin=True,
        stop_timeout=9,
        shell=("/bin/bash",),
        on_build=("RUN x",),
        image="other",
        mac_address="02:42:ac:11:00:02",
        network_disabled=True,
    )
    assert merge_config(RUN, image) == replace(RUN, labels={})


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "path", "args"),
    [
        (None, ("sh",), "sh", ()),
        (None, ("sh", "-c", "true"), "sh", ("-c", "true")),
        ((), ("sh",), "sh", ()),
        (("/init",), None, "/init", ()),
        (("/init", "-v"), ("sh", "-c"), "/init", ("-v", "sh", "-c")),
    ],
)
def test_the_entrypoint_is_run_with_the_command_as_arguments(
    entrypoint: Strings, cmd: Strings, path: str, args: tuple[str, ...]
) -> None:
    assert path_and_args(ContainerConfig(entrypoint=entrypoint, cmd=cmd)) == (path, args)


@pytest.mark.parametrize(
    ("user", "merged"),
    [
        (LogConfig(), LogConfig(type="json-file", config={})),
        (LogConfig(config={"max-size": "1m"}), LogConfig(type="json-file", config={"max-size": "1m"})),
        (LogConfig(type="local"), LogConfig(type="local", config={})),
        (LogConfig(type="none", config={"what": "ever"}), LogConfig(type="none", config={"what": "ever"})),
        *(
            (LogConfig(config={"mode": mode}), LogConfig(type="json-file", config={"mode": mode}))
            for mode in ("", "blocking")
        ),
        (
            LogConfig(type="local", config={"mode": "non-blocking", "max-buffer-size": "4m"}),
            LogConfig(type="local", config={"mode": "non-blocking", "max-buffer-size": "4m"}),
        ),
    ],
)
def test_the_log_driver_is_the_daemons_where_none_is_named(user: LogConfig, merged: LogConfig) -> None:
    assert merge_log_config(user, "json-file") == merged


def test_the_daemons_log_driver_may_be_another() -> None:
    assert merge_log_config(LogConfig(), "local") == LogConfig(type="local", config={})


def test_a_log_driver_is_refused_with_what_is_wrong_with_it() -> None:
    with pytest.raises(InvalidParameter, match=r"^unknown log opt 'max-sise' for json-file log driver$"):
        merge_log_config(LogConfig(config={"max-sise": "4m"}), "json-file")

"""What each instruction of `--change` does to a configuration: the rows are moby v28's dispatchers."""

from __future__ import annotations

import pytest

from daemon.container import ContainerConfig, Healthcheck
from daemon.create.image_config_changes import PORTS_MAX, changed
from daemon.errors import InvalidParameter

BEFORE = ContainerConfig(
    env=("HOME=/root", "PATH=/bin"), cmd=("old",), working_dir="/srv", labels={"old": "1"}, exposed_ports=("1/tcp",)
)


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ('CMD ["a", "b"]', "cmd", ("a", "b")),
        ("CMD a $HOME", "cmd", ("/bin/sh", "-c", "a $HOME")),
        ("CMD []", "cmd", ()),
        ("CMD", "cmd", ("/bin/sh", "-c")),
        ('ENTRYPOINT ["e"]', "entrypoint", ("e",)),
        ("ENTRYPOINT e", "entrypoint", ("/bin/sh", "-c", "e")),
        ("ENTRYPOINT []", "entrypoint", None),
        ("ENTRYPOINT e", "cmd", None),
        ("ENV A=$HOME/x", "env", ("HOME=/root", "PATH=/bin", "A=/root/x")),
        ("ENV HOME=/home PATH=$PATH:$HOME", "env", ("HOME=/home", "PATH=/bin:/root")),
        ("ENV A=1 A=2", "env", ("HOME=/root", "PATH=/bin", "A=2")),
        ("ENV A one  two", "env", ("HOME=/root", "PATH=/bin", "A=one  two")),
        ("LABEL a='b c' $HOME=d", "labels", {"old": "1", "a": "b c", "/root": "d"}),
        ("EXPOSE 80 53/UDP 90-92", "exposed_ports", ("1/tcp", "53/udp", "80/tcp", "90/tcp", "91/tcp", "92/tcp")),
        ("EXPOSE 8080:80", "exposed_ports", ("1/tcp", "80/tcp")),
        ("EXPOSE 127.0.0.1::80/", "exposed_ports", ("1/tcp", "80/tcp")),
        ("EXPOSE [::1]:8000-8010:80", "exposed_ports", ("1/tcp", "80/tcp")),
        ("HEALTHCHECK NONE", "healthcheck", Healthcheck(test=("NONE",))),
        ("HEALTHCHECK cmd curl x", "healthcheck", Healthcheck(test=("CMD-SHELL", "curl x"))),
        (
            'HEALTHCHECK --interval=5s --timeout=1ms --start-period=1m --start-interval=0s --retries=3 CMD ["x"]',
            "healthcheck",
            Healthcheck(
                test=("CMD", "x"), interval_ns=5 * 10**9, timeout_ns=10**6, start_period_ns=60 * 10**9, retries=3
            ),
        ),
        ("ONBUILD RUN $HOME/x", "on_build", ("RUN $HOME/x",)),
        ("STOPSIGNAL INT", "stop_signal", "INT"),
        ("USER $HOME:x", "user", "/root:x"),
        ("VOLUME $HOME /b", "volumes", ("/b", "/root")),
        ('VOLUME [" /a "]', "volumes", ("/a",)),
        ("WORKDIR sub/../x", "working_dir", "/srv/x"),
        ("WORKDIR //abs/", "working_dir", "/abs"),
        ("WORKDIR ../../..", "working_dir", "/"),
    ],
)
def test_a_change_sets_its_field(change: str, field: str, value: object) -> None:
    assert getattr(changed(BEFORE, (change,)), field) == value


def test_no_change_is_no_other_configuration() -> None:
    assert changed(BEFORE, ()) is BEFORE


def test_a_command_that_the_changes_set_stays_when_they_set_an_entrypoint() -> None:
    after = changed(BEFORE, ('CMD ["c"]', 'ENTRYPOINT ["e"]'))
    assert (after.entrypoint, after.cmd) == (("e",), ("c",))
    assert changed(BEFORE, ("CMD []", 'ENTRYPOINT ["e"]')).cmd is None


def test_variables_mean_what_the_changes_before_have_made_of_them() -> None:
    after = changed(BEFORE, ("ENV A=1", "ENV B=${A}2\nUSER $B"))
    assert (after.env, after.user) == (("HOME=/root", "PATH=/bin", "A=1", "B=12"), "12")


def test_the_images_own_shell_runs_a_command_line() -> None:
    after = changed(ContainerConfig(shell=("/bin/bash", "-l")), ("CMD x",))
    assert after.cmd == ("/bin/bash", "-l", "x")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("ENV", "ENV requires at least one argument"),
        ("ENV =x", "ENV names can not be blank"),
        ("LABEL", "LABEL requires at least one argument"),
        ("CMD --x y", "unknown flag: --x"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 90-80", "invalid containerPort: 90-80"),
        ("EXPOSE 65536", "invalid containerPort: 65536"),
        ("EXPOSE x:80", "invalid hostPort: x"),
        ("EXPOSE 1-2:80-82", "invalid ranges specified for container and host Ports: 80-82 and 1-2"),
        ("EXPOSE a.b:1:80", "invalid IP address: a.b"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("EXPOSE 80:", "no port specified: 80:<empty>"),
        ("EXPOSE 'x", 'failed to process "\'x": unexpected end of statement while looking for matching single-quote'),
        (f"EXPOSE {'1-65535 ' * 4}", f"EXPOSE of more than {PORTS_MAX} ports"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK TCP x", 'Unknown type "TCP" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK --intervall=1s CMD x", "unknown flag: --intervall (did you mean interval?)"),
        ("HEALTHCHECK --interval=1 CMD x", 'time: missing unit in duration "1"'),
        ("HEALTHCHECK --timeout=5us CMD x", 'Interval "timeout" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("HEALTHCHECK --retries=99999999999 CMD x", 'strconv.ParseInt: parsing "99999999999": value out of range'),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ("USER", "USER requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("VOLUME $NOTHING", "VOLUME specified can not be an empty string"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("WORKDIR $NOTHING", "cannot normalize nothing"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_in_mobys_words(change: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        changed(BEFORE, (change,))
    assert str(caught.value) == complaint


def test_all_are_parsed_before_the_first_is_done() -> None:
    with pytest.raises(InvalidParameter, match="USER requires exactly one argument"):
        changed(BEFORE, ("STOPSIGNAL FOO", "USER"))

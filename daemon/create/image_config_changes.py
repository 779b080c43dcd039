"""What `docker commit --change` and `docker import --change` make of an image's configuration. Pure.

Rules and texts: moby v28 builder/dockerfile/builder.go BuildFromConfig and dispatchers.go, moby/buildkit
frontend/dockerfile/instructions/parse.go, go-connections nat.ParsePortSpecs.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from daemon.container import ContainerConfig, Healthcheck
from daemon.create.dockerfile import Instruction, parse_changes
from daemon.create.dockerfile_words import expand, expand_words
from daemon.create.durations import parse_duration
from daemon.create.signals import is_signal
from daemon.errors import InvalidParameter, quoted

PORTS_MAX = 3 * 65_536
"""That one EXPOSE may name, those that it names twice counted twice: all there are, of each protocol."""

_SHELL = ("/bin/sh", "-c")
_PROTOCOLS = ("tcp", "udp", "sctp")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_PORT_MAX = 65_535
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INTERVALS = ("interval", "timeout", "start-period", "start-interval")
_INTERVAL_NS_MIN = 1_000_000

Expand = Callable[[str], str]


def changed(config: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """The configuration after these instructions. Raises InvalidParameter.

    May take a while for a stranger's text: not for the event loop.
    """
    if not changes:
        return config
    instructions = parse_changes(changes)
    steps = [_PARSERS[each.name](each) for each in instructions]
    is_cmd_set = False
    for each, step in zip(instructions, steps, strict=True):
        config = step(config)
        is_cmd_set = is_cmd_set or (each.name == "cmd" and bool(each.arguments))
        if each.name == "entrypoint" and not is_cmd_set:
            config = replace(config, cmd=None)
    return config


Step = Callable[[ContainerConfig], ContainerConfig]
"""What an instruction does. All are parsed before the first is done."""


def _cmd(each: Instruction) -> Step:
    each.refuse_flags()
    return lambda config: replace(config, cmd=_command_line(each, config), args_escaped=False)


def _entrypoint(each: Instruction) -> Step:
    each.refuse_flags()

    def step(config: ContainerConfig) -> ContainerConfig:
        entrypoint = _command_line(each, config) if each.arguments else None
        return replace(config, entrypoint=entrypoint, args_escaped=False)

    return step


def _command_line(each: Instruction, config: ContainerConfig) -> tuple[str, ...]:
    return each.arguments if each.is_json else (*(config.shell or _SHELL), *each.arguments)


def _env(each: Instruction) -> Step:
    pairs = _pairs(each)

    def step(config: ContainerConfig) -> ContainerConfig:
        env, word = list(config.env or ()), _expander(config)
        places = {entry.partition("=")[0]: number for number, entry in reversed([*enumerate(env)])}
        for name, value in [(word(name), word(value)) for name, value in pairs]:
            place = places.setdefault(name, len(env))
            env[place : place + 1] = [f"{name}={value}"]
        return replace(config, env=tuple(env))

    return step


def _label(each: Instruction) -> Step:
    pairs = _pairs(each)

    def step(config: ContainerConfig) -> ContainerConfig:
        word = _expander(config)
        labels = {word(name): word(value) for name, value in pairs}
        return replace(config, labels={**(config.labels or {}), **labels})

    return step


def _pairs(each: Instruction) -> list[tuple[str, str]]:
    each.refuse_flags()
    if not each.arguments:
        raise _too_few(each)
    pairs = list(zip(each.arguments[::2], each.arguments[1::2], strict=True))
    if not all(name for name, _ in pairs):
        raise InvalidParameter(f"{each.name.upper()} names can not be blank")
    return pairs


def _expose(each: Instruction) -> Step:
    if not each.arguments:
        raise _too_few(each)
    each.refuse_flags()

    def step(config: ContainerConfig) -> ContainerConfig:
        env = _environment(config)
        specs = [spec for argument in sorted(each.arguments) for spec in expand_words(argument, env)]
        return replace(config, exposed_ports=tuple(sorted({*(config.exposed_ports or ()), *_ports(specs)})))

    return step


def _ports(specs: Sequence[str]) -> set[str]:
    ports, count = set[str](), 0
    for spec in specs:
        first, last, protocol = _parse_port(spec)
        count += last - first + 1
        if count > PORTS_MAX:
            raise InvalidParameter(f"EXPOSE of more than {PORTS_MAX} ports")
        ports.update(f"{port}/{protocol}" for port in range(first, last + 1))
    return ports


def _parse_port(spec: str) -> tuple[int, int, str]:
    """`[[ip:]host:]port[-port][/protocol]`: the ports of the container, and the protocol."""
    *host, container = spec.rsplit(":", 2)
    _check_host_address(host[0] if len(host) == 2 else "")
    port, _, protocol = container.partition("/")
    protocol = protocol.partition("/")[0] or "tcp"
    if not port:
        raise InvalidParameter(f"no port specified: {spec}<empty>")
    first, last = _port_range(port, f"invalid containerPort: {port}")
    if host and host[-1]:
        host_first, host_last = _port_range(host[-1], f"invalid hostPort: {host[-1]}")
        if first != last and last - first != host_last - host_first:
            text = f"invalid ranges specified for container and host Ports: {port} and {host[-1]}"
            raise InvalidParameter(text)
    if protocol.lower() not in _PROTOCOLS:
        raise InvalidParameter(f"invalid proto: {protocol}")
    return first, last, protocol.lower()


def _check_host_address(address: str) -> None:
    plain = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        if plain:
            ipaddress.ip_address(plain)
    except ValueError:
        raise InvalidParameter(f"invalid IP address: {plain}") from None


def _port_range(text: str, complaint: str) -> tuple[int, int]:
    bounds = text.split("-")[:2]
    if not all(_PORT.fullmatch(bound) and int(bound) <= _PORT_MAX for bound in bounds):
        raise InvalidParameter(complaint)
    first, last = int(bounds[0]), int(bounds[-1])
    if last < first:
        raise InvalidParameter(complaint)
    return first, last


def _healthcheck(each: Instruction) -> Step:
    if not each.arguments:
        raise _too_few(each)
    kind, *command = each.arguments
    if kind.upper() == "NONE":
        if command:
            raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
        return lambda config: replace(config, healthcheck=Healthcheck(test=("NONE",)))
    flags = each.parse_flags((*_INTERVALS, "retries"))
    if kind.upper() != "CMD":
        raise InvalidParameter(f"Unknown type {quoted(kind.upper())} in HEALTHCHECK (try CMD)")
    if not command:
        raise InvalidParameter("Missing command after HEALTHCHECK CMD")
    interval, timeout, start_period, start_interval = (_interval(name, flags) for name in _INTERVALS)
    check = Healthcheck(
        test=("CMD" if each.is_json else "CMD-SHELL", *command),
        interval_ns=interval,
        timeout_ns=timeout,
        start_period_ns=start_period,
        start_interval_ns=start_interval,
        retries=_retries(flags.get("retries", "")),
    )
    return lambda config: replace(config, healthcheck=check)


def _interval(name: str, flags: Mapping[str, str]) -> int:
    text = flags.get(name, "")
    duration_ns = parse_duration(text) if text else 0
    if duration_ns and duration_ns < _INTERVAL_NS_MIN:
        raise InvalidParameter(f"Interval {quoted(name)} cannot be less than 1ms")
    return duration_ns


def _retries(text: str) -> int:
    if not text:
        return 0
    if not _INTEGER.fullmatch(text):
        raise InvalidParameter(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    # No longer than Python converts without complaint.
    if len(text) > 20 or not -(2**31) <= int(text) < 2**31:
        raise InvalidParameter(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    if int(text) < 0:
        raise InvalidParameter(f"--retries cannot be negative ({int(text)})")
    return int(text)


def _onbuild(each: Instruction) -> Step:
    if not each.arguments:
        raise _too_few(each)
    each.refuse_flags()
    trigger = each.arguments[0].upper()
    if trigger == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
    expression = re.sub(r"^\s*ONBUILD\s*", "", each.source, flags=re.IGNORECASE)
    return lambda config: replace(config, on_build=(*(config.on_build or ()), expression))


def _stopsignal(each: Instruction) -> Step:
    text = _only(each)

    def step(config: ContainerConfig) -> ContainerConfig:
        signal = expand(text, _environment(config))
        if not is_signal(signal):
            raise InvalidParameter(f"invalid signal: {signal}")
        return replace(config, stop_signal=signal)

    return step


def _user(each: Instruction) -> Step:
    text = _only(each)
    each.refuse_flags()
    return lambda config: replace(config, user=expand(text, _environment(config)))


def _volume(each: Instruction) -> Step:
    if not each.arguments:
        raise _too_few(each)
    each.refuse_flags()
    texts = [text.strip() for text in each.arguments]
    if not all(texts):
        raise _empty_volume()

    def step(config: ContainerConfig) -> ContainerConfig:
        volumes = [expand(text, _environment(config)) for text in texts]
        if not all(volumes):
            raise _empty_volume()
        return replace(config, volumes=tuple(sorted({*(config.volumes or ()), *volumes})))

    return step


def _workdir(each: Instruction) -> Step:
    text = _only(each)
    each.refuse_flags()

    def step(config: ContainerConfig) -> ContainerConfig:
        path = expand(text, _environment(config))
        if not path:
            raise InvalidParameter("cannot normalize nothing")
        joined = posixpath.normpath(posixpath.join("/", config.working_dir, path))
        return replace(config, working_dir=f"/{joined.lstrip('/')}")

    return step


_PARSERS: Mapping[str, Callable[[Instruction], Step]] = {
    "cmd": _cmd,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _healthcheck,
    "label": _label,
    "onbuild": _onbuild,
    "stopsignal": _stopsignal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}


def _only(each: Instruction) -> str:
    if len(each.arguments) != 1:
        raise InvalidParameter(f"{each.name.upper()} requires exactly one argument")
    return each.arguments[0]


def _too_few(each: Instruction) -> InvalidParameter:
    return InvalidParameter(f"{each.name.upper()} requires at least one argument")


def _empty_volume() -> InvalidParameter:
    return InvalidParameter("VOLUME specified can not be an empty string")


def _expander(config: ContainerConfig) -> Expand:
    env = _environment(config)
    return lambda text: expand(text, env)


def _environment(config: ContainerConfig) -> dict[str, str]:
    """What variables mean: the last of each name."""
    return {name: value for name, _, value in (entry.partition("=") for entry in config.env or ())}

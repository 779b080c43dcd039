"""The log drivers and what each may be told. Pure; nothing is logged before a container runs.

Options, checks and texts: moby v28 daemon/logger/factory.go ValidateLogOpts and the driver packages beside it. `none` takes
whatever it is given and ignores it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urlsplit

import attrs

from daemon.create.durations import parse_duration
from daemon.errors import InvalidParameter, quoted

Options = Mapping[str, str]

MODES = ("", "blocking", "non-blocking")

_FILES = "max-file max-size compress"
_EXTRAS = "labels labels-regex env env-regex"
_BUILT_IN = frozenset(
    {"mode", "max-buffer-size", "cache-disabled", "cache-max-file", "cache-max-size", "cache-compress"}
)
"""Options of every driver."""

TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@attrs.frozen
class LogDriver:
    options: frozenset[str]
    unknown: str
    """What is said of an option that is none of these; `{}` is its name, `{q}` that in double quotes."""
    complain: Callable[[Options], str | None] = lambda _: None
    """What is wrong with the values."""
    complain_first: Callable[[Options], str | None] = lambda _: None
    """What is wrong before the names are looked at."""


def log_complaint(driver: str, options: Options) -> str | None:
    """What is wrong with a driver or its options, in Docker's order."""
    if driver == "none":
        return None
    complaint = _complaint_of_all(options)
    if complaint is not None:
        return complaint
    if driver not in LOG_DRIVERS:  # Docker then looks for a plugin of that name; here there are none
        return f"error looking up logging plugin {driver}: plugin {quoted(driver)} not found"
    known = LOG_DRIVERS[driver]
    own = {name: value for name, value in options.items() if name not in _BUILT_IN}
    if (complaint := known.complain_first(own)) is not None:
        return complaint
    for name in own:
        if name not in known.options:
            return known.unknown.replace("{q}", quoted(name)).replace("{}", name)
    return known.complain(own)


def _complaint_of_all(options: Options) -> str | None:
    mode = options.get("mode", "")
    if mode not in MODES:
        return f"logger: logging mode not supported: {mode}"
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            return "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        if (complaint := size_complaint(options["max-buffer-size"])) is not None:
            return f"error parsing option max-buffer-size: {complaint}"
    disabled = options.get("cache-disabled", "")
    if disabled and disabled not in (*TRUE, *FALSE):
        return f"invalid value for option cache-disabled: {disabled}"
    return None


def size_complaint(text: str) -> str | None:
    """What is wrong with `10m` (go-units RAMInBytes)."""
    match = re.fullmatch(r"(.*[0-9. ])([^0-9. ]*)", text, re.ASCII | re.DOTALL)
    if match is None:
        return f"invalid size: '{text}'"
    number, suffix = match[1].removesuffix(" "), match[2]
    if not re.fullmatch(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", number, re.ASCII):
        return f"strconv.ParseFloat: parsing {quoted(number)}: invalid syntax"
    if number.startswith("-") and float(number) < 0:
        return f"invalid size: '{text}'"
    lowered = suffix.lower() if len(suffix) <= len("kib") else suffix
    return None if re.fullmatch(r"|b|[kmgtp](?:b|ib)?", lowered) else f"invalid suffix: '{lowered}'"


# The drivers' own checks -------------------------------------------------------------------------------------------------


def _syslog(options: Options) -> str | None:
    address, facility = options.get("syslog-address", ""), options.get("syslog-facility", "")
    if address:
        scheme = _url(address).scheme
        if scheme not in ("udp", "tcp", "tcp+tls", "unix", "unixgram"):
            return f"unsupported scheme: '{scheme}'"
    is_number = _INTEGER.fullmatch(facility) and 0 <= int(facility) <= 23
    if facility and facility not in _FACILITIES and not is_number:
        return "invalid syslog facility"
    if options.get("syslog-format", "") not in ("", "rfc3164", "rfc5424", "rfc5424micro"):
        return "Invalid syslog format"
    return None


_FACILITIES = frozenset(
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split()
    + [f"local{number}" for number in range(8)]
)


def _gelf_address(options: Options) -> str | None:
    if not options.get("gelf-address"):
        return "gelf-address is a required parameter"
    address = _url(options["gelf-address"])
    if address.scheme not in ("udp", "tcp"):
        return "gelf: endpoint needs to be TCP or UDP"
    if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:]*", address.netloc.rpartition("@")[2]):
        return "gelf: please provide gelf-address as proto://host:port"
    return None


def _gelf(options: Options) -> str | None:
    scheme = _url(options["gelf-address"]).scheme
    complaints = (_gelf_complaint(name, value, scheme) for name, value in options.items())
    return next((complaint for complaint in complaints if complaint is not None), None)


def _gelf_complaint(name: str, value: str, scheme: str) -> str | None:
    if name.startswith("gelf-compression-"):
        if scheme != "udp":
            return "compression is only supported on UDP"
        is_level = _INTEGER.fullmatch(value) is not None and -1 <= int(value) <= 9
        is_type = value in ("gzip", "zlib", "none")
        if not (is_level if name == "gelf-compression-level" else is_type):
            return f"unknown value {quoted(value)} for log opt {quoted(name)} for gelf log driver"
    if name in ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"):
        if scheme != "tcp":
            return f"{quoted(name)} is only valid for TCP"
        if not _INTEGER.fullmatch(value) or int(value) < 0:
            return f"{quoted(name)} must be a positive integer"
    return None


def _fluentd(options: Options) -> str | None:
    complaint = _fluentd_address(options.get("fluentd-address", ""))
    if complaint is not None:
        return f"invalid fluentd-address ({options['fluentd-address']}): {complaint}"
    for name, complain in _FLUENTD_VALUES.items():
        value = options.get(name, "")
        if value and (complaint := complain(value)) is not None:
            return complaint
    return None


def _fluentd_address(text: str) -> str | None:
    address = _url(text if "://" in text else f"tcp://{text}")
    if address.scheme == "unix":
        return None if address.path.lstrip("/") else "path is empty"
    if address.scheme not in ("tcp", "tls"):
        return f"unsupported scheme: '{address.scheme}'"
    return "should not contain a path element" if address.path else None


def _bool_complaint(value: str) -> str | None:
    return None if value in (*TRUE, *FALSE) else f"strconv.ParseBool: parsing {quoted(value)}: invalid syntax"


def _unsigned_complaint(value: str) -> str | None:
    if re.fullmatch(r"[0-9]{1,20}", value, re.ASCII):
        return None if int(value) < 2**64 else f"strconv.ParseUint: parsing {quoted(value)}: value out of range"
    return f"strconv.ParseUint: parsing {quoted(value)}: invalid syntax"


def _duration_complaint(value: str) -> str | None:
    try:
        parse_duration(value)
    except InvalidParameter as error:
        return str(error)
    return None


def _write_timeout_complaint(value: str) -> str | None:
    if (complaint := _duration_complaint(value)) is not None:
        return f"invalid value for fluentd-write-timeout: value must be a duration: {complaint}"
    if value.startswith("-"):
        return "invalid value for fluentd-write-timeout: value must be a duration that is non-negative"
    return None


_FLUENTD_VALUES: Mapping[str, Callable[[str], str | None]] = {
    "fluentd-buffer-limit": size_complaint,
    "fluentd-retry-wait": _duration_complaint,
    "fluentd-max-retries": _unsigned_complaint,
    "fluentd-async": _bool_complaint,
    "fluentd-sub-second-precision": _bool_complaint,
    "fluentd-request-ack": _bool_complaint,
    "fluentd-write-timeout": _write_timeout_complaint,
}
"""In the order in which they are read."""


def _awslogs(options: Options) -> str | None:
    group = options.get("awslogs-create-group", "")
    datetime_format, pattern = "awslogs-datetime-format" in options, "awslogs-multiline-pattern" in options
    if not options.get("awslogs-group"):
        return "must specify a value for log opt 'awslogs-group'"
    if group and (complaint := _bool_complaint(group)) is not None:
        return f"must specify valid value for log opt 'awslogs-create-group': {complaint}"
    for name in ("awslogs-force-flush-interval-seconds", "awslogs-max-buffered-events"):
        value = options.get(name, "")
        if value and (not _INTEGER.fullmatch(value) or int(value) <= 0):
            return f"must specify a positive integer for log opt '{name}': {value}"
    if datetime_format and pattern:
        return "you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time"
    log_format = options.get("awslogs-format", "")
    if log_format and log_format != "json/emf":
        return f"unsupported log format '{log_format}'"
    if log_format and (datetime_format or pattern):
        return (
            "you cannot configure log opt 'awslogs-datetime-format' or 'awslogs-multiline-pattern' "
            "when log opt 'awslogs-format' is set to 'json/emf'"
        )
    return None


def _url(text: str) -> SplitResult:
    """Empty where it is none."""
    try:
        return urlsplit(text)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _driver(name: str, options: str, complain: Callable[[Options], str | None] = lambda _: None) -> LogDriver:
    return LogDriver(frozenset(options.split()), f"unknown log opt '{{}}' for {name} log driver", complain)


LOG_DRIVERS: Mapping[str, LogDriver] = {
    "awslogs": _driver(
        "awslogs",
        "awslogs-group awslogs-stream awslogs-create-group awslogs-region awslogs-endpoint tag awslogs-datetime-format "
        "awslogs-multiline-pattern awslogs-credentials-endpoint awslogs-force-flush-interval-seconds "
        "awslogs-max-buffered-events awslogs-format",
        _awslogs,
    ),
    "fluentd": _driver(
        "fluentd",
        f"{_EXTRAS} tag fluentd-address fluentd-async fluentd-async-reconnect-interval fluentd-buffer-limit "
        "fluentd-max-retries fluentd-request-ack fluentd-retry-wait fluentd-sub-second-precision fluentd-write-timeout",
        _fluentd,
    ),
    "gcplogs": LogDriver(
        frozenset(f"gcp-project {_EXTRAS} gcp-log-cmd gcp-meta-zone gcp-meta-name gcp-meta-id".split()),
        "{q} is not a valid option for the gcplogs driver",
    ),
    "gelf": LogDriver(
        frozenset(
            f"gelf-address tag {_EXTRAS} gelf-compression-level gelf-compression-type gelf-tcp-max-reconnect "
            "gelf-tcp-reconnect-delay".split()
        ),
        "unknown log opt {q} for gelf log driver",
        _gelf,
        _gelf_address,
    ),
    "journald": _driver("journald", f"{_EXTRAS} tag"),
    "json-file": _driver("json-file", f"{_FILES} {_EXTRAS} tag"),
    "local": LogDriver(frozenset(_FILES.split()), "unknown log opt '{}' for log driver local"),
    "splunk": _driver(
        "splunk",
        "splunk-url splunk-token splunk-source splunk-sourcetype splunk-index splunk-capath splunk-caname "
        "splunk-insecureskipverify splunk-format splunk-verify-connection splunk-gzip splunk-gzip-level "
        f"splunk-index-acknowledgment {_EXTRAS} tag",
    ),
    "syslog": _driver(
        "syslog",
        f"{_EXTRAS} syslog-address syslog-facility syslog-tls-ca-cert syslog-tls-cert syslog-tls-key "
        "syslog-tls-skip-verify tag syslog-format",
        _syslog,
    ),
}

from __future__ import annotations

import pytest

from daemon.create.log_drivers import LOG_DRIVERS, log_complaint, size_complaint

ONLY_NON_BLOCKING = "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
BUFFERED = {"mode": "non-blocking"}
NO_PLUGIN = 'error looking up logging plugin {0}: plugin "{0}" not found'
NEEDED = {"gelf": {"gelf-address": "udp://localhost:12201"}, "awslogs": {"awslogs-group": "g"}}
"""Options without which a driver takes no others."""


def test_the_drivers_are_those_of_docker_on_linux() -> None:
    assert list(LOG_DRIVERS) == "awslogs fluentd gcplogs gelf journald json-file local splunk syslog".split()


@pytest.mark.parametrize("driver", LOG_DRIVERS)
def test_a_driver_needs_no_options_but_those_it_cannot_do_without(driver: str) -> None:
    assert log_complaint(driver, NEEDED.get(driver, {})) is None


@pytest.mark.parametrize("driver", [*LOG_DRIVERS, "none"])
def test_every_driver_takes_the_options_of_all(driver: str) -> None:
    for_all = {"mode": "non-blocking", "max-buffer-size": "4m", "cache-disabled": "true", "cache-max-size": "1g"}
    assert log_complaint(driver, {**NEEDED.get(driver, {}), **for_all}) is None


UNKNOWN = {
    "awslogs": "unknown log opt 'x\"y' for awslogs log driver",
    "fluentd": "unknown log opt 'x\"y' for fluentd log driver",
    "gcplogs": '"x\\"y" is not a valid option for the gcplogs driver',
    "gelf": 'unknown log opt "x\\"y" for gelf log driver',
    "journald": "unknown log opt 'x\"y' for journald log driver",
    "json-file": "unknown log opt 'x\"y' for json-file log driver",
    "local": "unknown log opt 'x\"y' for log driver local",
    "splunk": "unknown log opt 'x\"y' for splunk log driver",
    "syslog": "unknown log opt 'x\"y' for syslog log driver",
}


@pytest.mark.parametrize(("driver", "text"), UNKNOWN.items())
def test_an_option_that_a_driver_does_not_know_is_told_in_its_words(driver: str, text: str) -> None:
    assert log_complaint(driver, {**NEEDED.get(driver, {}), 'x"y': "1"}) == text


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("none", {"anything": "goes", "mode": "fast"}),
        ("json-file", {"mode": "", "max-size": "no check at create", "max-file": "x", "labels": "a", "tag": "{{.ID}}"}),
        ("json-file", {"mode": "blocking", "cache-disabled": ""}),
        *(("json-file", {**BUFFERED, "max-buffer-size": size}) for size in ("4m", "4MiB", "1.5 g", "0", "7b", ".5k")),
        ("syslog", {"syslog-address": "tcp+tls://h:1", "syslog-facility": "local7", "syslog-format": "rfc5424micro"}),
        *(("syslog", {"syslog-facility": facility}) for facility in ("kern", "ftp", "0", "23", "+5")),
        ("gelf", {"gelf-address": "tcp://[::1]:9", "gelf-tcp-max-reconnect": "0", "gelf-tcp-reconnect-delay": "1"}),
        ("gelf", {"gelf-address": "UDP://h:", "gelf-compression-type": "none", "gelf-compression-level": "-1"}),
        ("fluentd", {"fluentd-address": "h:1", "fluentd-async": "T", "fluentd-retry-wait": "1.5s", "env": "A"}),
        ("fluentd", {"fluentd-address": "unix:///run/f", "fluentd-write-timeout": "1h2m", "fluentd-max-retries": "3"}),
        ("awslogs", {"awslogs-group": "g", "awslogs-create-group": "true", "awslogs-format": "json/emf"}),
    ],
)
def test_values_that_a_driver_can_use_are_taken(driver: str, options: dict[str, str]) -> None:
    assert log_complaint(driver, options) is None


REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("syslogd", {}, NO_PLUGIN.format("syslogd")),
    ("JSON-file", {}, NO_PLUGIN.format("JSON-file")),
    ("syslogd", {"mode": "fast"}, "logger: logging mode not supported: fast"),
    ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
    ("json-file", {"max-buffer-size": "4m"}, ONLY_NON_BLOCKING),
    ("json-file", {"max-buffer-size": "", "mode": "blocking"}, ONLY_NON_BLOCKING),
    ("json-file", {**BUFFERED, "max-buffer-size": "x"}, "error parsing option max-buffer-size: invalid size: 'x'"),
    ("json-file", {**BUFFERED, "max-buffer-size": "4q"}, "error parsing option max-buffer-size: invalid suffix: 'q'"),
    ("local", {"cache-disabled": "yes"}, "invalid value for option cache-disabled: yes"),
    ("local", {"tag": "x"}, "unknown log opt 'tag' for log driver local"),
    ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
    ("syslog", {"syslog-address": "http://h"}, "unsupported scheme: 'http'"),
    *(("syslog", {"syslog-facility": facility}, "invalid syslog facility") for facility in ("24", "-1", "Mail", "x")),
    ("syslog", {"syslog-format": "rfc1"}, "Invalid syslog format"),
    ("gelf", {}, "gelf-address is a required parameter"),
    ("gelf", {"x": "1"}, "gelf-address is a required parameter"),
    ("gelf", {"gelf-address": "http://h:1"}, "gelf: endpoint needs to be TCP or UDP"),
    ("gelf", {"gelf-address": "udp://h"}, "gelf: please provide gelf-address as proto://host:port"),
    ("gelf", {"gelf-address": "tcp://h:1", "gelf-compression-level": "1"}, "compression is only supported on UDP"),
    ("gelf", {"gelf-address": "tcp://h:1", "gelf-compression-type": "x"}, "compression is only supported on UDP"),
    *(
        (
            "gelf",
            {"gelf-address": "udp://h:1", name: value},
            f'unknown value "{value}" for log opt "{name}" for gelf log driver',
        )
        for name, value in (("gelf-compression-level", "10"), ("gelf-compression-type", "lz4"))
    ),
    (
        "gelf",
        {"gelf-address": "udp://h:1", "gelf-tcp-max-reconnect": "1"},
        '"gelf-tcp-max-reconnect" is only valid for TCP',
    ),
    (
        "gelf",
        {"gelf-address": "tcp://h:1", "gelf-tcp-reconnect-delay": "-1"},
        '"gelf-tcp-reconnect-delay" must be a positive integer',
    ),
    ("fluentd", {"fluentd-address": "udp://h"}, "invalid fluentd-address (udp://h): unsupported scheme: 'udp'"),
    ("fluentd", {"fluentd-address": "unix:///"}, "invalid fluentd-address (unix:///): path is empty"),
    (
        "fluentd",
        {"fluentd-address": "tcp://h/p"},
        "invalid fluentd-address (tcp://h/p): should not contain a path element",
    ),
    ("fluentd", {"fluentd-buffer-limit": "x"}, "invalid size: 'x'"),
    ("fluentd", {"fluentd-async": "yes"}, 'strconv.ParseBool: parsing "yes": invalid syntax'),
    ("fluentd", {"fluentd-max-retries": "-1"}, 'strconv.ParseUint: parsing "-1": invalid syntax'),
    ("fluentd", {"fluentd-retry-wait": "1"}, 'time: missing unit in duration "1"'),
    ("fluentd", {"fluentd-retry-wait": "1d"}, 'time: unknown unit "d" in duration "1d"'),
    ("fluentd", {"fluentd-retry-wait": 5_000 * "0"}, f'time: missing unit in duration "{5_000 * "0"}"'),  # and at once
    (
        "fluentd",
        {"fluentd-write-timeout": "-1s"},
        "invalid value for fluentd-write-timeout: value must be a duration that is non-negative",
    ),
    ("awslogs", {}, "must specify a value for log opt 'awslogs-group'"),
    (
        "awslogs",
        {"awslogs-group": "g", "awslogs-create-group": "yes"},
        "must specify valid value for log opt 'awslogs-create-group': "
        'strconv.ParseBool: parsing "yes": invalid syntax',
    ),
    *(
        (
            "awslogs",
            {"awslogs-group": "g", name: "0"},
            f"must specify a positive integer for log opt '{name}': 0",
        )
        for name in ("awslogs-force-flush-interval-seconds", "awslogs-max-buffered-events")
    ),
    (
        "awslogs",
        {"awslogs-group": "g", "awslogs-datetime-format": "", "awslogs-multiline-pattern": ""},
        "you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time",
    ),
    ("awslogs", {"awslogs-group": "g", "awslogs-format": "x"}, "unsupported log format 'x'"),
    (
        "awslogs",
        {"awslogs-group": "g", "awslogs-format": "json/emf", "awslogs-datetime-format": ""},
        "you cannot configure log opt 'awslogs-datetime-format' or 'awslogs-multiline-pattern' "
        "when log opt 'awslogs-format' is set to 'json/emf'",
    ),
]


@pytest.mark.parametrize(("driver", "options", "text"), REFUSED)
def test_a_driver_or_a_value_that_there_is_not_is_refused(driver: str, options: dict[str, str], text: str) -> None:
    assert log_complaint(driver, options) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10", None),
        ("10 kB", None),
        ("1.5PiB", None),
        ("+1", None),
        ("-0", None),
        ("", "invalid size: ''"),
        ("-1", "invalid size: '-1'"),
        ("1bb", "invalid suffix: 'bb'"),
        ("1KIBS", "invalid suffix: 'KIBS'"),
        ("1e", "invalid suffix: 'e'"),
        ("1 2k", 'strconv.ParseFloat: parsing "1 2": invalid syntax'),
        ("1..2k", 'strconv.ParseFloat: parsing "1..2": invalid syntax'),
    ],
)
def test_a_size_is_a_number_with_a_unit_of_1024s(text: str, complaint: str | None) -> None:
    assert size_complaint(text) == complaint

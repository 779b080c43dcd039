"""The differences in what the stories tell, as `known` has those of single creates."""

from __future__ import annotations

from tests.conformance.comparing import ABSENT
from tests.conformance.known import CLIENTS_FAULT, newer, unlike

SHOWN = (
    newer(ABSENT, "null", "a new field", where="body.{n}.DNSNames"),
    newer(ABSENT, "0", "a new field", where="body.{n}.GwPriority"),
    newer(ABSENT, "[{names}]", "a new field", where="inspect.NetworkSettings.Networks.{network}.DNSNames"),
    newer(ABSENT, "true", "a new field", where="body.{n}EnableIPv4"),
    newer("default", "bridge", "what is not said is said", where="body.{n}.HostConfig.NetworkMode"),
    newer("null", ABSENT, "left out where there is none", where="body.Error"),
    newer("null", ABSENT, "anonymous volumes have a label", where="body.{n}.Labels"),
    newer(ABSENT, "", "anonymous volumes have a label", where="body.{n}.Labels.com.docker.volume.anonymous"),
    newer(
        "[{given}]",
        '[{given}, "<short {name}>"]',
        "28 adds for old clients what 20.10 adds at start",
        where="inspect.NetworkSettings.Networks.{network}.Aliases",
    ),
    newer(
        "null",
        '["<short {name}>"]',
        "28 adds for old clients what 20.10 adds at start",
        where="inspect.NetworkSettings.Networks.{network}.Aliases",
    ),
    unlike(
        "",
        "{directory}",
        "the list has the directory of an image's volume, as inspect has",
        where="body.{n}.Mounts.{path}.Source",
    ),
)

TEXTS = (
    newer("{status} Invalid filter {rest}", "{status} invalid filter {rest}"),
    newer(
        "400 Invalid filter 'status={value}'",
        "400 invalid filter 'status={value}': invalid value for state ({value}): must be one of {states}",
    ),
    newer(
        "400 Unrecognised filter value for health: {value}",
        "400 invalid filter 'health={value}': invalid value for health ({value}): must be one of {states}",
    ),
    newer("400 Invalid filter 'is-task=[1]'", "200", "28 takes 1 for true"),
    newer("409 Cannot kill container: web: Container {rest}", "409 cannot kill container: web: container {rest}"),
    newer("404 Cannot kill container: {rest}", "404 cannot kill container: {rest}"),
    newer("400 Invalid signal: {signal}", "400 cannot kill container: web: invalid signal: {signal}"),
    newer("409 Container {container} is not running", "409 container {container} is not running"),
    newer(
        "400 container cannot be disconnected from host network or connected to host network",
        "400 cannot connect container to host network - container must be created in host network mode",
    ),
    newer("403 Pool overlaps {rest}", "403 invalid pool request: Pool overlaps {rest}"),
    newer("404 No such container: nobody", "400 Minimum memory limit allowed is 6MB", "28 looks at the limits first"),
)

STATUSES = (
    newer("500 no such container {name}", "404 No such container: {name}", "28 knows it for what it is"),
    newer("500 invalid character {rest}", "400 invalid filter", CLIENTS_FAULT),
    newer("400 invalid character {rest}", "400 invalid filter"),
    newer("500 strconv.Atoi: {why}", "400 invalid filter 'exited={value}': strconv.Atoi: {why}", CLIENTS_FAULT),
    newer("500 invalid name: ", "400 invalid name: name is empty", CLIENTS_FAULT),
    newer(
        "500 Invalid subnet nonsense : invalid CIDR address: nonsense",
        "400 invalid network config:\ninvalid subnet nonsense: invalid CIDR block notation",
        CLIENTS_FAULT,
    ),
    newer(
        "500 failed to allocate gateway ({gateway}): Requested address is out of range",
        "400 invalid network config:\ninvalid gateway {gateway}: parent subnet {subnet} doesn't contain this address",
        CLIENTS_FAULT,
    ),
    newer("500 invalid filter: 'type'={rest}", "400 invalid filter: 'type'={rest}", CLIENTS_FAULT),
    newer("500 more than one until filter specified", "400 more than one until filter specified", CLIENTS_FAULT),
    newer("500 failed to parse value {rest}", "400 failed to parse value {rest}", CLIENTS_FAULT),
    newer("200", '400 invalid condition: "x"', "20.10 takes it for not-running"),
    newer("{ok}", "400 invalid endpoint settings:\n{complaints}", "20.10 notices at start"),
    newer(
        "201",
        "400 invalid config for network {network}: invalid endpoint settings:\n{complaints}",
        "20.10 notices at start",
    ),
    unlike("500 Conflict, cannot remove {rest}", "409 Conflict, cannot remove {rest}", "a conflict is a 409"),
    unlike("500 strconv.Atoi: {why}", "400 strconv.Atoi: {why}", CLIENTS_FAULT),
    unlike("500 error while looking up for {rest}", "400 error while looking up for {rest}", CLIENTS_FAULT),
    unlike("500 filter for {rest}", "400 filter for {rest}", CLIENTS_FAULT),
    unlike(
        "500 error while looking up for expose : Empty string specified for ports.",
        "400 error while looking up for expose : empty string specified for ports",
        CLIENTS_FAULT,
    ),
    unlike("500 Container {container} is not paused", "409 Container {container} is not paused", "a conflict is a 409"),
    unlike(
        "500 container {container} is not connected to the network {network}",
        "400 container {container} is not connected to the network {network}",
        CLIENTS_FAULT,
    ),
    unlike(
        '500 strconv.ParseInt: parsing "x": invalid syntax',
        '400 failed to parse value as time or duration: "x"',
        CLIENTS_FAULT,
    ),
)

KNOWN_IN_STORIES = (*SHOWN, *TEXTS, *STATUSES)

"""Every difference that may be, each with its reason. What is not here fails the test, and so does what is here and is no more.

In a text `{word}` stands for anything, and for the same thing where it is repeated.
"""

from __future__ import annotations

from tests.conformance.comparing import ABSENT, Known, Reason
from tests.conformance.not_yet import NOT_YET

CLIENTS_FAULT = "a client's mistake is a 400"
TWICE = "of a key that comes twice, the last counts, and nothing of the first"
KEPT = "28 keeps a desired address at the endpoint"


def newer(
    theirs: str, ours: str, because: str = "another wording", *, case: str = "{any}", where: str = "answer"
) -> Known:
    return Known(where=where, theirs=theirs, ours=ours, reason=Reason.NEWER, because=because, case=case)


def unlike(theirs: str, ours: str, because: str, *, case: str = "{any}", where: str = "answer") -> Known:
    return Known(where=where, theirs=theirs, ours=ours, reason=Reason.UNLIKE_MOBY, because=because, case=case)


TEXTS = (
    newer("400 No command specified", "400 no command specified"),
    newer("400 Config cannot be empty in {rest}", "400 config cannot be empty in {rest}"),
    newer("400 Invalid signal: {signal}", "400 invalid signal: {signal}"),
    newer("400 Invalid network mode: {rest}", "400 invalid network mode: {rest}"),
    newer("400 Range of CPUs {rest}", "400 range of CPUs {rest}"),
    newer("400 Unknown runtime specified {name}", "400 unknown or invalid runtime name: {name}"),
    newer(
        "400 invalid restart policy '{name}'",
        "400 invalid restart policy: unknown policy '{name}'; "
        "use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
    ),
    newer(
        "400 maximum retry count cannot be used with restart policy '{name}'",
        "400 invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}",
    ),
    newer(
        "400 maximum retry count cannot be negative",
        "400 invalid restart policy: maximum retry count cannot be negative",
    ),
    newer(
        "400 invalid reference format: repository name must be lowercase",
        "400 invalid reference format: repository name ({name}) must be lowercase",
    ),
    newer(
        "404 image with reference {name} was found but does not match the specified platform: "
        "wanted {wanted}, actual: {actual}",
        "404 image with reference {name} was found but its platform ({actual}) "
        "does not match the specified platform ({wanted})",
    ),
    newer(
        '400 "" is an invalid component of "linux/": platform specifier component must match "^[A-Za-z0-9_-]+$": {rest}',
        '400 "" is an invalid component of "linux/": platform specifier component must match "^[A-Za-z0-9_.-]+$": {rest}',
    ),
    newer(
        "400 Content-Type specified ({type}) must be 'application/json'",
        "400 unsupported Content-Type header ({type}): must be 'application/json'",
    ),
    newer(
        "400 Content-Type specified ({type}) must be 'application/json'",
        "400 malformed Content-Type header ({type}): mime: {why}",
    ),
    newer(
        "400 Container cannot be connected to network endpoints: {names}",
        "400 Container cannot be created with multiple network endpoints: {others}",
    ),
    newer("400 no EndpointSettings for bridge", "400 invalid config for network bridge: EndpointsConfig is nil"),
    newer(
        "400 invalid IPv{version} address: x",
        "400 invalid config for network bridge: invalid endpoint settings:\n{before}invalid IPv{version} address: x{after}",
        "28 says everything that is wrong",
    ),
)
"""One fault, two wordings."""

STATUSES = (
    newer("500 EOF", "400 invalid JSON: got EOF while reading request body", CLIENTS_FAULT),
    newer("500 invalid character {rest}", "400 invalid JSON: invalid character {rest}", CLIENTS_FAULT),
    newer("500 unexpected EOF", "400 invalid JSON: unexpected EOF", CLIENTS_FAULT),
    newer(
        "500 json: cannot unmarshal {what} into Go struct field {outer}.Healthcheck of type container.HealthConfig",
        "400 invalid JSON: json: cannot unmarshal {what} into Go struct field {path}.Healthcheck of type v1.HealthcheckConfig",
        "a client's mistake is a 400, and the type has moved",
    ),
    newer(
        "500 json: cannot unmarshal {what} into Go struct field {outer}.{field} of type {type}",
        "400 invalid JSON: json: cannot unmarshal {what} into Go struct field {path}.{field} of type {type}",
        "a client's mistake is a 400, and Go 1.24 names the whole path",
    ),
    newer(
        "500 json: cannot unmarshal {what} into Go value of type {old}",
        "400 invalid JSON: json: cannot unmarshal {what} into Go value of type {new}",
        "a client's mistake is a 400, and the type has another name",
    ),
    newer(
        "500 Invalid isolation: \"{isolation}\" - linux only supports 'default'",
        "400 invalid isolation ({isolation}): linux only supports 'default'",
        CLIENTS_FAULT,
    ),
    newer(
        "500 Invalid QoS settings: linux does not support configuration of maximum {what}",
        "400 invalid option: QoS maximum {what} configuration is not supported on linux",
        CLIENTS_FAULT,
    ),
    newer('500 invalid --security-opt 2: "writable-cgroups={rest}', "201", "an option of 28"),
    newer(
        "500 cpu real-time runtime cannot be higher than cpu real-time period",
        "400 cpu real-time runtime cannot be higher than cpu real-time period",
        CLIENTS_FAULT,
    ),
)
"""One fault, two statuses."""

CHECKS = (
    newer("201", "400 unexpected content after JSON", "20.10 does not look at what follows"),
    newer("201", "400 invalid IPC mode: {mode}", "20.10 notices at start"),
    newer("201", "400 invalid PID mode: {mode}", "20.10 notices at start"),
    newer("201", "400 invalid UTS mode: {mode}", "20.10 notices at start"),
    newer("400 SHM size can not be less than 0", "400 invalid PID mode: x", "20.10 does not check the mode"),
    newer("201", "400 invalid CPU shares (-1): value must be a positive integer", "20.10 notices at start"),
    newer(
        "201",
        "400 invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}",
        "20.10 does not count where no policy is named",
    ),
    newer(
        "201",
        "400 invalid config for network {name}: invalid endpoint settings:\n{rest}",
        "20.10 notices at start",
    ),
    newer(
        "201",
        "400 invalid JSON: json: cannot unmarshal {what} into Go struct field {path}.Annotations{rest}",
        "20.10 has no annotations",
    ),
    newer("201", "400 VolumeOptions.Subpath needs API v1.45 or newer", "20.10 does not know it"),
    newer(
        '400 invalid mount config for type "image": mount type unknown',
        '400 Mount type "Image" needs API v1.48 or newer',
        "20.10 does not know it",
    ),
    newer(
        "201",
        "400 invalid config for network {name}: invalid MAC address {address}",
        "20.10 notices at start",
    ),
    newer(
        "201",
        "400 conflicting options: mac-address and the network mode",
        "28 wants a network that has such addresses",
        case="network none with a MAC address",
    ),
    newer(
        '400 invalid mount config for type "bind": field VolumeOptions must not be specified',
        "201",
        "28 forgives clients below 1.42",
        case='Mounts={"Type":"bind",{rest}',
    ),
)
"""What one of them lets pass."""

INSPECT = (
    newer(ABSENT, "null", "a new field", where="inspect.NetworkSettings.Networks.{network}.DNSNames"),
    newer(ABSENT, "0", "a new field", where="inspect.NetworkSettings.Networks.{network}.GwPriority"),
    newer(
        '["LowerDir", "MergedDir", "UpperDir", "WorkDir"]',
        '["ID", "LowerDir", "MergedDir", "UpperDir", "WorkDir"]',
        "a new field",
        where="inspect.GraphDriver.Data",
    ),
    newer("0", ABSENT, "left out where it is 0", where="inspect.HostConfig.KernelMemory{tcp}"),
    newer("", "no", "what is not said is said", where="inspect.HostConfig.RestartPolicy.Name"),
    newer("default", "bridge", "what is not said is said", where="inspect.HostConfig.NetworkMode"),
    newer(ABSENT, "runc", "20.10 checks no HostConfig where none is given", where="inspect.HostConfig.Runtime"),
    newer("[{some}/proc/acpi{old}]", '["/proc/acpi", {new}]', "more is masked", where="inspect.HostConfig.MaskedPaths"),
    newer("{size}", "[0, 0]", "28 takes it from clients of 1.42", where="inspect.HostConfig.ConsoleSize"),
    newer(
        '[{"Target": "/data", "TmpfsOptions": {}, "Type": "tmpfs"}]',
        '[{"Target": "/data", "TmpfsOptions": {"Options": [["noexec"]]}, "Type": "tmpfs"}]',
        "a new field",
        where="inspect.HostConfig.Mounts",
    ),
    newer(
        "null",
        '["<short id>"]',
        "28 adds for old clients what 20.10 adds at start",
        where="inspect.NetworkSettings.Networks.{network}.Aliases",
    ),
    newer(
        "{first}, {second}Options{gone}",
        "{first}{rest}",
        "28 drops from clients below 1.42 what does not fit the type",
        case='Mounts={"Type":{mount}Options":{}}',
        where="inspect.HostConfig.Mounts",
    ),
    newer(
        "{given}",
        "{other}",
        "28 takes limits from HostConfig alone",
        case="JSON: limits beside HostConfig",
        where="inspect.HostConfig.{limit}",
    ),
    newer(
        "given",
        ABSENT,
        "not warned of any more",
        where="warning Specifying a kernel memory limit is deprecated and will be removed in a future release.",
    ),
    newer("", "{address}", KEPT, where="inspect.NetworkSettings.Networks.{network}.MacAddress"),
    newer("", "{address}", KEPT, where="inspect.NetworkSettings.MacAddress"),
    newer(
        "{address}",
        "",
        "28 takes the address of an endpoint from clients of 1.44",
        case="endpoints: a MAC address",
        where="inspect.NetworkSettings.{any_}MacAddress",
    ),
)
"""What inspect shows, and what is warned of."""

UNLIKE_MOBY = (
    unlike("500 invalid mode: {mode}", "400 invalid mode: {mode}", CLIENTS_FAULT),
    unlike("500 invalid volume specification: {rest}", "400 invalid volume specification: {rest}", CLIENTS_FAULT),
    unlike("500 invalid --security-opt {rest}", "400 invalid --security-opt {rest}", CLIENTS_FAULT),
    unlike("500 Cannot mkdir: {path} is not a directory", "400 Cannot mkdir: {path} is not a directory", CLIENTS_FAULT),
    unlike("500 Unknown option {name}", "400 Unknown option {name}", CLIENTS_FAULT),
    unlike(
        "500 --storage-opt is supported only for {rest}",
        "400 --storage-opt is supported only for {rest}",
        CLIENTS_FAULT,
    ),
    unlike("500 empty string specified for links", "400 empty string specified for links", CLIENTS_FAULT),
    unlike("500 bad format for links: {link}", "400 bad format for links: {link}", CLIENTS_FAULT),
    unlike(
        "500 cannot mount volume over existing file, file exists <rootfs>{path}",
        "400 cannot mount volume over existing file, file exists {path}",
        "a 400, without the host's path",
    ),
    unlike(
        "500 source <rootfs>{path} is not directory",
        "400 source {path} is not directory",
        "a 400, without the host's path",
    ),
    unlike(
        '404 create {volume}: error looking up volume plugin {name}: plugin "{name}" not found',
        '400 create {own}: error looking up volume plugin {name}: plugin "{name}" not found',
        "a 404 would make clients pull the image, and create again",
    ),
    unlike(
        "500 create {volume}: error while creating volume root path {path}: file name too long",
        "400 create {short}: volume name is longer than {length} characters",
        "a 400, before the disk is asked",
    ),
    unlike(
        "500 lstat <rootfs>{path}: not a directory",
        "400 Cannot mkdir: {path} is not a directory",
        "a 400, without the host's path",
    ),
    unlike(
        "404 No such image: {name}@{digest}",
        "201",
        "a name with a digest finds an image of that name by its id, too",
    ),
    unlike(
        "[null]",
        '[{"Path": "", "Rate": 0}]',
        "null in a list of records is an empty one, where Docker keeps a null that it cannot start",
        where="inspect.HostConfig.BlkioDevice{kind}",
    ),
    unlike("{given}", "{other}", TWICE, case="JSON: a map twice", where="inspect.Config.Labels.a"),
    unlike("{given}", "{other}", TWICE, case="JSON: HostConfig twice", where="inspect.HostConfig.Memory{swap}"),
    unlike("{given}", "{other}", TWICE, case="JSON: value, then null", where="inspect.Config.Hostname"),
    unlike(
        "long s",
        "<short id>",
        "a key is the same in upper and lower case, not with letters that look like others",
        case="JSON: a folded key",
        where="inspect.Config.Hostname",
    ),
    unlike(
        "500 json: cannot unmarshal number {all} into Go struct field {outer}.StopTimeout of type int",
        "400 invalid JSON: json: cannot unmarshal number {some} into Go struct field {path}.StopTimeout of type int",
        "of a long number only the beginning is shown",
        case="JSON: a big number",
    ),
    unlike(
        "{listing}",
        "{shorter}",
        "what Docker adds to every root file system is not copied into a volume over /",
        where="volume /",
    ),
    unlike(
        "{anything}",
        "{other}",
        "a volume at a relative path is one below /",
        case='{prefix}Volumes{sep}{"{path}":{value}}',
        where="{mount}",
    ),
)
"""What is in the table of that name in docs/unlike-moby.md."""

KNOWN = (*TEXTS, *STATUSES, *CHECKS, *INSPECT, *UNLIKE_MOBY, *NOT_YET)

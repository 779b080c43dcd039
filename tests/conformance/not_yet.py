"""Differences that are being worked on: to be empty. One that is no difference any more fails the test: strike it off."""

from __future__ import annotations

from tests.conformance.comparing import ABSENT, Known, Reason


def _not_yet(theirs: str, ours: str, because: str, *, case: str = "{any}", where: str = "answer") -> Known:
    return Known(where=where, theirs=theirs, ours=ours, reason=Reason.NOT_YET, because=because, case=case)


JSON = "JSON is not read with all of Go's manners"
CHECK = "not checked"
TOO_STRICT = "Docker takes it"
KERNEL = "what this kernel can do is not looked at"
LINKS = "links are stored as they come"
VOLUMES = "volumes have no drivers and no options"

NOT_YET: tuple[Known, ...] = (
    _not_yet("500 invalid character {rest}", "400 invalid JSON: {other}", JSON),
    _not_yet("500 unexpected EOF", "400 invalid JSON: Input data was truncated", JSON),
    _not_yet("500 json: cannot unmarshal {a}", "400 invalid JSON: json: cannot unmarshal {b}", JSON),
    _not_yet("500 json: cannot unmarshal {a} of type struct {}", "{b}", JSON),
    _not_yet("{given}", "{other}", JSON, case="JSON: a map twice", where="inspect.Config.Labels.a"),
    _not_yet("{given}", "{other}", JSON, case="JSON: HostConfig twice", where="inspect.HostConfig.Memory{swap}"),
    _not_yet("first", "<short id>", JSON, case="JSON: value, then null", where="inspect.Config.Hostname"),
    _not_yet("long s", "<short id>", JSON, case="JSON: a folded key", where="inspect.Config.Hostname"),
    _not_yet("201", "400 invalid JSON: Input data was truncated", JSON, case="JSON: half a pair"),
    _not_yet("400 invalid reference format", "400 invalid JSON: invalid UTF-8", JSON),
    _not_yet("400 Content-Type specified (application/json; x) {rest}", "{other}", CHECK),
    _not_yet("201", "400 invalid port specification: {port}", TOO_STRICT),
    _not_yet("201", "400 unknown log opt 'cache-{option}' for json-file log driver", TOO_STRICT),
    _not_yet("201", "400 unknown or invalid runtime name: io.containerd.runc.v2", TOO_STRICT),
    _not_yet("400 invalid value for option cache-disabled: {value}", "{other}", CHECK),
    _not_yet("400 error parsing option max-buffer-size: {rest}", "201", CHECK),
    _not_yet("400 No such container: nobody", "201", CHECK),
    _not_yet("400 Invalid value {value} for cpuset {kind}: {why}", "{other}", CHECK),
    _not_yet("400 Requested {what} are not available - {rest}", "201", CHECK),
    _not_yet("500 --storage-opt is {rest}", "201", CHECK),
    _not_yet("500 Unknown option {name}", "201", CHECK),
    _not_yet(
        "500 invalid --security-opt {rest}", "400 invalid volume specification: {other}", "the order of the checks"
    ),
    _not_yet("400 could not get container for {name}: {rest}", "{other}", LINKS),
    _not_yet("500 empty string specified for links", "201", LINKS),
    _not_yet("500 bad format for links: {link}", "201", LINKS),
    _not_yet("400 conflicting options: host type networking {rest}", "201", LINKS),
    _not_yet("{children}", "[{typed}]", LINKS, where="inspect.HostConfig.Links"),
    _not_yet("{labels}", "{fewer}", "no labels are switched off", where="inspect.HostConfig.SecurityOpt"),
    _not_yet("-1", "0", "only what is positive is discarded", where="inspect.HostConfig.CpuPercent"),
    _not_yet('400 invalid mount config for type "image": {rest}', "501 mounting an image is not supported yet", CHECK),
    _not_yet("below 500", "501", "images cannot be mounted", where="our status"),
    _not_yet("null", "{}", "what is not said is said", where="inspect.HostConfig.PortBindings"),
    _not_yet(
        "400 error looking up logging plugin {name}: {rest}", "400 logger: no log driver named {other}", "the text"
    ),
    _not_yet("{}", "null", "what is not said is said", where="inspect.Config.Volumes"),
    _not_yet("201", "400 Range of blkio weight is from 10 to 1000", KERNEL),
    _not_yet("given", ABSENT, KERNEL, where="warning Your kernel does not support Block I/O weight{rest}"),
    _not_yet("{discarded}", "{asked_for}", KERNEL, where="inspect.HostConfig.BlkioWeight{device}"),
    _not_yet("{linked}", "{copied}", "hard links are copied", where="volume /{path}"),
    _not_yet("{slave}", "{private}", VOLUMES, where="inspect.Mounts./data"),
    _not_yet("{without}", "{with}", "VolumeOptions.Subpath is newer", where="inspect.HostConfig.Mounts"),
)

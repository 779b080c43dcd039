"""The body as bytes: JSON's own mistakes, what Go's decoder makes of what is no mistake, and what the client calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tests.conformance import images
from tests.conformance.case import Case, request

_PLAIN = json.dumps(request())
_RIGHT = f'"Image":"{images.PLAIN}"'

BODIES: Mapping[str, str] = {
    "empty": "",
    "space": "  ",
    "null": "null",
    "true": "true",
    "a number": "1",
    "a string": '"x"',
    "a list": "[]",
    "{}": "{}",
    "only HostConfig": '{"HostConfig":{}}',
    "only an unknown key": '{"Nope":1}',
    "a known key, null": '{"Image":null}',
    "only Hostname": '{"Hostname":""}',
    "unfinished": "{",
    "unfinished string": '{"Image":"x',
    "no colon": '{"Image" "x"}',
    "no comma": '{"Image":"x" "Cmd":[]}',
    "trailing comma": '{"Image":"x",}',
    "single quotes": "{'Image':'x'}",
    "a bare word": '{"Image":x}',
    "nan": '{"Memory":NaN}',
    "two values": f"{_PLAIN} {_PLAIN}",
    "rubbish after": f"{_PLAIN} x",
    "space after": f"{_PLAIN} \n\t ",
    "space before": f" \n{_PLAIN}",
    "a comment": f"/* */{_PLAIN}",
    "a mark of order": f"\ufeff{_PLAIN}",
    "keys in lower case": '{"image":"conformance/plain","cmd":["x"],"hostconfig":{"memory":67108864}}',
    "keys in upper case": '{"IMAGE":"conformance/plain","HOSTCONFIG":{"MEMORY":67108864}}',
    "a key twice": f'{{{_RIGHT},"Hostname":"first","Hostname":"second"}}',
    "a key twice in two cases": f'{{{_RIGHT},"hostname":"first","Hostname":"second","HOSTNAME":"third"}}',
    "a map twice": f'{{{_RIGHT},"Labels":{{"a":"1"}},"Labels":{{"b":"2"}}}}',
    "a list twice": f'{{{_RIGHT},"Env":["A=1","B=2"],"Env":["C=3"]}}',
    "HostConfig twice": f'{{{_RIGHT},"HostConfig":{{"Memory":67108864}},"HostConfig":{{"CpuShares":5}}}}',
    "value, then null": f'{{{_RIGHT},"Hostname":"first","Hostname":null}}',
    "unknown keys": f'{{{_RIGHT},"Nope":{{"a":[1,2,{{}}]}},"HostConfig":{{"Nope":null}}}}',
    "escapes": f'{{{_RIGHT},"Hostname":"\\u0061\\t\\/\\ud83d\\ude00"}}',
    "half a pair": f'{{{_RIGHT},"Hostname":"\\ud83d"}}',
    "a bad escape": f'{{{_RIGHT},"Hostname":"\\x"}}',
    "a control character": f'{{{_RIGHT},"Hostname":"a\tb"}}',
    "markup": f'{{{_RIGHT},"Labels":{{"a":"<b>&\u2028"}}}}',
    "a big number": f'{{{_RIGHT},"StopTimeout":{400 * "9"}}}',
    "a number with a point": f'{{{_RIGHT},"StopTimeout":1.0}}',
    "a number with an exponent": f'{{{_RIGHT},"StopTimeout":1e1}}',
    "a number with a zero before": f'{{{_RIGHT},"StopTimeout":01}}',
    "minus zero": f'{{{_RIGHT},"StopTimeout":-0}}',
    "a plus": f'{{{_RIGHT},"StopTimeout":+1}}',
    "a point at the end": f'{{{_RIGHT},"StopTimeout":1.}}',
    "limits beside HostConfig": f'{{{_RIGHT},"Memory":67108864,"CpuShares":5,"Cpuset":"0"}}',
    "nulls everywhere": (
        f'{{{_RIGHT},"Hostname":null,"Env":null,"Cmd":null,"Labels":null,"Volumes":null,"Tty":null,"HostConfig":null}}'
    ),
    "nulls and a command that is no list": (
        f'{{{_RIGHT},"Hostname":"","Cpuset":null,"Env":[],"Cmd":"ls","Volumes":{{}},"Entrypoint":null,"OnBuild":null}}'
    ),
    "deep": f'{{{_RIGHT},"Nope":{400 * "["}{400 * "]"}}}',
    "an empty key": f'{{{_RIGHT},"":1}}',
    "a folded key": f'{{{_RIGHT},"Ho\u017ftname":"long s"}}',
    "a Kelvin sign": f'{{{_RIGHT},"Networ\u212aDisabled":true}}',
}

CONTENT_TYPES = (
    None,
    "",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/json;",
    "application/json; x",
    "application/json, text/plain",
    "application/vnd.api+json",
    "application/xml",
    "application/",
    "text/plain",
    "text/json",
    "json",
)


def bodies() -> Iterator[Case]:
    for name, body in BODIES.items():
        yield Case(name=f"JSON: {name}", body=body.encode(errors="surrogatepass"))
    yield Case(name="JSON: bytes that are no text", body=b'{"Image":"\xff","Cmd":["c"],"Hostname":"\xff\xfe"}')
    for kind in CONTENT_TYPES:
        yield Case(name=f"Content-Type: {kind}", body=_PLAIN.encode(), content_type=kind)
        yield Case(name=f"Content-Type: {kind}, no body", body=b"", content_type=kind)

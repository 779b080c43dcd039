"""Any JSON at the route of create: an answer that Docker could give, and nothing left of what was refused.

Bodies are built from the schema's own field names, so that they get past the decoder and into the checks: with right types, with
wrong ones, with numbers no integer holds, with texts that mean something to a check somewhere, with NUL and halves of pairs; and
from the conformance tests' tables, whose values get past one check and into the next. A container, a volume and a network `web`
are there for them to mean, so that not all that is named is missing.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import attrs
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from daemon.api.codec import _RECORDS, Record
from daemon.api.routes import Router
from daemon.api.schema import CONFIG, HOST_CONFIG, NETWORKING
from daemon.container import ContainerConfig, HostConfig
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import InvalidParameter
from daemon.http.message import Request
from daemon.network import NetworkRequest
from daemon.services.allocator import Allocator
from daemon.storage.database import Database
from tests.conformance.mounts import BINDS, MOUNTS
from tests.conformance.tables import CONFIG as CONFIG_TABLE
from tests.conformance.tables import HOST, RESOURCES
from tests.daemon.harness import State, engine_at, in_memory, state_of

EXAMPLES = 500
SEED = secrets.randbits(32)
"""Another one each time; what fails is printed with it."""

NOT_THE_IMAGE = "No such image: "

# Words that some check looks for, and those that are a trap for one.
USUAL_WORDS = st.sampled_from(
    """
    busybox nosuch:1 sha256:00 Busybox /data data data:/data /:/ / .. /full ro rw z a:b:c : :: = A=b web /web x host bridge
    default none container: container:web container:nobody private shareable default always on-failure no 80 80/tcp 0-1 1-
    9223372036854775807 -1 1g json-file local syslog gelf-address udp://[ max-size mode non-blocking bind volume tmpfs image
    rshared rprivate no-new-privileges seccomp= label=disable NET_ADMIN ALL SIGTERM 0 runc io.containerd.runc.v2 size overlay
    net.ipv4.conf.eth0.x net.ipv4.ip_forward 02:42:ac:11:00:02 10.0.0.2 fe80::1%eth0 linux/amd64 com.boatyard.idempotency-key
    """.split()
)
ODD_WORDS = st.sampled_from(
    ["", " ", "\0", "\n", "a\0b", "\ud800", "\u00e9", "\U0001f600", "x" * 300, "\u202e", '"', "\\", "%s", "/" * 50]
)
WORDS = USUAL_WORDS | USUAL_WORDS | ODD_WORDS
USUAL_NUMBERS = st.sampled_from([0, 0, 1, 5, 500, 1000, 8 << 20, 2**31])
ODD_NUMBERS = st.sampled_from([-1, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40, 1.5, 1e300])
ODD = st.one_of(
    st.none(), st.booleans(), ODD_NUMBERS, WORDS, st.just([]), st.just({}), st.just([[[{}]]]), st.just({"": None})
)

Strategy = st.SearchStrategy[Any]


def value_of(hint: Any, *, is_odd: bool) -> Strategy:
    """What fits a field's type; or something that may be odd, at any depth."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return value_of(arguments[0], is_odd=is_odd)
    fitting: Strategy
    if hint is str:
        fitting = WORDS
    elif hint is bool:
        fitting = st.booleans()
    elif hint is int:
        fitting = USUAL_NUMBERS
    elif origin is tuple:
        fitting = st.lists(value_of(arguments[0], is_odd=is_odd), max_size=3)
    elif origin is Mapping:
        fitting = st.dictionaries(WORDS, value_of(arguments[1], is_odd=is_odd), max_size=3)
    else:
        fitting = object_of(_RECORDS[hint], is_odd=is_odd)
    return fitting | fitting | ODD if is_odd else fitting


def object_of(record: Record[Any], *, is_odd: bool) -> Strategy:
    """A few of a record's fields, by the names that clients use."""
    hints = typing.get_type_hints(record.kind)
    sets = value_of(Mapping[str, str], is_odd=True) if is_odd else st.dictionaries(WORDS, st.just({}), max_size=3)
    fields = {
        field.name: sets if field.name in SETS else value_of(hints[field.attribute], is_odd=is_odd)
        for field in record._fields
    }
    names = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=4, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen}))


SETS = ("ExposedPorts", "Volumes")


def bodies(*, is_odd: bool) -> Strategy:
    host_config, networking = object_of(HOST_CONFIG, is_odd=is_odd), object_of(NETWORKING, is_odd=is_odd)
    return st.builds(
        lambda config, runnable, host_config, networking: {
            **config,
            **runnable,
            "HostConfig": host_config,
            "NetworkingConfig": networking,
        },
        object_of(CONFIG, is_odd=is_odd),
        RUNNABLE,
        host_config | ODD if is_odd else host_config,
        networking | ODD if is_odd else networking | st.just({}),
    )


RUNNABLE = st.sampled_from([*[{"Image": "busybox", "Cmd": ["true"]}] * 8, {"Cmd": ["true"]}, {}])


def from_tables() -> Strategy:
    """Some fields, each with a value that is right or wrong in a way that Docker knows of."""
    host = {**HOST, **RESOURCES, "Binds": [[bind] for bind in BINDS], "Mounts": [[mount] for mount in MOUNTS]}
    return st.builds(
        lambda config, host_config: {"Image": "busybox", "Cmd": ["true"], **config, "HostConfig": host_config},
        some_of({field: values for field, values in CONFIG_TABLE.items() if field != "Image"}),
        some_of(host),
    )


def some_of(table: Mapping[str, Sequence[Any]]) -> Strategy:
    fields = st.lists(st.sampled_from(sorted(field for field in table if table[field])), max_size=4, unique=True)
    return fields.flatmap(lambda chosen: st.fixed_dictionaries({name: st.sampled_from(table[name]) for name in chosen}))


def late() -> Strategy:
    """What can be refused only when something has been made for it: there is a file where a directory must be."""
    paths = st.sampled_from(["/full", "/new", "/bin/sh", "/full/content", "/bin/sh/below", "/"])
    binds = st.builds(
        "{}{}{}".format, st.sampled_from(["", "web:", "one:", "two:"]), paths, st.sampled_from(["", ":ro"])
    )
    config = st.fixed_dictionaries(
        {}, optional={"WorkingDir": paths, "Volumes": st.dictionaries(paths, st.just({}), max_size=2)}
    )
    host = st.fixed_dictionaries(
        {"Binds": st.lists(binds, max_size=3)}, optional={"VolumesFrom": st.just(["web"]), "Links": st.just(["web:x"])}
    )
    return st.builds(
        lambda config, host: {"Image": "busybox", "Cmd": ["true"], **config, "HostConfig": host}, config, host
    )


BODIES = st.one_of(*[bodies(is_odd=False)] * 2, bodies(is_odd=True), *[from_tables()] * 2, late())
QUERIES: Strategy = (
    st.just({}) | st.just({}) | st.dictionaries(st.sampled_from(["name", "platform", "other"]), WORDS, max_size=2)
)
VERSIONS = st.sampled_from(["", "/v1.24", "/v1.39", "/v1.41", "/v1.43", "/v1.44", "/v1.47"])
HEADERS = st.sampled_from([*[{}] * 6, {"idempotency-key": "key"}, {"idempotency-key": "a b"}])


@attrs.frozen
class Body:
    content: bytes

    async def receive(self) -> bytes:
        raise AssertionError("a body of JSON is read whole")

    async def read(self, bytes_max: int) -> bytes:
        return self.content


def is_about_the_image(status: int, message: str) -> bool:
    return status != 404 or message.startswith(NOT_THE_IMAGE) or "does not match the specified platform" in message


async def create(router: Router, path: str, query: str, content: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    response = await router(
        Request(
            method="POST",
            path=path,
            query=query,
            headers={"host": "docker", "content-type": "application/json", **headers},
            body=Body(content),
            has_body=True,
        )
    )
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


async def check_one(engine: Engine, before: State, case: tuple[Any, ...]) -> None:
    body, query, version, headers = case
    text = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in query.items())
    content = json.dumps(body).encode()
    status, answer = await create(Router(engine), f"{version}/containers/create", text, content, headers)
    note(f"{version} {text} {content!r} -> {status} {answer}")
    if status == 201:
        assert isinstance(answer["Warnings"], list)
        inspected = await Router(engine)(
            Request(
                method="GET",
                path=f"/containers/{answer['Id']}/json",
                query="",
                headers={},
                body=Body(b""),
                has_body=False,
            )
        )
        assert inspected.status == 200
        await engine.remove(answer["Id"], with_volumes=True)
        return
    assert status in (400, 404, 409)
    assert is_about_the_image(status, answer["message"])
    assert await state_of(engine) == before
    assert await engine.services.database.ask(Database.kept_keys) == ()
    await check_name_is_free(engine, query.get("name", ""))


async def check_name_is_free(engine: Engine, name: str) -> None:
    if name.removeprefix("/") == "web":  # the one that is there
        return
    with contextlib.suppress(InvalidParameter):  # it is none, and so nobody's
        await engine.services.allocator.ask(Allocator.reserve, "f" * 64, name, lambda: None)
        await engine.services.allocator.ask(Allocator.release, "f" * 64)


async def prepare(engine: Engine) -> None:
    await engine.networks.create(NetworkRequest(name="web"))
    await engine.create(
        CreateRequest(
            name="web",
            config=ContainerConfig(image="busybox", cmd=("true",)),
            host_config=HostConfig(binds=("web:/web",), network_mode="web"),
        )
    )


def test_any_json_is_created_or_refused_and_what_is_refused_leaves_nothing() -> None:
    cases = st.tuples(BODIES, QUERIES, VERSIONS, HEADERS)

    # Not shrunk: what was asked last is printed, and five minutes of shrinking would tell little more.
    @seed(SEED)
    @given(st.lists(cases, min_size=10, max_size=10))
    @settings(
        max_examples=EXAMPLES // 10,
        deadline=None,
        print_blob=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(batch: list[tuple[Any, ...]]) -> None:
        """A batch for each engine: to start one costs more than to ask it."""
        with in_memory() as home:
            anyio.run(run, home, batch, backend_options={"use_uvloop": True})

    async def run(home: Path, batch: list[tuple[Any, ...]]) -> None:
        async with engine_at(home) as engine:
            await prepare(engine)
            for case in batch:
                await check_one(engine, await state_of(engine), case)

    print(f"seed {SEED}")  # noqa: T201 - pytest shows it if this fails
    check()

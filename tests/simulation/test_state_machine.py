"""One step after the other, chosen and made smaller by Hypothesis: the daemon's core beside a model of a few lines.

Restarts, kills in the middle of a create and power cuts come between. None of them may be seen in what the model knows: names,
ids, volumes in use, images.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from random import Random
from typing import TypeVar

import anyio.from_thread
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors._thread import replace_threads
from actors.testing._turns import Turns
from daemon.container import ContainerConfig, HostConfig
from daemon.create.commit import CommitRequest
from daemon.create.request import CreateRequest
from daemon.engine import Engine
from daemon.errors import Conflict, NotFound
from daemon.services.registrar import Registrar
from daemon.services.volumes import Volumes
from tests.simulation.clients import NAMES
from tests.simulation.machine import machine
from tests.simulation.scenario import check_agreement, rows_of

R = TypeVar("R")

VOLUMES = ("", "v1", "v2")
IMAGES = ("busybox", "one", "two")
EXAMPLES = 25
STEPS = 30
CHANGES_OF_A_CREATE = 12

names = st.sampled_from(NAMES)


class Daemon(RuleBasedStateMachine):
    """The real one, and what it should be like."""

    def __init__(self) -> None:
        super().__init__()
        self.containers: dict[str, str] = {}
        """Ids by name."""
        self.volumes: dict[str, str] = {}
        """By id of the container that uses it."""
        self.kept: set[str] = set()
        """Volumes, once they are made."""
        self.images = {"busybox"}
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(anyio.from_thread.start_blocking_portal("trio"))
        self.portal.call(work_in_turns)
        self.machine = self.stack.enter_context(machine(self.portal.call(threading.get_ident)))
        self.start()

    def start(self) -> None:
        self.machine.start(on_death=lambda: None)
        self.engine = Engine(self.machine.config)
        self.life = ExitStack()
        self.life.enter_context(self.portal.wrap_async_context_manager(self.engine))
        check_agreement(self.machine.root, self.engine.ready)

    def teardown(self) -> None:
        self.life.close()
        self.stack.close()

    def ask(self, ask: Callable[[], Awaitable[R]]) -> R | type[Exception]:
        """The answer, or how it was refused."""
        try:
            return self.portal.call(ask)
        except (Conflict, NotFound) as error:
            return type(error)

    # Steps ---------------------------------------------------------------------------------------------------------------

    @rule(name=names, volume=st.sampled_from(VOLUMES), image=st.sampled_from(("busybox", *IMAGES)))
    def create(self, name: str, volume: str, image: str) -> None:
        created = self.ask(lambda: self.engine.create(request(name, volume, image)))
        if image not in self.images:
            assert created is NotFound
        elif name in self.containers:
            assert created is Conflict
        else:
            assert not isinstance(created, type)
            self.note(name, created.id, volume)

    def note(self, name: str, container_id: str, volume: str) -> None:
        assert container_id not in self.containers.values()
        self.containers[name] = container_id
        if volume:
            self.volumes[container_id] = volume
            self.kept.add(volume)

    @rule(name=names)
    def remove(self, name: str) -> None:
        refused = self.ask(lambda: self.engine.remove(name))
        assert refused is (None if name in self.containers else NotFound)
        self.volumes.pop(self.containers.pop(name, ""), None)

    @rule(old=names, new=names)
    def rename(self, old: str, new: str) -> None:
        if old == new:
            return
        refused = self.ask(lambda: self.engine.rename(old, new))
        if old not in self.containers:
            assert refused is NotFound
        elif new in self.containers:
            assert refused is Conflict
        else:
            assert refused is None
            self.containers[new] = self.containers.pop(old)

    @rule(name=names, image=st.sampled_from(IMAGES[1:]))
    def commit(self, name: str, image: str) -> None:
        order = CommitRequest(container=name, reference=f"docker.io/library/{image}:latest")
        made = self.ask(lambda: self.engine.committer.commit(order, created="2026-01-01T00:00:00Z"))
        assert (made is NotFound) == (name not in self.containers)
        if made is not NotFound:
            self.images.add(image)

    @rule()
    def restart(self) -> None:
        self.life.close()
        assert (self.machine.root / "stopped-cleanly").exists()
        self.start()

    @rule()
    def kill(self) -> None:
        dying = self.life
        self.portal.call(self.machine.die)
        dying.close()
        self.start()

    @rule(seed=st.integers(0, 1 << 32))
    def cut_power(self, seed: int) -> None:
        dying = self.life
        self.portal.call(self.machine.die)
        self.machine.forget(Random(seed))
        dying.close()
        self.start()

    @precondition(lambda self: len(self.containers) < len(NAMES))
    @rule(number=st.integers(1, CHANGES_OF_A_CREATE), volume=st.sampled_from(VOLUMES))
    def create_and_die(self, number: int, volume: str) -> None:
        """The client was told nothing: the container is there whole, or not at all."""
        name = next(name for name in NAMES if name not in self.containers)
        dying = self.life
        self.machine.start(dies_before=number, on_death=lambda: None)
        self.ask(lambda: self.engine.create(request(name, volume, "busybox")))
        self.portal.call(self.machine.die)
        dying.close()
        self.start()
        found = [container_id for container_id, of in rows_of(self.machine.root).containers.items() if of == name]
        for container_id in found:
            self.note(name, container_id, volume)

    # What must hold ------------------------------------------------------------------------------------------------------

    @invariant()
    def what_is_listed_is_what_there_should_be(self) -> None:
        services = self.engine.services
        listed = self.portal.call(services.registrar.ask, Registrar.list)
        assert {summary.name: summary.id for summary in listed} == self.containers

    @invariant()
    def volumes_are_in_use_by_whom_they_should(self) -> None:
        listed = self.portal.call(self.engine.services.volumes.ask, Volumes.list)
        users = {each.volume.name: set(each.users) for each in listed}
        assert self.kept <= set(users)
        for name, ids in users.items():
            assert ids == {container_id for container_id, volume in self.volumes.items() if volume == name}

    @invariant()
    def the_disk_is_as_the_records_are(self) -> None:
        check_agreement(self.machine.root, self.engine.ready)


def request(name: str, volume: str, image: str) -> CreateRequest:
    binds = (f"{volume}:/full",) if volume else None
    config = ContainerConfig(image=image, cmd=("true",), working_dir="/srv")
    return CreateRequest(name=name, config=config, host_config=HostConfig(binds=binds))


async def work_in_turns() -> None:
    replace_threads(Turns(Random(0), trio.lowlevel.spawn_system_task, delay_s_max=0))


TestDaemon = Daemon.TestCase
TestDaemon.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)

"""Several actors behind one ref: they take their messages from one mailbox, so whoever is free takes the next.

No message waits behind a slow one while another member is idle. What this gives up is the order in which messages are
finished, and the early warning of asks in a circle: a pool that asks itself falls to its deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar, Unpack

import anyio
import attrs

from actors._backend import Slot, fire
from actors._cell import Cell, Exit
from actors._child import ChildOptions, ChildSpec
from actors._dispatch import serve_methods
from actors._mailbox import Mailbox
from actors._ref import Ref
from actors._supervisor import Supervisor

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


class SharedMailbox(Mailbox):
    """A mailbox with several readers: a message wakes one that waits, and it is closed when the last of them is."""

    __slots__ = ("_idle", "readers_left")

    is_shared = True

    def share(self, readers: int) -> None:
        """Before anything else: among so many."""
        self.readers_left = readers
        self._idle: deque[Slot] = deque()

    def attach(self, slot: Slot) -> None:
        self._idle.append(slot)
        self._reader = self

    def detach(self, slot: Slot) -> None:
        if slot in self._idle:
            self._idle.remove(slot)

    def fire(self) -> None:
        """Wake one reader. If it ends before it has looked, its cell wakes the others."""
        if self._idle:
            fire(self._idle.popleft())
            self._reader = self

    def wake(self) -> None:
        while self._idle:
            fire(self._idle.popleft())

    def close(self) -> None:
        self.readers_left -= 1
        if self.readers_left == 0:
            super().close()


class Pool(Ref[A_co]):
    """A `Ref` to whichever member is free. The members are children of the supervisor, called `name/0`, `name/1`, ...

    Each is restarted like any child, and the messages that wait are not touched by that. `mailbox_capacity` is of the pool.
    """

    __slots__ = ("_members",)

    def __init__(self, members: tuple[Cell[object], ...]) -> None:
        super().__init__(members[0])
        self._members = members

    @staticmethod
    async def start(
        supervisor: Supervisor,
        factory: Callable[[], A],
        *,
        name: str,
        size: int,
        **options: Unpack[ChildOptions],
    ) -> Pool[A]:
        """Start `size` members in order and return when all are up; if one fails to start there is no pool.

        Raises:
            ValueError: `size` is below 1; and as `Supervisor.start`.
        """
        if size < 1:
            raise ValueError(f"pool {name!r} needs at least one member, not {size}")
        spec = ChildSpec(name=name, factory=factory, **options)
        mailbox = supervisor.new_mailbox(spec, SharedMailbox)
        mailbox.share(size)
        members: list[Cell[object]] = []
        try:
            for number in range(size):
                member = attrs.evolve(spec, name=f"{name}/{number}")
                members.append(await supervisor.start_cell(member, mailbox, serve_methods))
        except BaseException:
            with anyio.CancelScope(shield=True):  # bounded by the members' stop timeouts
                for cell in reversed(members):
                    await supervisor.stop_for_good(cell, now=True)
            raise
        return Pool(tuple(members))

    async def watch(self) -> Exit:
        """Return when all members are gone for good, with the exit of the one that was started last."""
        exits = [await member.wait_exit() for member in self._members]
        return exits[-1]

    async def _end(self, *, now: bool) -> None:
        for member in reversed(self._members):
            await member.parent.stop_for_good(member, now=now)

"""OpenTelemetry: counters from the events of a tree, gauges from its snapshots, and what is to be known for traces.

    metrics = Metrics(opentelemetry.metrics.get_meter("app"))
    async with Supervisor(name="app", on_event=metrics.on_event) as supervisor:
        with metrics.observe(supervisor):                  # the supervisors below it are seen through it
            ...

Names and units are OpenTelemetry's: counts of things in braces, seconds as `s`, an enumeration as one series for each of its
values. The names of children are attributes, so a tree with a child per user has as many series as users: drop the attribute
`actors.child.name` in a view there.

**Traces** need no adapter where somebody waits. Started with `context="caller"`, an actor runs a handler in its asker's
context, so a span that the handler opens is a child of the asker's; `@tracer.start_as_current_span("Counter.add")` above
it opens one for each message. (A loop runs in the actor's own context.)

A tell, and a send, is handled in the context in which the supervisor was entered, as that may be long after its sender has gone:
its span is no child of the sender's. To link the two, send the link along:

    class Mailer:
        async def post(self, text: str, links: Sequence[Link] = ()) -> None:
            with tracer.start_as_current_span("Mailer.post", links=links):
                ...

    mailer.tell(Mailer.post, "welcome", current_links())

It cannot be done behind the sender's back: a message that nobody waits for carries its arguments only.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from actors._events import ChildCrashed, ChildStarted, ChildStopped, Event, RefusedTell, StopTimeout, Undelivered
from actors._mailbox import MailboxStatistics
from actors._snapshot import ChildSnapshot, Snapshot
from actors._supervisor import Supervisor

SUPERVISOR = "actors.supervisor.name"
PATH = "actors.supervisor.path"
"""`root/child/supervisor`: where in the tree the supervisor of a child is. Of what is observed only: no event tells it."""
CHILD = "actors.child.name"
"""Of a mailbox that a pool shares: the pool's name."""
STATE = "actors.child.state"
MESSAGE = "actors.message.name"
ERROR_TYPE = "error.type"

STATES = ("up", "stopping", "restarting", "backing off")

SNAPSHOT_TIMEOUT_S = 1.0
"""How long a reader in a thread of its own waits for the event loop. A loop that is busy for longer is not seen this time."""

Attributes = Mapping[str, str]


class Metrics:
    """The metrics of any number of trees, on one meter. Give each root a name of its own: it is how they are told apart."""

    def __init__(self, meter: Meter) -> None:
        self._roots: list[Supervisor] = []
        self._tree: _Tree | None = None
        self._served: set[str] = set()
        """The instruments that have seen `_tree`. A collection asks each once, so to be asked again is the next collection."""
        self._create_counters(meter)
        self._create_observables(meter)

    def on_event(self, event: Event) -> None:
        """The hook: `Supervisor(on_event=metrics.on_event)`."""
        child = {SUPERVISOR: event.supervisor, CHILD: event.child}
        match event:
            case ChildStarted(incarnation=1):
                self._starts.add(1, child)
            case ChildStarted():
                self._restarts.add(1, child)
            case ChildCrashed(error=error):
                self._crashes.add(1, child | {ERROR_TYPE: _type_name(error)})
            case ChildStopped():
                self._stops.add(1, child)
            case StopTimeout():
                self._stop_timeouts.add(1, child)
            case RefusedTell(method=method, error=error):
                self._refused.add(1, child | {MESSAGE: method, ERROR_TYPE: _type_name(error)})
            case Undelivered(method=method, reason=reason):
                self._undelivered.add(1, child | {MESSAGE: method, ERROR_TYPE: _type_name(reason)})

    @contextmanager
    def observe(self, supervisor: Supervisor) -> Iterator[None]:
        """Within it every collection shows the tree of `supervisor`, which has been entered."""
        self._roots.append(supervisor)
        self._tree = None
        try:
            yield
        finally:
            self._roots.remove(supervisor)
            self._tree = None

    def _create_counters(self, meter: Meter) -> None:
        create = meter.create_counter
        self._starts = create("actors.child.starts", "{start}", "Children started, without restarts")
        self._restarts = create("actors.child.restarts", "{restart}", "Children started again by their supervisor")
        self._crashes = create("actors.child.crashes", "{crash}", "Ends of a child by an exception")
        self._stops = create("actors.child.stops", "{stop}", "Children stopped for good")
        self._stop_timeouts = create(
            "actors.child.stop_timeouts", "{timeout}", "Cancellations of a child that did not stop in time"
        )
        self._refused = create("actors.message.refused", "{message}", "Messages refused that nobody waited for")
        self._undelivered = create("actors.message.undelivered", "{message}", "Messages accepted and never read")

    def _create_observables(self, meter: Meter) -> None:
        def add(
            create: _Create, name: str, unit: str, text: str, read: Callable[[_Tree], Iterable[Observation]]
        ) -> None:
            create(name, [lambda _: read(self._tree_for(name))], unit, text)

        counter, total, gauge = (
            meter.create_observable_counter,
            meter.create_observable_up_down_counter,
            meter.create_observable_gauge,
        )
        incarnation = _of_children(lambda child: child.restarts + 1)
        add(gauge, "actors.child.incarnation", "{incarnation}", "1 at first, and 1 more per restart", incarnation)
        add(total, "actors.child.status", "{child}", "1 for the state a child is in, 0 for the others", _states)
        handled = _of_children(lambda child: child.handled)
        add(counter, "actors.message.handled", "{message}", "Messages handled, refusals among them", handled)
        abandoned = _of_mailboxes(lambda mailbox: mailbox.abandoned)
        add(counter, "actors.message.abandoned", "{message}", "Asks whose asker went away first", abandoned)
        usage = _of_mailboxes(lambda mailbox: mailbox.queued)
        add(total, "actors.mailbox.usage", "{message}", "Messages queued", usage)
        limit = _of_mailboxes(lambda mailbox: mailbox.capacity)
        add(total, "actors.mailbox.limit", "{message}", "Messages that may be queued", limit)
        waiting = _of_mailboxes(lambda mailbox: mailbox.waiting)
        add(total, "actors.mailbox.waiting", "{message}", "Messages that wait for room", waiting)
        wait_time = _of_mailboxes(lambda mailbox: mailbox.time_in_mailbox_s)
        add(gauge, "actors.mailbox.wait_time", "s", "How long messages are queued, by a sample", wait_time)

    def _tree_for(self, instrument: str) -> _Tree:
        tree = self._tree
        if tree is None or instrument in self._served:
            snapshots = [snapshot for root in tuple(self._roots) if (snapshot := _pull(root)) is not None]
            tree = self._tree = _Tree(tuple(entry for root in snapshots for entry in _walk(root, root.name)))
            self._served = set()
        self._served.add(instrument)
        return tree


def current_links() -> tuple[trace.Link, ...]:
    """A link to the span that is open here, to be sent along with a tell; none if there is no span."""
    context = trace.get_current_span().get_span_context()
    return (trace.Link(context),) if context.is_valid else ()


_Create = Callable[[str, Sequence[Callable[[CallbackOptions], Iterable[Observation]]], str, str], object]


@attrs.frozen
class _Tree:
    children: tuple[tuple[Attributes, ChildSnapshot], ...]

    def mailboxes(self) -> Iterator[tuple[Attributes, MailboxStatistics]]:
        """Each once, though the members of a pool share one."""
        pools: set[tuple[str, str]] = set()
        for attributes, child in self.children:
            if not child.pool:
                yield attributes, child.mailbox
            elif (pool := (attributes[PATH], child.pool)) not in pools:
                pools.add(pool)
                yield {**attributes, CHILD: child.pool}, child.mailbox


def _pull(supervisor: Supervisor) -> Snapshot | None:
    """The tree now, from whatever thread; None if its loop is busy or gone."""
    backend = supervisor.backend
    if threading.get_ident() == backend.thread_id:
        return supervisor.snapshot()
    answer: concurrent.futures.Future[Snapshot] = concurrent.futures.Future()
    try:
        backend.call_soon_threadsafe(lambda: answer.set_result(supervisor.snapshot()))
        return answer.result(SNAPSHOT_TIMEOUT_S)
    except (RuntimeError, concurrent.futures.TimeoutError):
        return None


def _walk(snapshot: Snapshot, path: str) -> Iterator[tuple[Attributes, ChildSnapshot]]:
    for child in snapshot.children:
        yield {SUPERVISOR: snapshot.name, PATH: path, CHILD: child.name}, child
        for supervisor in child.supervisors:
            yield from _walk(supervisor, f"{path}/{child.name}/{supervisor.name}")


def _of_children(read: Callable[[ChildSnapshot], int]) -> Callable[[_Tree], Iterable[Observation]]:
    return lambda tree: [Observation(read(child), attributes) for attributes, child in tree.children]


def _of_mailboxes(read: Callable[[MailboxStatistics], float]) -> Callable[[_Tree], Iterable[Observation]]:
    return lambda tree: [Observation(read(mailbox), attributes) for attributes, mailbox in tree.mailboxes()]


def _states(tree: _Tree) -> Iterable[Observation]:
    for attributes, child in tree.children:
        for state in STATES:
            yield Observation(int(child.state == state), {**attributes, STATE: state.replace(" ", "_")})


def _type_name(error: BaseException) -> str:
    return type(error).__qualname__

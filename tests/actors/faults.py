"""Puts one fault after the other into a copy of the library, and runs the test that is to catch it: `make faults`.

A fault that a test does not catch is a gap in the tests: the table in README.md says which test is for which fault.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

ROOT = Path(__file__).parent.parent.parent

TIMEOUT_S = 60.0
"""A test that takes longer hangs, and so has caught its fault. Raise it (`--timeout-s`) where the machine is busy."""


@attrs.frozen
class Fault:
    what: str
    path: str
    """In `actors/`."""
    old: str
    new: str
    caught_by: str


FAULTS = (
    Fault(
        "the children's tasks are not shielded from the host's cancellation",
        "_supervisor.py",
        "with anyio.CancelScope(shield=True):\n            async with self.backend.crew()",
        "with anyio.CancelScope(shield=False):\n            async with self.backend.crew()",
        "test_children_are_stopped_in_order_when_the_hosts_scope_is_cancelled",
    ),
    Fault(
        "the end of a supervisor is not shielded",
        "_supervisor.py",
        "with anyio.CancelScope(shield=True):  # bounded by the children's stop timeouts",
        "with anyio.CancelScope(shield=False):",
        "test_every_accepted_message_has_exactly_one_fate",
    ),
    Fault(
        "the intensity is ignored",
        "_restart.py",
        "if len(self._restarts) >= self.restarts_max:",
        "if len(self._restarts) >= 10**6:",
        "test_no_window_ever_holds_more_restarts_than_the_budget",
    ),
    Fault(
        "a mailbox is not closed when its actor is gone",
        "_cell.py",
        "self.mailbox.close()",
        "self.mailbox.refuse_new()",
        "test_a_full_inbox_does_as_its_policy_says",
    ),
    Fault(
        "what is queued at the end is neither answered nor reported",
        "_mailbox.py",
        "left = [message for message in self._queue if _is_live(message)]",
        "left: list[Tell] = []",
        "test_a_full_inbox_does_as_its_policy_says",
    ),
    Fault(
        "timers are not forgotten at a crash",
        "_cell.py",
        "was_up, self.is_up, self._scope, self._timers = self.is_up, False, None, None",
        "was_up, self.is_up, self._scope = self.is_up, False, None",
        "test_a_timer_belongs_to_its_incarnation",
    ),
    Fault(
        "timers starve the mailbox",
        "_cell.py",
        "if self._ticked and (message",
        "if False and (message",
        "test_ticks_that_take_longer_than_their_period_let_messages_through",
    ),
    Fault(
        "helpers are not awaited",
        "_helpers.py",
        "            if self._scopes:",
        "            if False:",
        "test_no_helper_outlives_its_incarnation",
    ),
    Fault("helpers are not cancelled", "_helpers.py", "scope.cancel()", "pass", "test_a_loop_has_timers_and_helpers"),
    Fault(
        "a member of a pool that ends keeps its wake-up",
        "_cell.py",
        "self.mailbox.wake()  # others who share it, if",
        "# others who share it, if",
        "test_a_member_that_ends_passes_its_wake_up_on",
    ),
    Fault(
        "a member of a pool that is to end keeps the others asleep",
        "_pool.py",
        "        while self._idle:\n            fire(self._idle.popleft())",
        "        if self._idle:\n            fire(self._idle.popleft())",
        "test_a_member_that_is_to_end_lets_the_others_look",
    ),
    Fault(
        "a member of a pool that ticks keeps its wake-up",
        "_cell.py",
        "self.mailbox.wake()  # others who share it: a message",
        "pass  # others who share it: a message",
        "test_a_member_that_ticks_passes_its_wake_up_on",
    ),
    Fault(
        "a loop waits for its turn with a message in hand",
        "_inbox.py",
        "        message = await cell.next_message()",
        "        message = await cell.next_message()\n        await cell.parent.backend.checkpoint()",
        "test_a_receive_that_is_cancelled_loses_nothing",
    ),
    Fault(
        "a sender is told of a crash after its message was accepted",
        "_cell.py",
        "if receipt is None or not receipt.is_ask:",
        "if receipt is None:",
        "test_a_sender_whose_message_was_accepted_is_not_told_of_its_crash",
    ),
    Fault(
        "an abandoned handler that is marked `cancel_on_abandon` runs on",
        "_mailbox.py",
        "if receipt.scope is not None:",
        "if False:",
        "test_a_handler_that_wants_it_is_cancelled_when_its_asker_times_out",
    ),
    Fault(
        "a group is stopped in start order",
        "_supervisor.py",
        "in reversed(group):",
        "in group:",
        "test_a_crash_restarts_whom_the_strategy_names",
    ),
    Fault(
        "children are stopped in start order",
        "_supervisor.py",
        "in reversed(self._children.values()):",
        "in tuple(self._children.values()):",
        "test_children_start_in_order_and_stop_in_reverse",
    ),
    Fault(
        "an ask that is dropped as the oldest is not answered",
        "_mailbox.py",
        "            self._drop(oldest, ",
        "            (oldest[3] is None or not oldest[3].is_ask) and self._drop(oldest, ",
        "test_the_oldest_that_is_dropped_is_answered_or_reported",
    ),
    Fault(
        "a circle through a send is not seen",
        "_ref.py",
        "elif (caller := CURRENT.get()) is not None:",
        "elif (caller := None) is not None:",
        "test_a_circle_through_a_send_that_waits_for_room_is_told_at_once",
    ),
    Fault(
        "a restart that fails is not tried again",
        "_supervisor.py",
        "self._see_to(_Exited(sibling, sibling.incarnation, error, behind=group[number + 1 :]))",
        "pass",
        "test_a_restart_that_fails_is_tried_again_and_costs_budget",
    ),
    Fault(
        "the rest of a group is forgotten with the child that is stopped",
        "_supervisor.py",
        "await self._start_again(exited.behind)",
        "pass",
        "test_the_rest_of_a_group_is_started_even_if_the_child_before_it_is_stopped_meanwhile",
    ),
    Fault(
        "an ask goes on waiting for an actor that is down and rejects",
        "_mailbox.py",
        "            if _is_waited_for(message):",
        '            if message[3] is not None and message[3].state == "waiting":',
        "test_an_actor_that_rejects_while_it_is_down_lets_nobody_wait",
    ),
    Fault(
        "an actor that was down rejects for ever",
        "_mailbox.py",
        "if self._refusal is ActorDown:",
        "if False:",
        "test_an_actor_that_rejects_while_it_is_down_lets_nobody_wait",
    ),
    Fault(
        "a pool rejects as soon as one of its members is down",
        "_supervisor.py",
        "any(other.is_up for other in self._children.values() if other.mailbox is cell.mailbox)",
        "cell.is_up",
        "test_a_pool_that_rejects_is_down_when_its_last_member_is",
    ),
    Fault(
        "the time of an `__aexit__` is not in the snapshot",
        "_cell.py",
        "self.cleanup_timeout_s = CLEANUP_TIMEOUT_S",
        "pass",
        "test_a_stop_takes_as_long_as_the_snapshot_says_and_no_longer",
    ),
    Fault(
        "a topic passes over the one after a subscriber that is cut off",
        "_topic.py",
        "            subscriber.push(value)\n",
        "            subscriber.push(value)\n            subscriber.is_closed and self._subscribers.remove(subscriber)\n",
        "test_a_slow_subscriber_is_cut_off_and_told",
    ),
    Fault(
        "a handler does not run in its asker's context",
        "_in_context.py",
        "context.run(step, *arguments)",
        "step(*arguments)",
        "test_with_the_callers_context_a_handler_sees_the_askers_variables_and_leaks_nothing_back",
    ),
    Fault(
        "what is owed is forgotten at a crash",
        "_cell.py",
        "for message in (owed or {}).values():",
        "for message in ():",
        "test_what_is_owed_when_the_actor_crashes_fails_at_once",
    ),
    Fault(
        "a graceful stop does not wait for what is owed",
        "_cell.py",
        'self._stopping == "after the queue" and not self.owed',
        'self._stopping == "after the queue"',
        "test_a_graceful_stop_waits_for_what_is_owed",
    ),
    Fault(
        "room is not handed to those who wait for it",
        "_mailbox.py",
        "            if self._waiting:\n                self._give_room(self._waiting)\n            return message\n",
        "            return message\n",
        "test_every_policy_with_every_verb",
    ),
    Fault(
        "a message is handled although its asker has gone",
        "_mailbox.py",
        'if receipt.state != "queued":',
        "if False:",
        "test_a_timed_out_ask_that_was_not_begun_is_never_handled",
    ),
    Fault(
        "a cancelled ask is not abandoned",
        "_ref.py",
        "cell.mailbox.abandon(receipt)\n        raise\n    finally:\n"
        "        if caller is not None:\n            caller.waiting_on = None\n    error",
        "raise\n    finally:\n        if caller is not None:\n            caller.waiting_on = None\n    error",
        "test_a_handler_that_wants_it_is_cancelled_with_its_asker",
    ),
    Fault(
        "an asker is not told of the crash",
        "_dispatch.py",
        "            cell.fail(message, error)\n            raise",
        "            raise",
        "test_each_restart_in_a_row_waits_longer_up_to_the_limit",
    ),
    Fault(
        "a busy actor keeps the loop to itself",
        "_dispatch.py",
        "if not handled % MESSAGES_PER_TURN_MAX:",
        "if not handled % 10**9:",
        "test_a_busy_actor_lets_others_run",
    ),
    Fault(
        "a child that ignores its cancellation is reported once only",
        "_supervisor.py",
        "patience_s = max(cell.spec.stop_timeout_s, STOP_REPORT_PERIOD_S)",
        "patience_s = math.inf",
        "test_a_child_that_ignores_its_cancellation_is_reported_again_and_again",
    ),
    Fault(
        "a KeyboardInterrupt in a handler is lost",
        "_cell.py",
        "self.parent.fail(error)",
        "pass",
        "test_a_keyboard_interrupt_in_a_handler_leaves_the_async_with",
    ),
    Fault(
        "a supervisor inside an actor is not in the snapshot",
        "_supervisor.py",
        "host.subtrees += (self.snapshot,)",
        "pass",
        "test_a_snapshot_shows_the_supervisors_inside_an_actor",
    ),
    Fault(
        "the time in the mailbox is not measured",
        "_mailbox.py",
        "self._sample, self._sampled_at, self._quiet_limit = message, self._now(), self._limit",
        "pass",
        "test_the_time_in_the_mailbox_is_measured",
    ),
)


def main(arguments: list[str]) -> int:
    """0 if every fault that contains one of the words given, or every fault at all, is caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults that contain one of these")
    parser.add_argument("--timeout-s", type=float, default=TIMEOUT_S, help="what takes longer hangs (%(default)s)")
    given = parser.parse_args(arguments)
    survivors = 0
    for fault in FAULTS:
        if not given.words or any(word in fault.what for word in given.words):
            how = run_with(fault, given.timeout_s)
            survivors += how == "SURVIVED"
            say(f"{how:9} {fault.what}: {fault.caught_by}\n")
    return min(survivors, 1)


def run_with(fault: Fault, timeout_s: float) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for part in ("actors", "tests/actors"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        path = copy / "actors" / fault.path
        text = path.read_text()
        assert text.count(fault.old) == 1, f"no longer applies: {fault.what}"
        path.write_text(text.replace(fault.old, fault.new))
        module = next(path for path in copy.rglob("test_*.py") if f"def {fault.caught_by}(" in path.read_text())
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", str(module), "-k", fault.caught_by]
        try:
            run = subprocess.run(
                command,
                cwd=copy,
                env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
                timeout=timeout_s,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "hangs"
        return {0: "SURVIVED", 1: "caught"}.get(run.returncode, f"error {run.returncode}")


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`dlq watch` in a pipe: one snapshot after another, and as few calls as it can."""

import threading

import pytest

from recovery.cli.verbs.stats import stats
from recovery.cli.verbs.watch import watch
from tests.support.verbs import fill
from worker.core.base.errors import QueueError

INTERVAL_S = 0.02


def watched(made, capsys, until):
    """What is printed until `until(number of snapshots)` says that it is enough."""
    seen = []

    class Enough(threading.Event):
        def wait(self, timeout=None):
            if timeout == INTERVAL_S:
                seen.append(capsys.readouterr())
                if until(len(seen)):
                    self.set()
            return super().wait(timeout)

    made.signals.stop = Enough()
    watch(made, interval=INTERVAL_S)
    return seen


def test_messages_are_read_again_only_when_their_number_has_changed(fakes, context, capsys):
    fill(fakes, 30)
    stats(context("stats"))
    once = fakes.faults.calls.count("dlq.receive")
    made = context("watch")

    def until(snapshots):
        if snapshots == 5:
            fakes.dead_letter("new", "new.txt")
        return snapshots == 8

    seen = watched(made, capsys, until)
    counts = [one.out.count('"visible":31') for one in seen]
    assert (len(seen), counts) == (8, [0] * 5 + [1] * 3)
    assert fakes.faults.calls.count("dlq.receive") <= 3 * once + 2
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (31, set())


def test_a_fault_at_a_later_look_is_told_and_the_watch_goes_on(fakes, context, capsys):
    fill(fakes, 3)

    def until(snapshots):
        if snapshots == 2:
            fakes.faults.add("dlq.attributes", QueueError("denied", code="AccessDenied"))
        return snapshots == 4

    seen = watched(context("watch", as_json=False), capsys, until)
    assert ["denied" in one.err for one in seen] == [False, False, True, True]
    assert all("3 visible" in one.out for one in seen)


def test_a_fault_at_the_first_look_ends_the_watch(fakes, context, capsys):
    made = context("watch")
    fakes.faults.add("dlq.attributes", QueueError("denied", code="AccessDenied"))
    with pytest.raises(QueueError):
        watched(made, capsys, lambda _: True)

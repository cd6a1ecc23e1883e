"""`dlq watch` in a pipe: one snapshot after another, and messages are hidden from nobody for it."""

import json
import threading

import pytest

from recovery.cli.verbs import watch as module
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


def test_each_look_counts_and_none_but_the_first_reads(fakes, context, capsys):
    fill(fakes, 30)
    fakes.store("m29")
    made = context("watch")
    received = []

    def until(snapshots):
        received.append(fakes.faults.calls.count("dlq.receive"))
        if snapshots == 5:
            fakes.dead_letter("new", "new.txt")
            fakes.store("m28")
            fakes.dead_letter("newer", "newer.txt")
        return snapshots == 8

    seen = watched(made, capsys, until)
    looks = [json.loads(one.out) for one in seen]
    assert [(one["visible"], one["stored"], one["depth"]) for one in looks] == [(29, 1, 30)] * 5 + [(30, 2, 32)] * 3
    assert len(set(received)) == 1, "reading hides messages from others, and counts as receiving them"
    assert len({one["read_at"] for one in looks}) == 1
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (30, set())


def test_after_a_time_the_messages_are_read_again(fakes, context, capsys, monkeypatch):
    monkeypatch.setattr(module, "READ_EVERY_S", 0)
    fill(fakes, 3)
    made = context("watch", as_json=False)

    def until(snapshots):
        if snapshots == 1:
            fakes.dead_letter("new", "new.txt", failure={"error_type": "KeyError"})
        return snapshots == 2

    seen = watched(made, capsys, until)
    assert ["KeyError" in one.out for one in seen] == [False, True]
    assert all("; causes read 0" in one.out for one in seen)


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

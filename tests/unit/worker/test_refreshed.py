"""Figures are read again and again, whatever happens meanwhile."""

import threading

import pytest

from testing.waiting import wait_until
from worker import refreshed
from worker.core.base import logs
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.refreshed import keep_fresh


@pytest.mark.parametrize(
    ("error", "said"),
    [(StoreError("down", code="SlowDown"), []), (KeyError("count"), [("levels", "KeyError('count')")])],
)
def test_an_outage_or_a_bug_ends_no_reading_and_only_the_bug_is_reported(monkeypatch, error, said):
    monkeypatch.setattr(refreshed, "INTERVAL_S", 0.01)
    reported, read, stop = [], [], threading.Event()

    def note(event, fields):
        assert event is LogEvent.FIGURES_NOT_READ
        reported.append((fields["what"], fields["error"]))

    def fail_at_first():
        read.append(1)
        if len(read) == 1:
            raise error

    monkeypatch.setattr(logs, "_observers", [note])
    keep_fresh("levels", fail_at_first, stop)
    try:
        wait_until(lambda: len(read) > 2, 5, "more turns")
    finally:
        stop.set()
    assert reported == said

"""What /metrics shows, from a ledger and a queue that have it."""

import time

import pytest

from recovery.ledger.rows import State
from recovery.manager.figures import Depth
from recovery.manager.figures_source import FiguresSource
from testing.ledgers import row
from worker.core.base.classify import FailureKind
from worker.core.base.errors import QueueError

MINUTE_MS = 60_000


@pytest.fixture
def source(fakes, ledger, intake):
    return FiguresSource(ledger, fakes.dlq, intake)


def test_each_dead_letter_is_counted_in_one_place(fakes, ledger, source):
    now_ms = int(time.time() * 1000)
    seen = {"last_seen_ms": now_ms - MINUTE_MS, "sent_ms": now_ms - 2 * MINUTE_MS}
    ledger.restore_rows([
        row("a", **seen), row("b", **seen, kind=FailureKind.UNKNOWN), row("c", **seen, state=State.SCHEDULED),
        row("d", **seen, state=State.SENT), row("e", **(seen | {"last_seen_ms": now_ms - 61 * MINUTE_MS})),
    ])  # fmt: skip
    fakes.dead_letter("m0", "0.txt")
    figures = source.figures()
    assert figures.depth == Depth(main=3, retry=1, analysis=1)
    assert (figures.pending, figures.arrivals_last_hour, figures.ages.count) == (1, 4, 4)
    assert 120 <= figures.oldest_unhandled_s < 180


def test_a_queue_that_does_not_answer_is_no_figure_of_zero(fakes, source, monkeypatch):
    def down():
        raise QueueError("down", code="ServiceUnavailable")

    monkeypatch.setattr(fakes.dlq, "attributes", down)
    with pytest.raises(QueueError, match="down"):
        source.figures()
    assert source.dlq().depth is None

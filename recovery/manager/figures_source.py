"""Reads the figures of `/metrics`, `/health` and CloudWatch: from the ledger, from the DLQ's attributes, and from the intake."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Outcome
from recovery.ledger.rows import State as RowState
from recovery.ledger.statistics import Stats
from recovery.manager.figures import QUANTILES, Depth, Figures, IntakeFigures
from recovery.manager.intake import Intake
from recovery.operations.clients import retention_of
from worker.core.base.classify import FailureKind
from worker.core.base.errors import QueueError
from worker.core.sqs.queue import Queue

FRESH_S = 15.0
"""How long the DLQ's attributes count as fresh, seconds: several scrapers and pages share one call."""


@dataclass(frozen=True, slots=True)
class DlqReading:
    """What the DLQ last said about itself."""

    depth: int | None
    """Visible and in flight; None if it did not answer."""
    retention_s: int
    error: str = ""


class FiguresSource:
    """The figures of one manager. May be used from any thread."""

    def __init__(
        self, ledger: Ledger, dlq: Queue, intake: Intake, *, retries_waiting: Callable[[], int] = lambda: 0
    ) -> None:
        """`retries_waiting`: how many retries are due, and wait for index, S3 or fleet."""
        self._retries_waiting = retries_waiting
        self._ledger = ledger
        self._dlq = dlq
        self._intake = intake
        self._lock = threading.Lock()
        self._reading = DlqReading(None, 0, "it has not been asked yet")
        self._read_at = float("-inf")

    def dlq(self) -> DlqReading:
        """What the DLQ says, at most FRESH_S ago."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                self._reading = self._ask()
                self._read_at = time.monotonic()
            return self._reading

    def figures(self) -> Figures:
        """All figures. Raises LedgerError, and QueueError if the DLQ does not answer."""
        reading = self.dlq()
        figures = self.of_ledger(self._ledger.stats(), reading)
        if reading.depth is None:
            raise QueueError(reading.error, code="Unavailable")
        return figures

    def of_ledger(self, stats: Stats, reading: DlqReading) -> Figures:
        """All figures, to which a DLQ that does not answer adds nothing. Raises LedgerError."""
        now_s = time.time()
        backlog = self._ledger.backlog(QUANTILES)
        analysis = stats.by_kind.get(FailureKind.UNKNOWN.value, 0)
        scheduled = stats.by_state[RowState.SCHEDULED]
        return Figures(
            depth=Depth(
                main=(reading.depth or 0) + stats.waiting - scheduled - analysis, retry=scheduled, analysis=analysis
            ),
            by_error_type=stats.by_error_type,
            ages=backlog.ages,
            soonest_expiry_s=self.soonest_expiry_s(reading),
            arrivals_last_day=stats.last_24_h,
            arrivals_last_hour=backlog.seen_last_hour,
            average_retries=stats.average_retries,
            pending=stats.by_state[RowState.SENT] - stats.by_outcome.get(Outcome.NOT_RETURNED, 0),
            unconfirmed=stats.by_outcome.get(Outcome.UNCONFIRMED, 0),
            retries_waiting=self._retries_waiting(),
            oldest_unhandled_s=_since_s(backlog.oldest_unhandled_ms, now_s),
            operations=self._ledger.operations.counts(),
            repeating_correlations=backlog.repeating_correlations,
            intake=self.intake(),
        )

    def for_cloudwatch(self) -> dict[str, float]:
        """The figures for alarms, in seconds where they are times. Raises LedgerError."""
        stats, now_s = self._ledger.stats(), time.time()
        reading = self.dlq()
        expiry_s = self.soonest_expiry_s(reading)
        return {
            "StoredDeadLetters": float(stats.waiting),
            "DlqOldestAge": _since_s(stats.oldest_sent_ms, now_s),
            "DlqSoonestExpiry": float(reading.retention_s) if expiry_s is None else expiry_s,
        }

    def intake(self) -> IntakeFigures:
        """How the intake does."""
        seen = self._intake.seen
        return IntakeFigures(seen.lag_s, seen.last_receive_s, bool(self._intake.rest.reason))

    def soonest_expiry_s(self, reading: DlqReading) -> float | None:
        """Seconds until SQS drops the first of what could not be taken in; None if there is nothing."""
        oldest_ms = self._intake.seen.oldest_waiting_ms
        return None if oldest_ms is None else max(0.0, oldest_ms / 1000 + reading.retention_s - time.time())

    def _ask(self) -> DlqReading:
        try:
            attributes = self._dlq.attributes()
        except QueueError as error:
            return DlqReading(None, self._reading.retention_s, str(error))
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return DlqReading(sum(int(attributes.get(name, 0)) for name in names), retention_of(attributes))


def _since_s(at_ms: int | None, now_s: float) -> float:
    return 0.0 if at_ms is None else max(0.0, now_s - at_ms / 1000)

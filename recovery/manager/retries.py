"""Sends dead letters again by themselves, once their time has come and while index, S3 and fleet are healthy.

The claim decides: where an operator redrives one at the same time, only one of the two acts. What is due after an outage is
sent at one rate, however much it is.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Change, Row
from recovery.ledger.rows import State as RowState
from recovery.manager.fleet_health import FleetHealth
from recovery.manager.metrics import ManagerMetrics, RetryResult
from recovery.manager.records import RowMaker
from recovery.manager.retry_targets import RetryTargets
from recovery.manager.schedule import NOT_RETRIED, unscheduled
from recovery.manager.turns import Beat
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.desk import change_record
from recovery.operations.dead_letters.scan import INVISIBLE_S
from recovery.operations.dead_letters.stored import RETRY
from recovery.operations.records.reading import read_all
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.sending import Prepared, TransferReport, post, prepare
from recovery.operations.transfer.targets import Target
from worker.core.audit import AuditEvent, Run, record
from worker.core.base.concurrency import Pace
from worker.core.base.errors import PausedError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import Refused
from worker.core.sqs.stored_dead_letter import StoredDeadLetter
from worker.core.sqs.visibility import VisibilityExtender

TURN_S = 5.0
LEASE = "retries"
SENDING_S = 10.0
"""What is sent in one turn takes about so long, far less than its lease lasts; then health is looked at again."""
MAX_DUE = 1_000
LATER_S = 60.0
"""After how many seconds one is tried again that could not be sent, or on which somebody else was acting."""
ALREADY = "it is not scheduled any more"


@dataclass(frozen=True, slots=True)
class RetryParts:
    """What retries work with."""

    clients: DlqClients
    state: State
    ledger: Ledger
    rows: RowMaker
    targets: RetryTargets
    health: FleetHealth
    metrics: ManagerMetrics
    rate: float
    by: str
    notifies: bool
    """Whether somebody is to be notified of what is not retried any more; the ledger notes it then."""
    stop: threading.Event


class Retries:
    """The retries of one manager. For one thread; the properties may be read from any."""

    def __init__(self, parts: RetryParts, *, refresh: Callable[[Sequence[Row]], object]) -> None:
        """`refresh` brings rows to what their records say."""
        self._parts = parts
        self._refresh = refresh
        self._pace = Pace(parts.rate)
        self._later: dict[str, float] = {}
        """When one is looked at again, in monotonic seconds, by dead letter id."""
        self.waiting_for = ""
        """Why nothing is sent although something is due; empty if nothing waits."""
        self.waiting = 0
        """How many are due and wait for that, MAX_DUE at most."""

    def turn(self, beat: Beat) -> None:
        """Send what is due. Raises LedgerError, StoreError, ConfigError or DependencyError."""
        parts = self._parts
        now = time.monotonic()
        self._later = {name: at for name, at in self._later.items() if at > now}
        found = parts.ledger.due(self._now_ms(), limit=MAX_DUE + len(self._later))
        due = [row for row in found if row.identity not in self._later][:MAX_DUE]
        try:
            why = parts.health.why() if due else ""
            if not why and due:
                self._send_due(due[: max(1, int(parts.rate * SENDING_S))], beat)
        except PausedError as error:
            why = error.fact
        self._note(why, len(due))

    def _note(self, why: str, due: int) -> None:
        if bool(why) != bool(self.waiting_for):
            emit(
                LogEvent.RETRY_WAITING if why else LogEvent.RETRY_RESUMED,
                "warning" if why else "info",
                why=why,
                due=due,
            )
        self.waiting_for, self.waiting = why, due if why else 0

    def _now_ms(self) -> int:
        return self._parts.clients.objects.clock.now_ms()

    # -- what is due -------------------------------------------------------------------------------------------------

    def _send_due(self, due: Sequence[Row], beat: Beat) -> None:
        by_target: dict[str, tuple[Target, list[StoredDeadLetter]]] = {}
        for stored in self._scheduled(due):
            target = self._parts.targets.of(stored.dead_letter)
            if isinstance(target, Refused):
                self._end(stored, target.reason)
            else:
                by_target.setdefault(target.url, (target, []))[1].append(stored)
        for target, found in by_target.values():
            if not beat():
                return
            self._send(target, found)

    def _scheduled(self, due: Sequence[Row]) -> list[StoredDeadLetter]:
        """The records of these, if they are still due; the rows of the others are brought to what their records say."""
        now_ms = self._now_ms()
        by_key = {row.key: row for row in due}
        found = {stored.key: stored for stored in read_all(by_key, self._read)}
        left = [stored for stored in found.values() if _is_due(stored, now_ms)]
        kept = {stored.key for stored in left}
        stale = [row for key, row in by_key.items() if key not in kept]
        if stale:
            self._refresh(stale)
            self._put_off(row.identity for row in stale)  # the follower ends the rows of records that are gone
        return left

    def _read(self, key: str) -> StoredDeadLetter | None:
        try:
            return dead_letter_store.read(self._parts.state, key)
        except ValueError:
            return None

    def _put_off(self, identities: Iterable[str]) -> None:
        self._later |= dict.fromkeys(identities, time.monotonic() + LATER_S)

    def _why_not(self, stored: StoredDeadLetter) -> str:
        """Why one is not sent after all: it may have been redriven, and have come back, since it was read."""
        return "" if _is_due(stored, self._now_ms()) else ALREADY

    def _end(self, stored: StoredDeadLetter, why: str) -> None:
        """Open for people what must not be sent by itself. Raises StoreError or LedgerError."""
        parts = self._parts
        written = change_record(parts.state, stored.key, unscheduled)
        if written is None:
            return
        why = parts.rows.text(stored.dead_letter, why)
        emit(LogEvent.RETRY_ENDED, "warning", message_id=stored.dead_letter.id, why=why)
        fields = {
            "state": RowState(parts.rows.row(written).state),
            "retry_at_ms": None,
            "retry_by": None,
            "finding": f"{NOT_RETRIED}{why}",
        }
        details = {"why": why}
        change = Change(stored.dead_letter.id, "not retried", parts.by, fields, details, is_news=parts.notifies)
        parts.ledger.change_many([change])

    # -- sending -----------------------------------------------------------------------------------------------------

    def _send(self, target: Target, found: Sequence[StoredDeadLetter]) -> None:
        parts = self._parts
        report = TransferReport()
        by_id = {stored.dead_letter.id: stored for stored in found}
        prepared = prepare((stored.dead_letter for stored in found), target.entry_of, report)
        for name, why in report.refused.items():
            self._end(by_id[name], why)
        report.refused.clear()
        if not prepared:
            return
        scheduled_by = {name: stored.retry.by for name, stored in by_id.items() if stored.retry.by}
        run = Run.new(RETRY, action="retry", by=parts.by)
        extender = VisibilityExtender(parts.clients.dlq, visibility_s=INVISIBLE_S)  # it receives nothing
        clock = parts.clients.objects.clock
        with Claims(parts.clients.dlq, parts.state, run, extender, clock, refuse=self._why_not).running() as claims:
            try:
                self._post(target, prepared, report, claims)
            finally:
                self._record(run, target, prepared, report, scheduled_by)
        self._count(run, report)
        self._refresh(list(parts.ledger.by_identity(by_id).values()))

    def _post(self, target: Target, prepared: Sequence[Prepared], report: TransferReport, claims: Claims) -> None:
        to, stop, rate = target.queue, self._parts.stop, self._parts.rate
        for confirmed in post(to, prepared, report, stop=stop, rate=rate, pace=self._pace, claim=claims.take):
            report.not_deleted += claims.sent(
                confirmed, to=target.url, unconfirmed_s=target.unconfirmed_s, by_schedule=True
            )

    def _record(
        self, run: Run, target: Target, prepared: Sequence[Prepared], report: TransferReport,
        scheduled_by: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Say in the audit what was sent; and who wanted it to be, where somebody did."""
        if not (report.sent or report.kept):
            return
        tried = {*report.sent, *report.kept}
        dead_letters = (one for one, _ in prepared if one.id in tried)
        details = {"dlq": self._parts.clients.dlq.url, "to": target.url, "report": report.as_json()}
        if wanted := {name: by for name, by in scheduled_by.items() if name in tried}:
            details["scheduled_by"] = wanted
        record(self._parts.state, AuditEvent.of(run, dead_letters, report.counts(), details))

    def _count(self, run: Run, report: TransferReport) -> None:
        self._parts.metrics.count(RetryResult.SENT, len(report.sent))
        self._parts.metrics.count(RetryResult.FAILED, len(report.kept))
        self._put_off([*report.kept, *report.refused])
        if report.sent:
            emit(LogEvent.RETRY_SENT, "info", count=len(report.sent), run=run.name)
        if report.kept:
            name, why = next(iter(report.kept.items()))
            emit(LogEvent.RETRY_FAILED, "error", count=len(report.kept), error=why, message_id=name)


def _is_due(stored: StoredDeadLetter, now_ms: int) -> bool:
    return stored.is_scheduled and (stored.retry.at_ms or 0) <= now_ms

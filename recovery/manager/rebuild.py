"""Makes the ledger again from the state bucket: from the records of dead letters, the archive, and the audit."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import ArrivalRow, Event, Row
from recovery.ledger.rows import State as RowState
from recovery.manager.audit_trail import VIEW, all_entries, first_mark
from recovery.manager.follow import AUDIT_MARK, CHECKED_MARK, OVERLAP_MS, RECORDS_MARK, chunks
from recovery.manager.ownership import take_over
from recovery.manager.records import RowMaker, arrivals_of
from recovery.manager.remask import MARK as REMASKED_MARK
from recovery.manager.remask import digest_of
from recovery.operations.abandon import ArchivedAs
from recovery.operations.dead_letters.stored import stored_all
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.archive import ArchivedDeadLetter
from recovery.operations.records.archive import read_all as read_archive
from worker.core.base.errors import ConfigError
from worker.core.s3.state import ARCHIVE_PREFIX, State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Sending, StoredDeadLetter

LOST = (
    "the statistics of earlier arrivals, and the history of dead letters that were recovered: their records are deleted, and "
    "the audit has only their ids; what nothing but the ledger knows: tokens, plans, operations (those under way do not go on), "
    "and notifications that were not sent yet"
)
"""What a rebuild cannot restore, for the operator."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild has found."""

    stored: int
    archived: int
    events: int

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"stored": self.stored, "archived": self.archived, "events": self.events, "not_restored": LOST}


def rebuild(
    ledger: Ledger, state: State, rows: RowMaker, *, by: str, now_ms: int, stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Rebuilt:  # fmt: skip
    """Fill a new ledger, and make it the state bucket's. `now_ms` is on S3's clock.

    Raises ConfigError if the ledger is not new, StoreError and LedgerError; the state bucket's ledger is then as it was.
    """
    if sum(ledger.stats().by_state.values()):
        raise ConfigError(f"the ledger {ledger.shown} is not empty: a rebuild needs a new database in LEDGER_URL")
    counts = {"stored": 0, "archived": 0, "events": 0}

    def tick(what: str, number: int) -> None:
        counts[what] += number
        on_progress(Progress(sum(counts.values()), None, dict(counts)))

    for stored in chunks(stored_all(state)):
        _go_on(stop)
        ledger.restore_rows(
            [rows.row(one) for one in stored], [arrived for one in stored for arrived in arrivals_of(one)]
        )
        tick("stored", len(stored))
    for archived in chunks(read_archive(state, state.keys(ARCHIVE_PREFIX))):
        _go_on(stop)
        _restore_archived(ledger, rows, archived)
        tick("archived", len(archived))
    last = first_mark(now_ms)
    for part in chunks(_events(state)):
        _go_on(stop)
        known = ledger.by_identity({event.identity for _, event in part})
        events = [event for _, event in part if event.identity in known]
        ledger.restore_rows([], [], events)
        last = part[-1][0]
        tick("events", len(events))
    ledger.set_mark(AUDIT_MARK, last)
    for mark in (RECORDS_MARK, CHECKED_MARK):
        ledger.set_mark(mark, str(now_ms - OVERLAP_MS))
    ledger.set_mark(REMASKED_MARK, digest_of(rows.redactor))
    take_over(state, ledger, by)
    return Rebuilt(**counts)


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise ConfigError("interrupted: the ledger is incomplete; delete its database and run the rebuild again")


def _restore_archived(ledger: Ledger, rows: RowMaker, archived: list[ArchivedDeadLetter]) -> None:
    """Rows of archived dead letters; one whose record exists as well has returned since, and keeps its row."""
    made = [_archived_row(rows, one) for one in archived]
    known = ledger.by_identity(row.identity for row in made)
    new = {row.identity: row for row in made if row.identity not in known}
    arrivals = [
        ArrivalRow(name, one.dead_letter.id, row.last_seen_ms)
        for one, row in zip(archived, made, strict=True)
        if one.dead_letter.id in new
        for name in one.dead_letter.known_as
    ]
    ledger.restore_rows(list(new.values()), arrivals)


def _archived_row(rows: RowMaker, archived: ArchivedDeadLetter) -> Row:
    """The row of an archived dead letter, as it was when it was archived: it has the key of its record, which is deleted.

    If it is restored and returns, it is stored there again.
    """
    mark, dead_letter = archived.restored, archived.dead_letter
    at_ms = _ms(archived.archived_at)
    arrivals = dict.fromkeys(sorted(dead_letter.known_as), dead_letter.sent_ms) or {dead_letter.id: dead_letter.sent_ms}
    sent = Sending(_ms(mark.at), mark.by, mark.run, mark.to, 0) if mark is not None and mark.done else None
    key = dead_letter_store.record_key(dead_letter, dead_letter.id)
    row = rows.row(StoredDeadLetter(replace(dead_letter, stored_key=key), arrivals, sent=sent))
    is_abandoned = archived.error_type in set(ArchivedAs)
    return replace(row, state=RowState.ABANDONED if is_abandoned else RowState.ARCHIVED, changed_ms=at_ms)


def _events(state: State) -> Iterator[tuple[str, Event]]:
    """What the audit says was done to dead letters, with the key of its entry."""
    for entry in all_entries(state):
        if entry.action == VIEW:
            continue
        for name in entry.ids:
            ended = entry.ending(name)
            moved = {} if ended is None else {"to": ended.value}
            yield entry.key, Event(name, entry.at_ms, entry.by, entry.action, {**moved, **entry.details(name)})


def _ms(at: str) -> int:
    try:
        return int(datetime.fromisoformat(at).timestamp() * 1000)
    except ValueError:
        return 0

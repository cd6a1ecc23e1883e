"""Keeps the ledger's rows as the records in S3 and the audit say: what commands and workers do without the manager.

Every ten minutes, the audit is read from where it was left, and the records of the last two days that were written since.
Once a day, all records are listed: those that were written since the last time are read, whatever their day; a row whose record
is gone, and of which the audit says nothing, is missing.

A record with an id that the ledger does not know has come: a worker stored it itself, because the DLQ refused it, or intake was
killed before it wrote the row. It is scheduled and taken in as intake does it.
"""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Arrival, Change, Row
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.arrivals import Arrivals
from recovery.manager.audit_trail import VIEW, Entry, entries, first_mark
from recovery.manager.records import FROM_RECORD
from recovery.operations.dead_letters.desk import change_record
from recovery.operations.records.reading import read_all
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ConfigError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import DEAD_LETTERS_PREFIX, State, dated
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, StoredState

T = TypeVar("T")

AT_ONCE = 500
"""Records, entries or rows that are dealt with together."""
MIN_GONE = 10
"""Up to this number of records may be gone whatever the proportion: a few are not a mistyped bucket."""
DAY_MS = 86_400_000
OVERLAP_MS = 60_000
"""How far back records are looked at again: S3 dates them to the second, and a write may be under way."""
AUDIT_MARK, RECORDS_MARK, CHECKED_MARK = "audit", "records", "records checked"
_IN_S3 = (RowState.OPEN, RowState.SCHEDULED, RowState.SENT)
"""The states in which a dead letter has a record."""
_OF_ARRIVAL = ("state", "retry_at_ms", "retry_by")
"""What a return changes by itself, which counts it by the state before."""


class Follower:
    """Follows one state bucket into one ledger. For one thread. Every method raises StoreError or LedgerError."""

    def __init__(self, ledger: Ledger, state: State, clock: S3Clock, arrivals: Arrivals, stop: threading.Event) -> None:
        """`stop` ends it between two steps; what is left is done the next time."""
        self._ledger = ledger
        self._state = state
        self._clock = clock
        self._arrivals = arrivals
        self._stop = stop
        self._created_ms = ledger.info().created_ms

    def follow(self) -> None:
        """Read what was written since the last time."""
        self._follow_audit()
        since_ms = int(self._ledger.get_mark(RECORDS_MARK) or 0)
        now_ms = self._clock.now_ms()
        days = {dated(now_ms), dated(now_ms - DAY_MS)}
        for day in sorted(days):
            self._adopt(key for key, at_ms in self._state.modified(f"{DEAD_LETTERS_PREFIX}{day}/") if at_ms >= since_ms)
        self._set_mark(RECORDS_MARK, str(now_ms - OVERLAP_MS))

    def check(self) -> int:
        """List all records; the number of dead letters that are missing. Raises ConfigError if more than half seem to be."""
        began_ms = self._clock.now_ms()
        since_ms = int(self._ledger.get_mark(CHECKED_MARK) or 0)
        listed = array("Q")
        for found in chunks(self._state.modified(DEAD_LETTERS_PREFIX)):
            listed.extend(_digest(key) for key, _ in found)
            known = self._ledger.by_key(key for key, _ in found)
            self._adopt(key for key, at_ms in found if at_ms >= since_ms or key not in known)
        ordered = array("Q", sorted(listed))
        self._follow_audit()
        if self._stop.is_set():  # what the audit has ended, but was not read, would seem to be missing
            return 0
        looked_at = 0
        unlisted: list[Row] = []
        for row in self._ledger.rows(Selection(states=_IN_S3)):
            looked_at += 1
            if row.changed_ms <= began_ms and not _contains(ordered, _digest(row.key)):
                unlisted.append(row)
        if len(unlisted) > max(MIN_GONE, looked_at // 2):
            raise ConfigError(
                f"{len(unlisted):,} of {looked_at:,} records are not in s3://{self._state.bucket}/{DEAD_LETTERS_PREFIX}: check "
                "STATE_BUCKET and the endpoint; nothing was changed"
            )
        back = (
            row
            for row in self._ledger.rows(Selection(states=(RowState.MISSING,)))
            if _contains(ordered, _digest(row.key))
        )
        for part in chunks(back):
            self.refresh(part)
        missing = sum(self._refresh(part, {}, is_missing=True) for part in chunks(unlisted))
        self._set_mark(CHECKED_MARK, str(began_ms - OVERLAP_MS))
        return missing

    # -- the audit ---------------------------------------------------------------------------------------------------

    def _follow_audit(self) -> None:
        mark = self._ledger.get_mark(AUDIT_MARK) or first_mark(self._ledger.info().created_ms)
        found = (one for one in entries(self._state, after=mark, until=datetime.now(UTC)) if one.action != VIEW)
        for part in chunks(found):
            if self._stop.is_set():
                return
            endings: dict[str, Entry] = {name: one for one in part for name in one.ids if one.ending(name)}
            touched = {name for one in part for name in one.ids}
            for names in chunks(touched):  # one entry may be about all that a command has done
                self._refresh(list(self._ledger.by_identity(names).values()), endings)
            # An entry of a host whose clock is fast must not hide those that others write meanwhile.
            mark = min(max(mark, part[-1].key), first_mark(self._clock.now_ms()))
            self._ledger.set_mark(AUDIT_MARK, mark)

    def refresh(self, rows: Sequence[Row]) -> None:
        """Bring rows to what their records say; those of records that are gone stay as they are. May be used from any thread."""
        self._refresh(rows, {})

    def _refresh(self, rows: Sequence[Row], endings: dict[str, Entry], *, is_missing: bool = False) -> int:
        """Bring rows to what their records say; the number that are missing, which only `is_missing` makes of them.

        A row whose record is gone ends as the audit says.
        """
        found = {one.key: one for one in read_all((row.key for row in rows), self._read)}
        self._bring(list(found.values()), {row.identity: row for row in rows})
        changes = []
        missing = 0
        for row in rows:
            if row.key in found:
                continue
            entry = endings.get(row.identity)
            if entry is not None:
                changes.append(_ended(row, entry))
            elif is_missing:
                missing += 1
                changes.append(_missing(row))
        self._change(changes)
        return missing

    # -- records -----------------------------------------------------------------------------------------------------

    def _adopt(self, keys: Iterable[str]) -> None:
        """Give records rows, and rows the latest of their records."""
        for part in chunks(keys):
            if self._stop.is_set():
                return
            # The rows first: one that is changed before its record is read is then of another version, and not set back.
            rows = {row.identity: row for row in self._ledger.by_key(part).values()}
            self._bring(list(read_all(part, self._read)), rows)

    def _bring(self, records: Sequence[StoredDeadLetter], rows: Mapping[str, Row]) -> None:
        """Bring the ledger to what these records say. `rows`: those that they have, by identity."""
        known: set[str] = set()
        for ids in chunks(name for one in records for name in one.arrivals):
            known |= self._ledger.known_messages(ids).keys()
        changes, arrived = [], []
        for one in records:
            came = one.arrivals.keys() - known
            record = self._scheduled(one) if came else one
            if record is None:
                continue  # it has ended meanwhile, as the audit will say
            row = rows.get(record.dead_letter.id)
            if row is not None and row.key == record.key:
                changes.append(self._from_record(row, record, but=_OF_ARRIVAL if came else ()))
            arrived += [self._arrival(name, record, is_first=row is None) for name in record.arrivals if name in came]
        self._change(changes)
        for part in chunks(arrived):
            self._arrivals.tell(part, self._ledger.take_in(part))

    def _scheduled(self, stored: StoredDeadLetter) -> StoredDeadLetter | None:
        """The record of what has come, with its next retry, which intake may have given it; None if it is gone by now."""

        def wanted(found: StoredDeadLetter) -> StoredDeadLetter:
            return found if found.retry.at_ms is not None else self._arrivals.scheduler.scheduled(found)

        return stored if wanted(stored) == stored else change_record(self._state, stored.key, wanted)

    def _arrival(self, name: str, record: StoredDeadLetter, *, is_first: bool) -> Arrival:
        """One arrival of a record. News is what has come since there is this ledger, unless somebody has acted upon it.

        Where several have come, only the latest may have used the retries up. `is_first`: there is no row yet, and each arrival
        counts one attempt.
        """
        at_ms = record.arrivals[name]
        made = self._arrivals.of(name, record, at_ms, by="records")
        is_latest = name == list(record.arrivals)[-1]
        is_news = made.is_news and record.state is StoredState.OPEN and at_ms >= self._created_ms
        row = replace(made.row, attempts=1) if is_first else made.row
        return replace(made, row=row, is_news=is_news, also=made.also if is_latest else ())

    def _from_record(self, row: Row, stored: StoredDeadLetter, *, but: Collection[str]) -> Change | None:
        """What the record says that its row does not, if it does, except for some fields."""
        now = self._arrivals.rows.row(stored)
        names = (name for name in FROM_RECORD if name not in but)
        fields = {name: getattr(now, name) for name in names if getattr(now, name) != getattr(row, name)}
        if not fields:
            return None
        if "sent_at_ms" in fields:
            fields |= {"finding": None, "outcome": None}  # they were about what was before
        by = stored.sent.by if stored.sent and now.state is RowState.SENT else "records"
        details = {"run": stored.sent.run} if stored.sent else {}
        is_news = (
            row.state is RowState.SCHEDULED and fields.get("state") is RowState.OPEN
        )  # nothing retries it any more
        return Change(
            row.identity, "sent" if now.state is RowState.SENT else "changed", by, fields, details, row.version,
            is_news=is_news and self._arrivals.notifies,
        )  # fmt: skip

    def _change(self, changes: Iterable[Change | None]) -> None:
        for part in chunks(one for one in changes if one is not None):
            self._ledger.change_many(part)  # a row that was changed meanwhile is looked at the next time

    def _read(self, key: str) -> StoredDeadLetter | None:
        try:
            return dead_letter_store.read(self._state, key)
        except ValueError as error:
            emit(LogEvent.RECOVER_NOT_A_DEAD_LETTER, "warning", name=key, error=str(error))
            return None

    def _set_mark(self, name: str, value: str) -> None:
        if not self._stop.is_set():
            self._ledger.set_mark(name, value)


def _ended(row: Row, entry: Entry) -> Change | None:
    state = entry.ending(row.identity)
    if state is None or row.state is state:
        return None
    return Change(row.identity, entry.action, entry.by, {"state": state}, entry.details(row.identity), row.version)


def _missing(row: Row) -> Change:
    emit(LogEvent.LEDGER_RECORD_MISSING, "critical", message_id=row.identity, name=row.key)
    return Change(row.identity, "missing", "check", {"state": RowState.MISSING}, {"key": row.key}, row.version)


def chunks(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Lists of up to so many of these."""
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())


def _contains(ordered: "array[int]", value: int) -> bool:
    place = bisect_left(ordered, value)
    return place < len(ordered) and ordered[place] == value

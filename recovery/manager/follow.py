"""Keeps the ledger's rows as the records in S3 and the audit say: what commands and workers do without the manager.

Every ten minutes, the audit is read from where it was left, and the records that were written since. Once a day, all records
are listed: a row whose record is gone, and of which the audit says nothing, is missing.
"""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Arrival, Change, Row
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.audit_trail import VIEW, Entry, entries, first_mark
from recovery.manager.records import FROM_RECORD, RowMaker
from recovery.operations.records.reading import read_all
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ConfigError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import DEAD_LETTERS_PREFIX, State, dated
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Retry, StoredDeadLetter

T = TypeVar("T")
Schedule = Callable[[StoredDeadLetter], StoredDeadLetter]

AT_ONCE = 500
"""Records, entries or rows that are dealt with together."""
MIN_GONE = 10
"""Up to this number of records may be gone whatever the proportion: a few are not a mistyped bucket."""
DAY_MS = 86_400_000
OVERLAP_MS = 60_000
"""How far back records are looked at again: S3 dates them to the second, and a write may be under way."""
AUDIT_MARK, RECORDS_MARK = "audit", "records"
_IN_S3 = (RowState.OPEN, RowState.SCHEDULED, RowState.SENT)
"""The states in which a dead letter has a record."""


class Follower:
    """Follows one state bucket into one ledger. For one thread. Every method raises StoreError or LedgerError."""

    def __init__(
        self, ledger: Ledger, state: State, clock: S3Clock, rows: RowMaker, stop: threading.Event,
        schedule: Schedule = lambda stored: stored,
    ) -> None:  # fmt: skip
        """`stop` ends it between two steps; what is left is done the next time.

        `schedule` says when what a worker stored itself, because the DLQ refused it, is sent again by itself.
        """
        self._ledger = ledger
        self._state = state
        self._clock = clock
        self._rows = rows
        self._stop = stop
        self._schedule = schedule

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
        listed = array("Q")
        for keys in chunks(self._state.keys(DEAD_LETTERS_PREFIX)):
            listed.extend(map(_digest, keys))
            self._adopt_unknown(keys)
        ordered = array("Q", sorted(listed))
        self._follow_audit()
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
        return sum(self._refresh(part, {}, is_missing=True) for part in chunks(unlisted))

    # -- the audit ---------------------------------------------------------------------------------------------------

    def _follow_audit(self) -> None:
        mark = self._ledger.get_mark(AUDIT_MARK) or first_mark(self._ledger.info().created_ms)
        found = (one for one in entries(self._state, after=mark, until=datetime.now(UTC)) if one.action != VIEW)
        for part in chunks(found):
            if self._stop.is_set():
                return
            endings: dict[str, Entry] = {name: one for one in part for name in one.ids if one.ending(name)}
            touched = {name for one in part for name in one.ids}
            rows = list(self._ledger.by_identity(touched).values())
            self._refresh(rows, endings)
            mark = max(mark, part[-1].key)
            self._ledger.set_mark(AUDIT_MARK, mark)

    def refresh(self, rows: Sequence[Row]) -> None:
        """Bring rows to what their records say; those of records that are gone stay as they are. May be used from any thread."""
        self._refresh(rows, {})

    def _refresh(self, rows: Sequence[Row], endings: dict[str, Entry], *, is_missing: bool = False) -> int:
        """Bring rows to what their records say; the number that are missing, which only `is_missing` makes of them.

        A row whose record is gone ends as the audit says.
        """
        by_key = {row.key: row for row in rows}
        changes = []
        missing = 0
        found = {one.key: one for one in read_all(by_key, self._read)}
        for key, row in by_key.items():
            stored, entry = found.get(key), endings.get(row.identity)
            if stored is not None:
                change = self._from_record(row, stored)
            elif entry is not None:
                change = _ended(row, entry)
            else:
                change = _missing(row) if is_missing and row.state is not RowState.MISSING else None
                missing += is_missing
            if change is not None:
                changes.append(change)
        for part in chunks(changes):
            self._ledger.change_many(part)  # a row that was changed meanwhile is looked at the next time
        return missing

    def _from_record(self, row: Row, stored: StoredDeadLetter) -> Change | None:
        now = self._rows.row(stored)
        fields = {name: getattr(now, name) for name in FROM_RECORD if getattr(now, name) != getattr(row, name)}
        if not fields:
            return None
        if "sent_at_ms" in fields:
            fields |= {"finding": None, "outcome": None}  # they were about what was before
        by = stored.sent.by if stored.sent and now.state is RowState.SENT else "records"
        details = {"run": stored.sent.run} if stored.sent else {}
        return Change(
            row.identity, "sent" if now.state is RowState.SENT else "changed", by, fields, details, row.version
        )

    # -- records -----------------------------------------------------------------------------------------------------

    def _adopt_unknown(self, keys: Sequence[str]) -> None:
        """Adopt the records that no row names."""
        known = self._ledger.known_keys(keys)
        self._adopt(key for key in keys if key not in known)

    def _adopt(self, keys: Iterable[str]) -> None:
        """Give records rows, and rows the latest of their records: those that a worker wrote, which the DLQ refused."""
        for part in chunks(read_all(keys, self._read)):
            if self._stop.is_set():
                return
            rows = self._ledger.by_identity(one.dead_letter.id for one in part)
            part = [one if one.dead_letter.id in rows else self._scheduled(one) for one in part]  # noqa: PLW2901
            arrivals = [
                Arrival(name, self._rows.row(one), at_ms, by="records")
                for one in part for name, at_ms in one.arrivals.items()
            ]  # fmt: skip
            self._ledger.take_in(arrivals)  # known ones change nothing
            differ = [row for one in part if (row := rows.get(one.dead_letter.id)) and self._from_record(row, one)]
            self.refresh(differ)  # reads the records again: these may be older than the rows

    def _scheduled(self, stored: StoredDeadLetter) -> StoredDeadLetter:
        """The record of what intake has not seen, with its next retry. If somebody has just changed it, that is left to them."""
        if stored.retry != Retry() or stored.sent is not None:
            return stored
        wanted = self._schedule(stored)
        return stored if wanted == stored else dead_letter_store.write(self._state, wanted) or stored

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
    details = {"run": entry.run, "outcome": entry.outcomes[row.identity]}
    return Change(row.identity, entry.action, entry.by, {"state": state}, details, row.version)


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

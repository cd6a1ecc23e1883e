"""Finds out what became of dead letters that were sent again: recovered, not returned, or unconfirmed.

`confirm` (recovery/operations/confirm.py) looks at those whose work S3 and the index can show. Of the others, all that can be
seen is whether they come back: they have not, once their time is over and their queue was empty meanwhile.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from recovery.ledger.ledger import Ledger
from recovery.ledger.pages import Sort
from recovery.ledger.rows import Change, Outcome, Row
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.confirm_when import is_check_due, outcome_of
from recovery.manager.follow import chunks
from recovery.manager.records import RowMaker
from recovery.manager.turns import Beat
from recovery.operations.confirm import Confirmation, Known, Standing, confirm, end, refs_of, waiting_in
from recovery.operations.records.reading import read_all
from worker.core.audit import Run
from worker.core.base.concurrency import Pace
from worker.core.base.errors import QueueError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.index import Index
from worker.core.s3.objects import ObjectStore
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.queue import Queue
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, StoredState

TURN_S = 5.0
LEASE = "confirmation"
RECOVERED = "recovered"
"""The outcome in the audit of what is confirmed."""
RATE = 50.0
"""Records and objects that are looked at in a second, at most."""
AT_ONCE = 100
"""Dead letters that are confirmed together: one question to the index, one entry of the audit."""
PAGE = 500
MAX_QUEUES = 20
"""Queues whose counts are asked for in one turn."""
DAY_MS = 86_400_000
NO_INDEX = "nothing can confirm its work, because INDEX_URL is not set for the manager"
_COUNTS = (
    "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"
)  # fmt: skip
_OUTCOMES = {Standing.STORED_FOR_RETRY: Outcome.STORED_FOR_RETRY, Standing.PARKED: Outcome.PARKED}
_SAID = {
    Outcome.NOT_RETURNED: "it was sent, its queue has been empty since, and it has not come back",
    Outcome.UNCONFIRMED: "neither its work nor its return was seen in time: it may be sent again",
}


@dataclass(frozen=True, slots=True)
class ConfirmationParts:
    """What a confirmation works with."""

    settings: Settings
    rows: RowMaker
    objects: ObjectStore
    state: State
    ledger: Ledger
    index: Index | None
    """None if none is set."""
    queue_at: Callable[[str], Queue]
    """Makes a queue of a URL."""
    refresh: Callable[[Sequence[Row]], object]
    """Brings rows to what their records say."""
    keep_days: int
    by: str
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class _Sent:
    row: Row
    stored: StoredDeadLetter


class Confirmer:
    """Confirms for one manager. For one thread."""

    def __init__(self, parts: ConfirmationParts) -> None:
        self._parts = parts
        self._pace = Pace(RATE)
        self._empty_ms: dict[str, int] = {}
        """When a queue was last seen without any message, by URL, ms on S3's clock."""
        self._looked_ms = 0
        """What was due at this time was looked at, except for `_again`, by dead letter id."""
        self._again: set[str] = set()
        self._last_queue = ""
        """The queue whose counts were asked for last."""

    @property
    def missing(self) -> str:
        """What keeps it from confirming anything of ours; empty if nothing does."""
        return "" if self._parts.index else NO_INDEX

    def turn(self, beat: Beat) -> None:
        """Look at every sending whose time has come. Raises LedgerError, StoreError or IndexUnavailableError.

        If the objects of one bucket cannot be looked at, those of the others are all the same.
        """
        parts, now_ms = self._parts, self._parts.objects.clock.now_ms()
        run = Run.new("dlq-manager confirm", action="confirm", by=parts.by)
        failed: dict[str, StoreError] = {}
        again: set[str] = set()
        queues: set[str] = set()
        after = None
        while True:
            page = parts.ledger.page(
                Selection(states=(RowState.SENT,)), sort=Sort.LAST_SEEN, descending=False, after=after, limit=PAGE
            )
            queues |= {row.sent_to for row in page.rows if row.sent_to and row.outcome != Outcome.NOT_RETURNED}
            due = [row for row in page.rows if self._is_due(row, now_ms)]
            for bucket, found in groupby(sorted(due, key=attrgetter("bucket")), key=attrgetter("bucket")):
                for rows in chunks(found, AT_ONCE):
                    if not beat():
                        return
                    try:
                        if bucket not in failed:
                            self._look_at(rows, run, now_ms)
                    except StoreError as error:
                        failed[bucket] = error
                    if bucket in failed:
                        again |= {row.identity for row in rows}
            after = page.next
            if after is None:
                break
        self._looked_ms, self._again = now_ms, again
        self._look_into(sorted(queues), beat)
        if failed:
            raise next(iter(failed.values()))

    def _is_due(self, row: Row, now_ms: int) -> bool:
        return row.identity in self._again or is_check_due(row.sent_at_ms or 0, last_ms=self._looked_ms, now_ms=now_ms)

    # -- what was sent -----------------------------------------------------------------------------------------------

    def _look_at(self, rows: Sequence[Row], run: Run, now_ms: int) -> None:
        parts = self._parts
        by_key = {row.key: row for row in rows}
        read = list(read_all(by_key, self._read))
        found = [
            _Sent(by_key[stored.key], stored)
            for stored in read
            if stored.state is StoredState.SENT and stored.sent is not None
        ]  # what is gone is the follower's
        if back := [by_key[stored.key] for stored in read if stored.state is not StoredState.SENT]:
            parts.refresh(back)
        refs = {one.row.key: refs_of(one.stored, parts.settings, parts.rows.types) for one in found}
        ours = [one for one in found if refs[one.row.key]]
        if parts.index is not None and ours:
            names = {(ref.bucket, ref.key) for one in ours for ref in refs[one.row.key]}
            known = Known(parts.settings, parts.objects, parts.index, self._pace, parts.stop)
            sent = [(one.stored, refs[one.row.key]) for one in ours]
            self._settle(ours, confirm(known, sent, waiting_in(parts.state, names)), run, now_ms)
        elif ours:
            self._settle(ours, [Confirmation(one.stored, Standing.WAITING, NO_INDEX) for one in ours], run, now_ms)
        self._settle_others([one for one in found if not refs[one.row.key]], run, now_ms)

    def _settle(self, sent: Sequence[_Sent], found: Sequence[Confirmation], run: Run, now_ms: int) -> None:
        done = [one for one, what in zip(sent, found, strict=True) if what.standing is Standing.CONFIRMED]
        self._end(done, RECOVERED, run, now_ms)
        self._say(
            (one, *_said(one, what, now_ms))
            for one, what in zip(sent, found, strict=True)
            if what.standing is not Standing.CONFIRMED
        )

    def _settle_others(self, sent: Sequence[_Sent], run: Run, now_ms: int) -> None:
        """Those of which nothing but a return can be seen."""
        said, ended = [], []
        for one in sent:
            sending = one.stored.sent
            if sending is None:
                continue
            outcome = outcome_of(sending, now_ms=now_ms, empty_ms=self._empty_ms.get(sending.to, 0))
            if one.row.outcome == Outcome.NOT_RETURNED and one.row.sent_at_ms == sending.at_ms:
                outcome = Outcome.NOT_RETURNED  # its queue may be full of others by now
            said.append((one, outcome, ""))
            if outcome is Outcome.NOT_RETURNED and now_ms - sending.at_ms >= self._parts.keep_days * DAY_MS:
                ended.append(one)
        self._say(said)
        self._end(ended, Outcome.NOT_RETURNED, run, now_ms)

    def _end(self, sent: Sequence[_Sent], outcome: str, run: Run, now_ms: int) -> None:
        """Delete records of what is done with, and end their rows."""
        if not sent:
            return
        parts = self._parts
        ended = {
            one.dead_letter.id for one in end(parts.state, run, [one.stored for one in sent], outcome, now_ms=now_ms)
        }
        fields = {"state": RowState.RECOVERED, "outcome": outcome if outcome in set(Outcome) else None, "finding": None}
        changes = [
            Change(one.row.identity, outcome, parts.by, fields, {"run": run.name}, one.row.version)
            for one in sent if one.row.identity in ended
        ]  # fmt: skip
        parts.ledger.change_many(changes)
        if ended:
            emit(LogEvent.CONFIRM_RECOVERED, "info", count=len(ended), outcome=outcome, run=run.name)

    def _say(self, found: Iterable[tuple[_Sent, Outcome | None, str]]) -> None:
        """Write to the rows what is new."""
        changes = []
        for one, outcome, why in found:
            said = _SAID.get(outcome, "") if outcome else ""
            finding = "; ".join(filter(None, (said, self._parts.rows.text(one.stored.dead_letter, why)))) or None
            if outcome == one.row.outcome and (outcome is not None or finding == one.row.finding):
                continue
            details = {"outcome": outcome, "why": finding} if outcome else {}
            fields = {"outcome": outcome, "finding": finding}
            changes.append(Change(one.row.identity, "looked at", self._parts.by, fields, details, one.row.version))
            if outcome is Outcome.UNCONFIRMED:
                emit(LogEvent.CONFIRM_UNCONFIRMED, "warning", message_id=one.row.identity, to=one.row.sent_to, why=why)
        self._parts.ledger.change_many(changes)

    def _read(self, key: str) -> StoredDeadLetter | None:
        self._pace.wait(self._parts.stop)
        try:
            return dead_letter_store.read(self._parts.state, key)
        except ValueError:
            return None  # the follower says that it is no record

    # -- queues ------------------------------------------------------------------------------------------------------

    def _look_into(self, urls: Sequence[str], beat: Beat) -> None:
        """Note which of these queues have no message at this moment: visible, hidden or delayed. The next turn goes on there."""
        place = bisect_right(urls, self._last_queue)
        for url in (*urls[place:], *urls[:place])[:MAX_QUEUES]:
            if not beat():
                return
            self._last_queue = url
            now_ms = self._parts.objects.clock.now_ms()
            try:
                attributes = self._parts.queue_at(url).attributes()
            except QueueError:
                continue  # then what was sent there is unconfirmed, once its time is over
            if not any(int(attributes.get(name, 0)) for name in _COUNTS):
                self._empty_ms[url] = now_ms


def _said(one: _Sent, what: Confirmation, now_ms: int) -> tuple[Outcome | None, str]:
    """What to say of one of ours that is not confirmed, and why. While it may still be on its way, there is nothing to say."""
    outcome = _OUTCOMES.get(what.standing)
    if outcome is None and one.stored.sent is not None:
        outcome = outcome_of(one.stored.sent, now_ms=now_ms, empty_ms=None)
    is_news = outcome is not None or what.standing is Standing.UNREADABLE or what.why == NO_INDEX
    return outcome, what.why if is_news else ""

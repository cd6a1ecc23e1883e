"""The worker's side of the budgets: it takes from its slices before each read, and leases further ones from the shared record.

What is used is taken before it is used: an object before its GET, bytes when their number is known and before they are read,
seconds of extraction as the longest so far, which is corrected afterwards. Where a slice does not suffice, the thread that asks
waits, and this module's own thread leases more; nobody else makes requests for budgets.

A cap that is used up refuses: one on everything shuts the gate, which stops polling until midnight or until it is raised; one
on a prefix does not, and the handler holds the object (`retry-index/held/`). A record that cannot be read refuses nothing and
allows nothing: once the slice is used up, polling stops and messages in flight go back to the queue after a while.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from worker.budget_share import Share
from worker.core.base.budget import DOLLARS, KINDS, Cap, units
from worker.core.base.errors import BudgetError, OutageError, QueueError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.s3.budget_ledger import Ask, BudgetLedger, Standing
from worker.core.s3.state import safe_name
from worker.core.sqs.queue import Queue
from worker.pause_gate import PauseGate
from worker.supervisor import IDLE_TURN_S

SPENT, UNKNOWN = "budget", "budget unknown"
"""Reasons for which the gate is shut."""
REFRESH_S = 15.0
"""How often the shared record is read where nothing is to be leased: for a raised cap, and for the figures."""
RETRY_S = 2.0
"""The next try after the record could not be read or written."""
PATIENCE_S = 30.0
"""How long one take waits for a slice."""
FIRST_SECONDS = 1.0
"""How long an extraction is expected to take before the first was seen, or 1% of the smallest cap on seconds."""
WARN_FROM = 0.9
LAG_FROM = 0.75
"""The parts of a cap, and of the queue's retention, from which there is a warning."""
LAG_EVERY_S = 3600.0
MAX_SILENCE_S = 180
"""The slowest step: a read and a conditional write, each to its timeout, by obstore and by boto3."""


@dataclass(frozen=True, slots=True)
class _Taken:
    day: str
    parts: list[tuple[Share, int]]
    is_estimate: bool


class Budgets:
    """Counts what the pipeline uses (see `Meter`), and refuses what is over a cap. `run` is a thread's loop."""

    def __init__(self, settings: Settings, clients: Clients, gate: PauseGate) -> None:
        self._prices = settings.budget_prices
        self._source: Queue = clients.source
        self._ledger = BudgetLedger(clients.state, clients.objects.clock)
        self._gate = gate
        self._changed = threading.Condition()
        self._asked = threading.Event()
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._shares = [Share(cap) for cap in settings.budget_caps]
        self._day = self._ledger.today()
        seconds = [cap.amount(cap.units) / 100 for cap in settings.budget_caps if cap.kind == "seconds"]
        self._longest_s = min([FIRST_SECONDS, *seconds])
        self._failing = ""
        self._next_at = self._not_before = 0.0
        self._lag_at = 0.0
        self.reopened = 0
        """How often a cap that was used up has had room again: then held objects are due."""

    # -- for the pipeline (Meter) ------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, bucket: str, key: str) -> Iterator[Callable[[int], None]]:
        """One object: refused if any cap on it is used up. A GET that fails is not counted."""
        taken = self._take(bucket, key, dict.fromkeys(KINDS, 0) | self._amounts("objects", 1))
        used = 1
        try:
            yield partial(self._take_bytes, bucket, key)
        except StoreError:
            used = 0
            raise
        finally:
            self._settle(taken, self._amounts("objects", used))

    @contextmanager
    def extracting(self, bucket: str, key: str) -> Iterator[Callable[[float], None]]:
        """The longest extraction so far is taken, and corrected afterwards."""
        taken = self._take(bucket, key, self._amounts("seconds", self._longest_s), is_estimate=True)
        began, waited = time.monotonic(), [0.0]
        try:
            yield waited.append
        finally:
            took_s = time.monotonic() - began - sum(waited)
            self._longest_s = max(self._longest_s, took_s)
            self._settle(taken, self._amounts("seconds", took_s))

    def _take_bytes(self, bucket: str, key: str, size: int) -> None:
        taken = self._take(bucket, key, self._amounts("bytes", size))
        if any(share.in_use > share.granted for share, _ in taken.parts):
            self._asked.set()  # soon known to the others, whatever becomes of this worker

    def _amounts(self, kind: str, amount: float) -> dict[str, int]:
        """Units of this kind, and of the dollars that they cost."""
        found = {kind: units(kind, amount)}
        if price := self._prices.get(kind):
            found[DOLLARS] = units(DOLLARS, price * amount)
        return found

    # -- for the replay ----------------------------------------------------------------------------------------------

    def may_release(self, scope: str) -> bool:
        """Whether what is held for a scope (as `safe_name` writes it) may be tried: none of its caps is known to be used up."""
        return not any(share.denied for share in self._shares if safe_name(share.cap.scope) == scope)

    # -- taking ------------------------------------------------------------------------------------------------------

    def _take(self, bucket: str, key: str, amounts: Mapping[str, int], *, is_estimate: bool = False) -> _Taken:
        """Take from every cap on the object, waiting for slices. Raises BudgetError, OutageError; then nothing is taken.

        An estimate must be settled: others wait for what it gives back.
        """
        until = time.monotonic() + PATIENCE_S
        with self._changed:
            while True:
                self._begin_day()
                parts = [
                    (share, amounts[share.cap.kind])
                    for share in self._shares
                    if share.cap.kind in amounts and share.cap.covers(bucket, key)
                ]
                short = [(share, amount) for share, amount in parts if not share.fits(amount)]
                if not short:
                    break
                self._wait(short, until)
            for share, amount in parts:
                share.in_use += amount
                share.open += is_estimate
            return _Taken(self._day, parts, is_estimate)

    def _wait(self, short: list[tuple[Share, int]], until: float) -> None:
        """Wait for a change of these shares; raises where there is none to wait for."""
        for share, _ in short:
            if share.denied and not share.open:
                raise self._spent(share.cap)
        if self._draining.is_set() or time.monotonic() >= until:
            raise OutageError(f"the budget record does not answer: {self._failing or 'no slice in time'}")
        for share, amount in short:
            share.waiting += max(amount, 1)
        if any(not share.denied and not share.is_asking for share, _ in short):  # else the answer under way decides
            self._asked.set()
        self._changed.wait(IDLE_TURN_S)
        for share, amount in short:
            share.waiting = max(0, share.waiting - max(amount, 1))

    def _spent(self, cap: Cap) -> BudgetError:
        """The error for a cap that is used up; one on everything stops polling."""
        why = f"today's budget of {cap.name} is used up"
        if not cap.scope:
            self._gate.shut(SPENT, f"{why}; work goes on at 00:00 UTC, or after `s3-index-worker budget --raise`")
        return BudgetError(why, scope=cap.scope)

    def _settle(self, taken: _Taken, used: Mapping[str, int]) -> None:
        """Correct what was taken to what was used; what was taken yesterday is void."""
        with self._changed:
            if taken.day == self._day:
                for share, amount in taken.parts:
                    share.in_use += used.get(share.cap.kind, 0) - amount
                    share.open -= taken.is_estimate
                    if share.in_use > share.granted:  # soon known to the others, whatever becomes of this worker
                        self._asked.set()
                self._changed.notify_all()

    def _begin_day(self) -> None:
        """At midnight of S3's clock: nothing is leased, nothing used, nothing refused."""
        today = self._ledger.today()
        if today != self._day:
            self._day = today
            self._shares = [Share(share.cap) for share in self._shares]
            self.reopened += 1
            self._gate.clear(SPENT)
            self._changed.notify_all()

    # -- leasing -----------------------------------------------------------------------------------------------------

    def run(self, liveness: Liveness, *, lag_s: Callable[[], float] = lambda: 0.0) -> None:
        """Lease until stopped, then give back what is left. `lag_s`: how long the queue's oldest message has waited."""
        while not self._stopping.is_set():
            liveness.beat()
            self._asked.wait(IDLE_TURN_S)
            with self._changed:
                self._begin_day()
            now = time.monotonic()
            if now >= self._next_at or (self._asked.is_set() and now >= self._not_before):
                self.exchange()
                self._watch_lag(lag_s())
            elif self._asked.is_set():
                self._stopping.wait(self._not_before - now)
        self.exchange(returns=True)

    def drain(self) -> None:
        """End the waits of those who take; what has begun is still counted."""
        self._draining.set()

    def stop(self) -> None:
        """End the loop."""
        self._stopping.set()
        self._ledger.stop()
        self._asked.set()

    def exchange(self, *, returns: bool = False) -> None:
        """Ask the shared record once, for all shares; what fails is tried again later. Never raises."""
        with self._changed:
            self._asked.clear()
            day = self._day
            asks = [
                (share, Ask(share.cap, share.in_use, returns=True) if returns else share.ask())
                for share in self._shares
            ]
            for share, ask in asks:
                share.is_asking = ask.wanted > 0
        try:
            found = self._ledger.exchange(day, [ask for _, ask in asks])
        except StoreError as error:
            self._failed(asks, error)
            return
        self._failing = ""
        self._gate.clear(UNKNOWN)
        self._next_at = time.monotonic() + REFRESH_S
        with self._changed:
            were_spent = {share.cap.name for share, _ in asks if share.denied}
            for share, ask in asks:
                share.learn(ask, found[share.cap.name])
            if any(not share.denied and share.cap.name in were_spent for share, _ in asks):
                self.reopened += 1
            if not any(share.denied for share in self._shares if not share.cap.scope):
                self._gate.clear(SPENT)
            self._changed.notify_all()
        for share, _ in asks:
            _report(share, found[share.cap.name])

    def _failed(self, asks: list[tuple[Share, Ask]], error: StoreError) -> None:
        self._not_before = time.monotonic() + RETRY_S
        self._next_at = time.monotonic() + REFRESH_S
        if error.code != self._failing:
            self._failing = error.code
            emit(LogEvent.BUDGET_UNREADABLE, "warning", code=error.code, error=str(error))
        with self._changed:
            is_needed = any(ask.wanted and not share.denied for share, ask in asks)
            for share, _ in asks:
                share.is_asking = False
            self._changed.notify_all()
        if is_needed:
            self._gate.shut(UNKNOWN, f"what is left of today's budgets cannot be determined: {error}")
        if UNKNOWN in self._gate.reasons:
            self._next_at = self._not_before

    # -- the lag -----------------------------------------------------------------------------------------------------

    def _watch_lag(self, lag_s: float) -> None:
        """While a budget stops the polling: say how long messages have waited, compared with when SQS drops them."""
        if SPENT not in self._gate.reasons:
            return
        try:
            retention_s = int(self._source.attributes()["MessageRetentionPeriod"])
        except (QueueError, KeyError):
            return
        is_near = lag_s > LAG_FROM * retention_s and time.monotonic() >= self._lag_at
        if is_near:
            self._lag_at = time.monotonic() + LAG_EVERY_S
        emit(LogEvent.BUDGET_LAG, "warning" if is_near else "debug", lag_s=round(lag_s), retention_s=retention_s)


def _report(share: Share, standing: Standing) -> None:
    """Log how a cap stands; a warning once from 90% of its limit on."""
    is_near = standing.used >= WARN_FROM * standing.limit and share.warned_of != standing.limit
    if is_near:
        share.warned_of = standing.limit
    emit(
        LogEvent.BUDGET_COUNTED, "warning" if is_near else "debug", cap=share.cap.name,
        used=share.cap.amount(standing.used), limit=share.cap.amount(standing.limit),
    )  # fmt: skip

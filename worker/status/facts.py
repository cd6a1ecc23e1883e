"""Reads the present state of the whole system: two calls to SQS, and a bounded number to the state bucket.

The parts are read at the same time, and each by itself: one that cannot be read says why, and the others are shown. The index
is not asked; the workers are, by their records, because it is they who have to reach it.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from worker.core.base.errors import QueueError, StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.settings import Settings
from worker.core.base.text import one_line
from worker.core.clients import Clients
from worker.core.s3.brakes import read_resumption
from worker.core.s3.budget_ledger import BudgetLedger
from worker.core.s3.reindexing import Reindex, read_reindex
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.s3.waiting import Tally, tally, tally_retry_index
from worker.core.s3.workers import WorkerRecord, read_recent_workers
from worker.core.sqs.queue import Queue

PATIENCE_S = 15.0
"""How long all parts together are awaited: a call that is not answered takes up to 60 s to fail."""

_REQUEST = re.compile(r"\"?(https?://[^/\"?\s]+)[^\"\s]*\"?")
"""The address of a request, in an error of botocore: its host, and the rest, which differs from call to call."""
_UNREACHABLE = frozenset({"EndpointConnectionError", "ConnectTimeoutError"})
"""The codes of those errors where there was no connection."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part that could not be read."""

    why: str
    is_late: bool = False
    """Whether it is still being waited for."""


@dataclass(frozen=True, slots=True)
class Depth:
    """The messages of a queue, as SQS counts them: about, and as of up to a minute ago."""

    queue: str
    visible: int
    in_flight: int
    delayed: int

    @classmethod
    def of(cls, queue: Queue) -> Self:
        """Ask SQS. Raises QueueError."""
        found = queue.attributes()
        try:
            return cls(
                queue.name,
                int(found["ApproximateNumberOfMessages"]),
                int(found["ApproximateNumberOfMessagesNotVisible"]),
                int(found.get("ApproximateNumberOfMessagesDelayed", 0)),
            )
        except (KeyError, ValueError) as error:
            raise QueueError(f"the answer has no depth: {error}", code="Unreadable") from error


@dataclass(frozen=True, slots=True)
class CapUse:
    """How one cap of BUDGET_CAPS stands today."""

    name: str
    used: float
    limit: float


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that is known at one moment."""

    at_ms: int
    """When, ms since the epoch on S3's clock."""
    state_bucket: str
    queue: Depth | Unknown
    dlq: Depth | Unknown
    dead_letters: Tally | Unknown
    """Those that are stored in `dead-letters/`."""
    retry_index: Mapping[str, Tally] | Unknown
    """By prefix: what waits for the index, what is parked, and what is held for a budget."""
    workers: list[WorkerRecord] | Unknown
    pause: JsonObject | Unknown | None
    """The record of the pause in force; None if there is none."""
    reindex: Reindex | Unknown | None
    """The reindex that is under way."""
    lets_fail_until_ms: int | Unknown
    """Until when `resume --let-fail` keeps the brake off, ms since the epoch; 0 if it never did."""
    budgets: list[CapUse] | Unknown
    """Empty if BUDGET_CAPS is not set."""

    @property
    def alive(self) -> list[WorkerRecord]:
        """The workers that run, as far as is known."""
        return [] if isinstance(self.workers, Unknown) else [one for one in self.workers if one.is_alive]

    @property
    def unknown(self) -> dict[str, Unknown]:
        """The parts that could not be read, by name."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in parts.items() if isinstance(part, Unknown)}

    @property
    def is_brake_off(self) -> bool:
        """Whether no worker brakes at present, whatever fails."""
        return not isinstance(self.lets_fail_until_ms, Unknown) and self.lets_fail_until_ms > self.at_ms


PARTS = ("queue", "dlq", "dead_letters", "retry_index", "workers", "pause", "lets_fail_until_ms", "reindex", "budgets")


def read_status(settings: Settings, clients: Clients, *, patience_s: float = PATIENCE_S) -> Status:
    """Read every part, for so many seconds at most. Never raises: what cannot be read is Unknown."""
    state, clock = clients.state, clients.objects.clock

    def workers() -> list[WorkerRecord]:
        with contextlib.suppress(StoreError):
            clients.objects.check_bucket(state.bucket)  # any answer of S3 sets the clock by which workers are alive
        return read_recent_workers(state, clock.now_ms())

    def reindex() -> Reindex | None:
        found = read_reindex(state)
        return None if found is None else found[0]

    parts: dict[str, Callable[[], Any]] = {
        "queue": lambda: Depth.of(clients.source),
        "dlq": lambda: Depth.of(clients.dlq),
        "dead_letters": lambda: tally(state, DEAD_LETTERS_PREFIX),
        "retry_index": lambda: tally_retry_index(state),
        "workers": workers,
        "pause": state.pause_record,
        "lets_fail_until_ms": lambda: read_resumption(state).lets_fail_until_ms,
        "reindex": reindex,
        "budgets": lambda: _budgets(settings, clients),
    }
    found = _read_all(parts, patience_s)
    return Status(at_ms=clock.now_ms(), state_bucket=state.bucket, **found)


def _budgets(settings: Settings, clients: Clients) -> list[CapUse]:
    if not settings.budget_caps:
        return []
    ledger = BudgetLedger(clients.state, clients.objects.clock)
    standings = ledger.standings(ledger.today(), settings.budget_caps)
    return [
        CapUse(cap.name, cap.amount(standings[cap.name].used), cap.amount(standings[cap.name].limit))
        for cap in settings.budget_caps
    ]


def _in_words(error: QueueError | StoreError) -> str:
    """Why a call failed: the same words for all calls that failed for one cause, and no address of a request."""
    text = one_line(str(error))
    where = _REQUEST.search(text)
    if error.code in _UNREACHABLE and where is not None:
        return f"nothing answers at {where[1]}"
    return _REQUEST.sub(r"\1", text)


def _read_all(parts: Mapping[str, Callable[[], Any]], patience_s: float) -> dict[str, Any]:
    """What each part returns, or why it does not."""
    found: dict[str, Any] = {name: Unknown(f"no answer within {patience_s:g} s", is_late=True) for name in parts}

    def read(name: str) -> None:
        try:
            found[name] = parts[name]()
        except (QueueError, StoreError) as error:
            found[name] = Unknown(_in_words(error))
        except Exception as error:  # noqa: BLE001 (whatever it is, the other parts are shown)
            found[name] = Unknown(one_line(f"{type(error).__name__}: {error}"))

    threads = [threading.Thread(target=read, args=(name,), name=f"status-{name}", daemon=True) for name in parts]
    until = time.monotonic() + patience_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)

"""`s3-index-worker/budgets/`: what the fleet has used of each cap today. Workers lease slices of it by conditional writes.

A day of S3's clock (UTC) has one record, so whatever was leased is void at midnight. For each cap, the record holds how much
each worker has leased in all: a write that arrived without its answer changes nothing when it is made again, and what a dead
worker leased counts as used until the day ends.
"""

import random
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from worker.core.base.budget import Cap
from worker.core.base.clock import S3Clock
from worker.core.base.errors import StoreError
from worker.core.s3.state import CONTROL_PREFIX, State, dated

SCHEMA = 1
BUDGETS_PREFIX = CONTROL_PREFIX + "budgets/"
SLICES = 100
LAST_SLICES = 10
"""A slice is this part of its cap, or that of what is left of it if this is less; and at least what is asked for."""
ATTEMPTS = 20
"""Writes that other workers may come before, until the record counts as unwritable."""
LONGEST_WAIT_S = 0.2
KEPT_MS = 35 * 86_400 * 1000
"""The age at which a day's record is removed, by whoever begins a new one."""
Record = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """What one worker has used of a cap today, and what it would like to have."""

    cap: Cap
    in_use: int = 0
    """What it has spent and reserved today, in units."""
    wanted: int = 0
    """What it needs beyond that; 0 if it only reports."""
    returns: bool = False
    """Whether it gives back what it has leased and not used."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a cap stands today, in units."""

    leased: int
    """By this worker, what it has used included."""
    used: int
    """By all workers: what they have leased."""
    limit: int
    """The cap, and what operators have added to it for today."""
    is_last: bool = False
    """Whether this worker has got all that was left, less than it needs: it alone may exceed it, by one object."""


class BudgetLedger:
    """The shared record. Every method may be called from any thread and raises StoreError."""

    def __init__(self, state: State, clock: S3Clock) -> None:
        self._state = state
        self._clock = clock
        self._holder = secrets.token_hex(6)
        """A process that starts again must not take over the slices of the last."""
        self._stop = threading.Event()

    def today(self) -> str:
        """The day on S3's clock: YYYY-MM-DD."""
        return dated(self._clock.now_ms())

    def exchange(self, day: str, asks: Iterable[Ask]) -> dict[str, Standing]:
        """Report and lease, all in one write, which is left out where nothing changes; by the cap's name."""
        asked = list(asks)

        def change(record: Record) -> dict[str, Standing]:
            return {ask.cap.name: _exchanged(record, ask, self._holder) for ask in asked}

        return self._change(day, change)

    def standings(self, day: str, caps: Iterable[Cap]) -> dict[str, Standing]:
        """How these caps stand; nothing is changed."""
        record = self._read(day)[0]
        return {cap.name: _exchanged(record, Ask(cap), self._holder) for cap in caps}

    def raise_caps(self, day: str, more: Mapping[str, int]) -> None:
        """Add units to caps, by name, for this day."""
        before = dict(self._read(day)[0]["raised"])
        target = {name: before.get(name, 0) + added for name, added in more.items()}

        def add(record: Record) -> None:
            for name, wanted in target.items():  # not added again where the first write arrived without its answer
                record["raised"][name] = max(wanted, record["raised"].get(name, 0))

        self._change(day, add)

    def stop(self) -> None:
        """End every wait."""
        self._stop.set()

    def _change(self, day: str, change: Callable[[Record], T]) -> T:
        """Read the record, change it, write it if nobody else has meanwhile; else again. What `change` returns."""
        for _ in range(ATTEMPTS):
            record, etag = self._read(day)
            before = orjson.dumps(record)
            result = change(record)
            after = orjson.dumps(record)
            if after == before:
                return result
            if self._state.claim(_key(day), after, instead_of=etag) is not None:
                if etag is None:
                    self._state.delete(_key(dated(self._clock.now_ms() - KEPT_MS)))
                return result
            self._stop.wait(random.uniform(0, LONGEST_WAIT_S))  # noqa: S311 (jitter, not a secret)
        raise StoreError(f"{_key(day)}: other workers were first {ATTEMPTS} times", code="PreconditionFailed")

    def _read(self, day: str) -> tuple[Record, str | None]:
        found = self._state.get_with_etag(_key(day))
        if found is None:
            return {"schema": SCHEMA, "raised": {}, "caps": {}}, None
        try:
            record = orjson.loads(found[0])
            _require_numbers(record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{_key(day)} cannot be read: {error!r}; delete it to begin again", code="Unreadable"
            ) from error
        return record, found[1]


def _require_numbers(record: Record) -> None:
    """Raises ValueError, KeyError, TypeError or AttributeError where it is no record of ours."""
    if record["schema"] != SCHEMA:
        raise ValueError(f"its schema is {record['schema']}")
    numbers = list(record["raised"].values())
    for entry in record["caps"].values():
        numbers += entry["leased"].values()
        if not isinstance(entry["last"], str):
            raise TypeError("a holder is not text")
    if not all(isinstance(one, int) and one >= 0 for one in numbers):
        raise TypeError("an amount is not a number")


def _key(day: str) -> str:
    return f"{BUDGETS_PREFIX}{day}.json"


def _exchanged(record: Record, ask: Ask, holder: str) -> Standing:
    """Enter one worker's report in the record, and lease what it wants as far as there is room; how the cap stands then."""
    name = ask.cap.name
    entry = record["caps"].get(name, {"leased": {}, "last": ""})
    limit = ask.cap.units + record["raised"].get(name, 0)
    mine = entry["leased"].get(holder, 0)
    others = sum(entry["leased"].values()) - mine
    last = entry["last"]
    if ask.wanted:
        mine, last = _leased(ask, limit - others - ask.in_use, limit, last, holder)
    else:
        mine = ask.in_use if ask.returns else max(mine, ask.in_use)
        last = "" if ask.returns and last == holder else last
    if mine or holder in entry["leased"] or last != entry["last"]:
        record["caps"][name] = {"leased": {**entry["leased"], holder: mine}, "last": last}
    return Standing(mine, others + mine, limit, is_last=last == holder)


def _leased(ask: Ask, free: int, limit: int, last: str, holder: str) -> tuple[int, str]:
    """How much the worker has leased in all now, and who holds the last piece."""
    if free >= ask.wanted:
        return ask.in_use + max(
            ask.wanted, min(-(-limit // SLICES), -(-free // LAST_SLICES))
        ), "" if last == holder else last
    if free > 0 and last in {"", holder}:
        return ask.in_use + free, holder
    return ask.in_use, "" if last == holder else last

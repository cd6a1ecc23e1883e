"""`s3-index-worker/workers/`: what each worker says of itself, every minute. Nobody removes a dead worker's: its age tells."""

import random
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from heapq import nlargest
from itertools import islice
from typing import Any, Self

import orjson

from worker.core.base.errors import StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.text import shortened
from worker.core.s3.state import CONTROL_PREFIX, State, fitting_key

SCHEMA = 1
WORKERS_PREFIX = CONTROL_PREFIX + "workers/"
INTERVAL_S = 60
"""How often a worker writes its record."""
FRESH_MS = 3 * INTERVAL_S * 1000
"""The age up to which a worker counts as alive: two records may be late or lost."""
LOST_FOR_MS = 86_400 * 1000
"""The age up to which the record of a worker that went silent is shown."""
FORGOTTEN_MS = 7 * 86_400 * 1000
"""The age from which a record is removed by any worker that starts."""
MAX_READ = 1_000
"""The number of records that one look reads; each restart of a worker leaves one for a week."""
MAX_LISTED = 10_000
"""The number of records among which a starting worker chooses those that it examines."""
MAX_ENTRIES = 20
MAX_TEXT = 300
"""A record holds so many breakers, reasons and failing calls, each cut to so many characters."""
BRAKE = "brake"
"""In `held_back`: nearly everything failed (worker/brake.py)."""
INDEX = "index"
"""The name of the breaker in front of the index; the others are named after their buckets."""
_THREADS = 8
_TEXTS = ("name", "state", "host", "version", "source_queue", "dlq", "reindex")
_COUNTS = ("since_ms", "written_at_ms", "started_at_ms", "last_poll_at_ms", "pid", "in_flight", "open_breakers")


class WorkerState(StrEnum):
    """What a worker is doing."""

    SERVING = "serving"
    PAUSED = "paused"
    """An operator has paused the fleet."""
    RESTING = "resting"
    """A breaker is open (the index, a bucket, or all of S3 is unavailable), a budget of the day is used up, or the brake is on."""
    DRAINING = "draining"
    """It stops, and finishes what it has begun."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """What one worker knows of itself. Times are ms since the epoch on S3's clock; 0 if it is not known, or never was."""

    name: str
    """As in failure records and documents."""
    state: str = ""
    """A WorkerState; one that a newer version writes may be another."""
    since_ms: int = 0
    """When this state began."""
    written_at_ms: int = 0
    started_at_ms: int = 0
    last_poll_at_ms: int = 0
    """When SQS last answered a receive."""
    host: str = ""
    version: str = ""
    pid: int = 0
    in_flight: int = 0
    """Messages received and not yet settled."""
    source_queue: str = ""
    """Names of the queues."""
    dlq: str = ""
    reindex: str = ""
    """The run of the reindex for which it writes to two indexes; empty if it writes to one."""
    breakers: Mapping[str, str] = field(default_factory=dict)
    """Open breakers (`index`, `s3://BUCKET`), and the last error of each."""
    breakers_since: Mapping[str, float] = field(default_factory=dict)
    """When each of them opened, ms since the epoch."""
    open_breakers: int = 0
    """How many are open: a stored record names at most MAX_ENTRIES of them."""
    held_back: Mapping[str, str] = field(default_factory=dict)
    """Why it receives nothing: name (`paused`, `brake`, `s3`) → sentence. Empty while it receives."""
    failing_calls: tuple[str, ...] = ()
    """Calls to the queues that keep failing, and why."""
    unhealthy_threads: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    """Since it started: `done`, `failed`, `release`, `stored_for_retry` and so on; `lag_s` is that of the last receive."""
    exit_code: int | None = None
    """Of a stopped worker."""
    schema: int = SCHEMA
    age_ms: int = 0
    """How old the record was when it was read."""
    problem: str = ""
    """Why the record cannot be read; then nothing but its name is known."""
    is_unread: bool = False
    """Whether that is because S3 did not answer."""

    @property
    def key(self) -> str:
        """Its key in the state bucket."""
        return fitting_key(WORKERS_PREFIX, self.name, ".json")

    @property
    def is_fresh(self) -> bool:
        """Whether it was written in the last three minutes. One from the future is not: someone's clock is wrong."""
        return not self.problem and abs(self.age_ms) <= FRESH_MS

    @property
    def is_alive(self) -> bool:
        """Whether the worker runs, as far as one can tell: its record is fresh, and does not say that it has stopped."""
        return self.is_fresh and self.state != WorkerState.STOPPED

    @property
    def is_lost(self) -> bool:
        """Whether the worker has gone silent without having stopped."""
        return not self.problem and not self.is_fresh and self.state != WorkerState.STOPPED

    @property
    def is_of_interest(self) -> bool:
        """Whether it is to be shown: it wrote lately, was lost within a day, or its record cannot be read."""
        return bool(self.problem) or self.is_fresh or (self.is_lost and self.age_ms <= LOST_FOR_MS)

    @property
    def pause_reason(self) -> str:
        """Who paused the fleet, and why; empty if it is not paused."""
        return self.held_back.get("paused", "")

    @property
    def brake_reason(self) -> str:
        """What failed, and what to type; empty if its brake is not on (worker/brake.py)."""
        return self.held_back.get(BRAKE, "")

    @property
    def doing(self) -> str:
        """What people are told that it does: its state, or `braked`, which `resting` alone would not say."""
        return "braked" if self.brake_reason and self.state == WorkerState.RESTING else self.state

    def as_json(self) -> dict[str, object]:
        """What is stored, cut to its limits."""
        numbers = {name: getattr(self, name) for name in _COUNTS}
        return {
            "schema": self.schema,
            **{name: getattr(self, name) for name in _TEXTS},
            **numbers,
            "breakers": _cut_mapping(self.breakers),
            "breakers_since": {name[:MAX_TEXT]: ms for name, ms in islice(self.breakers_since.items(), MAX_ENTRIES)},
            "held_back": _cut_mapping(self.held_back),
            "pause_reason": shortened(self.pause_reason, MAX_TEXT),
            "brake_reason": shortened(self.brake_reason, MAX_TEXT),
            "failing_calls": [shortened(text, MAX_TEXT) for text in self.failing_calls[:MAX_ENTRIES]],
            "unhealthy_threads": list(self.unhealthy_threads[:MAX_ENTRIES]),
            "figures": dict(self.figures),
            "exit_code": self.exit_code,
        }

    @classmethod
    def from_json(cls, found: object, *, name: str) -> Self:
        """Read a stored record; what is missing or of a wrong type is left out. Never raises; `name` is for one without."""
        if not isinstance(found, dict) or not _count(found, "written_at_ms"):
            return cls(name, problem="it is not a record of a worker")
        exit_code = found.get("exit_code")
        texts: dict[str, Any] = {one: value for one in _TEXTS if isinstance(value := found.get(one), str) and value}
        counts: dict[str, Any] = {one: _count(found, one) for one in _COUNTS}
        return cls(
            breakers=_texts(found.get("breakers")),
            held_back=_texts(found.get("held_back")),
            failing_calls=_listed(found.get("failing_calls")),
            unhealthy_threads=_listed(found.get("unhealthy_threads")),
            breakers_since=_numbers(found.get("breakers_since")),
            figures=_numbers(found.get("figures")),
            exit_code=exit_code if isinstance(exit_code, int) else None,
            schema=_count(found, "schema") or SCHEMA,
            **{"name": name, **texts, **counts},
        )


def write_worker(state: State, record: WorkerRecord) -> None:
    """Store a worker's record instead of its last. Raises StoreError."""
    state.put(record.key, orjson.dumps(record.as_json()))


def read_workers(state: State, now_ms: int) -> list[WorkerRecord]:
    """The records of all workers, alive or not, by name; `now_ms` is on S3's clock. A bad record says so in `problem`.

    At most MAX_READ are read. Raises StoreError only where the bucket cannot be listed.
    """
    return _read_all(state, now_ms, islice(state.keys(WORKERS_PREFIX), MAX_READ))


def read_fresh_workers(state: State, now_ms: int) -> list[WorkerRecord]:
    """The records that were written lately enough for their workers to be alive: all of them, however many there are.

    Raises StoreError only where the bucket cannot be listed.
    """
    return _read_all(
        state, now_ms, (key for key, at_ms in state.modified(WORKERS_PREFIX) if abs(now_ms - at_ms) <= FRESH_MS)
    )


def read_recent_workers(state: State, now_ms: int) -> list[WorkerRecord]:
    """The records to be shown (`is_of_interest`), by name: of the MAX_READ that were written last, however many there are.

    Raises StoreError only where the bucket cannot be listed.
    """
    recent = [(at_ms, key) for key, at_ms in state.modified(WORKERS_PREFIX) if abs(now_ms - at_ms) <= LOST_FOR_MS]
    keys = sorted(key for _, key in nlargest(MAX_READ, recent))
    return [one for one in _read_all(state, now_ms, keys) if one.is_of_interest]


def _read_all(state: State, now_ms: int, keys: Iterable[str]) -> list[WorkerRecord]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="workers") as pool:
        return [one for one in pool.map(partial(_read, state, now_ms), keys) if one is not None]


def silent_workers(records: Iterable[WorkerRecord]) -> list[WorkerRecord]:
    """The workers that went silent, and in whose place no other has started on their host since."""
    known = list(records)

    def is_replaced(lost: WorkerRecord) -> bool:
        return any(one.is_alive and one.host == lost.host and one.started_at_ms >= lost.written_at_ms for one in known)

    return [one for one in known if one.is_lost and not is_replaced(one)]


def forget_workers(state: State, now_ms: int) -> int:
    """Remove the records of workers that have been silent for over a week; their number. Raises StoreError.

    Examines at most MAX_READ, chosen at random, so that where there are more, each has its turn.
    """

    def is_old(key: str) -> bool:
        record = _read(state, now_ms, key)
        return record is not None and not record.problem and record.age_ms > FORGOTTEN_MS

    keys = list(islice(state.keys(WORKERS_PREFIX), MAX_LISTED))
    old = [key for key in random.sample(keys, min(MAX_READ, len(keys))) if is_old(key)]
    state.delete_all(old)
    return len(old)


def _read(state: State, now_ms: int, key: str) -> WorkerRecord | None:
    """One record; None if it is gone by now."""
    name = key.removeprefix(WORKERS_PREFIX).removesuffix(".json")
    try:
        raw = state.get(key)
        record = None if raw is None else WorkerRecord.from_json(orjson.loads(raw), name=name)
    except StoreError as error:
        return WorkerRecord(name, problem=f"{error.code}: {error}", is_unread=True)
    except ValueError:
        return WorkerRecord(name, problem="it is not JSON")
    return None if record is None else replace(record, age_ms=now_ms - record.written_at_ms)


def _cut_mapping(found: Mapping[str, str]) -> dict[str, str]:
    return {name[:MAX_TEXT]: shortened(text, MAX_TEXT) for name, text in islice(found.items(), MAX_ENTRIES)}


def _members(found: object) -> list[tuple[str, Any]]:
    return list(found.items()) if isinstance(found, dict) else []


def _texts(found: object) -> dict[str, str]:
    return {name: text for name, text in _members(found) if isinstance(text, str)}


def _numbers(found: object) -> dict[str, float]:
    return {name: value for name, value in _members(found) if _is_number(value)}


def _listed(found: object) -> tuple[str, ...]:
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(found: JsonObject, name: str) -> int:
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

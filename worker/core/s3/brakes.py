"""`s3-index-worker/brakes/`: workers that have stopped because nearly everything failed (worker/brake.py), and why.

`resume` ends a brake without touching these records: it leaves a mark of its own in `pause.json`, which those who may pause the
fleet may write. A record names the mark that was there when it was written; once there is another, the brake has ended. No
clocks are compared, and a worker that starts only after `resume` learns of it all the same.

Where `pause.json` has no mark, nothing has ended: an earlier version's `pause` writes none, and its `resume` deletes the file.
"""

import random
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from heapq import nlargest
from itertools import islice
from typing import Self

import orjson

from worker.core.s3.state import CONTROL_PREFIX, PAUSE_KEY, State, fitting_key
from worker.core.s3.workers import FORGOTTEN_MS, MAX_LISTED, MAX_READ

BRAKES_PREFIX = CONTROL_PREFIX + "brakes/"
UNREADABLE = "brake: the record of it cannot be read; it holds all the same, until `s3-index-worker resume`"
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Resumption:
    """What `resume` has left in `pause.json`."""

    mark: str = ""
    """A new one each time; empty if the fleet was never resumed."""
    lets_fail_until_ms: int = 0
    """Until when no worker brakes, ms since the epoch: an operator knows that these messages fail."""

    def ends(self, mark: str) -> bool:
        """Whether it came after a brake that was applied under this mark."""
        return bool(self.mark) and self.mark != mark


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a message has failed through no fault of its own."""

    fingerprint: str
    text: str
    bucket: str
    """The bucket that S3 refused; empty for any other failure."""


@dataclass(frozen=True, slots=True)
class BrakeRecord:
    """Why one worker receives nothing, and what it had sent to the dead-letter queue before."""

    worker: str
    """Its host, and its instance where there are several: the same after a restart."""
    reason: str = ""
    """A sentence for the operator; empty while the worker only counts."""
    at: str = ""
    """When it stopped, ISO 8601."""
    of: int = 0
    """Number of messages that were looked at."""
    causes: Mapping[Cause, int] = field(default_factory=dict)
    """Those among them that have gone to the dead-letter queue: why → how many."""
    mark: str = ""
    """The last resumption's, when this was written."""

    @property
    def key(self) -> str:
        """Its key in the state bucket."""
        return brake_key(self.worker)

    @property
    def failed(self) -> int:
        """Number of messages that have gone to the dead-letter queue."""
        return sum(self.causes.values())

    @property
    def groups(self) -> dict[str, int]:
        """The groups in which `dlq groups` shows them: fingerprint → number of messages, the largest first."""
        found: Counter[str] = Counter()
        for cause, count in self.causes.items():
            found[cause.fingerprint] += count
        return dict(found.most_common())

    @property
    def commands(self) -> list[str]:
        """What sends these messages to their queue again, one command for each group."""
        return [f"dlq redrive-all --group {group}" for group in self.groups]

    def as_json(self) -> bytes:
        """What is stored."""
        causes = [{**asdict(cause), "count": count} for cause, count in self.causes.items()]
        return orjson.dumps(
            {**{name: getattr(self, name) for name in ("reason", "at", "of", "mark")}, "causes": causes}
        )

    @classmethod
    def parse(cls, raw: bytes, *, worker: str) -> Self:
        """A stored record. Never raises: one that cannot be read brakes all the same."""
        try:
            found = orjson.loads(raw)
            causes = {
                Cause(str(one["fingerprint"]), str(one["text"]), str(one["bucket"])): int(one["count"])
                for one in found["causes"]
            }
            texts = {name: str(found[name]) for name in ("reason", "at", "mark")}
            return cls(worker, of=int(found["of"]), causes=causes, **texts)
        except (ValueError, TypeError, KeyError):
            return cls(worker, UNREADABLE)


def brake_key(worker: str) -> str:
    """The key of a worker's record."""
    return fitting_key(BRAKES_PREFIX, worker, ".json")


def read_brake(state: State, worker: str) -> BrakeRecord | None:
    """A worker's record; None if nothing has failed. Raises StoreError."""
    raw = state.get(brake_key(worker))
    return None if raw is None else BrakeRecord.parse(raw, worker=worker)


def read_brakes(state: State) -> tuple[list[BrakeRecord], int]:
    """The brakes that are on, and how many records were not looked at: only the MAX_READ written last are. Raises StoreError."""
    resumption = read_resumption(state)
    dated = [(at_ms, key) for key, at_ms in state.modified(BRAKES_PREFIX)]
    keys = sorted(key for _, key in nlargest(MAX_READ, dated))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="brakes") as pool:
        found = list(pool.map(partial(_read, state), keys))
    on = [one for one in found if one is not None and one.reason and not resumption.ends(one.mark)]
    return on, len(dated) - len(keys)


def forget_brakes(state: State, now_ms: int) -> int:
    """Remove records over a week old of what was only counted, or has ended; their number. Raises StoreError.

    A host that is gone leaves one. A brake that is on stays, however old: an operator has to know of it. Examines at most
    MAX_READ, chosen at random, so that where there are more, each has its turn.
    """
    resumption = read_resumption(state)

    def is_over(key: str) -> bool:
        record = _read(state, key)
        if record is None or record.reason == UNREADABLE:
            return False
        return not record.reason or resumption.ends(record.mark)

    listed = islice(state.modified(BRAKES_PREFIX), MAX_LISTED)
    old = [key for key, at_ms in listed if now_ms - at_ms > FORGOTTEN_MS]
    over = [key for key in random.sample(old, min(MAX_READ, len(old))) if is_over(key)]
    state.delete_all(over)
    return len(over)


def _read(state: State, key: str) -> BrakeRecord | None:
    raw = state.get(key)
    worker = key.removeprefix(BRAKES_PREFIX).removesuffix(".json")
    return None if raw is None else BrakeRecord.parse(raw, worker=worker)


def read_resumption(state: State) -> Resumption:
    """What the last `resume` has left. Raises StoreError."""
    raw = state.get(PAUSE_KEY)
    try:
        found = orjson.loads(raw or b"{}")
    except ValueError:
        found = {}
    if not isinstance(found, dict):
        return Resumption()
    mark, until_ms = found.get("resumed"), found.get("lets_fail_until_ms")
    return Resumption(mark if isinstance(mark, str) else "", until_ms if isinstance(until_ms, int) else 0)

"""`s3-index-worker/brakes/`: workers that have stopped because nearly everything failed (worker/brake.py), and why.

`resume` ends a brake without touching these records: it leaves a mark of its own in `pause.json`, which those who may pause the
fleet may write. A record names the mark that was there when it was written; once there is another, the brake has ended. No
clocks are compared, and a worker that starts only after `resume` learns of it all the same.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Self

import orjson

from worker.core.s3.state import CONTROL_PREFIX, PAUSE_KEY, State, fitting_key

BRAKES_PREFIX = CONTROL_PREFIX + "brakes/"
MAX_READ = 100
"""The number of records that one look reads."""
UNREADABLE = "brake: the record of it cannot be read; it holds all the same, until `s3-index-worker resume`"


@dataclass(frozen=True, slots=True)
class Resumption:
    """What `resume` has left in `pause.json`."""

    mark: str = ""
    """A new one each time; empty if the fleet was never resumed."""
    lets_fail_until_ms: int = 0
    """Until when no worker brakes, ms since the epoch: an operator knows that these messages fail."""


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


def read_brakes(state: State) -> list[BrakeRecord]:
    """The brakes that are on, of MAX_READ workers at most. Raises StoreError."""
    mark = read_resumption(state).mark
    names = (key.removeprefix(BRAKES_PREFIX).removesuffix(".json") for key in state.keys(BRAKES_PREFIX))
    found = [read_brake(state, name) for name in islice(names, MAX_READ)]
    return [one for one in found if one is not None and one.reason and one.mark == mark]


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

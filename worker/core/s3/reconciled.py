"""`s3-index-worker/reconcile/`: what the last complete `reconcile_index` of each bucket found. Workers and managers serve it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import orjson

from worker.core.s3.state import CONTROL_PREFIX, State, safe_name

SCHEMA = 1
RECONCILED_PREFIX = CONTROL_PREFIX + "reconcile/"


@dataclass(frozen=True, slots=True)
class ReconciledBucket:
    """The result for one bucket, from one complete run."""

    bucket: str
    at_ms: int
    """When the run ended, ms since the epoch on S3's clock."""
    objects: int
    size_bytes: int
    states: Mapping[str, int] = field(default_factory=dict)
    """The number of objects in each state; together, all objects of the listing."""
    orphans: int = 0
    """Documents without an object."""
    unaccounted: int = 0
    """Objects and documents for which somebody has to do something; 0 where messages were waiting that may do it."""
    repeated: int = 0
    """What neither this run nor the one before could account for, at least: the lesser of the two numbers."""

    @property
    def key(self) -> str:
        """Key of its record."""
        return f"{RECONCILED_PREFIX}{safe_name(self.bucket)}.json"

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read a record. Raises ValueError if it is none."""
        found = orjson.loads(raw)
        if not isinstance(found, dict) or not isinstance(found.get("bucket"), str) or not found["bucket"]:
            raise ValueError("it is not a record of a reconciliation")
        counts = {
            name: _count(found.get(name))
            for name in ("at_ms", "objects", "size_bytes", "orphans", "unaccounted", "repeated")
        }
        states = found.get("states")
        members = states.items() if isinstance(states, dict) else ()
        return cls(found["bucket"], states={name: _count(number) for name, number in members}, **counts)


def write_reconciled(state: State, result: ReconciledBucket, more: Mapping[str, object]) -> None:
    """Store a bucket's result instead of its last, with whatever else is to be known of the run. Raises StoreError."""
    state.put(result.key, orjson.dumps({"schema": SCHEMA, **more, **asdict(result)}))


def read_reconciled_bucket(state: State, bucket: str) -> ReconciledBucket | None:
    """A bucket's last result; None if there is none, or none that can be read. Raises StoreError."""
    raw = state.get(f"{RECONCILED_PREFIX}{safe_name(bucket)}.json")
    try:
        return None if raw is None else ReconciledBucket.from_json(raw)
    except ValueError:
        return None


def read_reconciled(state: State) -> Iterator[ReconciledBucket]:
    """The last result of each bucket; what is none is left out. Raises StoreError."""
    for key in state.keys(RECONCILED_PREFIX):
        raw = state.get(key)
        try:
            if raw is not None:
                yield ReconciledBucket.from_json(raw)
        except ValueError:
            continue


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

"""Where the state bucket holds an object's document or message: `retry-index/` and `dlq-archive/`, by the names of their records.

Both are named by the object's key, so that no record is read but those of the object. There may be millions during an outage:
of more than MAX_NAMES, those of the latest MAX_DAYS are looked for day by day.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from recovery.operations.records import archive
from recovery.operations.records.archive import ArchivedDeadLetter
from recovery.operations.records.reading import read_all
from worker.core.base.errors import MalformedEventError
from worker.core.indexing.retry_store import RetryRecord, held_for, parked_name, read_record, record_name, stored_as
from worker.core.s3.events import ObjectRef, parse
from worker.core.s3.state import (
    ARCHIVE_PREFIX,
    HELD_PREFIX,
    MAX_NAME_CHARS,
    PARKED_PREFIX,
    RETRY_PREFIX,
    State,
    dated,
    fitting_key,
)

MAX_NAMES = 20_000
"""Of one prefix that are read: twenty requests."""
MAX_DAYS = 31
MAX_FOUND = 20
"""Records of one object that are read."""
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retrying:
    """A write of an object's document that waits in `retry-index/`."""

    name: str
    record: RetryRecord

    @property
    def is_parked(self) -> bool:
        """Whether it waits for an operator, because the index refuses it for good."""
        return self.name.startswith(PARKED_PREFIX)

    @property
    def held_for(self) -> str | None:
        """The scope of the cap that it waits for; None if it waits for none."""
        return held_for(self.name)


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found under one prefix of the state bucket."""

    retrying: tuple[Retrying, ...] = ()
    archived: tuple[ArchivedDeadLetter, ...] = ()
    is_all: bool = True
    """Whether every name was read; if not, records of more than MAX_DAYS ago may have been missed."""


def in_retry_index(state: State, bucket: str, key: str, *, default_bucket: str | None, now_ms: int) -> Looked:
    """The writes of an object that wait, the latest first. Raises StoreError."""

    def is_its(name: str) -> bool:
        return _is_record_of(name, bucket, key)

    begin = record_name(bucket, key, 10**12)
    within = stored_as(begin).partition("/")[2].removesuffix(f"{10**12}.json")
    names, is_all = _named(state, RETRY_PREFIX, is_its, within, now_ms, also=(PARKED_PREFIX,))

    def read(name: str) -> Retrying | None:
        raw = state.get(name)
        try:
            record = None if raw is None else read_record(name, raw, default_bucket=default_bucket)
        except ValueError:
            return None
        is_its_own = record is not None and (record.write.bucket, record.write.key) == (bucket, key)
        return Retrying(name, record) if record is not None and is_its_own else None

    found = list(read_all(names[:MAX_FOUND], read))
    return Looked(retrying=tuple(sorted(found, key=lambda one: one.record.write.version, reverse=True)), is_all=is_all)


def in_archive(state: State, bucket: str, key: str, *, default_bucket: str | None, now_ms: int) -> Looked:
    """The dead letters about an object that were archived or given up, the latest first. Raises StoreError."""
    whole, digest = _in_archive_as(key)

    def may_be_its(name: str) -> bool:
        return whole in name or (digest is not None and digest in name)

    names, is_all = _named(state, ARCHIVE_PREFIX, may_be_its, whole[1:], now_ms)

    def is_about(entry: ArchivedDeadLetter) -> bool:
        try:
            items = parse(entry.dead_letter.body, default_bucket=default_bucket)
        except MalformedEventError:
            return False
        return any(isinstance(one, ObjectRef) and (one.bucket, one.key) == (bucket, key) for one in items)

    found = [entry for entry in archive.read_all(state, names[:MAX_FOUND]) if is_about(entry)]
    return Looked(archived=tuple(sorted(found, key=lambda one: one.archived_at, reverse=True)), is_all=is_all)


def _in_archive_as(key: str) -> tuple[str, str | None]:
    """What the names of an object's archived dead letters contain: its key; or the digest of a key that may be too long."""
    ending = f"-{'x' * MAX_NAME_CHARS}.json"
    longest = fitting_key("", key, ending).removesuffix(ending)
    whole = fitting_key("", key, "")
    return f"/{whole}-", f"~{longest[-64:]}-" if longest != whole else None


def _named(
    state: State, prefix: str, wanted: Callable[[str], bool], within: str, now_ms: int, *, also: tuple[str, ...] = ()
) -> tuple[list[str], bool]:  # fmt: skip
    """The names under a prefix that are wanted, and whether all were read. `within`: how they begin, within a day.

    `also`: prefixes that have days as well.
    """
    names = list(islice(state.keys(prefix), MAX_NAMES + 1))
    is_all = len(names) <= MAX_NAMES
    found = [name for name in names if wanted(name)]
    if not is_all:
        seen = set(found)
        by_day = (name for one in (prefix, *also) for name in _of_days(state, one, within, now_ms))
        found += [name for name in by_day if wanted(name) and name not in seen]
    return found, is_all


def _of_days(state: State, prefix: str, within: str, now_ms: int) -> Iterator[str]:
    days = (dated(now_ms - day * DAY_MS) for day in range(MAX_DAYS))
    for found in read_all(days, lambda day: list(islice(state.keys(f"{prefix}{day}/{within}"), MAX_FOUND))):
        yield from found


def _is_record_of(name: str, bucket: str, key: str) -> bool:
    """Whether a record's name is that of an object, wherever it is kept; those of the earlier system have no time."""
    rest = stored_as(name).partition("/")[2]
    if not rest.startswith(f"{bucket}/"):
        return rest == f"{key}.json"
    time = rest.removesuffix(".json").rpartition(".")[2]
    if not time.isdecimal():
        return False
    waiting = record_name(bucket, key, int(time))
    if (scope := held_for(name)) is not None:
        day = stored_as(name).partition("/")[0]
        return name == fitting_key(f"{HELD_PREFIX}{scope}/{day}/{bucket}/", key, f".{time}.json")
    return name in {waiting, parked_name(waiting)} or stored_as(name) == stored_as(waiting)

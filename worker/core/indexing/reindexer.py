"""Observe → build → write → confirm, for any number of objects: the part that every bounded run over objects shares.

A run takes items from an iterator (object references, or records that name an object), observes a few at a time, gathers
the writes that they need into bulk requests, and yields each item with what became of it. It holds a bounded number of
items, can be stopped at any moment, and can be limited to a number of objects a second. What an item is, how it is
observed, and what follows from its result is the caller's: see Replay, and RecoveryEngine in recovery/operations.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, TypeVar

from worker.core.base.classify import is_transient
from worker.core.base.concurrency import Pace, Room, as_done
from worker.core.base.errors import IndexUnavailableError, StoreError, WorkerError
from worker.core.base.retry import retry_transient
from worker.core.base.settings import MIB, Settings
from worker.core.clients import Clients
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.fresh_writer import FreshWriter

T = TypeVar("T")
V = TypeVar("V")

DOCUMENTS_BYTES = 64 * MIB
"""Documents that may wait for their bulk requests in one run."""
LONGEST_WAIT_MS = 5_000
"""How old an observation may become while others fill its bulk request: slow files must not make quick ones stale."""
UNDECIDED_IN_A_ROW = 50
"""After so many undecided items of a bucket in a row, whatever they wait for is taken to be unavailable to all of them."""

UNNAMED = ""
"""In place of the bucket of an item that could not even be read so far as to tell its object."""
ObjectName = tuple[str, str]
"""Bucket and key."""


class Status(StrEnum):
    """What became of an item."""

    DECIDED = "decided"
    """Observed; it needs no write."""
    WRITTEN = "written"
    """The index has confirmed its write, or holds a later observation of the object."""
    REJECTED = "rejected"
    """The index will never take its document as it is."""
    OBJECT_FAULT = "object_fault"
    """S3 refuses this object, while it allows others to be read."""
    UNDECIDED = "undecided"
    """Nothing was decided: S3 or the index failed for the moment, the observation is too old, or there was a bug."""


@dataclass(frozen=True, slots=True)
class Observation(Generic[V]):
    """What observing an item showed: what this means to the caller, and the write that it needs, if any."""

    value: V
    write: Write | None = None


@dataclass(frozen=True, slots=True)
class Reindexed(Generic[T, V]):
    """One item, and what became of it."""

    item: T
    status: Status
    value: V | None = None
    """The observation's; None if observing failed."""
    write: Write | None = None
    reason: str = ""
    """Why it was not written, where it should have been."""
    error: BaseException | None = None
    """What failed, if something did."""

    @property
    def is_bug(self) -> bool:
        """Whether it failed with an error that nobody foresaw."""
        return self.error is not None and not isinstance(self.error, WorkerError) and not is_transient(self.error)

    @property
    def error_type(self) -> str:
        """Name of the error, for grouping: an exception's name, or the error type of the index."""
        return self.reason.partition(":")[0] if self.error is None else type(self.error).__name__


def _size(one: Reindexed[T, V]) -> int:
    return one.write.size_bytes if one.write else 0


@dataclass(slots=True)
class _Group(Generic[T, V]):
    """Items observed that are to be handed over together, after one bulk request for those that need a write."""

    items: list[Reindexed[T, V]] = field(default_factory=list)
    size_bytes: int = 0
    oldest_ms: float = float("inf")

    def add(self, one: Reindexed[T, V], *, now_ms: int) -> None:
        self.items.append(one)
        self.size_bytes += _size(one)
        self.oldest_ms = min(self.oldest_ms, one.write.version if one.write else now_ms)


class Reindexer:
    """Runs over items. Several runs may be under way on several threads; the rate is that of all together."""

    def __init__(
        self, settings: Settings, clients: Clients, *, pool: Executor, window: int, rate: float | None = None
    ) -> None:
        """`pool` observes; `window` is how many items one run may have in flight; `rate` is objects a second, None any."""
        self._documents = settings.bulk_documents
        self._bytes = settings.bulk_bytes
        self._objects = clients.objects
        self._clock = clients.objects.clock
        self._writer = FreshWriter(self._clock, clients.index.write, clients.aws.throttles.index)
        self._pool = pool
        self._window = window
        self._pace = Pace(rate)
        self.skipped = SkippedBuckets()
        """The caller's `observe` asks it before it reads an object."""
        self._not_taken_in_a_row = 0
        self.behind = 0
        """The number of writes that only the second index of a reindex did not take."""

    def run(
        self, items: Iterable[T], observe: Callable[[T], Observation[V]], *, object_of: Callable[[T], ObjectName | None],
        stop: threading.Event, finish: bool = False, tick: Callable[[], None] = lambda: None,
    ) -> Generator[list[Reindexed[T, V]], None, None]:  # fmt: skip
        """Every item with what became of it, in groups: those of one bulk request come together, once it is confirmed.

        `observe` is called on the pool's threads, up to three times while it fails for the moment; whatever it raises
        concerns its item alone. `object_of` tells which object an item is about, as far as that is known by then. `tick`
        is called on the caller's thread for every item and at least twice a second between bulk requests.

        Once `stop` is set, what was observed is still written and yielded, and the other items are dropped; with `finish`,
        all items are worked on, only without waiting between attempts. Close the generator where you leave it early.
        Raises IndexUnavailableError, and what `items` raises; what was not yielded by then is not confirmed.
        """
        room = Room(DOCUMENTS_BYTES)

        def work(item: T) -> Reindexed[T, V] | None:
            self._pace.wait(stop)
            if stop.is_set() and not finish:
                return None
            room.wait()
            one = self._observed(item, observe, object_of, stop)
            room.take(_size(one))
            return one

        group: _Group[T, V] = _Group()
        source = items if finish else _until(stop, items)
        with closing(as_done(self._pool, work, source, window=self._window, ending=room.close)) as observed:
            for one in observed:
                tick()
                if one is not None:
                    group.add(one, now_ms=self._clock.now_ms())
                if group.items and (one is None or self._is_due(group)):
                    yield self._written(group.items, stop)
                    room.give_back(group.size_bytes)
                    group = _Group()
            if group.items:
                yield self._written(group.items, stop)

    def _is_due(self, group: _Group[T, V]) -> bool:
        full = len(group.items) >= self._documents or group.size_bytes >= self._bytes
        return full or self._clock.now_ms() - group.oldest_ms > LONGEST_WAIT_MS

    def _observed(
        self, item: T, observe: Callable[[T], Observation[V]], object_of: Callable[[T], ObjectName | None],
        stop: threading.Event,
    ) -> Reindexed[T, V]:  # fmt: skip
        try:
            found = retry_transient(lambda: observe(item), transient=is_transient, stop=stop)
            self._count(object_of(item), None)
            return Reindexed(item, Status.DECIDED, found.value, found.write)  # of a write, until it is confirmed
        except StoreError as error:
            name = object_of(item)
            at_fault = name is not None and self._objects.is_object_fault(error, *name)
            self._count(name, None if at_fault else error)
            status = Status.OBJECT_FAULT if at_fault else Status.UNDECIDED
            return Reindexed(item, status, reason=str(error), error=error)
        except BaseException as error:  # noqa: BLE001 (one item must not end the run; a panic in Rust is no Exception)
            self._count(object_of(item), error)
            reason = str(error) if isinstance(error, (WorkerError, OSError)) else repr(error)
            return Reindexed(item, Status.UNDECIDED, reason=reason, error=error)

    def _count(self, name: ObjectName | None, error: BaseException | None) -> None:
        self.skipped.count(UNNAMED if name is None else name[0], error)

    def _written(self, group: list[Reindexed[T, V]], stop: threading.Event) -> list[Reindexed[T, V]]:
        """The group, its writes sent and confirmed. Raises IndexUnavailableError."""
        writes = [one.write for one in group if one.write is not None]
        answers = self._writer.write_or_fail(writes, stop=stop) if writes else []
        self._require_some_taken(answers)
        self.behind += sum(answer.status is WriteStatus.BEHIND for answer in answers)
        results = iter(answers)
        return [one if one.write is None else _confirmed(one, next(results)) for one in group]

    def _require_some_taken(self, results: list[WriteResult]) -> None:
        """Raises IndexUnavailableError where the index has taken none of the last 50, in requests however small."""
        for result in results:
            is_taken = result.status is not WriteStatus.UNAVAILABLE
            self._not_taken_in_a_row = 0 if is_taken else self._not_taken_in_a_row + 1
        if self._not_taken_in_a_row >= UNDECIDED_IN_A_ROW:
            raise IndexUnavailableError(f"{results[-1].reason} ({self._not_taken_in_a_row} documents in a row)")


def _confirmed(one: Reindexed[T, V], result: WriteResult) -> Reindexed[T, V]:
    match result.status:
        case WriteStatus.WRITTEN | WriteStatus.SUPERSEDED:
            return replace(one, status=Status.WRITTEN)
        case WriteStatus.REJECTED:
            return replace(one, status=Status.REJECTED, reason=result.reason)
        case WriteStatus.UNAVAILABLE:
            error = IndexUnavailableError(result.reason)
            return replace(one, status=Status.UNDECIDED, reason=result.reason, error=error)
        case WriteStatus.STALE | WriteStatus.BEHIND:
            return replace(one, status=Status.UNDECIDED, reason=result.reason)


def _until(stop: threading.Event, items: Iterable[T]) -> Iterator[T]:
    for item in items:
        if stop.is_set():
            return
        yield item


class SkippedBuckets:
    """Buckets that a run no longer asks, because too many of their items in a row were undecided for one cause.

    So a denied bucket does not hold up the items of others that wait behind its own. May be used from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row: dict[str, tuple[str, int]] = {}
        """By bucket: the last cause, and how often it has come in a row."""
        self._reasons: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def why(self, bucket: str) -> str | None:
        """Why a bucket is skipped; None if it is not."""
        return self._reasons.get(bucket)

    def count(self, bucket: str, error: BaseException | None) -> None:
        """Take in one result: the error for which an item is undecided, None if it is decided."""
        if error is None:
            if bucket in self._in_a_row:
                with self._lock:
                    self._in_a_row.pop(bucket, None)
            return
        cause = f"{type(error).__name__} {getattr(error, 'code', '')}"
        with self._lock:
            last, times = self._in_a_row.get(bucket, (cause, 0))
            times = times + 1 if last == cause else 1
            self._in_a_row[bucket] = cause, times
            if times >= UNDECIDED_IN_A_ROW and bucket not in self._reasons:
                self._reasons[bucket] = (
                    f"its bucket is skipped in this run, because {times} objects in a row could not be read, the last: {error}"
                )

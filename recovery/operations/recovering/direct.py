"""Does the work of a worker in this process, for any number of objects: with its own pipeline, and its retry store."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from worker.core.base.reasons import cause_of
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.reindexer import ObjectName, Observation, Reindexed, Reindexer, Status
from worker.core.indexing.retry_store import RetryRecord, RetryStore

T = TypeVar("T")
WINDOW_PER_THREAD = 4


@dataclass(frozen=True, slots=True)
class Indexed(Generic[T]):
    """One item, and what became of its object."""

    item: T
    is_indexed: bool = False
    """The index holds it as it is in S3; or it is gone, and so is its document."""
    is_stored_for_retry: bool = False
    """The index rejects its document, which is in `retry-index/`."""
    reason: str = ""
    """Why it is not indexed."""
    error_type: str = ""
    """Name of the error, for grouping: an exception's name, or the error type of the index."""
    cause: str = ""
    """What failures of one cause have in common, in words; empty if nothing but the error type says so."""
    is_undecided: bool = False
    """Whether another attempt may index it: S3 or the index failed for the moment, or there was a bug."""


@contextmanager
def direct_indexer(
    settings: Settings, clients: Clients, *, source: str, rate: float | None
) -> Iterator["DirectIndexer"]:
    """Within this context, its threads and processes run. `source` is what documents say of where they come from."""
    threads = settings.worker_concurrency
    with ExitStack() as stack:
        extractor = stack.enter_context(closing(make_extractor(settings)))
        retry = stack.enter_context(closing(RetryStore(clients.state)))
        pool = stack.enter_context(ThreadPoolExecutor(threads, source))
        reindexer = Reindexer(settings, clients, pool=pool, window=threads * WINDOW_PER_THREAD, rate=rate)
        yield DirectIndexer(Pipeline(settings, clients.objects, extractor=extractor), reindexer, retry, source)


class DirectIndexer:
    """Indexes objects here. For one thread."""

    def __init__(self, pipeline: Pipeline, reindexer: Reindexer, retry: RetryStore, source: str) -> None:
        """See `direct_indexer`."""
        self._pipeline = pipeline
        self._reindexer = reindexer
        self._retry = retry
        self._extra = {"recovery_source": source}

    def given_up(self, bucket: str) -> str | None:
        """Why no object of this bucket can be read at present; None as long as some can."""
        return self._reindexer.skipped.why(bucket)

    def run(
        self, items: Iterable[T], object_of: Callable[[T], ObjectName], *, stop: threading.Event
    ) -> Generator[list[Indexed[T]], None, None]:
        """Every item with what became of it, in groups, until `stop` is set. Close the generator where you leave it early.

        Raises IndexUnavailableError, and what `items` raises; what was not yielded by then is not confirmed.
        """

        def observe(item: T) -> Observation[None]:
            return Observation(None, self._pipeline.build(*object_of(item), extra=self._extra).write)

        with closing(self._reindexer.run(items, observe, object_of=object_of, stop=stop)) as groups:
            for group in groups:
                yield [self._indexed(one, object_of(one.item)[0]) for one in group]

    def _indexed(self, one: Reindexed[T, None], bucket: str) -> Indexed[T]:
        if one.status is Status.WRITTEN:
            return Indexed(one.item, is_indexed=True)
        cause = cause_of(one.error, bucket)
        failed: Indexed[T] = Indexed(one.item, reason=one.reason, error_type=one.error_type, cause=cause)
        if one.status is not Status.REJECTED or one.write is None:
            return replace(failed, is_undecided=one.status is Status.UNDECIDED)
        [error] = self._retry.put_all([RetryRecord(one.write, one.reason, rejected=True)])
        if error is not None:
            return replace(failed, reason=str(error), cause=cause_of(error), is_undecided=True)
        return replace(failed, is_stored_for_retry=True)

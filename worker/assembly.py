"""How the worker's parts are put together: one function, read top to bottom, from the outside world inwards."""

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from worker.batcher import Batcher
from worker.consumer import Consumer
from worker.core.errors import IndexAwayError
from worker.core.extract.extractor import Extractor
from worker.core.index import Index
from worker.core.outside import Outside, ensure_index, make_extractor
from worker.core.pipeline import Pipeline
from worker.core.queue import MAX_MESSAGE_BYTES
from worker.core.retry import Breaker, release_delay_s
from worker.core.retrystore import RetryStore
from worker.core.settings import Settings
from worker.guard import S3Guard
from worker.handler import Handler
from worker.heartbeat import Heartbeat
from worker.inhand import ByteBudget, Gate, InHand
from worker.outcome import Release
from worker.selfheal import SelfHeal
from worker.settlement import Settlement

INDEX_FAILURES = 2
"""Failed bulk requests in a row that open the breaker."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The worker's own parts."""

    outside: Outside
    gate: Gate
    budget: ByteBudget
    index_breaker: Breaker
    guard: S3Guard
    extractor: Extractor
    retry: RetryStore
    batcher: Batcher
    heartbeat: Heartbeat
    settlement: Settlement
    handler: Handler
    consumer: Consumer
    selfheal: SelfHeal

    def close(self) -> None:
        """Release threads, children and connections."""
        self.index_breaker.stop()
        self.guard.breaker.stop()
        self.batcher.close()
        self.extractor.close()
        self.retry.close()
        self.outside.index.close()


def assemble(settings: Settings, outside: Outside, *, dlq_max_bytes: int, stuck: Callable[[InHand], None]) -> Parts:
    """Put the worker together; `stuck` is told of a message still worked on at its deadline."""
    gate, budget = Gate(), ByteBudget(settings.max_bytes_in_hand)
    guard = S3Guard(outside.objects, gate)
    extractor = make_extractor(settings)
    retry = RetryStore(outside.state)
    breaker = index_breaker(outside.index, interval_s=settings.index_probe_s)
    batcher = make_batcher(settings, outside, retry, breaker)
    heartbeat = Heartbeat(
        outside.source,
        visibility_s=settings.sqs_visibility_timeout,
        give_up=lambda item: item.finish(Release(release_delay_s(item.message.receives), "held back to its deadline")),
        stuck=stuck,
    )
    settlement = Settlement(
        outside.source,
        outside.dlq,
        outside.state,
        heartbeat,
        worker=settings.worker_name,
        dlq_max_bytes=min(dlq_max_bytes, MAX_MESSAGE_BYTES),
    )
    pipeline = Pipeline(settings, outside.objects, extractor)
    handler = Handler(
        pipeline,
        batcher,
        guard,
        gate,
        budget,
        default_bucket=settings.s3_bucket,
        spool_bytes=settings.spool_bytes,
        slow_threads=settings.extract_processes + 1,
    )
    consumer = Consumer(
        outside.source,
        heartbeat,
        gate,
        handler.inbox.put,
        settlement.settle,
        visibility_s=settings.sqs_visibility_timeout,
        deadline_s=settings.message_deadline_s,
        long_poll_s=settings.long_poll_s,
        max_in_hand=settings.max_in_hand,
    )
    selfheal = SelfHeal(settings, outside, pipeline, retry, breaker, gate)
    return Parts(
        outside,
        gate,
        budget,
        breaker,
        guard,
        extractor,
        retry,
        batcher,
        heartbeat,
        settlement,
        handler,
        consumer,
        selfheal,
    )


def make_batcher(settings: Settings, outside: Outside, retry: RetryStore, breaker: Breaker) -> Batcher:
    """What gathers documents into bulk requests."""
    return Batcher(
        outside.index,
        retry,
        breaker,
        outside.objects.clock,
        documents=settings.bulk_documents,
        size_bytes=settings.bulk_bytes,
        wait_s=settings.bulk_wait_ms / 1000,
    )


def index_breaker(index: Index, *, interval_s: float) -> Breaker:
    """The breaker in front of the index. Its probe also sees to it that template, index and alias are there."""

    def probe() -> None:
        index.ping()
        ensure_index(index)

    return Breaker("index", failures=INDEX_FAILURES, probe=probe, interval_s=interval_s)


def open_the_index(parts: Parts) -> None:
    """At start: make the index ready, or open its breaker where it is away; documents are then stored for retry."""
    try:
        ensure_index(parts.outside.index)
    except IndexAwayError as error:
        parts.index_breaker.open(error)


def tidy_temp_dir(settings: Settings) -> None:
    """Remove what a killed worker left behind, spooled objects and its children's folders: ours, of no living process."""
    for leftover in settings.temp_dir.glob("s3iw-*-*"):
        pid = leftover.name.split("-")[1]
        if not pid.isdigit() or leftover.is_symlink() or _is_alive(int(pid)):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                leftover.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

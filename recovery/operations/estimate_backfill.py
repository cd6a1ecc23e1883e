"""`estimate_backfill`: what a backfill would take, counted from its source, and measured on a sample of it. Nothing is changed."""

import random
import threading
import time
from contextlib import closing
from dataclasses import dataclass

from recovery.operations.backfill import check, checkpoint_of
from recovery.operations.backfilling.gate import shortest_s
from recovery.operations.backfilling.measuring import Sample, measure
from recovery.operations.backfilling.prices import dollars_per_million
from recovery.operations.backfilling.reading import chosen_pages
from recovery.operations.backfilling.request import BACKFILL, BEFORE, ELSEWHERE, BackfillRequest, BackfillResult
from recovery.operations.backfilling.sources import PAGE, Candidate, Source
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.report import Report
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.s3.workers import read_workers
from worker.core.sqs.queue import MAX_BATCH

BATCH_CALLS = 3
"""Calls to SQS for a job: it is sent, received and deleted, ten at a time."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What would be done, and what that would take."""

    report: Report
    """What would become of each object."""
    size_bytes: int | None
    """Bytes of all objects that would be indexed; estimated from the sample where the source does not tell sizes."""
    sample: Sample
    workers: int
    """How many processes would do the work: those alive, or this one."""
    seconds: float | None
    """None if nothing of the sample could be read."""
    dollars: float | None

    @property
    def objects(self) -> int:
        """Number of objects that would be indexed."""
        return self.report.counts[BackfillResult.SENT] + self.report.counts[BackfillResult.INDEXED]

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        sample = self.sample
        return {
            "objects": self.objects,
            "bytes": self.size_bytes,
            "hours": None if self.seconds is None else round(self.seconds / 3600, 4),
            "dollars": None if self.dollars is None else round(self.dollars, 4),
            "workers": self.workers,
            "sample": {
                "objects": sample.objects, "bytes": sample.size_bytes, "seconds": round(sample.seconds, 3),
                "cpu_seconds": round(sample.cpu_s, 3), "per_second": round(sample.per_second, 1),
                "with_index": sample.with_index, "failures": sample.failures,
            },
        }  # fmt: skip


class _Reservoir:
    """So many of any number of objects, each with the same probability."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.seen = 0
        self.kept: list[Candidate] = []

    def add(self, one: Candidate) -> None:
        self.seen += 1
        if len(self.kept) < self._size:
            self.kept.append(one)
        elif (place := random.randrange(self.seen)) < self._size:  # noqa: S311 (a sample, not a secret)
            self.kept[place] = one


@dataclass(slots=True)
class _Counted:
    """What reading a source has shown."""

    report: Report
    chosen: _Reservoir
    """Of the objects that would be done."""
    size_bytes: int = 0
    """Of those of them that have a size."""
    unsized: int = 0
    """Number of those that have none, because the source tells only keys."""
    asked: int = 0
    """Number of objects for whose etag S3 was asked."""


def estimate_backfill(
    settings: Settings, clients: Clients, request: BackfillRequest, source: Source, *, sample: int, stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Estimate | None:  # fmt: skip
    """Count what a run would do, from where an interrupted one has stopped, and measure `sample` objects; None once `stop` is set.

    Raises what `backfill` raises before it starts, and what reading a source raises.
    """
    check(settings, clients, request, source)
    began = time.monotonic()
    counted = _count(settings, clients, request, source, sample, stop, on_progress)
    report, count = counted.report, counted.chosen.seen
    on_progress(
        Progress(report.handled, source.total, note=f"measuring a sample of {len(counted.chosen.kept):,} objects")
    )
    measured = measure(settings, clients, counted.chosen.kept, stop)
    report.seconds = time.monotonic() - began
    if stop.is_set():
        return None
    size_bytes: int | None = counted.size_bytes
    if counted.unsized:
        size_bytes = round(measured.size_bytes / measured.objects * count) if measured.objects else None
    workers = 1 if request.direct else _alive(clients)
    if count and not measured.objects:
        return Estimate(report, size_bytes, measured, workers, None, None)
    per_second = max(min(measured.per_second * workers, request.rate or float("inf")), 1e-3)
    seconds = max(count / per_second, 0.0 if request.direct else shortest_s(count, request.max_depth))
    return Estimate(report, size_bytes, measured, workers, seconds, _dollars(counted, measured, request))


def _count(
    settings: Settings, clients: Clients, request: BackfillRequest, source: Source, sample: int, stop: threading.Event,
    on_progress: OnProgress,
) -> _Counted:  # fmt: skip
    """Read the source as a run would. Before there is an index, everything is to be done."""
    checkpoint = checkpoint_of(clients, request, source)
    report = Report(BACKFILL, dry_run=True, about={"run": request.run.name, "source": source.name})
    report.also[BEFORE] = checkpoint.done
    counted = _Counted(report, _Reservoir(sample))
    result = BackfillResult.INDEXED if request.direct else BackfillResult.SENT
    has_index = clients.index.inspect().exists
    with closing(chosen_pages(settings, clients, source, checkpoint.position, stop, has_index=has_index)) as pages:
        for page in pages:
            report.counts.update(page.others)
            report.also[ELSEWHERE] += page.elsewhere
            report.counts[result] += len(page.chosen)
            counted.asked = page.asked
            for one in page.chosen:
                counted.chosen.add(one)
                counted.size_bytes += one.size or 0
                counted.unsized += one.size is None
            on_progress(Progress(report.handled, source.total, {one.value: n for one, n in report.counts.items()}))
    return counted


def _dollars(counted: _Counted, measured: Sample, request: BackfillRequest) -> float:
    """What the requests and the CPU time of a run cost."""
    count = counted.chosen.seen
    if not count:
        return 0.0
    per_object = {
        "s3": 1 + counted.asked / count,
        "s3_list": 0 if counted.unsized else counted.report.handled / PAGE / count,
        "sqs": 0 if request.direct else BATCH_CALLS / MAX_BATCH,
    }
    return count * dollars_per_million(measured.cpu_s / measured.objects * 1000, per_object) / 1e6


def _alive(clients: Clients) -> int:
    """The number of workers that run, as far as is known; at least 1. Raises StoreError."""
    return max(1, sum(one.is_alive for one in read_workers(clients.state, clients.objects.clock.now_ms())))

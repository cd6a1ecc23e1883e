"""`backfill`: bring the objects of a bucket that existed before the worker into the index, through the queue or directly."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain

from recovery.operations.backfilling.checkpoint import Checkpoint
from recovery.operations.backfilling.gate import PauseWatch, QueueGate
from recovery.operations.backfilling.reading import ChosenPage, chosen_pages
from recovery.operations.backfilling.request import BACKFILL, BEFORE, ELSEWHERE, BackfillRequest, BackfillResult
from recovery.operations.backfilling.sources import Candidate, Source
from recovery.operations.clients import attributes_of
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.recovering.direct import Indexed, direct_indexer
from recovery.operations.recovering.preconditions import check_listable, check_state_and_index, make_ready
from recovery.operations.report import Report
from recovery.operations.transfer.jobs import send_jobs
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import AuditEvent, record
from worker.core.base.errors import DependencyError, QueueError, WorkerError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.sqs.queue import MAX_BATCH

FEW = 100
"""Of a page with fewer objects to do than these, all are done before the next one is read, if they are indexed here."""


def check(settings: Settings, clients: Clients, request: BackfillRequest, source: Source) -> None:
    """Check all that a backfill needs. Raises ConfigError or DependencyError with what is wrong, and StoreError."""
    check_state_and_index(settings, clients)
    if not request.direct:
        attributes_of(clients.source, called="SQS_QUEUE_URL")
    for bucket in dict.fromkeys(place.bucket for place in source.places):
        check_listable(clients.objects, bucket)


def checkpoint_of(clients: Clients, request: BackfillRequest, source: Source) -> Checkpoint:
    """How far the last run over this source has come. Raises StoreError."""
    found = Checkpoint(
        clients.state, clients.objects.clock, request.run, source=source.name, index=clients.index.description
    )  # fmt: skip
    found.load(restart=request.restart)
    return found


def backfill(
    settings: Settings, clients: Clients, request: BackfillRequest, source: Source, *, stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Report:  # fmt: skip
    """Send or index all objects of a source that the index does not hold with their present etags.

    `stop` ends it between two batches, and so does a pause of the fleet. The report has the error that ended the run early, if
    any; the next run over the same source goes on from there.

    Raises ConfigError, DependencyError, PausedError, IndexUnavailableError or StoreError if the run must not start; nothing
    was changed then.
    """
    check(settings, clients, request, source)
    refuse_while_paused(clients.state, while_paused=request.while_paused)
    make_ready(clients, dry_run=False)
    return _Run(settings, clients, request, source, stop, on_progress).run()


@dataclass(slots=True)
class _Page:
    """A page on which the run is working."""

    after: JsonObject
    objects: int
    chosen: list[Candidate]
    """Those that are to be done."""
    left: int
    """Number of those without a result."""
    is_undecided: bool = False
    """Whether another run has to try again some of it."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An object that is to be done, and the page that it is from."""

    object: Candidate
    page: _Page

    @property
    def name(self) -> tuple[str, str]:
        """Bucket and key."""
        return self.object.bucket, self.object.key


class _Run:
    """One run."""

    def __init__(
        self, settings: Settings, clients: Clients, request: BackfillRequest, source: Source, stop: threading.Event,
        on_progress: OnProgress,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clients = clients
        self._request = request
        self._source = source
        self._stop = stop
        self._on_progress = on_progress
        self._watch = PauseWatch(clients.state, while_paused=request.while_paused, stop=stop)
        self._checkpoint = checkpoint_of(clients, request, source)
        self._pages: deque[_Page] = deque()
        """The pages on which the run is working, in the order of the source."""
        self._is_held = False
        """Whether the checkpoint stays where it is, because a page has to be tried again."""
        self._report = Report(BACKFILL, dry_run=False, about={"run": request.run.name, "source": source.name})
        self._report.also[BEFORE] = self._checkpoint.done

    def run(self) -> Report:
        report, began = self._report, time.monotonic()
        if self._checkpoint.done:
            before = f"after {self._checkpoint.done:,} objects, where a run {self._checkpoint.left_by} was interrupted"
            self._tick(f"continuing {before}; --restart starts over")
        try:
            if self._request.restart:
                self._checkpoint.save()
            self._fill()
            if self._stop.is_set() or self._is_held:
                self._checkpoint.save()
            else:
                self._checkpoint.finish()
        except WorkerError as error:
            report.failure = error
            with suppress(WorkerError):  # it may be the state bucket that has failed
                self._checkpoint.save()
        finally:
            report.seconds = time.monotonic() - began
            details = {
                "source": self._source.name, "index": self._clients.index.description, "direct": self._request.direct
            }  # fmt: skip
            event = AuditEvent.of(self._request.run, (), report.numbers(), {**details, "stopped_by": report.stopped_by})
            report.recorded = record(self._clients.state, event)
        return report

    def _fill(self) -> None:
        pages = chosen_pages(self._settings, self._clients, self._source, self._checkpoint.position, self._stop)
        with closing(pages):
            working = self._working(pages)
            if self._request.direct:
                self._index(working)
            else:
                self._send(working)

    def _working(self, pages: Iterator[ChosenPage]) -> Iterator[_Page]:
        """The pages, each noted as one that is being worked on."""
        for chosen in pages:
            self._watch.check()
            for result, count in chosen.others.items():
                self._report.counts[result] += count
            self._report.also[ELSEWHERE] += chosen.elsewhere
            page = _Page(chosen.after, chosen.objects, chosen.chosen, len(chosen.chosen))
            self._pages.append(page)
            self._advance()
            self._tick()
            yield page

    # -- through the queue -------------------------------------------------------------------------------------------

    def _send(self, pages: Iterator[_Page]) -> None:
        """Send jobs, ten a call, those of a page before the next is read. Raises QueueError where the queue takes none of ten."""
        request = self._request
        gate = QueueGate(
            self._clients.source, self._watch, rate=request.rate, max_depth=request.max_depth, stop=self._stop, say=self._tick
        )  # fmt: skip
        for page in pages:
            for start in range(0, len(page.chosen), MAX_BATCH):
                batch = [_Item(one, page) for one in page.chosen[start : start + MAX_BATCH]]
                gate.wait(len(batch))
                if self._stop.is_set():
                    return
                self._send_batch(batch)

    def _send_batch(self, batch: list[_Item]) -> None:
        refused = send_jobs(self._clients.source, [item.name for item in batch], stop=self._stop)
        if len(refused) == len(batch) and not any(one.senders_fault for one in refused.values()):
            raise QueueError(refused[0].message, code=refused[0].code)
        for place, item in enumerate(batch):
            refusal = refused.get(place)
            if refusal is None:
                self._settle(item, BackfillResult.SENT)
            else:
                why = f"{refusal.code}: {refusal.message}"
                failed = Indexed(item, reason=why, error_type=refusal.code, is_undecided=not refusal.senders_fault)
                self._settle(item, BackfillResult.FAILED, failed)
        self._tick()

    # -- here --------------------------------------------------------------------------------------------------------

    def _index(self, pages: Iterator[_Page]) -> None:
        """Do the work of a worker. Raises IndexUnavailableError, and DependencyError where a bucket cannot be read any more."""
        with direct_indexer(self._settings, self._clients, source="backfill", rate=self._request.rate) as indexer:
            for page in pages:
                items = self._stretch(page, pages)
                with closing(indexer.run(items, lambda item: item.name, stop=self._stop)) as groups:
                    for group in groups:
                        for one in group:
                            self._settle_indexed(one)
                        self._tick()
                        self._watch.check()
                        why = indexer.given_up(group[-1].item.object.bucket)
                        if why is not None:
                            raise DependencyError(why)

    def _stretch(self, page: _Page, following: Iterator[_Page]) -> Iterator[_Item]:
        """The objects of a page and of those that follow, up to one of which few are to be done.

        Those few are done before more is read: the pages after it may be ones of which nothing is to be done for hours.
        """
        for one in chain([page], following):
            for found in one.chosen:
                yield _Item(found, one)
            if len(one.chosen) < FEW:
                return

    def _settle_indexed(self, one: Indexed[_Item]) -> None:
        if one.is_indexed:
            self._settle(one.item, BackfillResult.INDEXED)
        elif one.is_stored_for_retry:
            self._settle(one.item, BackfillResult.STORED_FOR_RETRY, one)
        else:
            self._settle(one.item, BackfillResult.FAILED, one)

    # -- both --------------------------------------------------------------------------------------------------------

    def _settle(self, item: _Item, result: BackfillResult, failed: Indexed[_Item] | None = None) -> None:
        """Count the result of an object, and what is known of why it is not indexed."""
        why = failed or Indexed(item)
        self._report.add(result, sample=item.object.key, reason=why.reason, error_type=why.error_type, cause=why.cause)
        item.page.left -= 1
        item.page.is_undecided |= why.is_undecided
        self._advance()

    def _advance(self) -> None:
        """Move the checkpoint behind the first pages that are done. Where one has to be tried again, it stays before that."""
        while self._pages and not self._pages[0].left:
            page = self._pages.popleft()
            self._is_held |= page.is_undecided
            if not self._is_held:
                self._checkpoint.advance(page.after, self._checkpoint.done + page.objects)

    def _tick(self, note: str = "") -> None:
        total = self._source.total
        left = None if total is None else max(total - self._report.also[BEFORE], self._report.handled)
        counts = {result.value: count for result, count in self._report.counts.items()}
        self._on_progress(Progress(self._report.handled, left, counts, note))

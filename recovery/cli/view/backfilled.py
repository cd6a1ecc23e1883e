"""How a backfill is shown: its table of results, and what a dry run has estimated."""

from collections.abc import Iterator

from recovery.cli.view.report import Wording
from recovery.operations.backfilling.request import BEFORE, ELSEWHERE, BackfillRequest, BackfillResult
from recovery.operations.estimate_backfill import Estimate
from worker.terminal import span

WORDING = Wording(
    noun="objects",
    dry_run="nothing was sent or indexed",
    results={
        BackfillResult.SENT: "a job for it is in the queue",
        BackfillResult.INDEXED: "indexed here; or it is gone, and so is its document",
        BackfillResult.STORED_FOR_RETRY: "the index rejects its document, which is in retry-index/",
        BackfillResult.CURRENT: "the index holds it already, with its present etag",
        BackfillResult.SKIPPED: "not to be in the index: by INCLUDE_KEYS or EXCLUDE_KEYS, our own records, folders",
        BackfillResult.FAILED: "could not be sent or indexed: run the command again",
    },
    also={
        BEFORE: ("done before", "done by an interrupted run, which this one has continued"),
        ELSEWHERE: ("elsewhere", "listed in the inventory, but not in this place: left out"),
    },
)


def estimate_sentences(found: Estimate, request: BackfillRequest) -> Iterator[str]:
    """What is to be said of an estimate."""
    sample = found.sample
    if not found.objects:
        yield "there is nothing to do"
        return
    size = "" if found.size_bytes is None else f", {found.size_bytes:,} bytes"
    if found.seconds is None or found.dollars is None:
        yield f"{found.objects:,} objects{size}; none of the {sample.failures:,} of the sample could be read"
        return
    who = (
        "this process"
        if request.direct
        else f"{found.workers:,} worker{'s' if found.workers > 1 else ''} like this one"
    )
    rate = f" and --rate {request.rate:g}" if request.rate else ""
    yield (
        f"{found.objects:,} objects{size}: about {span(found.seconds)} ({found.seconds / 3600:,.2f} hours) with {who}{rate}, "
        f"and ${found.dollars:,.2f} for requests and CPU"
    )
    what = "read, extracted and written to a second SQLite index" if sample.with_index else "read and extracted"
    yield (
        f"measured: {sample.objects:,} objects {what} in {sample.seconds:.1f} s, {sample.per_second:,.0f}/s, "
        f"{sample.size_bytes:,} bytes"
    )
    if not sample.with_index:
        yield "writing to the index is not measured; if the index is slower than that, it sets the pace"
    if sample.failures:
        yield f"{sample.failures:,} objects of the sample could not be read"

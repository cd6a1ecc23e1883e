"""What `reindex_index` says: before it begins, of where things stand, and at the end."""

from collections.abc import Iterator

from recovery.operations.reindex import Plan
from recovery.operations.reindexing.ending import NONE, Ended, Situation
from recovery.operations.reindexing.request import Reindexed, ReindexRequest
from worker.core.s3.reindexing import Phase, Source
from worker.terminal import iso

_WAYS = {Source.S3: "from S3", Source.INDEX: "from the old index"}


def question(planned: Plan, request: ReindexRequest) -> str:
    """What is about to happen, for the operator to agree to."""
    found = planned.reindex
    buckets = " ".join(map(str, request.buckets))
    begins = "go on to replace" if planned.is_begun else "replace"
    what = f"{begins} {found.old} ({planned.documents:,} documents) by {found.new}, filled {_WAYS[found.source]}, for {buckets}?"
    if found.is_alias:
        return (
            f"{what} The old one is kept for {_days(found.grace_s)} after the switch, and --rollback moves back to it"
        )
    return (
        f"{what} {found.old} has no other name by which searches reach it, so the switch DELETES it, and there is no way back; "
        "copy or clone it first if you may need it"
    )


def situation_sentences(now: Situation) -> Iterator[str]:
    """Where things stand."""
    found = now.reindex
    if found is None:
        yield NONE
        return
    yield f"{found.run}, begun by {found.by} at {iso(found.begun_ms / 1000)}: {found.old} is replaced by {found.new}"
    match found.phase:
        case Phase.PREPARING:
            yield "the new index is being made; only the old one is written to"
        case Phase.FILLING:
            yield f"searches read {found.old}; {now.following} of {now.alive} workers write to both"
            yield f"next: `reindex_index --from-{found.source}` goes on, `--abort` deletes {found.new}"
        case Phase.SWITCHED:
            since = iso(found.written_ms / 1000)
            yield f"searches read {found.new} since {since}; {now.following} of {now.alive} workers write to both"
            kept = f"for another {now.grace_left_s / 3600:,.1f} hours" if now.grace_left_s else "until you end it"
            yield f"{found.old} is kept {kept}; next: `--finish` deletes it, `--rollback` moves back to it"
        case Phase.ENDING:
            yield f"it is being ended; `--finish` completes that{f', and deletes {found.left_over}' if found.left_over else ''}"


def result_sentences(result: Reindexed) -> Iterator[str]:
    """What was done, and what to do next."""
    yield (
        f"{result.new}: {result.filled:,} documents filled in, {result.repaired:,} repaired, compared {result.rounds} times, "
        f"in {result.seconds:,.0f} s"
    )
    yield from result.examples
    if result.is_switched and result.can_go_back:
        yield f"searches read {result.new}; {result.old} is kept and written to: `--rollback` moves back, `--finish` deletes it"
    elif result.is_switched:
        yield f"searches read {result.new}; {result.old} is deleted"
        if result.must_finish:
            yield "one step is left: `--finish` completes it"
    elif result.stopped:
        yield "stopped; the same command goes on from here, `--abort` ends it"
    else:
        yield (
            f"not switched: {result.lacking:,} objects or documents are not as they should be in {result.new}. Correct that and "
            "run this again; `--force` switches all the same, `--abort` ends it"
        )


def ended_sentence(ended: Ended) -> str:
    """What ending it, or going back, has done."""
    found = ended.reindex
    if not ended.is_complete:
        return "stopped; `--finish` completes it"
    if found.phase is not Phase.ENDING:
        return (
            f"searches read {found.searched} again; both are written to, until --abort or another switch. `reconcile_index` tells "
            "whether anything is missing in it"
        )
    return f"the reindex is over; {found.left_over} is deleted" if found.left_over else "the reindex is over"


def _days(grace_s: int) -> str:
    days, rest = divmod(grace_s, 86_400)
    return f"{days} days" if days and not rest else f"{grace_s / 3600:,.1f} hours"

"""How the result of a reconciliation is shown: a table of states, and a sentence for whatever else is to be known."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType

from recovery.cli.view.report import counts_table
from recovery.operations.reconciling.fixing import Fixed
from recovery.operations.reconciling.request import STATES, Reconciled, ReconcileState
from worker.core.base.text import exact
from worker.layout import Sentence

MEANINGS = {
    ReconcileState.SKIPPED: "not to be in the index: by INCLUDE_KEYS or EXCLUDE_KEYS, our own records, folders",
    ReconcileState.YOUNG: "changed too recently to be expected in the index yet",
    ReconcileState.CURRENT: "in the index, with this etag",
    ReconcileState.WAITING: "in retry-index/: written once the index takes it",
    ReconcileState.PARKED: "in retry-index/parked/: replay_retry_index --parked",
    ReconcileState.DEAD: "in the dead-letter queue or dead-letters/: dlq groups",
    ReconcileState.ARCHIVED: "given up, in dlq-archive/: dlq list --archive",
    ReconcileState.STALE: "the index holds another state of it: --fix",
    ReconcileState.MISSING: "not in the index: --fix",
}


def totals(results: Sequence[Reconciled], *, stopped: bool) -> dict[str, object]:
    """The JSON of the whole run: the numbers of all places together, then each place; `stopped`: by a signal."""
    return {
        "objects": sum(one.objects for one in results),
        "bytes": sum(one.size_bytes for one in results),
        "states": {state.value: sum(one.states[state] for one in results) for state in STATES},
        "orphans": sum(one.orphans for one in results),
        "accounted": not stopped and all(one.is_accounted for one in results),
        "stopped": stopped,
        "places": [one.as_json() for one in results],
    }


def result_table(result: Reconciled) -> RenderableType:
    """The table of one place, and its sentences."""
    rows = [(result.states[state], state.value, meaning) for state, meaning in MEANINGS.items()]
    rows.append((result.orphans, "orphans", "documents without an object: --fix"))
    about = (Sentence(exact(sentence)) for sentence in sentences(result))
    return Group(Sentence(exact(str(result.place))), counts_table("objects", rows), *about)


def sentences(result: Reconciled) -> Iterator[str]:
    """What is to be said besides the table."""
    yield f"{result.objects:,} objects, {result.size_bytes:,} bytes, {result.documents:,} documents in {result.seconds:.1f} s"
    if result.unsettled:
        yield (
            f"{result.unsettled:,} messages were waiting or in flight: they may be about what is missing, stale or an orphan; run "
            "this again once the queue is empty"
        )
    for number, said in (
        (result.future, "documents have a version from the future, which keeps out every change until then"),
        (result.current_dead, "current objects are also dead letters: files that can be found by name alone"),
        (result.skipped_indexed, "skipped objects are in the index nevertheless: s3-index-worker forget --existing"),
        (
            result.unreachable,
            "documents have another id than writes address (see DOCUMENT_IDS); they are never changed here",
        ),
        (result.nameless, "documents of the index name no bucket or key; they are never changed here"),
        (result.unread, "records of retry-index/ cannot be read"),
    ):
        if number:
            yield f"{number:,} {said}"
    for name, keys in result.examples.items():
        yield f"{name}, such as {', '.join(keys)}"


def fixed_sentences(fixed: Fixed) -> Iterator[str]:
    """What was done, in sentences."""
    for number, said in (
        (fixed.sent, "sent to the queue"),
        (fixed.indexed, "indexed"),
        (fixed.stored_for_retry, "stored in retry-index/, because the index rejects them"),
        (fixed.removed, "documents removed: their objects are gone"),
    ):
        if number:
            yield f"{number:,} {said}"
    for reason, number in fixed.kept.most_common():
        yield f"{number:,} kept: {reason}; such as {fixed.examples[reason]}"
    if fixed.ended_by:
        yield f"ended early, and nothing after that was tried: {fixed.ended_by}"
    if fixed.stopped:
        yield "stopped early by a signal"
    elif fixed.is_complete and not (fixed.sent or fixed.indexed or fixed.removed or fixed.stored_for_retry):
        yield "nothing to fix"

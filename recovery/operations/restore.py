"""`restore`: send archived messages to a queue again. They stay in the archive, marked as restored, and are not sent twice."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Ids
from recovery.operations.dead_letters.short_ids import whole
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.archive import ArchivedDeadLetter, claim, finish, read_all
from recovery.operations.transfer.sending import Transferred, TransferReport
from recovery.operations.transfer.targets import Target
from worker.core.audit import AuditEvent, Run, record
from worker.core.base.errors import StoreError
from worker.core.s3.state import ARCHIVE_PREFIX, State, safe_name
from worker.core.sqs.dead_letter import Refused, SendEntry
from worker.core.sqs.queue import in_batch

THREADS = 8


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which archived messages to restore: those that one run archived, or those with these ids."""

    run: Run
    archived_by: str | None = None
    """Name of the run that archived them."""
    ids: Ids | None = None


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What the operation is going to send, and what it refuses."""

    target: Target
    entries: tuple[ArchivedDeadLetter, ...]
    prepared: tuple[tuple[ArchivedDeadLetter, SendEntry], ...]
    missing: tuple[str, ...]
    """Requested runs or ids that are not in the archive."""
    report: TransferReport
    """Contains the refused messages; the operation adds the result of the others."""


def plan_restore(state: State, request: RestoreRequest, target: Target) -> RestorePlan:
    """Find the messages in the archive. A concurrent restore is noticed only when they are claimed.

    Raises StoreError and AmbiguousIdError.
    """
    entries = tuple(_archived(state, request))
    report = TransferReport()
    prepared: list[tuple[ArchivedDeadLetter, SendEntry]] = []
    for entry in entries:
        mark = entry.restored
        refusal = mark.refusal if mark is not None and mark.done else None
        made = refusal or target.entry_of(entry.dead_letter)
        if isinstance(made, Refused):
            report.refused[entry.dead_letter.id] = made.reason
        else:
            prepared.append((entry, made))
    missing = [] if entries or request.archived_by is None else [f"run {request.archived_by}"]
    if request.ids is not None:
        missing += request.ids.missing_from(name for entry in entries for name in entry.dead_letter.names)
    return RestorePlan(target, entries, tuple(prepared), tuple(missing), report)


def restore(
    clients: DlqClients,
    state: State,
    request: RestoreRequest,
    plan: RestorePlan,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Transferred:
    """Claim each message, send it, and mark it as restored. Once `stop` is set, the rest is not sent, and reported as kept."""
    report, total = plan.report, len(plan.prepared)

    def one(pair: tuple[ArchivedDeadLetter, SendEntry]) -> None:
        if stop.is_set():
            report.kept[pair[0].dead_letter.id] = "interrupted"
        else:
            restore_one(state, request.run, plan.target, *pair, report)

    try:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="restore") as pool:
            for done, _ in enumerate(pool.map(one, plan.prepared), start=1):
                on_progress(Progress(done, total))
    finally:
        asked = {"run": request.archived_by, **({} if request.ids is None else request.ids.as_json())}
        details = {"dlq": clients.dlq.url, "to": plan.target.url, "filter": asked, "report": report.as_json()}
        dead_letters = (entry.dead_letter for entry, _ in plan.prepared)
        recorded = record(state, AuditEvent.of(request.run, dead_letters, report.counts(), details))
    return Transferred(report, recorded)


def restore_one(
    state: State, run: Run, target: Target, entry: ArchivedDeadLetter, message: SendEntry, report: TransferReport
) -> None:
    """Claim one archived dead letter, send it, and mark it as restored. The report says what came of that. Never raises."""
    name = entry.dead_letter.id
    try:
        claimed = claim(state, entry.key, by=run.by, run=run.name, to=target.url)
        if isinstance(claimed, Refused):
            report.refused[name] = claimed.reason
            return
        refused = in_batch(target.queue.send, [message], stop=threading.Event())
        if refused:
            report.kept[name] = f"{refused[0].code}: {refused[0].message}"
        else:
            report.sent.append(name)
        finish(state, claimed, sent=not refused)
    except (StoreError, ValueError) as error:
        sent = "sent, but " if name in report.sent else ""
        report.kept.setdefault(name, f"{sent}its archive record could not be updated: {error}")


def _archived(state: State, request: RestoreRequest) -> Iterable[ArchivedDeadLetter]:
    if request.ids is not None:
        return _archived_with(state, request.ids)
    return (entry for entry in read_all(state, state.keys(ARCHIVE_PREFIX)) if entry.run == request.archived_by)


def _archived_with(state: State, which: Ids) -> list[ArchivedDeadLetter]:
    """Those with these ids: by the names of their records; if an id is in none, or not whole, by every id that they have had."""
    keys = list(state.keys(ARCHIVE_PREFIX))
    parts = tuple(f"-{safe_name(one)}.json" for one in which.names)
    parts += tuple(f"-{safe_name(one)}" for one in which.beginnings)
    named = {key for key in keys if any(part in key for part in parts)}
    found = [one for one in read_all(state, sorted(named)) if which.fits(one.dead_letter)]
    if which.beginnings or which.missing_from(one.dead_letter.id for one in found):
        found += [
            one for one in read_all(state, (key for key in keys if key not in named)) if which.fits(one.dead_letter)
        ]
    names = whole(which, [one.dead_letter for one in found]).names
    own = [one for one in found if one.dead_letter.id in names]
    others = names - {one.dead_letter.id for one in own}
    return own + [one for one in found if one not in own and one.dead_letter.names & others]

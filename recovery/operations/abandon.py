"""`abandon`: move dead letters to `dlq-archive/`. They are deleted only once they are archived; `restore` undoes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts
from recovery.operations.find import FindRequest, Found
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.archive import Archive
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.sending import Transferred, TransferReport
from worker.core.audit import AuditEvent, Run, record
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.retry import retry_transient
from worker.core.s3.state import State
from worker.core.sqs.dead_letter import DeadLetter

THREADS = 8
CHUNK = 500
"""Number of dead letters that are claimed, archived and deleted before the next: each claim lasts only a while."""


class ArchivedAs(StrEnum):
    """How a message came to be archived, as stored in its archive record."""

    DELETED = "deleted"
    """By `dlq delete`, or the same act of the manager's."""
    ABANDONED = "abandoned"
    """By `dlq abandon`, or the same act of the manager's."""


@dataclass(frozen=True, slots=True)
class AbandonRequest:
    """Which dead letters to archive, and why."""

    run: Run
    which: FindRequest
    reason: str
    archived_as: ArchivedAs


def abandon(
    clients: DlqClients,
    state: State,
    claims: Claims,
    request: AbandonRequest,
    found: Found,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Transferred:
    """Archive the dead letters, then delete those that were archived. Once `stop` is set, the rest is kept."""
    report = TransferReport()
    archive = Archive(state, clients.dlq.url, request.run.by, request.run.name)
    try:
        for start in range(0, len(found.facts), CHUNK):
            part = found.facts[start : start + CHUNK]
            report.refused |= claims.take(one.dead_letter for one in part)
            claimed = [one for one in part if one.dead_letter.id not in report.refused]
            archived = archive_claimed(
                archive, claimed, report, stop, reason=request.reason, archived_as=request.archived_as
            )
            report.not_deleted += claims.remove(archived, request.archived_as.value, reason=request.reason)
            on_progress(Progress(len(report.sent), len(found.facts)))
    finally:
        details = {"reason": request.reason, "filter": request.which.as_json(), "report": report.as_json()}
        event = AuditEvent.of(request.run, found.dead_letters, report.counts(), {"dlq": clients.dlq.url, **details})
        recorded = record(state, event)
    return Transferred(report, recorded)


def archive_claimed(
    archive: Archive, claimed: list[Facts], report: TransferReport, stop: threading.Event, *, reason: str,
    archived_as: ArchivedAs,
) -> list[DeadLetter]:  # fmt: skip
    """Archive the dead letters; returns those that are archived durably. Only these may be deleted."""

    def put(one: Facts) -> DeadLetter | None:
        if stop.is_set():
            report.kept[one.dead_letter.id] = "interrupted"
            return None
        about = one.refs[0].key if one.refs else None
        try:
            retry_transient(
                lambda: archive.put(
                    one.dead_letter, about=about, reason=reason, error_type=archived_as.value
                ),
                transient=is_transient, stop=stop,
            )  # fmt: skip
        except StoreError as error:
            report.kept[one.dead_letter.id] = f"it could not be archived: {error}"
            return None
        return one.dead_letter

    with ThreadPoolExecutor(THREADS, thread_name_prefix="archive") as pool:
        archived = [dead_letter for dead_letter in pool.map(put, claimed) if dead_letter is not None]
    report.sent += [dead_letter.id for dead_letter in archived]
    return archived

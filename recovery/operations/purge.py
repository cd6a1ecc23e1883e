"""`purge`: export everything, verify the file, then delete exactly the exported messages. Messages that arrive later stay."""

import threading
from contextlib import suppress
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.export import ExportRequest, export
from recovery.operations.find import Found
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.export_file import Seal
from recovery.operations.records.operator_file import OperatorFile
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.sending import TransferReport
from worker.core.audit import AuditEvent, Recorded, Run, record
from worker.core.base.errors import QueueError

CHUNK = 100
"""Number of messages that are deleted before `stop` is heeded."""


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """Where to export the messages before they are deleted."""

    run: Run
    backup: OperatorFile


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What was deleted, and how many messages are left."""

    seal: Seal
    report: TransferReport
    """Its `sent` lists the deleted messages."""
    left: int | None
    """Approximate number of messages in the DLQ afterwards: new ones, and those in flight elsewhere. None if SQS did not answer."""
    recorded: Recorded

    def counts(self) -> dict[str, int]:
        """The number of messages for each result."""
        return _counts(self.report)


def purge(
    clients: DlqClients,
    claims: Claims,
    request: PurgeRequest,
    found: Found,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> PurgeResult:
    """Export the dead letters, then delete them. Raises ExportFileError before anything is deleted.

    Once `stop` is set, the rest is kept.
    """
    seal = export(clients, ExportRequest(request.run, request.backup), found)
    report, dead_letters = TransferReport(), found.dead_letters
    try:
        for start in range(0, len(dead_letters), CHUNK):
            part = dead_letters[start : start + CHUNK]
            if stop.is_set():
                report.keep(part, "interrupted")
                continue
            refused = claims.take(part)
            report.kept |= refused
            claimed = [dead_letter for dead_letter in part if dead_letter.id not in refused]
            left = claims.remove(claimed, "purged")
            report.not_deleted += left
            report.sent += [dead_letter.id for dead_letter in claimed if dead_letter.id not in left]
            on_progress(Progress(len(report.sent), len(dead_letters)))
    finally:
        details = {"dlq": clients.dlq.url, "file": request.backup.name, "sha256": seal.sha256}
        recorded = record(clients.state, AuditEvent.of(request.run, dead_letters, _counts(report), details))
    return PurgeResult(seal, report, _left(clients), recorded)


def _counts(report: TransferReport) -> dict[str, int]:
    return {"deleted": len(report.sent), "not_deleted": len(report.not_deleted), "kept": len(report.kept)}


def _left(clients: DlqClients) -> int | None:
    with suppress(QueueError):
        attributes = clients.dlq.attributes()
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(attributes.get(name, 0)) for name in names)
    return None

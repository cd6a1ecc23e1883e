"""`import`: send the messages of an export file, after verifying the whole file. Importing a file twice sends them twice."""

import threading
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records import export_file
from recovery.operations.records.export_file import Seal
from recovery.operations.records.operator_file import OperatorFile
from recovery.operations.transfer.sending import Prepared, Transferred, TransferReport, post, prepare
from recovery.operations.transfer.targets import Target
from worker.core.audit import AuditEvent, Run, record


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Which file to send."""

    run: Run
    file: OperatorFile


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What the operation is going to send, and what it refuses."""

    target: Target
    seal: Seal
    prepared: tuple[Prepared, ...]
    report: TransferReport
    """Contains the refused messages; the operation adds the result of the others."""


def plan_import(request: ImportRequest, target: Target) -> ImportPlan:
    """Verify the file, and decide which of its messages can be sent. Raises ExportFileError."""
    seal, dead_letters = export_file.read_export(request.file)
    report = TransferReport()
    prepared = prepare(dead_letters, target.entry_of, report)
    return ImportPlan(target, seal, tuple(prepared), report)


def import_messages(
    clients: DlqClients,
    request: ImportRequest,
    plan: ImportPlan,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Transferred:
    """Send the planned messages. Once `stop` is set, the rest is not sent, and reported as kept."""
    report = plan.report
    try:
        for _ in post(plan.target.queue, plan.prepared, report, stop=stop):
            on_progress(Progress(len(report.sent), len(plan.prepared)))
    finally:
        details = {"dlq": clients.dlq.url, "to": plan.target.url, "file": request.file.name, "sha256": plan.seal.sha256}
        dead_letters = (dead_letter for dead_letter, _ in plan.prepared)
        event = AuditEvent.of(request.run, dead_letters, report.counts(), {**details, "report": report.as_json()})
        recorded = record(clients.state, event)
    return Transferred(report, recorded)

"""`import`: send the messages of an export. The file is verified to its end first; importing twice sends twice."""

import threading
from dataclasses import dataclass
from pathlib import Path

from recovery.operations.clients import DlqClients
from recovery.operations.records import export_file
from recovery.operations.records.audit import AuditEvent, record
from recovery.operations.records.export_file import Seal
from recovery.operations.run import Progress, Run, Tell, tell_nobody
from recovery.operations.transfer.sending import Prepared, Transferred, TransferReport, post, prepare
from recovery.operations.transfer.targets import Target


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Which file to send."""

    run: Run
    file: Path


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would be sent, and what not."""

    target: Target
    seal: Seal
    prepared: tuple[Prepared, ...]
    report: TransferReport
    """What is refused; the operation adds what became of the others."""


def plan_import(request: ImportRequest, target: Target) -> ImportPlan:
    """Verify the file, and tell what of it may be sent. Raises ExportFileError."""
    seal = export_file.verify(request.file)
    report = TransferReport()
    prepared = prepare(export_file.read_dead_letters(request.file), target.entry_of, report)
    return ImportPlan(target, seal, tuple(prepared), report)


def import_messages(
    clients: DlqClients, request: ImportRequest, plan: ImportPlan, *, stop: threading.Event, tell: Tell = tell_nobody
) -> Transferred:
    """Send what is planned. Once `stop` is set, the rest is kept."""
    report = plan.report
    for _ in post(plan.target.queue, plan.prepared, report, stop=stop):
        tell(Progress(len(report.sent), len(plan.prepared)))
    details = {"dlq": clients.dlq.url, "to": plan.target.url, "file": str(request.file), "sha256": plan.seal.sha256}
    dead_letters = (dead_letter for dead_letter, _ in plan.prepared)
    event = AuditEvent.of(request.run, dead_letters, report.counts(), {**details, "report": report.as_json()})
    return Transferred(report, record(clients.state, event))

"""`recover`: process the DLQ and `dead-letters/` now: index, skip or archive each message, according to S3's current state."""

import threading

from recovery.operations.progress import OnProgress, ignore_progress
from recovery.operations.records.holders import register_holder
from recovery.operations.recovering.preconditions import check_all, make_ready
from recovery.operations.recovering.recovery_run import RecoveryRun
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.report import Report
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import AuditEvent, record
from worker.core.base.settings import Settings
from worker.core.clients import Clients


def recover(
    settings: Settings,
    clients: Clients,
    request: RecoverRequest,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Report:
    """Recover dead letters. The report contains the error that ended the run early, if any; `stop` ends it between two batches.

    A run that handled something is recorded in the audit. Raises ConfigError, DependencyError, IndexUnavailableError,
    StoreError or PausedError if the run must not start; nothing was changed then.
    """
    check_all(settings, clients)
    refuse_while_paused(clients.state, while_paused=request.while_paused)
    make_ready(clients, dry_run=request.dry_run)
    run = RecoveryRun(settings, clients, request, stop=stop, on_progress=on_progress)
    with register_holder(clients.state, request.run):
        try:
            return run.run()
        finally:
            if run.report.handled and not request.dry_run:
                run.report.recorded = record(clients.state, _event(settings, clients, request, run.report))


def _event(settings: Settings, clients: Clients, request: RecoverRequest, report: Report) -> AuditEvent:
    """What the run did, in numbers; the ids only of messages that were given by id."""
    details = {
        "dlq": clients.dlq.url,
        "index": settings.opensearch_index,
        "filter": request.chosen.as_json(),
    }
    result = {**report.numbers(), "stopped_by": report.stopped_by}
    return AuditEvent(
        request.run.action, request.run.name, request.run.by, tuple(sorted(request.ids or ())), result, details
    )

"""`recover`: work through the DLQ and `dead-letters/` now: index, skip or archive each message, compared with S3 as it is."""

import threading

from recovery.operations.records.holders import holding
from recovery.operations.recovering.preconditions import check_all, make_ready
from recovery.operations.recovering.recovery_run import RecoveryRun
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.report import Report
from recovery.operations.run import Tell, tell_nobody
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.base.settings import Settings
from worker.core.clients import Clients


def recover(
    settings: Settings, clients: Clients, request: RecoverRequest, *, stop: threading.Event, tell: Tell = tell_nobody
) -> Report:
    """One run; what was done, with the error that broke it off, if one did. Once `stop` is set, it ends between two batches.

    Raises ConfigError, DependencyError, IndexUnavailableError, StoreError or PausedError where it must not begin; nothing
    was touched then.
    """
    check_all(settings, clients)
    refuse_while_paused(clients.state, while_paused=request.while_paused)
    make_ready(clients, dry_run=request.dry_run)
    with holding(None if request.dry_run else clients.state, request.run):
        return RecoveryRun(settings, clients, request, stop=stop, tell=tell).go()

"""Shows where a change is recorded."""

from recovery.operations.records.audit import Recorded
from worker.core.base.errors import ExitCode
from worker.terminal import err, say


def show_recorded(recorded: Recorded) -> ExitCode:
    """Show where a change is recorded. Returns INCOMPLETE if it could not be written to the state bucket."""
    if recorded.problem:
        say("audit", f"recorded only in the log, because writing to the state bucket failed: {recorded.problem}")
        return ExitCode.INCOMPLETE
    where = f"recorded in {recorded.key}" if recorded.key else "recorded in the log alone: no STATE_BUCKET"
    err.print(where, soft_wrap=True)
    return ExitCode.OK

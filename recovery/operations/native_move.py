"""`native move`: start a task of SQS that moves the whole queue, watch it, and cancel it on request."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.find import Found
from recovery.operations.records.audit import AuditEvent, Recorded, record
from recovery.operations.run import OnProgress, Progress, Run, ignore_progress
from recovery.operations.transfer.targets import Target
from worker.core.base.classify import is_transient
from worker.core.base.errors import QueueError
from worker.core.base.retry import retry_transient

POLL_INTERVAL_S = 1.0
MAX_PER_SECOND = 500
"""Maximum rate that SQS accepts (StartMessageMoveTask), messages per second."""
COMPLETED = "COMPLETED"
_UNDER_WAY = frozenset({"", "RUNNING", "CANCELLING"})


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """How fast to move everything."""

    run: Run
    rate: int | None = None
    """Maximum number of messages per second, 1 to 500."""


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What SQS is going to move."""

    target: Target
    about: int
    """Approximate number of messages in the DLQ, including those in flight elsewhere."""
    unsafe: Mapping[str, str]
    """Messages that must be checked before they are sent, by id, with the reason: SQS checks nothing and counts no redrives."""


@dataclass(frozen=True, slots=True)
class MoveResult:
    """How a move ended, according to the last status from SQS."""

    status: str
    moved: int
    reason: str | None
    """Why SQS did not move everything."""
    not_cancelled: str
    """Why the move could not be cancelled; empty if it was cancelled, or was not to be."""
    recorded: Recorded

    @property
    def is_complete(self) -> bool:
        """Whether SQS reports that it has moved everything."""
        return self.status == COMPLETED

    def as_json(self) -> dict[str, object]:
        """The last status from SQS, as JSON."""
        return {"status": self.status, "moved": self.moved, "reason": self.reason}


def plan_move(clients: DlqClients, found: Found, target: Target) -> MovePlan:
    """Return what SQS is going to move, and which messages must not be moved unchecked.

    The dead letters that were found must be released before the move.
    """
    unsafe: dict[str, str] = {}
    for one in found.facts:
        why = clients.types.fault(one.dead_letter.body)
        if why is None and clients.types.needs_correlation_id(one.type):
            why = f"it is of type {one.type}, whose correlation id is checked and whose redrives are counted"
        if why is not None:
            unsafe[one.dead_letter.id] = why
    return MovePlan(target, found.scan.about, unsafe)


def move_everything(
    clients: DlqClients,
    request: MoveRequest,
    plan: MovePlan,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> MoveResult:
    """Let SQS move everything, and wait until it has ended. Once `stop` is set, the move is cancelled.

    The destination is given explicitly, because SQS cannot know the source of messages that a worker sent to the DLQ.
    Raises QueueError.
    """
    handle = clients.dlq.start_move(plan.target.attributes["QueueArn"], per_second=request.rate)
    task, not_cancelled = _watch(clients, handle, plan.about, stop, on_progress)
    status, reason = str(task.get("Status") or "unknown"), task.get("FailureReason")
    moved = _moved(task)
    result = {"status": status, "moved": moved, "reason": reason}
    details = {"to": plan.target.url, "filter": {"native": True, "all": True}, "task": handle}
    event = AuditEvent.of(request.run, (), result, {"dlq": clients.dlq.url, **details})
    return MoveResult(
        status, moved, str(reason) if reason else None, not_cancelled, record(clients.state, event)
    )  # fmt: skip


def _watch(
    clients: DlqClients, handle: str, total: int, stop: threading.Event, on_progress: OnProgress
) -> tuple[dict[str, object], str]:
    """Return the last status from SQS, and why the move could not be cancelled."""
    task: dict[str, object] = {}
    while str(task.get("Status") or "") in _UNDER_WAY:
        if stop.wait(POLL_INTERVAL_S):
            problem = ""
            try:
                clients.dlq.cancel_move(handle)
            except QueueError as error:
                problem = f"the move may have ended at this moment: {error}"
            return clients.dlq.move(), problem
        task = retry_transient(clients.dlq.move, transient=is_transient, stop=stop)
        on_progress(Progress(_moved(task), total))
    return task, ""


def _moved(task: Mapping[str, object]) -> int:
    count = task.get("ApproximateNumberOfMessagesMoved")
    return count if isinstance(count, int) else 0

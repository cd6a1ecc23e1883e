"""`native move`: SQS moves the whole queue by itself; we ask for it, watch it, and can stop it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.find import Found
from recovery.operations.records.audit import AuditEvent, Recorded, record
from recovery.operations.run import Progress, Run, Tell, tell_nobody
from recovery.operations.transfer.targets import Target
from worker.core.base.classify import is_transient
from worker.core.base.errors import QueueError
from worker.core.base.retry import retry_transient

POLL_INTERVAL_S = 1.0
MOST_PER_SECOND = 500
"""What SQS moves at most (StartMessageMoveTask)."""
COMPLETED = "COMPLETED"
_UNDER_WAY = frozenset({"", "RUNNING", "CANCELLING"})


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """How to move everything."""

    run: Run
    rate: int | None = None
    """Messages a second at most, 1 to 500."""


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What would be moved."""

    target: Target
    about: int
    """Messages in the DLQ, those in flight elsewhere included."""
    unsafe: Mapping[str, str]
    """By id, why a message must be checked before it is sent: SQS checks nothing and counts no redrive."""


@dataclass(frozen=True, slots=True)
class MoveResult:
    """How a move ended, as SQS said last."""

    status: str
    moved: int
    reason: str | None
    """Why SQS failed to move everything."""
    not_cancelled: str
    """Why SQS did not stop when it was asked to; empty where it did, or was not asked."""
    recorded: Recorded

    @property
    def is_complete(self) -> bool:
        """Whether SQS says that it has moved everything."""
        return self.status == COMPLETED

    def as_json(self) -> dict[str, object]:
        """What SQS said, by name."""
        return {"status": self.status, "moved": self.moved, "reason": self.reason}


def plan_move(clients: DlqClients, found: Found, target: Target) -> MovePlan:
    """What SQS would move, and which messages must not go unchecked. What was found has to be released before the move."""
    unsafe: dict[str, str] = {}
    for one in found.facts:
        why = clients.types.fault(one.dead_letter.body)
        if why is None and clients.types.needs_correlation_id(one.type):
            why = f"it is of type {one.type}, whose correlation id is checked and whose redrives are counted"
        if why is not None:
            unsafe[one.dead_letter.id] = why
    return MovePlan(target, found.scan.about, unsafe)


def move_everything(
    clients: DlqClients, request: MoveRequest, plan: MovePlan, *, stop: threading.Event, tell: Tell = tell_nobody
) -> MoveResult:
    """Have SQS move everything, and watch it until it has ended; once `stop` is set, SQS is told to stop.

    The destination is named in the request: what a worker sent to the DLQ has no source that AWS can find. Raises QueueError.
    """
    handle = clients.dlq.start_move(plan.target.attributes["QueueArn"], per_second=request.rate)
    task, not_cancelled = _watch(clients, handle, plan.about, stop, tell)
    status, reason = str(task.get("Status") or "unknown"), task.get("FailureReason")
    moved = _moved(task)
    result = {"status": status, "moved": moved, "reason": reason}
    details = {"to": plan.target.url, "filter": {"native": True, "all": True}, "task": handle}
    event = AuditEvent.of(request.run, (), result, {"dlq": clients.dlq.url, **details})
    return MoveResult(
        status, moved, str(reason) if reason else None, not_cancelled, record(clients.state, event)
    )  # fmt: skip


def _watch(
    clients: DlqClients, handle: str, total: int, stop: threading.Event, tell: Tell
) -> tuple[dict[str, object], str]:
    """What SQS said last, and why it did not stop when asked."""
    task: dict[str, object] = {}
    while str(task.get("Status") or "") in _UNDER_WAY:
        if stop.wait(POLL_INTERVAL_S):
            problem = ""
            try:
                clients.dlq.cancel_move(handle)
            except QueueError as error:
                problem = f"it may have ended just now: {error}"
            return clients.dlq.move(), problem
        task = retry_transient(clients.dlq.move, transient=is_transient, stop=stop)
        tell(Progress(_moved(task), total))
    return task, ""


def _moved(task: Mapping[str, object]) -> int:
    count = task.get("ApproximateNumberOfMessagesMoved")
    return count if isinstance(count, int) else 0

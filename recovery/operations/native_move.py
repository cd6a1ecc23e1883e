"""`native move`: start a task of SQS that moves the whole queue, watch it, and cancel it on request."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.find import Found
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.transfer.targets import Target
from worker.core.audit import AuditEvent, Recorded, Run, record
from worker.core.base.classify import is_transient
from worker.core.base.errors import QueueError
from worker.core.base.retry import retry_transient
from worker.core.sqs.queue import Queue

POLL_INTERVAL_S = 1.0
MAX_PER_SECOND = 500
"""Maximum rate that SQS accepts (StartMessageMoveTask), messages per second."""
COMPLETED = "COMPLETED"
UNKNOWN = "unknown"
_UNDER_WAY = frozenset({UNKNOWN, "RUNNING", "CANCELLING"})


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
    found: int
    """Number of messages that were seen in the DLQ."""
    stored: int
    """Number of dead letters in `dead-letters/`, where SQS moves nothing."""


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
    in_dlq = [one for one in found.facts if not one.dead_letter.stored_key]
    for one in in_dlq:
        why = clients.types.fault(one.dead_letter.body)
        if why is None and clients.types.needs_correlation_id(one.type):
            why = f"it is of type {one.type}, whose correlation id is checked and whose redrives are counted"
        if why is not None:
            unsafe[one.dead_letter.id] = why
    return MovePlan(target, found.scan.about, unsafe, len(in_dlq), len(found.facts) - len(in_dlq))


def move_everything(
    clients: DlqClients,
    request: MoveRequest,
    plan: MovePlan,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> MoveResult:
    """Let SQS move everything, and wait until it has ended. Once `stop` is set, or after an error, the move is cancelled.

    The destination is given explicitly, because SQS cannot know the source of messages that a worker sent to the DLQ.
    Raises QueueError if the move cannot be started or its status cannot be read. Once started, it is recorded in any case.
    """
    task = _Task(clients.dlq, clients.dlq.start_move(plan.target.attributes["QueueArn"], per_second=request.rate))
    try:
        while task.is_under_way and not stop.wait(POLL_INTERVAL_S):
            retry_transient(task.read, transient=is_transient, stop=stop)
            on_progress(Progress(task.moved, plan.about))
    except QueueError:
        if not stop.is_set():
            raise
    finally:
        if task.is_under_way:
            task.cancel()
        details = {"to": plan.target.url, "filter": {"native": True, "all": True}, "task": task.handle}
        result = {"status": task.status, "moved": task.moved, "reason": task.reason}
        recorded = record(clients.state, AuditEvent.of(request.run, (), result, {"dlq": clients.dlq.url, **details}))
    return MoveResult(task.status, task.moved, task.reason, task.not_cancelled, recorded)


class _Task:
    """A move by SQS, as SQS last described it."""

    def __init__(self, dlq: Queue, handle: str) -> None:
        self.handle = handle
        self.not_cancelled = ""
        self._dlq = dlq
        self._answer: dict[str, object] = {}

    @property
    def status(self) -> str:
        return str(self._answer.get("Status") or UNKNOWN)

    @property
    def is_under_way(self) -> bool:
        return self.status in _UNDER_WAY

    @property
    def moved(self) -> int:
        count = self._answer.get("ApproximateNumberOfMessagesMoved")
        return count if isinstance(count, int) else 0

    @property
    def reason(self) -> str | None:
        reason = self._answer.get("FailureReason")
        return str(reason) if reason else None

    def read(self) -> None:
        self._answer = self._dlq.move()

    def cancel(self) -> None:
        """Cancel it, and read the status once more. Never raises QueueError: the last known status remains."""
        try:
            self._dlq.cancel_move(self.handle)
        except QueueError as error:
            self.not_cancelled = f"the move may have ended at this moment, or goes on: {error}"
        with suppress(QueueError):
            self.read()

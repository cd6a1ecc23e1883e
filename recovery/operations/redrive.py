"""`redrive`: send dead letters back to their queue, each one checked; a canary first, where that is asked for."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.scan import scan
from recovery.operations.find import FindRequest, Found
from recovery.operations.records.audit import AuditEvent, Recorded, record
from recovery.operations.run import Progress, Run, Tell, tell_nobody
from recovery.operations.transfer.sending import Prepared, TransferReport, move, prepare
from recovery.operations.transfer.targets import Target
from worker.core.sqs.visibility import VisibilityExtender


@dataclass(frozen=True, slots=True)
class Canary:
    """A few messages that are sent first, to see whether they come back."""

    count: int
    wait_s: float
    """How long they have to fail again."""
    abort_pct: float = 0
    """The rest is sent while at most so many percent of them came back."""


@dataclass(frozen=True, slots=True)
class RedriveRequest:
    """What to send back, and how."""

    run: Run
    which: FindRequest
    rate: float | None = None
    """Messages a second at most."""
    canary: Canary | None = None


@dataclass(frozen=True, slots=True)
class RedrivePlan:
    """What would be sent, and what not."""

    target: Target
    prepared: tuple[Prepared, ...]
    report: TransferReport
    """What is refused; the operation adds what became of the others."""


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """What became of a canary."""

    sent: int
    came_back: int

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"sent": self.sent, "came_back": self.came_back}


@dataclass(frozen=True, slots=True)
class RedriveResult:
    """What was sent."""

    report: TransferReport
    canary: CanaryResult | None
    recorded: Recorded


def plan_redrive(found: Found, target: Target) -> RedrivePlan:
    """Which of the dead letters that were found may be sent."""
    report = TransferReport()
    return RedrivePlan(target, tuple(prepare(found.dead_letters, target.entry_of, report)), report)


def redrive(
    clients: DlqClients,
    extender: VisibilityExtender,
    request: RedriveRequest,
    plan: RedrivePlan,
    *,
    stop: threading.Event,
    tell: Tell = tell_nobody,
) -> RedriveResult:
    """Send what is planned, and delete from the DLQ what SQS has confirmed; all of it goes into the audit.

    Once `stop` is set, the rest is kept. Raises QueueError where the DLQ cannot be read for the canary; what was sent is
    on record then too.
    """
    report = plan.report
    try:
        canary = _send(clients, extender, request, plan, stop, tell)
    finally:
        details = {"to": plan.target.url, "filter": request.which.as_json(), "report": report.as_json()}
        dead_letters = (dead_letter for dead_letter, _ in plan.prepared)
        event = AuditEvent.of(request.run, dead_letters, report.counts(), {"dlq": clients.dlq.url, **details})
        recorded = record(clients.state, event)
    return RedriveResult(report, canary, recorded)


def _send(
    clients: DlqClients, extender: VisibilityExtender, request: RedriveRequest, plan: RedrivePlan, stop: threading.Event,
    tell: Tell,
) -> CanaryResult | None:  # fmt: skip
    total = len(plan.prepared)

    def told(report: TransferReport) -> None:
        tell(Progress(len(report.sent), total, {"sent": len(report.sent), "kept": len(report.kept)}))

    def go(part: Sequence[Prepared]) -> None:
        move(
            clients.dlq, extender, plan.target.queue, part, plan.report, stop=stop, rate=request.rate, told=told
        )  # fmt: skip

    canary = request.canary
    if canary is None:
        go(plan.prepared)
        return None
    first, rest = plan.prepared[: canary.count], plan.prepared[canary.count :]
    go(first)
    tell(Progress(len(plan.report.sent), total, note=f"the canary has {canary.wait_s:g} s to come back …"))
    stop.wait(canary.wait_s)
    back = 0 if stop.is_set() else _came_back(clients, extender, first, rest, stop)
    if not stop.is_set():
        waiting = plan.target.queue.attributes().get("ApproximateNumberOfMessages", "?")
        note = f"{back} of {len(first)} came back; {waiting} wait in {plan.target.url}"
        tell(Progress(len(plan.report.sent), total, note=note))
    if 100 * back > canary.abort_pct * len(first):
        why = f"{back} of {len(first)} of the canary came back within {canary.wait_s:g} s"
        plan.report.keep((dead_letter for dead_letter, _ in rest), why)
    else:
        go(rest)
    return CanaryResult(len(first), back)


def _came_back(
    clients: DlqClients, extender: VisibilityExtender, first: Sequence[Prepared], rest: Sequence[Prepared],
    stop: threading.Event,
) -> int:  # fmt: skip
    """How many of the canary are in the DLQ again: the same body, its redrive counted."""
    sent = {dead_letter.body: dead_letter.redrives + 1 for dead_letter, _ in first}
    again = scan(
        clients.dlq, extender, stop=stop,
        wanted=lambda dead_letter: dead_letter.body in sent and dead_letter.redrives >= sent[dead_letter.body],
    )  # fmt: skip
    extender.release_all_but([dead_letter for dead_letter, _ in rest])
    return len(again.dead_letters)

"""`redrive`: send dead letters to their queue again, after checking each of them; optionally a few first, as a canary."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.scan import scan
from recovery.operations.dead_letters.stored import stored_named
from recovery.operations.find import FindRequest, Found
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.sending import Prepared, TransferReport, post, prepare
from recovery.operations.transfer.targets import Target
from worker.core.audit import AuditEvent, Recorded, Run, record
from worker.core.base.errors import QueueError, StoreError
from worker.core.sqs.dead_letter import DeadLetter


@dataclass(frozen=True, slots=True)
class Canary:
    """A few messages that are sent first, to see whether they return to the DLQ."""

    count: int
    wait_s: float
    """How long to wait for them to fail again, in seconds."""
    abort_pct: float = 0
    """The rest is sent only if at most this percentage of them came back."""


@dataclass(frozen=True, slots=True)
class RedriveRequest:
    """What to send, and how."""

    run: Run
    which: FindRequest
    rate: float | None = None
    """Maximum number of messages per second."""
    canary: Canary | None = None


@dataclass(frozen=True, slots=True)
class RedrivePlan:
    """What the operation is going to send, and what it refuses."""

    target: Target
    prepared: tuple[Prepared, ...]
    report: TransferReport
    """Contains the refused messages; the operation adds the result of the others."""


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """How many messages of the canary were sent, and how many came back."""

    sent: int
    came_back: int | None
    """None if this could not be found out."""

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"sent": self.sent, "came_back": self.came_back}


@dataclass(frozen=True, slots=True)
class RedriveResult:
    """The result of a redrive."""

    report: TransferReport
    canary: CanaryResult | None
    recorded: Recorded


def plan_redrive(found: Found, target: Target) -> RedrivePlan:
    """Decide which of the dead letters can be sent."""
    report = TransferReport()
    return RedrivePlan(target, tuple(prepare(found.dead_letters, target.entry_of, report)), report)


def redrive(
    clients: DlqClients,
    claims: Claims,
    request: RedriveRequest,
    plan: RedrivePlan,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> RedriveResult:
    """Send the planned messages, settle those that SQS has confirmed, and record everything in the audit.

    From the DLQ, they are deleted; stored ones are marked as sent.

    Once `stop` is set, or if the canary fails or its fate cannot be found out, the rest is kept.
    """
    report = plan.report
    try:
        canary = _send(clients, claims, request, plan, stop, on_progress)
    finally:
        details = {"to": plan.target.url, "filter": request.which.as_json(), "report": report.as_json()}
        dead_letters = (dead_letter for dead_letter, _ in plan.prepared)
        event = AuditEvent.of(request.run, dead_letters, report.counts(), {"dlq": clients.dlq.url, **details})
        recorded = record(clients.state, event)
    return RedriveResult(report, canary, recorded)


def _send(
    clients: DlqClients, claims: Claims, request: RedriveRequest, plan: RedrivePlan, stop: threading.Event,
    on_progress: OnProgress,
) -> CanaryResult | None:  # fmt: skip
    total = len(plan.prepared)

    def report_batch(report: TransferReport) -> None:
        on_progress(Progress(len(report.sent), total, {"sent": len(report.sent), "kept": len(report.kept)}))

    def send_part(part: Sequence[Prepared]) -> None:
        target, report = plan.target, plan.report
        for confirmed in post(target.queue, part, report, stop=stop, rate=request.rate, claim=claims.take):
            report.not_deleted += claims.sent(confirmed, to=target.url, unconfirmed_s=target.unconfirmed_s)
            report_batch(report)

    canary = request.canary
    if canary is None:
        send_part(plan.prepared)
        return None
    first, rest = plan.prepared[: canary.count], plan.prepared[canary.count :]
    send_part(first)
    sent = len(plan.report.sent)
    back: int | None = None
    why = "none of the canary could be sent"
    if sent:
        on_progress(Progress(sent, total, note=f"the canary has {canary.wait_s:g} s to come back …"))
        stop.wait(canary.wait_s)
        try:
            back = _came_back(clients, claims, plan, first, rest, stop)
            why = f"{back} of {sent} of the canary came back within {canary.wait_s:g} s"
            on_progress(Progress(sent, total, note=f"{why}; {_waiting(plan.target)} wait in {plan.target.url}"))
        except (QueueError, StoreError) as error:
            why = f"it could not be read whether the canary came back: {error}"
    if back is None or 100 * back > canary.abort_pct * sent:
        plan.report.keep((dead_letter for dead_letter, _ in rest), "interrupted" if stop.is_set() else why)
    else:
        send_part(rest)
    return CanaryResult(sent, back)


def _came_back(
    clients: DlqClients, claims: Claims, plan: RedrivePlan, first: Sequence[Prepared],
    rest: Sequence[Prepared], stop: threading.Event,
) -> int | None:  # fmt: skip
    """Count the messages of the canary that failed again: with the same body and a higher redrive count.

    They may be in the DLQ, or stored already. None if `stop` is set. Raises QueueError or StoreError if this is not known.
    """
    names = set(plan.report.sent)
    sent = {dead_letter.body: dead_letter.redrives + 1 for dead_letter, _ in first if dead_letter.id in names}

    def is_back(dead_letter: DeadLetter) -> bool:
        return dead_letter.body in sent and dead_letter.redrives >= sent[dead_letter.body]

    again = {
        dead_letter.id for dead_letter in scan(clients.dlq, claims.extender, stop=stop, wanted=is_back).dead_letters
    }
    claims.extender.release_all_but([dead_letter for dead_letter, _ in rest])
    if clients.state is not None:
        ids = frozenset(dead_letter.possible_ids[0] for dead_letter, _ in first)
        stored = (one.dead_letter for one in stored_named(clients.state, ids))
        again |= {one.id for one in stored if is_back(one) and again.isdisjoint(one.known_as)}
    return None if stop.is_set() else len(again)


def _waiting(target: Target) -> str:
    """How many messages wait in the queue; a question mark if SQS does not answer."""
    try:
        return target.queue.attributes().get("ApproximateNumberOfMessages", "?")
    except QueueError:
        return "?"

"""`/console/`: is anything wrong, and what do I do? In words, with the facts behind it; and the forms that pause the fleet."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.selection import term
from recovery.manager.console.forms import Form, single
from recovery.manager.console.groups_view import clock_of, path_of
from recovery.manager.console.panels import panels
from recovery.manager.console.rendering import page
from recovery.manager.known_groups import moment_of
from recovery.manager.thresholds import Threshold, exceeded
from recovery.manager.verdict import Do, Level, Says, Step, verdict
from recovery.manager.web import fleet
from recovery.manager.web.principal import Operator, Principal, Reader
from recovery.manager.web.service import Service, TheService
from recovery.operations.dead_letters.desk import MAX_REASON_CHARS
from worker.core.s3.brakes import BrakeRecord

router = APIRouter()
LEVELS = {Level.OK: "ok", Level.NOTICE: "notice", Level.PROBLEM: "problem"}
LASTS_S = (900, 3_600, 4 * 3_600, 86_400)
"""For how long the form offers to pause; or until somebody resumes."""
PLACES = {
    "dlq-depth": "/console/groups",
    "dlq-arrivals": "/console/groups?sort=last&order=desc",
    "dlq-correlation": "/console/groups",
    "dlq-replay": "/console/groups",
    "dlq-age": "/console/messages?sort=sent&order=asc",
    "dlq-unconfirmed": "/console/messages?q=state%3Asent+outcome%3Aunconfirmed",
    "DlqRecoveryPending": "/console/messages?q=state%3Asent",
    "DlqMessageUnhandled": "/console/messages?q=state%3Aopen+owner%3A-+hold%3Ano&sort=sent&order=asc",
    "dlq-expiry": "",
    "intake-stopped": "",
}
"""The page that shows what an alert is about, by its name or its section of the runbook; `#fleet` or `#retry-index` for others.

Empty: there is none, and the runbook says what to look at.
"""
_RECORDS = frozenset({"stored-for-retry", "parked"})


@dataclass(frozen=True, slots=True)
class StepView:
    """A step, with the pages that it leads to; empty: none."""

    step: Step
    href: str
    runbook: str


@router.get("/")
def get_overview(request: Request, principal: Reader, service: TheService) -> Response:
    """Everything that is known, and what follows from it."""
    return _page(request, principal, service)


@router.post("/fleet/pause")
def pause_fleet(request: Request, principal: Operator, service: TheService, form: Form) -> Response:
    """Pause the fleet, and show that it is."""
    fields = single(form)
    reason = fields.get("reason", "").strip()
    if _has_changed(service, fields):
        return _page(request, principal, service, wrong="seen", reason=reason, status=409)
    try:
        lasting_s = _lasting_s(fields.get("for_s", ""))
        _check_reason(reason)
    except AskedWronglyError as error:
        return _page(request, principal, service, wrong=error.field, reason=reason, status=400)
    fleet.pause(service, by=principal.name, reason=reason, for_s=lasting_s)
    return RedirectResponse("/console/#fleet", 303)


@router.post("/fleet/resume")
def resume_fleet(request: Request, principal: Operator, service: TheService, form: Form) -> Response:
    """End a pause and all brakes; where brakes have ended, say what sends again what had failed."""
    if _has_changed(service, single(form)):
        return _page(request, principal, service, wrong="seen", status=409)
    done = fleet.resume(service, by=principal.name)
    if done.brakes or done.problem:
        return page(
            request, "resumed.html", principal,
            {"brakes": done.brakes, "groups": _groups(done.brakes), "problem": done.problem},
        )  # fmt: skip
    return RedirectResponse("/console/#fleet", 303)


def _page(
    request: Request, principal: Principal, service: Service, *, wrong: str = "", reason: str = "", status: int = 200
) -> Response:
    facts = service.facts.read()
    found = verdict(facts)
    waiting = facts.waiting.value
    read_ms = clock_of(service) - (facts.at_ms - facts.waiting.at_ms)
    largest = [(one, path_of(one, moment_of(one.last_seen_ms, read_ms))) for one in waiting.largest] if waiting else []
    return page(
        request, "overview.html", principal,
        {
            "facts": facts, "verdict": found, "level": LEVELS[found.level],
            "is_quiet": found.level is Level.OK and any(one.says is Says.NOTHING_FAILED for one in found.parts),
            "steps": [_step(one, largest[0][1] if largest else "") for one in found.steps],
            "alerts": [(one, _place(one.threshold)) for one in exceeded(facts)],
            "largest": largest,
            "panels": panels(waiting, facts.waiting.at_ms) if waiting else (),
            "lasts_s": LASTS_S, "seen": fleet.pause_mark(facts.pause.value),
            "wrong": wrong, "reason": reason, "max_reason": MAX_REASON_CHARS,
        },
        status=status,
    )  # fmt: skip


def _step(step: Step, cause: str) -> StepView:
    href = {
        Do.RESUME: "#fleet",
        Do.CORRECT_AND_RESUME: "#fleet",
        Do.START_WORKER: "#fleet",
        Do.LET_RECEIVE: "#fleet",
        Do.LOOK_AT_WORKERS: "#fleet",
        Do.SEE_INTAKE: "#dead-letters",
        Do.DECIDE_PARKED: "#retry-index",
        Do.SEE_WAITING: "#retry-index",
        Do.SEE_BUDGET: "#retry-index",
        Do.SEE_LIMITS: "#alerts",
    }
    target = cause if step.do is Do.SEE_GROUP else href.get(step.do, "")
    return StepView(step, target, _runbook(step.section))


def _place(threshold: Threshold) -> str:
    otherwise = "#retry-index" if threshold.section in _RECORDS else "#fleet"
    return PLACES.get(threshold.alert) or PLACES.get(threshold.section, otherwise)


def _runbook(section: str) -> str:
    return f"/console/runbook/{quote(section)}" if section else ""


def _groups(brakes: tuple[BrakeRecord, ...]) -> list[tuple[str, str, int]]:
    """The groups whose messages had failed before, with the filter of each, and how many it had."""
    found: dict[str, int] = {}
    for brake in brakes:
        for group, count in brake.groups.items():
            found[group] = found.get(group, 0) + count
    return [(group, term("group", f"={group}"), count) for group, count in found.items()]


def _has_changed(service: Service, fields: Mapping[str, str]) -> bool:
    """Whether another pause is in force than the one that the page showed, or none any more. Raises StoreError."""
    if fleet.pause_mark(service.state.pause_record()) == fields.get("seen", ""):
        return False
    service.facts.forget_pause()
    return True


def _check_reason(reason: str) -> None:
    if not reason or len(reason) > MAX_REASON_CHARS:
        raise AskedWronglyError("reason", reason[:80], f"a reason of at most {MAX_REASON_CHARS} characters")


def _lasting_s(typed: str) -> int | None:
    """How long a pause is to last; None: until it is ended. Raises AskedWronglyError."""
    if typed in {"", "0"}:
        return None
    if typed not in set(map(str, LASTS_S)):
        raise AskedWronglyError("for_s", typed[:20], f"one of {', '.join(map(str, LASTS_S))}, or empty")
    return int(typed)

"""The pages of plans: what would be done, with how many, and how; nothing is done before that was seen and confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.operation_items import Item
from recovery.ledger.plans import EXPIRES_MS, Plan
from recovery.ledger.refusals import Verb
from recovery.manager.acting.scheduling import moment_ms
from recovery.manager.acting.verbs import waits_for_fleet
from recovery.manager.console.addresses import message_path
from recovery.manager.console.confirming import IRREVERSIBLE, is_typed, to_type
from recovery.manager.console.forms import Form, several, single
from recovery.manager.console.later import with_seconds
from recovery.manager.console.planning import OPTIONS, fields_of, make_plan, plan_again
from recovery.manager.console.rendering import page
from recovery.manager.progress import expected_s
from recovery.manager.web.auth_routes import own_path
from recovery.manager.web.operations import begin
from recovery.manager.web.plans import PlanId, check_may, planned
from recovery.manager.web.principal import Operator, Principal, Reader, Role
from recovery.manager.web.service import Service, TheService
from recovery.manager.web.sessions import now_ms

router = APIRouter()
WITHOUT_OPTIONS = frozenset({Verb.RELEASE, Verb.UNSCHEDULE})
SAMPLED = 10
LISTS = frozenset({"/console/messages", "/console/archive", "/console/schedule"})
"""Pages to which one goes back."""
GROUPS = "/console/groups/"
"""What the addresses of groups begin with, to which one goes back too."""
Back = Annotated[str, Query()]
COUNTED = 10_000
"""Of a larger plan, only so many messages are looked at whether they have changed since."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a plan could not be carried out, or made again in another way."""

    said: str
    status: int
    typed: bool = False
    """Whether it is what was typed."""
    option: str | None = None
    """The option that it is."""
    given: Mapping[str, str] | None = None
    """The options as they were typed."""


@router.post("/plans")
def post_plan(request: Request, service: TheService, principal: Operator, form: Form) -> Response:
    """Make a plan of a form's fields; a field that is wrong, or that is still needed, is asked for."""
    try:
        fields = single(form)
        plan = make_plan(service, principal, with_seconds(request, service, fields), several(form, "id"))
        return _to(plan, fields.get("back", ""))
    except AskedWronglyError as error:
        return _ask_again(request, principal, single(form), several(form, "id"), error)


@router.get("/plans/{plan_id}")
def get_plan(request: Request, service: TheService, principal: Reader, plan_id: PlanId, back: Back = "") -> Response:
    """What a plan would do. `back`: the list from which it was made, with its filter, order and columns."""
    return _page(request, service, principal, planned(service, plan_id), back=back)


@router.post("/plans/{plan_id}/again")
def post_again(request: Request, service: TheService, principal: Operator, plan_id: PlanId, form: Form) -> Response:
    """Plan the same as it is now, with other options where they are given."""
    plan, fields = planned(service, plan_id), single(form)
    try:
        changed = with_seconds(request, service, fields) if fields.get("changed") else None
        return _to(plan_again(service, principal, plan, changed), fields.get("back", ""))
    except AskedWronglyError as error:
        wrong = Wrong(str(error), 400, option=error.field, given=fields)
        return _page(request, service, principal, plan, wrong, back=fields.get("back", ""))


@router.post("/plans/{plan_id}/start")
def post_start(request: Request, service: TheService, principal: Operator, plan_id: PlanId, form: Form) -> Response:
    """Carry a plan out, once; whoever sends the form twice is led to the same operation."""
    plan, fields = planned(service, plan_id), single(form)
    back = fields.get("back", "")
    check_may(service, principal, plan.verb)
    if plan.operation is None and not is_typed(plan, fields.get("typed", "")):
        return _page(request, service, principal, plan, Wrong("", 400, typed=True), back=back)
    try:
        operation = begin(service, principal, plan).id
    except HTTPException as error:
        if error.status_code not in {409, 410}:
            raise
        used = planned(service, plan_id)
        if used.operation is None:
            return _page(request, service, principal, used, Wrong(str(error.detail), error.status_code), back=back)
        operation = used.operation
    return RedirectResponse(f"/console/operations/{operation}{with_back(back)}", 303)


def messages_url(query: str | None) -> str:
    """The page of messages, with the query of a plan, if it has one."""
    return "/console/messages?" + urlencode({"q": query}) if query else "/console/messages"


def _back_url(plan: Plan, sample: Sequence[Item]) -> str:
    """Where whoever planned came from, as far as the plan says: a single message, or a list."""
    if plan.query is None and plan.count == 1 and sample and sample[0].row is not None:
        return message_path(sample[0].row.identity)
    return messages_url(plan.query)


def shown_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a plan or an operation by all their names, and the moment of a schedule in ms; None: as usual."""
    at_ms = moment_ms(options) if options.get("at") else None
    return {**dict.fromkeys(OPTIONS), "at": None, **options, "at_ms": at_ms}


def _to(plan: Plan, back: str) -> Response:
    return RedirectResponse(f"/console/plans/{plan.id}{with_back(back)}", 303)


def list_path(back: str) -> str:
    """The list or group from which somebody came; empty where that is none of ours."""
    path = own_path(back)
    return path if path.partition("?")[0] in LISTS or path.startswith(GROUPS) else ""


def with_back(back: str) -> str:
    """The part of an address that says from which list somebody came."""
    return "?" + urlencode({"back": path}) if (path := list_path(back)) else ""


def _page(
    request: Request, service: Service, principal: Principal, plan: Plan, wrong: Wrong | None = None, *, back: str = ""
) -> Response:
    needed = Role.ADMIN if plan.verb in IRREVERSIBLE else Role.OPERATOR
    standing = _standing(plan)
    s3_now_ms = service.verbs.world.clients.objects.clock.now_ms()
    sample = service.ledger.operations.sample(plan.id, limit=SAMPLED)
    given = fields_of(plan, s3_now_ms) if wrong is None or wrong.given is None else wrong.given
    context = {
        "plan": plan, "standing": standing, "wrong": wrong, "may": principal.role.includes(needed),
        "needed_role": needed.value, "paused": _paused(service, plan, standing), "to_type": to_type(plan),
        "messages_url": messages_url(plan.query), "options": shown_options(plan.options),
        "refused_count": sum(plan.refused.values()), "has_options": plan.verb not in WITHOUT_OPTIONS,
        "given": dict.fromkeys(OPTIONS, "") | dict(given), "minutes": EXPIRES_MS // 60_000,
        "sample": sample, "back_url": list_path(back) or _back_url(plan, sample), "back": list_path(back),
        "takes_s": expected_s(plan.verb, plan.options, plan.count),
        "changed": service.ledger.operations.changed(plan.id, of_first=COUNTED) if standing == "ready" else 0, "counted": COUNTED,
    }  # fmt: skip
    return page(request, "plan.html", principal, context, status=wrong.status if wrong else 200)


def _standing(plan: Plan) -> str:
    """What can be done with a plan: it is `used`, `expired`, `empty`, or `ready`."""
    if plan.operation is not None:
        return "used"
    if now_ms() >= plan.expires_ms:
        return "expired"
    return "ready" if plan.count else "empty"


def _paused(service: Service, plan: Plan, standing: str) -> str:
    """Why the fleet is paused, where that keeps a plan from being carried out; empty if it does not."""
    if standing != "ready" or not waits_for_fleet(plan.verb, plan.options):
        return ""
    record = service.facts.pause().now  # where that is not known, whoever starts it will be told
    return "" if record is None else f"the fleet is paused by {record.get('by', '?')}: {record['reason']}"


def _ask_again(
    request: Request, principal: Principal, fields: Mapping[str, str], ids: Sequence[str], error: AskedWronglyError
) -> Response:
    verb = fields.get("verb", "")
    is_known = verb in set(Verb) and (bool(ids) or "q" in fields)
    context = {
        "wrong": str(error), "field": error.field, "verb": verb if is_known else None, "q": fields.get("q"), "ids": ids,
        "given": {name: fields.get(name, "") for name in (*OPTIONS, "at")}, "back": list_path(fields.get("back", "")),
    }  # fmt: skip
    return page(request, "plan_wrong.html", principal, context, status=400)

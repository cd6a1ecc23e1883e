"""`/api/v1/plans`: what an operation is going to do, frozen, before it does anything."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response

from recovery.ledger.answers import Answer
from recovery.ledger.plans import EXPIRES_MS, Answering, TooManyError, Wanted
from recovery.ledger.plans import Plan as Planned
from recovery.ledger.refusals import Verb
from recovery.manager.web.idempotency import Once, once
from recovery.manager.web.message_models import Message
from recovery.manager.web.parameters import selected
from recovery.manager.web.plan_models import EXAMPLE_PLAN, Plan, PlanRequest, PlanSample
from recovery.manager.web.principal import Operator, Principal, Reader, Role, forbidden
from recovery.manager.web.problems import documented, not_found
from recovery.manager.web.service import Service, TheService

router = APIRouter(tags=["operations"])
KEPT_MINUTES = 2 * EXPIRES_MS // 60_000
"""Of a plan that is not used: as long again as it can be used."""
PlanId = Annotated[str, Path(max_length=64, description="A plan's id.", examples=[EXAMPLE_PLAN])]


@router.post(
    "/api/v1/plans", status_code=201, response_model=Plan, responses=documented(400, 409, 413, 422),
)  # fmt: skip
def make_plan(service: TheService, principal: Operator, asked: Once, wanted: PlanRequest) -> Response:
    """Freeze a set of dead letters, up to 1,000,000, and say what would be refused. Nothing is done with them."""
    check_may(service, principal, wanted.verb)
    answering = None if asked is None else (asked, _answer)
    return once(service, asked, lambda: _answer(freeze(service, principal, wanted, answering)), is_kept=True)


@router.get("/api/v1/plans/{plan_id}", responses=documented(400, 404))
def get_plan(service: TheService, _principal: Reader, plan_id: PlanId) -> Plan:
    """A plan, until it is forgotten some time after it has expired."""
    return Plan.of(planned(service, plan_id))


@router.get("/api/v1/plans/{plan_id}/sample", responses=documented(400, 404))
def sample_plan(service: TheService, _principal: Reader, plan_id: PlanId) -> PlanSample:
    """About ten of a plan's dead letters, spread evenly over it, as they are now; without those that are forgotten."""
    planned(service, plan_id)
    found = service.ledger.operations.sample(plan_id)
    return PlanSample(items=[Message.of(one.row) for one in found if one.row is not None])


def planned(service: Service, plan_id: str) -> Planned:
    """The plan of this id. Raises HTTPException 404."""
    plan = None if "\0" in plan_id else service.ledger.plans.get(plan_id)
    if plan is None:
        raise not_found(
            f"there is no plan with this id; one that was not used is forgotten {KEPT_MINUTES} minutes after it was made"
        )
    return plan


def check_may(service: Service, principal: Principal, verb: Verb) -> None:
    """Raises HTTPException 403 where a verb is not for somebody: only admins delete."""
    if verb is Verb.DELETE and not principal.role.includes(Role.ADMIN):
        raise forbidden(principal, Role.ADMIN, service.sign_in)


def freeze(service: Service, principal: Principal, wanted: PlanRequest, answering: Answering | None = None) -> Planned:
    """Make a plan. Raises AskedWronglyError, HTTPException 403 or 413, WorkerError where the queue does not answer."""
    check_may(service, principal, wanted.verb)
    options = service.verbs.settled(wanted.verb, wanted.options.model_dump(exclude_defaults=True))
    limits = service.verbs.limits(wanted.verb, options)
    selection = None if wanted.q is None else selected(wanted.q)
    request = Wanted(wanted.verb, principal.name, options, selection, wanted.q, tuple(wanted.ids or ()), limits)
    try:
        return service.ledger.plans.make(request, answering)
    except TooManyError as error:
        raise HTTPException(413, str(error)) from None


def _answer(plan: Planned) -> Answer:
    return Answer(201, Plan.of(plan).model_dump_json(), f"/api/v1/plans/{plan.id}")

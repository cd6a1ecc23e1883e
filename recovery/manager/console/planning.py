"""Makes a plan of what somebody wants to do with dead letters, as the fields of a form say it.

    <form method="post" action="/console/plans">   verb, q or id (once for each dead letter), options by their names

`q` is that of the button "all that match", whatever is ticked besides. Flags are set by any value that is not empty; `ramp` is
`no` where a redrive is not to begin slowly. A note or an owner is removed only where `remove` says
so. A plan that is too old, or of which an option is to be changed, is made again: of the same query, or of the same dead letters.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.plans import Plan
from recovery.ledger.refusals import Verb
from recovery.manager.acting.scheduling import moment_ms
from recovery.manager.web.plan_models import MAX_IDS, PlanRequest
from recovery.manager.web.plans import freeze
from recovery.manager.web.principal import Principal
from recovery.manager.web.problems import asked_wrongly
from recovery.manager.web.service import Service

TEXTS = ("to", "reason", "note", "owner")
FLAGS = ("force", "while_paused", "accept_gone", "accept_skipped", "archive_system_errors")
REMOVE = "remove"
"""The field that says that a note or an owner is to be removed: an empty text alone does not."""
REMOVABLE = {Verb.NOTE: "note", Verb.ASSIGN: "owner"}
"""The option of each verb that is a text, of which none may be wanted."""
OPTIONS = (*TEXTS, *FLAGS, REMOVE, "rate", "ramp", "in_s")
"""The fields of a form that are options."""


def make_plan(service: Service, principal: Principal, fields: Mapping[str, str], ids: Sequence[str] = ()) -> Plan:
    """Freeze the dead letters of these ids, or those that `q` selects; nothing is done with them.

    Raises AskedWronglyError, HTTPException 403 (the role) or 413 (too many), and WorkerError where the queue does not answer.
    """
    return freeze(service, principal, plan_request(fields, ids))


def plan_again(service: Service, principal: Principal, plan: Plan, fields: Mapping[str, str] | None = None) -> Plan:
    """Make a plan of the same, as it is now; with these options in place of its own, if there are any. Raises as make_plan."""
    now_ms = service.verbs.world.clients.objects.clock.now_ms()
    wanted = dict(
        fields_of(plan, now_ms) if fields is None else {name: fields[name] for name in OPTIONS if name in fields}
    )
    wanted["verb"] = plan.verb.value
    if plan.query is not None:
        return make_plan(service, principal, {**wanted, "q": plan.query})
    ids = service.ledger.operations.identities(plan.id, limit=MAX_IDS)
    if not ids:
        raise AskedWronglyError("id", "", "a dead letter that is still there")
    return make_plan(service, principal, wanted, ids)


def fields_of(plan: Plan, now_ms: int) -> dict[str, str]:
    """The options of a plan as the fields of a form have them. `now_ms`: on S3's clock, as the moment of a schedule is."""
    found = {name: str(value) for name, value in plan.options.items() if name in TEXTS}
    found |= {name: "yes" for name in FLAGS if plan.options.get(name)}
    if "rate" in plan.options:
        found["rate"] = f"{plan.options['rate']:g}"
    if plan.options.get("ramp") is False:
        found["ramp"] = "no"
    if plan.verb in REMOVABLE and REMOVABLE[plan.verb] not in found:
        found[REMOVE] = "yes"
    if "at" in plan.options:
        found["in_s"] = str(max(0, moment_ms(plan.options) - now_ms) // 1000)
    return found


def plan_request(fields: Mapping[str, str], ids: Sequence[str] = ()) -> PlanRequest:
    """What these fields ask for. Raises AskedWronglyError for the first that is wrong."""
    wanted: dict[str, Any] = {"verb": fields.get("verb", ""), "options": _options(fields)}
    wanted |= {"q": fields["q"].replace("\r\n", "\n").strip()} if "q" in fields else {"ids": list(ids)} if ids else {}
    _check(wanted, removes=bool(fields.get(REMOVE)))
    try:
        return PlanRequest.model_validate(wanted)
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise asked_wrongly(first, [one for one in first["loc"] if one != "options"]) from None


def _check(wanted: Mapping[str, Any], *, removes: bool) -> None:
    """What a form leaves out is said by the name of its field; `removes`: whether a note or an owner is to be removed."""
    verb, options = wanted["verb"], wanted["options"]
    if "q" not in wanted and "ids" not in wanted:
        raise AskedWronglyError("id", "", "at least one dead letter that is selected")
    if verb == Verb.HOLD and "reason" not in options:
        raise AskedWronglyError("reason", "", "a reason: whoever meets the hold will want to know why")
    if verb == Verb.SCHEDULE and "in_s" not in options:
        raise AskedWronglyError("in_s", "", "in how many seconds they are to be sent")
    name = REMOVABLE.get(verb)
    if name is not None and (name in options) == removes:
        right = "empty where it is to be removed" if removes else "a text; or say that it is to be removed"
        raise AskedWronglyError(name, str(options.get(name, ""))[:80], right)


def _options(fields: Mapping[str, str]) -> dict[str, object]:
    given: dict[str, object] = {name: True for name in FLAGS if fields.get(name)}
    for name in TEXTS:
        if text := fields.get(name, "").replace("\r\n", "\n").strip():
            given[name] = text
    # Its field stands beside the buttons of other verbs, too.
    if fields.get("verb") == Verb.SCHEDULE and (seconds := fields.get("in_s", "").strip()):
        given["in_s"] = _number(seconds)
    if rate := fields.get("rate", "").strip():
        given["rate"] = _number(rate)
    elif fields.get("ramp") == "no":
        given["ramp"] = False
    return given


def _number(text: str) -> float | str:
    """A number; what is none, as it is, for whoever checks it to say what would be right."""
    try:
        return float(text)
    except ValueError:
        return text

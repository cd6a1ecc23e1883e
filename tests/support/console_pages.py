"""The pages of the console, by name: what tests of all of them look at, and what pictures show."""

from urllib.parse import urlencode

from recovery.manager.console.addresses import message_path
from recovery.manager.console.planning import make_plan
from recovery.manager.roles import Principal, Role
from tests.support.console_arrivals import Scene


def messages_path(**asked: str) -> str:
    """The list of messages with such a filter."""
    return f"/console/messages?{urlencode(asked)}" if asked else "/console/messages"


def pages_of(scene: Scene) -> dict[str, str]:
    """The path of each page that there is, in each of its forms."""
    return {
        "overview": "/console/",
        "groups": "/console/groups",
        "audit": "/console/audit",
        "settings": "/console/settings",
        "runbook": "/console/runbook",
        "messages": "/console/messages",
        "messages filtered": messages_path(q="kind:RECOVERABLE key:契約", sort="key"),
        "messages none": messages_path(q="key:nothing-has-this"),
        "schedule": "/console/schedule",
        "archive": "/console/archive",
        "operations": "/console/operations",
        **{f"message, {name}": message_path(scene.ids[name]) for name in ("scheduled", "held")},
        "message, as of now": message_path(scene.ids["timeout"], now="yes"),
        **_operations(scene),
        **_plans(scene),
    }


def _operations(scene: Scene) -> dict[str, str]:
    """An operation of each state that there is, and one outcome."""
    found = {one.state.value: f"/console/operations/{one.id}" for one in scene.api.ledger.operations.page()}
    named = {f"operation {state}": path for state, path in found.items()}
    return named | {"operation, its failures": f"{found['failed']}?state=failed"}


def _plans(scene: Scene) -> dict[str, str]:
    """A plan that can be carried out, one that must be typed, one of nothing, one that is used."""

    def planned(**fields: str) -> str:
        return f"/console/plans/{make_plan(scene.api.service, _ADMIN, fields).id}"

    used = scene.api.ledger.operations.page()[0].plan
    return {
        "plan": planned(verb="redrive", q="kind:RECOVERABLE state:open,sent"),
        "plan to delete": planned(verb="delete", q="kind:USER_ERROR", reason="不要"),
        "plan to schedule": planned(verb="schedule", q="", in_s="5400"),
        "plan of nothing": planned(verb="release", q="key:nothing-has-this"),
        "plan, used": f"/console/plans/{used}",
    }


_ADMIN = Principal("ana@ops-1", Role.ADMIN)

"""The pages of the console, by name: what tests of all of them look at, and what pictures show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from recovery.ledger.selection import instant
from recovery.manager.console.addresses import message_path
from recovery.manager.console.messages import COLUMNS
from recovery.manager.console.planning import make_plan
from recovery.manager.roles import Principal, Role
from testing.memory import BUCKET
from tests.support.console_arrivals import CAUSES, HOUR_MS, Scene, key_of

if TYPE_CHECKING:
    from playwright.sync_api import Response

    from tests.support.reader import Reader

MESSAGES = ("timeout", "held", "noted", "scheduled", "sent", "unconfirmed", "foreign", "unknown", "odd", "archived")
"""Dead letters of a scene of which each has another page: by state, by cause, and by type."""
_ADMIN = Principal("ana@ops-1", Role.ADMIN)
_SEND = """([action, fields]) => {
  const form = Object.assign(document.createElement("form"), {method: "post", action});
  for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
  document.body.append(form);
  form.submit();
}"""


@dataclass(frozen=True, slots=True)
class View:
    """One form of a page, and how somebody comes to it."""

    path: str
    fields: Mapping[str, str] | None = None
    """Of the form that leads to it; None: a link does."""
    status: int = 200

    def visit(self, reader: "Reader") -> int:
        """Open it, and see that it has its status. Returns its bytes over the wire."""
        answer = self.open(reader)
        assert answer.status == self.status, f"{self.path}: {answer.status}: {reader.text[:500]}"
        sizes = answer.request.sizes()
        return sizes["responseBodySize"] + sizes["responseHeadersSize"]

    def open(self, reader: "Reader") -> "Response":
        """Open it, whatever its status is; a form is sent from a page of ours."""
        if self.fields is None:
            answer = reader.page.goto(f"{reader.origin}{self.path}", wait_until="load")
            assert answer is not None
        else:
            if not reader.path.startswith("/console/"):
                reader.go("/console/runbook")
            with reader.page.expect_navigation(wait_until="load") as found:
                reader.page.evaluate(_SEND, [self.path, dict(self.fields)])
            answer = found.value
        answer.finished()
        return answer


def messages_path(**asked: str) -> str:
    """The list of messages with such a filter."""
    return f"/console/messages?{urlencode(asked)}" if asked else "/console/messages"


def pages_of(scene: Scene) -> dict[str, str]:
    """The path of each page that a link leads to, in each of its forms."""
    return {name: one.path for name, one in views_of(scene).items() if one.fields is None and one.status == 200}


def views_of(scene: Scene) -> dict[str, View]:
    """Each page that there is, in each of its forms; none of them changes anything that another shows."""
    return {
        **{name: View(path) for name, path in _lists().items()},
        "messages, a mistake": View(messages_path(q="colour:blue"), status=400),
        "messages, no such order": View(messages_path(sort="banana"), status=400),
        "audit, a mistake": View("/console/audit?day=yesterday", status=400),
        "schedule, a mistake": View("/console/schedule?q=state:open", status=400),
        "runbook, no such section": View("/console/runbook/nowhere", status=404),
        "no such page": View("/console/nowhere", status=404),
        "no such preference": View("/console/preferences", {"language": "tlh"}, 400),
        **_groups(scene),
        **_messages(scene),
        **_operations(scene),
        **_plans(scene),
        **_asked(),
    }


def _lists() -> dict[str, str]:
    every = urlencode([("q", "state:any"), *(("column", one) for one in COLUMNS)])
    return {
        "overview": "/console/",
        "groups": "/console/groups",
        "groups none": "/console/groups?q=key:nothing-has-this",
        "groups, after the last": "/console/groups?page=2",
        "audit": "/console/audit",
        "audit none": "/console/audit?by=nobody",
        "settings": "/console/settings",
        "runbook": "/console/runbook",
        "runbook section": "/console/runbook/dlq-depth",
        "messages": "/console/messages",
        "messages filtered": messages_path(q="kind:RECOVERABLE key:契約", sort="key"),
        "messages none": messages_path(q="key:nothing-has-this"),
        "messages, any column": f"/console/messages?{every}",
        "schedule": "/console/schedule",
        "schedule none": "/console/schedule?q=key:nothing-has-this",
        "archive": "/console/archive",
        "archive none": "/console/archive?q=key:nothing-has-this",
        "operations": "/console/operations",
        "operations, after the last": "/console/operations?offset=50",
    }


def _groups(scene: Scene) -> dict[str, View]:
    """Each cause; one of which failures have joined since; what nobody knows the cause of; and what is no group."""
    before = urlencode({"as_of": instant(scene.now_ms - HOUR_MS)})
    views = {f"group {name}": f"/console/groups/{cause.fingerprint}" for name, cause in CAUSES.items()}
    views["group, joined since"] = f"/console/groups/{CAUSES['timeout'].fingerprint}?{before}"
    views["group of unknown cause"] = "/console/groups/-"
    found = {name: View(path) for name, path in views.items()}
    return found | {
        "group not found": View("/console/groups/ffffffffffff", status=404),
        "group, no moment": View(f"/console/groups/{CAUSES['timeout'].fingerprint}?as_of=noon", status=400),
    }


def _messages(scene: Scene) -> dict[str, View]:
    """One dead letter of each state; its body; a copy that is refused; and what is not done."""
    one, foreign = (message_path(scene.ids[name]) for name in ("timeout", "foreign"))
    return {
        **{f"message {name}": View(message_path(scene.ids[name])) for name in MESSAGES},
        "message, now": View(message_path(scene.ids["timeout"], now="yes")),
        "message not found": View("/console/messages/nobody", status=404),
        "message, its body": View(one, {"do": "body"}),
        "message, to be copied": View(foreign, {"do": "body"}),
        "message, not copied": View(foreign, {"do": "copy", "version": "0", "body": "{}"}, 409),
        "message, not held": View(one, {"do": "hold", "version": "0", "reason": "法務"}, 409),
    }


def _operations(scene: Scene) -> dict[str, View]:
    """An operation of each state that there is, one outcome, one that cannot be moved, and none."""
    found = {one.state.value: f"/console/operations/{one.id}" for one in scene.api.ledger.operations.page()}
    return {
        **{f"operation {state}": View(path) for state, path in found.items()},
        "operation, its failures": View(f"{found['failed']}?state=failed"),
        "operation not moved": View(f"{found['done']}/move", {"to": "paused"}, 409),
        "operation not found": View("/console/operations/0d7d1a52-0000-4000-8000-000000000000", status=404),
    }


def _plans(scene: Scene) -> dict[str, View]:
    """A plan that can be carried out, one that must be typed, others; and what keeps each from being made or carried out."""

    def planned(**fields: str) -> str:
        return f"/console/plans/{make_plan(scene.api.service, _ADMIN, fields).id}"

    redrive = planned(verb="redrive", q="kind:RECOVERABLE state:open,sent")
    old = planned(verb="abandon", q="kind:USER_ERROR")
    _age(scene, old.rsplit("/", 1)[-1])
    return {
        "plan": View(redrive),
        "plan to delete": View(planned(verb="delete", q="kind:USER_ERROR", reason="不要")),
        "plan to schedule": View(planned(verb="schedule", q="", in_s="5400")),
        "plan of nothing": View(planned(verb="release", q="key:nothing-has-this")),
        "plan, used": View(f"/console/plans/{scene.api.ledger.operations.page()[0].plan}"),
        "plan, too old": View(old),
        "plan not made again": View(f"{redrive}/again", {"changed": "yes", "rate": "fast"}, 400),
        "plan not made": View("/console/plans", {"verb": "redrive"}, 400),
        "plan, a reason missing": View("/console/plans", {"verb": "hold", "q": ""}, 400),
        "plan, a time missing": View("/console/plans", {"verb": "schedule", "q": ""}, 400),
        "plan not found": View("/console/plans/0d7d1a52-0000-4000-8000-000000000000", status=404),
    }


def _age(scene: Scene, plan_id: str) -> None:
    """Let a plan be too old."""
    with scene.api.ledger._database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE plans SET expires_ms = 1 WHERE id = '{plan_id}'")


def _asked() -> dict[str, View]:
    """What people ask for who look for a file."""

    def where(key: str, bucket: str = BUCKET) -> str:
        return f"/console/why-not?{urlencode({'bucket': bucket, 'key': key})}"

    def search(text: str) -> str:
        return f"/console/search?{urlencode({'q': text})}"

    return {
        "why not": View("/console/why-not"),
        "why not, answered": View(where(key_of(CAUSES["timeout"], 4))),
        "why not, nothing": View(where("no/such/file.pdf")),
        "why not, a mistake": View(where("a", "s3://x"), status=400),
        "search": View("/console/search"),
        "search, found": View(search("forecast")),
        "search, narrowed": View(search("forecast ext:pdf")),
        "search none": View(search("存在しない")),
        "search, a mistake": View(search("size:>many"), status=400),
        "file that is not indexed": View(f"/console/open?{urlencode({'bucket': BUCKET, 'key': 'no'})}", status=404),
    }

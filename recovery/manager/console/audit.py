"""`/console/audit`: who acted, and who viewed; with filters, in pages, and as a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.audit_reader import Entry, Page
from recovery.manager.console.rendering import page
from recovery.manager.web.audit import Action, AuditEntry, By, Day, From, Id, To, checked_place, wanted
from recovery.manager.web.principal import Reader
from recovery.manager.web.service import TheService

router = APIRouter()
LIMIT = 50
MAX_IDS, MAX_RESULTS = 5, 5
"""Of one entry that are shown: a page has at most 100 KB."""
ACTIONS = (
    "view", "open", "export", "redrive", "recover", "abandon", "restore", "delete", "purge", "hold", "release", "note", "assign",
    "schedule", "unschedule", "import", "confirm", "retry", "pause", "resume", "backfill", "reconcile", "reindex", "forget",
    "raise",
)  # fmt: skip
"""What the box offers; any other can be typed."""


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry, and its details as texts."""

    at_ms: int
    entry: AuditEntry
    result: Mapping[str, str]
    details: Mapping[str, str]


@router.get("/audit")
def get_audit(
    request: Request,
    principal: Reader,
    service: TheService,
    day: Day = None,
    since: From = None,
    to: To = None,
    action: Action = None,
    by: By = None,
    id: Id = None,  # noqa: A002 (the name of the parameter)
    cursor: Annotated[str | None, Query(max_length=220)] = None,
) -> Response:
    """Entries, the newest first. A filter that is wrong is said beside the form."""
    asked = {"day": day, "from": since, "to": to, "action": action, "by": by, "id": id}
    given = {name: value.strip() for name, value in asked.items() if value and value.strip()}
    found, wrong = Page([], None), ""
    try:
        chosen = wanted(*(given.get(name) for name in asked))
        found = service.audit.page(chosen, before=checked_place(cursor), limit=LIMIT)
    except AskedWronglyError as error:
        wrong = str(error)
    hides = service.redactor.is_active
    return page(
        request, "audit.html", principal,
        {
            "entries": [_view(one, hides=hides) for one in found.entries],
            "asked": {name: given.get(name, "") for name in asked}, "actions": ACTIONS, "max_ids": MAX_IDS,
            "wrong": wrong, "is_first": cursor is None,
            "first_url": f"/console/audit?{urlencode(given)}", "export": urlencode(given),
            "next_url": f"/console/audit?{urlencode({**given, 'cursor': found.next})}" if found.next else None,
        },
        status=400 if wrong else 200,
    )  # fmt: skip


def _view(found: Entry, *, hides: bool) -> EntryView:
    entry = AuditEntry.of(found, hides=hides)
    return EntryView(found.at_ms, entry, _texts(dict(islice(entry.result.items(), MAX_RESULTS))), _texts(entry.details))


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }

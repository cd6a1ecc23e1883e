"""`/console/audit`: who acted, and who viewed; with filters, in pages, and as a file.

Days are those of a time zone, which the address names, so that it means the same to a colleague in another one.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from recovery.ledger.errors import AskedWronglyError, LedgerError
from recovery.manager.audit_reader import Entry, Page, Wanted
from recovery.manager.console.reader import MAX_ZONE_CHARS, is_zone, reader_of, zone_of
from recovery.manager.console.rendering import page
from recovery.manager.web.audit import Action, AuditEntry, By, Day, From, Id, To, checked_place, wanted
from recovery.manager.web.principal import Reader
from recovery.manager.web.service import Service, TheService

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
    zone: Annotated[str | None, Query(max_length=MAX_ZONE_CHARS)] = None,
    cursor: Annotated[str | None, Query(max_length=220)] = None,
) -> Response:
    """Entries, the newest first. A filter that is wrong is said beside the form."""
    asked = {"day": day, "from": since, "to": to, "action": action, "by": by, "id": id}
    given = {name: value.strip() for name, value in asked.items() if value and value.strip()}
    shown_in = zone or reader_of(request, time.time_ns() // 1_000_000).zone
    found, wrong, exported = Page([], None), "", {}
    try:
        chosen = wanted(*(given.get(name) for name in asked), zone=_zone(shown_in))
        exported = _exported(given, chosen)
        found = service.audit.page(chosen, before=checked_place(cursor), limit=LIMIT)
    except AskedWronglyError as error:
        wrong = str(error)
    hides, kept = service.redactor.is_active, {**given, "zone": shown_in}
    return page(
        request, "audit.html", principal,
        {
            "entries": [_view(one, hides=hides) for one in found.entries], "names": _names(service, found.entries),
            "asked": {name: given.get(name, "") for name in asked}, "actions": ACTIONS, "max_ids": MAX_IDS,
            "zone": shown_in, "wrong": wrong, "is_first": cursor is None,
            "first_url": f"/console/audit?{urlencode(kept)}", "export": urlencode(exported),
            "next_url": f"/console/audit?{urlencode({**kept, 'cursor': found.next})}" if found.next else None,
        },
        status=400 if wrong else 200,
    )  # fmt: skip


def _zone(name: str) -> tzinfo:
    if not is_zone(name):
        raise AskedWronglyError("zone", name, "the name of a time zone, such as Asia/Tokyo")
    return zone_of(name)


def _exported(given: Mapping[str, str], chosen: Wanted) -> dict[str, str]:
    """The same for the API, which knows no days but those of UTC."""
    same = {name: given[name] for name in ("action", "by", "id") if name in given}
    if given.keys().isdisjoint({"day", "from", "to"}):
        return same
    return {"from": chosen.since.isoformat(), "to": chosen.until.isoformat(), **same}


def _names(service: Service, entries: list[Entry]) -> dict[str, str]:
    """What the dead letters are about, by their ids; without those of which the ledger says nothing now."""
    wanted_ids = {name for one in entries for name in one.ids[:MAX_IDS]}
    try:
        found = service.ledger.by_identity(wanted_ids)
    except LedgerError:
        return {}
    return {name: row.object_key or row.about or name for name, row in found.items()}


def _view(found: Entry, *, hides: bool) -> EntryView:
    entry = AuditEntry.of(found, hides=hides)
    return EntryView(found.at_ms, entry, _texts(dict(islice(entry.result.items(), MAX_RESULTS))), _texts(entry.details))


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }

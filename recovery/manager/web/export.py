"""`/api/v1/export`: dead letters with their bodies, streamed in the form that `dlq import` reads."""

from collections.abc import Iterator
from functools import partial

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from recovery.ledger.pages import Sort
from recovery.ledger.rows import Row
from recovery.ledger.selection import Selection
from recovery.manager.redacted import redacted
from recovery.manager.redaction import Redactor
from recovery.manager.web.bodies import read_many
from recovery.manager.web.parameters import Q, selected
from recovery.manager.web.principal import Operator, while_valid
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Service, TheService
from recovery.operations.records.export_file import export_lines
from worker.core.audit import AuditEvent, Run, write
from worker.core.sqs.dead_letter import DeadLetter

JSON_LINES = "application/jsonl"
AT_ONCE = 200
"""Rows of a page: no transaction stays open while a slow client reads."""
router = APIRouter(tags=["operations"])


@router.get(
    "/api/v1/export",
    responses={
        **documented(400),
        200: {"description": "The export.", "content": {JSON_LINES: {"schema": {"type": "string"}}}},
    },
    response_class=StreamingResponse,
)
def export_messages(service: TheService, principal: Operator, q: Q = "") -> StreamingResponse:
    """Dead letters with bodies and attributes, a line of JSON each, and a last line with a checksum; as `dlq export` has them.

    It is recorded in the audit first. Where REDACT_FIELDS hides something, `dlq import` refuses it, as it does a file
    without its last line, which was cut short: so is an export whose sign-in ends meanwhile.
    """
    selection = selected(q)
    run = Run.new("dlq-manager api", action="export", by=principal.name)
    details = {"dlq": service.verbs.world.clients.dlq.url, "q": q}
    write(
        service.state, AuditEvent(run.action, run.name, run.by, (), {"rows": service.ledger.count(selection)}, details)
    )
    redact = partial(_masked, service.redactor) if service.redactor.is_active else None
    lines = export_lines(_dead_letters(service, selection), queue=str(details["dlq"]), by=principal.name, redact=redact)
    headers = {"Content-Disposition": 'attachment; filename="dead-letters.jsonl"'}
    return StreamingResponse(while_valid(service, principal, lines), media_type=JSON_LINES, headers=headers)


def _masked(redactor: Redactor, dead_letter: DeadLetter) -> dict[str, object]:
    """A dead letter's line, with what may be shown of it."""
    whole, shown = dead_letter.as_json(), redacted(dead_letter, redactor)
    masked = {"body": shown.body, "message_attributes": shown.attributes, "system_attributes": shown.system}
    return {**whole, **masked, **({"failure": shown.failure} if "failure" in whole else {})}


def _dead_letters(service: Service, selection: Selection) -> Iterator[DeadLetter]:
    """Those that have a record, from the one that was taken in first."""
    for rows in _pages(service, selection):
        yield from (stored.dead_letter for _, stored in read_many(service.state, rows) if stored is not None)


def _pages(service: Service, selection: Selection) -> Iterator[list[Row]]:
    after: str | None = None
    while True:
        page = service.ledger.page(selection, sort=Sort.FIRST_SEEN, descending=False, after=after, limit=AT_ONCE)
        yield page.rows
        after = page.next
        if after is None:
            return

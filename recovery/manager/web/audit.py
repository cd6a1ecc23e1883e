"""`/api/v1/audit`: who acted, and who viewed.

Readers may see all of it. It has no bodies and no stacks: the complete messages that an entry may hold are only counted. The
ids in it are those of lists, which readers see anyway, and that an audit is open to all whom it is about is what it is for.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import chain
from typing import Annotated, Any, Self

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.audit_reader import Entry, Wanted, is_place
from recovery.manager.redaction import NOT_SHOWN
from recovery.manager.web.moments import Moment, known
from recovery.manager.web.parameters import EXAMPLE_ID, LINK, link_next
from recovery.manager.web.principal import Reader, while_valid
from recovery.manager.web.problems import MAX_SHOWN_CHARS, documented
from recovery.manager.web.service import Service, TheService

router = APIRouter(tags=["audit"])
USUAL = timedelta(days=30)
"""How far back one looks who does not say how far."""
LONGEST = timedelta(days=366)
"""The longest time of one export."""
AHEAD = timedelta(minutes=15)
"""How far the clock of a host that writes entries may be ahead."""
FIRST_YEAR = 2000
MAX_IDS = 100
"""Ids of one entry in a page; an export has all."""
MAX_DETAIL_BYTES = 2_000
_NEUTRAL = frozenset({"dlq", "to", "q", "filter", "file", "sha256", "rows"})
"""Details that are shown with REDACT_FIELDS, too: addresses of queues, and what people asked for."""
_REPORTS = frozenset({"report", "error"})
_CODE = re.compile("[a-z_]{1,40}")
_AT = "2026-11-01T09:30:00.000Z"
_TIME = "a day or a time from 2000 on, such as 2026-11-01 or 2026-11-01T09:30:00Z"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula."""


class Format(StrEnum):
    """Of an export."""

    JSONL = "jsonl"
    CSV = "csv"


MEDIA = {Format.JSONL: "application/jsonl", Format.CSV: "text/csv"}
Day = Annotated[str | None, Query(max_length=10, description="One day (UTC), instead of `from` and `to`.")]
From = Annotated[
    str | None,
    Query(alias="from", max_length=40, description=f"Since then: {_TIME}. Without it, {USUAL.days} days before `to`."),
]
To = Annotated[str | None, Query(max_length=40, description="Until then; a day counts to its end. Without it, now.")]
Action = Annotated[
    str | None,
    Query(max_length=100, description="Only this action, such as `view`, `redrive` or `pause`.", examples=["view"]),
]
By = Annotated[
    str | None, Query(max_length=200, description="Only by those whose name contains this, without regard to case.")
]
Id = Annotated[str | None, Query(max_length=200, description="Only about the dead letter with this identity.")]


class AuditEntry(BaseModel):
    """Somebody acted, or viewed."""

    at: Moment = Field(examples=[_AT])
    action: str = Field(examples=["redrive"])
    by: str = Field(examples=["ana@example.com"])
    run: str = Field(description="The run of the command or operation.", examples=["operation-5b1f2c"])
    count: int = Field(description="How many dead letters it applied to.", examples=[1])
    ids: list[str] = Field(description=f"Their identities, {MAX_IDS} at most in a page.", examples=[[EXAMPLE_ID]])
    result: dict[str, Any] = Field(description="How many had each result.", examples=[{"sent": 1}])
    details: dict[str, Any] = Field(description="What was asked for.", examples=[{"reason": "index upgrade"}])
    messages: int = Field(
        description="Complete messages that the entry holds, which were deleted; they are not shown.", examples=[0]
    )
    key: str = Field(
        description="Of the entry in the state bucket.",
        examples=["s3-index-worker/audit/2026-11-01/093000123456-redrive-5b1f2c.json"],
    )
    problem: str = Field(description="Why it cannot be read; empty if it can.", examples=[""])

    @classmethod
    def of(cls, entry: Entry, *, hides: bool, is_whole: bool = False) -> Self:
        """An entry. `hides`: REDACT_FIELDS is set, and what may repeat a body is not shown."""
        ids = entry.ids if is_whole else entry.ids[:MAX_IDS]
        return cls(
            at=known(entry.at_ms), action=entry.action, by=entry.by, run=entry.run, count=len(entry.ids), ids=list(ids),
            result=_shown(_redacted_result(entry) if hides else entry.result, is_whole=is_whole),
            details=_shown(_redacted_details(entry) if hides else entry.details, is_whole=is_whole),
            messages=entry.messages, key=entry.key, problem=entry.problem,
        )  # fmt: skip


class AuditPage(BaseModel):
    """Some entries, the newest first."""

    items: list[AuditEntry]
    next: str | None = Field(
        description="`cursor` of the next page; null if this is the last. A page of a long time or a rare filter may have few "
        "entries, or none, and yet a next one.",
        examples=[None],
    )


@router.get("/api/v1/audit", responses={**documented(400), 200: {"headers": LINK}})
def list_audit(
    request: Request,
    response: Response,
    service: TheService,
    _reader: Reader,
    day: Day = None,
    since: From = None,
    to: To = None,
    action: Action = None,
    by: By = None,
    id: Id = None,  # noqa: A002 (the name of the parameter)
    limit: Annotated[int, Query(ge=1, le=200, description="The maximum number of entries.")] = 50,
    cursor: Annotated[str | None, Query(max_length=220, description="`next` of the page before.")] = None,
) -> AuditPage:
    """Who acted and who viewed, the newest first: the same entries that commands and other managers write."""
    found = service.audit.page(wanted(day, since, to, action, by, id), before=checked_place(cursor), limit=limit)
    if found.next is not None:
        link_next(request, response, cursor=found.next)
    hides = service.redactor.is_active
    return AuditPage(items=[AuditEntry.of(one, hides=hides) for one in found.entries], next=found.next)


@router.get(
    "/api/v1/audit/export",
    responses={
        **documented(400),
        200: {
            "description": "The export.",
            "content": {name: {"schema": {"type": "string"}} for name in MEDIA.values()},
        },
    },
    response_class=StreamingResponse,
)
def export_audit(
    service: TheService,
    principal: Reader,
    day: Day = None,
    since: From = None,
    to: To = None,
    action: Action = None,
    by: By = None,
    id: Id = None,  # noqa: A002 (the name of the parameter)
    format: Annotated[Format, Query(description="A line of JSON for each entry, or a table.")] = Format.JSONL,  # noqa: A002
) -> StreamingResponse:
    """The entries of up to a year, the newest first, with all ids: JSON lines, or CSV that a spreadsheet opens.

    It ends where the sign-in ends.
    """
    asked = wanted(day, since, to, action, by, id)
    if asked.until - asked.since > LONGEST:
        raise AskedWronglyError("from", since or "", f"at most {LONGEST.days} days before `to`")
    lines = exported(service, asked, format)
    headers = {"Content-Disposition": f'attachment; filename="audit.{format.value}"'}
    return StreamingResponse(while_valid(service, principal, lines), media_type=MEDIA[format], headers=headers)


def checked_place(cursor: str | None) -> str | None:
    """The same, if a page has said it. Raises AskedWronglyError."""
    if cursor is not None and not is_place(cursor):
        raise AskedWronglyError("cursor", cursor[:MAX_SHOWN_CHARS], "`next` of the page before")
    return cursor


def wanted(
    day: str | None, since: str | None, to: str | None, action: str | None, by: str | None, id_: str | None, *,
    zone: tzinfo = UTC,
) -> Wanted:  # fmt: skip
    """What was asked for, by texts that people type; days are those of a time zone. Raises AskedWronglyError."""
    if day and (since or to):
        raise AskedWronglyError("day", day, "absent where `from` or `to` is given")
    if day:
        begin, end = _time("day", day, zone), _time("day", day, zone, is_end=True)
        return Wanted(begin, end, action or None, by or None, id_ or None)
    until = _time("to", to, zone, is_end=True) if to else datetime.now(UTC) + AHEAD
    begin = _time("from", since, zone) if since else max(until - USUAL, datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
    if begin >= until:
        raise AskedWronglyError("from", since or "", "before `to`")
    return Wanted(begin, until, action or None, by or None, id_ or None)


def exported(service: Service, asked: Wanted, format_: Format) -> Iterator[bytes]:
    """The lines of an export. The first entry is read before anything is sent: an error is an answer, no broken file."""
    entries = service.audit.all(asked)
    first = next(entries, None)
    hides = service.redactor.is_active
    every = (AuditEntry.of(one, hides=hides, is_whole=True) for one in chain([] if first is None else [first], entries))
    return _table(every) if format_ is Format.CSV else (one.model_dump_json().encode() + b"\n" for one in every)


def _table(entries: Iterable[AuditEntry]) -> Iterator[bytes]:
    names = list(AuditEntry.model_fields)
    yield _line(names)
    for one in entries:
        values = one.model_dump()
        yield _line([_cell(values[name]) for name in names])


def _line(cells: list[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue().encode()


def _cell(value: object) -> str:
    """A value as a cell, which no spreadsheet computes."""
    if isinstance(value, list):
        text = " ".join(map(str, value))
    elif isinstance(value, dict):
        text = orjson.dumps(value).decode() if value else ""
    else:
        text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _redacted_details(entry: Entry) -> dict[str, Any]:
    """What cannot repeat a dead letter: numbers, and texts that are none of people's or errors about one."""
    is_about_none = not entry.ids
    return {
        name: value
        if isinstance(value, int | float | None) or name in _NEUTRAL or (is_about_none and name not in _REPORTS)
        else NOT_SHOWN
        for name, value in entry.details.items()
    }


def _redacted_result(entry: Entry) -> dict[str, Any]:
    """The numbers of results whose names are codes."""
    counts = {name: value for name, value in entry.result.items() if isinstance(value, int) and _CODE.fullmatch(name)}
    return counts if len(counts) == len(entry.result) else {**counts, "…": NOT_SHOWN}


def _shown(found: Mapping[str, Any], *, is_whole: bool) -> dict[str, Any]:
    """Members of an entry; in a page, without those that are long."""
    shown = {}
    for name, value in found.items():
        size = 0 if is_whole else len(orjson.dumps(value))
        shown[name] = f"({size:,} bytes; an export has them)" if size > MAX_DETAIL_BYTES else value
    return shown


def _time(name: str, text: str, zone: tzinfo, *, is_end: bool = False) -> datetime:
    """A day or a time, of this zone unless it names another. Raises AskedWronglyError."""
    try:
        if len(text) == len("2026-11-01"):
            found = datetime.combine(date.fromisoformat(text) + timedelta(days=1 if is_end else 0), time(), zone)
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=zone)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise AskedWronglyError(name, text[:MAX_SHOWN_CHARS], _TIME) from None
    if not FIRST_YEAR <= found.year < 9999:
        raise AskedWronglyError(name, text[:MAX_SHOWN_CHARS], _TIME)
    return found

"""The screens Messages and Archive: lists of dead letters by a filter, and what may be done with those that are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.pages import Page, Sort
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import State
from recovery.ledger.selection import FILTERS, Selection
from recovery.ledger.statistics import COUNTED_TO
from recovery.manager.console.rendering import page
from recovery.manager.web.messages import MAX_CURSOR_CHARS
from recovery.manager.web.moments import known
from recovery.manager.web.parameters import Direction, Q, selected
from recovery.manager.web.principal import Principal, Reader, Role
from recovery.manager.web.service import Service, TheService

ROWS = 50
ARCHIVED = frozenset({State.ARCHIVED, State.ABANDONED})
COLUMNS = (
    "key", "error", "message", "state", "kind", "last", "first", "attempts", "redrives", "owner", "note", "hold", "bucket",
    "size", "queue", "worker", "group",
)  # fmt: skip
"""What a list can show of each dead letter, in this order."""
DEFAULT = ("key", "error", "message", "state", "last", "attempts")
DEFAULT_ARCHIVE = ("key", "error", "message", "state", "last", "note")
SORTS: Mapping[str, Sort] = {"key": Sort.KEY, "error": Sort.ERROR, "last": Sort.LAST_SEEN, "first": Sort.FIRST_SEEN}
"""Columns by which a list can be ordered."""
router = APIRouter()
Columns = Annotated[list[str], Query(max_length=len(COLUMNS))]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARS)]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list."""

    path: str
    q: str
    sort: str
    order: Direction
    columns: tuple[str, ...]
    found: Page
    count: int
    is_exact: bool
    """False where there are more than were counted."""
    whole_query: str
    """For a plan of all that match: of those that the page could show, and of none that came later."""
    verbs: tuple[Verb, ...]
    """What may be done with them."""

    def link(self, **changed: object) -> str:
        """This list with other parameters, from its beginning unless a cursor is among them."""
        wanted: dict[str, object] = {"q": self.q, "sort": self.sort, "order": self.order.value, "column": self.columns}
        wanted |= changed
        return f"{self.path}?{urlencode({name: value for name, value in wanted.items() if value}, doseq=True)}"

    def turned(self, column: str) -> str:
        """The list in the order of a column; the other way round where it is in that order already."""
        is_down = self.sort == column and self.order is Direction.DESCENDING
        return self.link(sort=column, order=(Direction.ASCENDING if is_down else Direction.DESCENDING).value)


@router.get("/messages")
def list_messages(
    principal: Reader, request: Request, service: TheService, q: Q = "", sort: str = "last",
    order: Direction = Direction.DESCENDING, column: Columns = [], cursor: Cursor = None,  # noqa: B006 (FastAPI copies it)
) -> Response:  # fmt: skip
    """Dead letters by a filter; those that wait, unless it says otherwise."""
    made = _listing(service, principal, request.url.path, q, q, sort, order, tuple(column) or DEFAULT, cursor)
    return page(request, "messages.html", principal, {"list": made, **_SHARED})


@router.get("/archive")
def list_archive(
    principal: Reader, request: Request, service: TheService, q: Q = "", sort: str = "last",
    order: Direction = Direction.DESCENDING, column: Columns = [], cursor: Cursor = None,  # noqa: B006 (FastAPI copies it)
) -> Response:  # fmt: skip
    """What was archived or abandoned, and can be restored."""
    asked = q if "state:" in q else f"{q} state:archived,abandoned".strip()
    made = _listing(
        service, principal, request.url.path, q, asked, sort, order, tuple(column) or DEFAULT_ARCHIVE, cursor
    )
    return page(request, "archive.html", principal, {"list": made, **_SHARED})


_SHARED = {"filters": tuple(FILTERS), "all_columns": COLUMNS, "sorts": frozenset(SORTS)}


def _listing(
    service: Service, principal: Principal, path: str, q: str, asked: str, sort: str, order: Direction,
    columns: tuple[str, ...], cursor: str | None,
) -> Listing:  # fmt: skip
    """The page of a list. Raises AskedWronglyError and LedgerError."""
    if sort not in SORTS:
        raise AskedWronglyError("sort", sort, f"one of {', '.join(SORTS)}")
    if unknown := [one for one in columns if one not in COLUMNS]:
        raise AskedWronglyError("column", unknown[0], f"one of {', '.join(COLUMNS)}")
    selection = selected(asked)
    found = service.ledger.page(
        selection, sort=SORTS[sort], descending=order is Direction.DESCENDING, after=cursor, limit=ROWS
    )
    count = service.ledger.count(selection)
    now_ms = service.verbs.world.clients.objects.clock.now_ms()
    whole = asked if selection.seen_until_ms is not None else f"{asked} until:{known(now_ms)}".strip()
    shown = tuple(one for one in COLUMNS if one in columns)
    return Listing(
        path, q, sort, order, shown, found, min(count, COUNTED_TO), count <= COUNTED_TO, whole, verbs_for(selection, principal)
    )  # fmt: skip


def verbs_for(selection: Selection, principal: Principal) -> tuple[Verb, ...]:
    """What somebody may do with dead letters in these states; a plan says what it refuses of them."""
    if not principal.role.includes(Role.OPERATOR):
        return ()
    states = frozenset(selection.states)
    found: list[Verb] = []
    if states - ARCHIVED - {State.RECOVERED, State.MISSING}:
        found += [Verb.REDRIVE, Verb.RECOVER, Verb.SCHEDULE, Verb.ABANDON]
    if State.SCHEDULED in states:
        found.append(Verb.UNSCHEDULE)
    if states & ARCHIVED:
        found.append(Verb.RESTORE)
    if states - ARCHIVED - {State.RECOVERED, State.MISSING}:
        found += [Verb.HOLD, Verb.RELEASE, Verb.ASSIGN, Verb.NOTE]
        if principal.role.includes(Role.ADMIN):
            found.append(Verb.DELETE)
    return tuple(found)

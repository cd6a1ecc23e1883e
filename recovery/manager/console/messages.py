"""The screens Messages and Archive: lists of dead letters by a filter, and what may be done with those that are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.pages import Page, Sort
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import IN_ARCHIVE, Event, Outcome, State
from recovery.ledger.selection import Selection, WrongQueryError, names_in
from recovery.manager.console.filters import FilterBox, Typed, chosen
from recovery.manager.console.matching import Matching, matching
from recovery.manager.console.rendering import page
from recovery.manager.web.messages import MAX_CURSOR_CHARS
from recovery.manager.web.parameters import Direction
from recovery.manager.web.principal import Principal, Reader, Role
from recovery.manager.web.service import Service, TheService
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN

ROWS = 50
LIVING = frozenset({State.OPEN, State.SCHEDULED, State.SENT})
"""States in which something may be done with a dead letter, but for what is in the archive."""
COLUMNS = (
    "key", "error", "message", "state", "kind", "last", "first", "sent", "attempts", "redrives", "owner", "note", "hold", "bucket",
    "size", "queue", "worker", "group", "archived", "archived_by", "reason",
)  # fmt: skip
"""What a list can show of each dead letter, in this order."""
ENDING = frozenset({"archived", "archived_by", "reason"})
"""Columns of what moved a dead letter to the archive."""
DEFAULT = ("key", "error", "message", "state", "last", "attempts")
DEFAULT_ARCHIVE = ("key", "error", "state", *ENDING)
SORTS: Mapping[str, Sort] = {
    "key": Sort.KEY,
    "error": Sort.ERROR,
    "last": Sort.LAST_SEEN,
    "first": Sort.FIRST_SEEN,
    "sent": Sort.SENT,
}
"""Columns by which a list can be ordered."""
router = APIRouter()
Columns = Annotated[list[str], Query(max_length=len(COLUMNS))]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARS)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see of a list."""

    path: str
    q: str
    sort: str
    order: Direction
    columns: tuple[str, ...]
    cursor: str | None

    @property
    def box(self) -> FilterBox:
        """The box of its filter, which keeps the order and the columns."""
        kept = (("sort", self.sort), ("order", self.order.value), *(("column", one) for one in self.columns))
        return FilterBox(self.path, self.q, kept)

    def link(self, **changed: object) -> str:
        """This list with other parameters, from its beginning unless a cursor is among them."""
        wanted: dict[str, object] = {"q": self.q, "sort": self.sort, "order": self.order.value, "column": self.columns}
        wanted |= changed
        return f"{self.path}?{urlencode({name: value for name, value in wanted.items() if value}, doseq=True)}"

    def turned(self, column: str) -> str:
        """The list in the order of a column; the other way round where it is in that order already."""
        is_down = self.sort == column and self.order is Direction.DESCENDING
        return self.link(sort=column, order=(Direction.ASCENDING if is_down else Direction.DESCENDING).value)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list."""

    asked: Asked
    found: Page
    endings: Mapping[str, Event]
    """What moved them to the archive, by identity, where that is shown."""
    all: Matching
    verbs: tuple[Verb, ...]
    """What may be done with them."""


@router.get("/messages")
def list_messages(
    principal: Reader, request: Request, service: TheService, q: Typed = "", sort: str = "last",
    order: Direction = Direction.DESCENDING, column: Columns = [], cursor: Cursor = None,  # noqa: B006 (FastAPI copies it)
) -> Response:  # fmt: skip
    """Dead letters by a filter; those that wait, unless it says otherwise."""
    asked = Asked(request.url.path, q, sort, order, _columns(column, (*DEFAULT, sort)), cursor)
    return _shown(request, service, principal, asked, q, "messages.html")


@router.get("/archive")
def list_archive(
    principal: Reader, request: Request, service: TheService, q: Typed = "", sort: str = "last",
    order: Direction = Direction.DESCENDING, column: Columns = [], cursor: Cursor = None,  # noqa: B006 (FastAPI copies it)
) -> Response:  # fmt: skip
    """What was archived or abandoned, and can be restored."""
    asked = Asked(request.url.path, q, sort, order, _columns(column, (*DEFAULT_ARCHIVE, sort)), cursor)
    query = q if _has_state(q) else f"{q} state:archived,abandoned".strip()
    return _shown(request, service, principal, asked, query, "archive.html")


def _columns(wanted: list[str], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that are wanted, else those of a list and of its order; in their own order. Raises AskedWronglyError."""
    if unknown := [one for one in wanted if one not in COLUMNS]:
        raise AskedWronglyError("column", unknown[0], f"one of {', '.join(COLUMNS)}")
    return tuple(one for one in COLUMNS if one in (wanted or otherwise))


def _has_state(q: str) -> bool:
    try:
        return "state" in names_in(q)
    except WrongQueryError:  # whoever reads the query says what is wrong
        return False


def _shown(
    request: Request, service: Service, principal: Principal, asked: Asked, query: str, template: str
) -> Response:
    """The page of a list, or the box with what is wrong. Raises AskedWronglyError and LedgerError."""
    if asked.sort not in SORTS:
        raise AskedWronglyError("sort", asked.sort, f"one of {', '.join(SORTS)}")
    selection = chosen(asked.box, query)
    if isinstance(selection, FilterBox):
        return page(request, "filter_wrong.html", principal, {"box": selection}, status=400)
    made = _listing(service, principal, asked, query, selection)
    return page(request, template, principal, {"list": made, "all_columns": COLUMNS, "sorts": tuple(SORTS)})


def _listing(service: Service, principal: Principal, asked: Asked, query: str, selection: Selection) -> Listing:
    """The page of a list. Raises AskedWronglyError and LedgerError."""
    everything = matching(service, query, selection)
    found = service.ledger.page(
        selection,
        sort=SORTS[asked.sort],
        descending=asked.order is Direction.DESCENDING,
        after=asked.cursor,
        limit=ROWS,
    )
    shown = found.rows if ENDING.intersection(asked.columns) else []
    endings = service.ledger.particular.endings(row.identity for row in shown)
    return Listing(asked, found, endings, everything, verbs_for(selection, principal))


def verbs_for(selection: Selection, principal: Principal) -> tuple[Verb, ...]:
    """What somebody may do with dead letters in these states; a plan says what it refuses of them."""
    if not principal.role.includes(Role.OPERATOR):
        return ()
    states, is_unconfirmed = frozenset(selection.states), selection.outcome in {None, Outcome.UNCONFIRMED}
    living = states & LIVING
    waits = living - {State.SENT}
    found: list[Verb] = []
    if (waits or (living and is_unconfirmed)) and selection.held is not True:
        found.append(Verb.REDRIVE)
        if selection.type in {None, S3_EVENT, UNKNOWN}:
            found.append(Verb.RECOVER)
        found += [Verb.SCHEDULE] if waits else []
        found.append(Verb.ABANDON)
    if State.SCHEDULED in states:
        found.append(Verb.UNSCHEDULE)
    if not states.isdisjoint(IN_ARCHIVE):
        found.append(Verb.RESTORE)
    if living:
        found += [Verb.HOLD, Verb.ASSIGN, Verb.NOTE]
        found += [Verb.RELEASE] if selection.held is not False else []
        if Verb.ABANDON in found and principal.role.includes(Role.ADMIN):
            found.append(Verb.DELETE)
    return tuple(found)

"""The parameters that several routes share, and the rule that a route takes no others."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, cast, get_origin
from urllib.parse import urlencode

from fastapi import Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.ledger import Ledger
from recovery.ledger.pages import MAX_LIMIT, MAX_OFFSET
from recovery.ledger.rows import Row
from recovery.ledger.selection import FILTERS, MAX_QUERY_CHARS, Selection, parse_query
from recovery.manager.web.problems import MAX_SHOWN_CHARS, not_found

EXAMPLE_ID = "5b1f2c7d-90aa-4c3e-8f21-7d1f0c9b2a34"
"""The dead letter of every example; those in docs/reference/api.md are typed by a test, which has one of this name."""
QUERY_FORMAT = "dead-letter-query"
"""How the description names what a schema cannot express."""


def _whole(value: object) -> object:
    """To JSON, 10.0 is an integer; a boolean or a text is none (JSON Schema validation, 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Behind the strict Field of an integer in a body."""


class Direction(StrEnum):
    """Of an order."""

    ASCENDING = "asc"
    DESCENDING = "desc"


AnyId = Annotated[
    str, Path(description="The dead letter's identity, or any id that it has had in the dead-letter queue.", examples=[EXAMPLE_ID])
]  # fmt: skip
Q = Annotated[
    str,
    Query(
        max_length=MAX_QUERY_CHARS,
        description=(
            'Which dead letters: filters `NAME:VALUE` or `NAME:"a value"`, separated by spaces, which must all hold. '
            f"Names: {', '.join(f'`{name}`' for name in FILTERS)}. Without `state`, those that wait: open and scheduled."
        ),
        examples=["kind:RECOVERABLE older:2h key:契約"],
        json_schema_extra={"format": QUERY_FORMAT},
    ),
]  # fmt: skip
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The maximum number of results.", examples=[20])]
Offset = Annotated[
    int, Query(ge=0, le=MAX_OFFSET, description="Skip this many first; where there are many, a cursor is faster.")
]


async def only_known(request: Request) -> None:
    """A misspelt filter must not select everything. Raises AskedWronglyError for a parameter that is unknown, or given twice.

    A list may be given several times.
    """
    taken = cast("APIRoute", request.scope["route"]).dependant.query_params
    known = [one.alias for one in taken]
    several = {one.alias for one in taken if get_origin(one.field_info.annotation) is list}
    given: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            right = (
                f"a parameter that this path has: {', '.join(known)}"
                if known
                else "absent: this path has no parameters"
            )
            raise AskedWronglyError(name[:MAX_SHOWN_CHARS], value[:MAX_SHOWN_CHARS], right)
        if name in given - several:
            raise AskedWronglyError(name, value[:MAX_SHOWN_CHARS], "given once")
        given.add(name)


def selected(q: str, **more: str | None) -> Selection:
    """The selection of a query, narrowed by further fields of it. Raises AskedWronglyError, also where one is given twice."""
    for name, value in {"q": q, **more}.items():
        if value is not None and "\0" in value:
            raise AskedWronglyError(name, value[:MAX_SHOWN_CHARS], "without a NUL character, which nothing has")
    selection = parse_query(q)
    wanted: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    for name, value in wanted.items():
        if getattr(selection, name) is not None:
            raise AskedWronglyError(name, value[:MAX_SHOWN_CHARS], "given once, here or in q")
    return replace(selection, **wanted)


def found(ledger: Ledger, any_id: str) -> Row:
    """The row of a dead letter. Raises HTTPException 404."""
    row = None if "\0" in any_id else ledger.get(any_id)
    if row is None:
        raise not_found("there is no dead letter with this id; one that ended is forgotten after a time")
    return row


def link_next(request: Request, response: Response, **changed: object) -> None:
    """Say in `Link` (RFC 8288) where the next page is: the same request, with these parameters changed; None removes one."""
    wanted = dict(request.query_params) | changed
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'


LINK = {
    "Link": {"description": 'the next page, `rel="next"` (RFC 8288), if there is one.', "schema": {"type": "string"}}
}
"""How a route describes that header."""

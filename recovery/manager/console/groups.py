"""The screens of groups: the largest causes, and one of them with what can be done about it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from recovery.ledger.groups import GroupOrder, GroupSort
from recovery.manager.console.filters import FilterBox, Typed, chosen
from recovery.manager.console.groups_view import (
    MAX_PAGE,
    clock_of,
    entry,
    found_groups,
    group_view,
    groups_view,
    parameters_of,
    path_of,
)
from recovery.manager.console.rendering import page as rendered
from recovery.manager.known_groups import NO_FINGERPRINT, moment_of
from recovery.manager.web.parameters import Direction
from recovery.manager.web.principal import Reader
from recovery.manager.web.service import TheService
from worker.core.base.classify import FailureKind

MAX_NAME_CHARS = 4_000
"""Of a fingerprint or an error type in an address; longer ones are in no failure record."""
router = APIRouter()


@router.get("/groups")
def list_groups(
    principal: Reader, request: Request, service: TheService, q: Typed = "",
    sort: GroupSort = GroupSort.COUNT, order: Direction = Direction.DESCENDING,
    number: Annotated[int, Query(alias="page", ge=1, le=MAX_PAGE)] = 1,
) -> Response:  # fmt: skip
    """The groups of a query, the largest first unless another order is asked for."""
    wanted = GroupOrder(sort, order is Direction.DESCENDING)
    box = FilterBox("/console/groups", q, parameters_of(wanted))
    selection = chosen(box, q)
    if isinstance(selection, FilterBox):
        return rendered(request, "filter_wrong.html", principal, {"box": selection}, status=400)
    return rendered(request, "groups.html", principal, {"view": groups_view(service, box, selection, number, wanted)})


@router.get("/groups/{fingerprint:path}")
def show_group(
    principal: Reader, request: Request, service: TheService, fingerprint: Annotated[str, Path(max_length=MAX_NAME_CHARS)],
    named: Annotated[str, Query(alias="fingerprint", max_length=MAX_NAME_CHARS)] = "",
    error_type: Annotated[str | None, Query(max_length=MAX_NAME_CHARS)] = None, kind: FailureKind | None = None,
    as_of: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:  # fmt: skip
    """One group as of a moment, which its address has: loading the page again says what has joined since."""
    name = named or ("" if fingerprint == NO_FINGERPRINT else fingerprint)
    now_ms = clock_of(service)
    found = found_groups(service, name, error_type, kind)
    if len(found) > 1:
        return rendered(request, "groups_choice.html", principal, {"entries": [entry(one, now_ms) for one in found]})
    if as_of is None:
        return RedirectResponse(path_of(found[0].group, moment_of(found[0].group.last_seen_ms, now_ms)), 303)
    view = group_view(service, principal, found[0], as_of)
    return rendered(request, "group.html", principal, {"view": view})

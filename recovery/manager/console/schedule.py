"""`/console/schedule`: what will be sent again by itself, when and why; and what keeps it from being sent."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from recovery.ledger.selection import FILTERS
from recovery.manager.console.filters import FilterBox, Typed, chosen
from recovery.manager.console.rendering import page
from recovery.manager.console.schedule_view import ScheduleView, schedule_view, whole
from recovery.manager.web.messages import MAX_CURSOR_CHARS
from recovery.manager.web.principal import Reader
from recovery.manager.web.service import TheService

NAMES = tuple(name for name in FILTERS if name != "state")
"""Of filters: everything here is scheduled."""
router = APIRouter()


@router.get("/schedule")
def show_schedule(
    principal: Reader, request: Request, service: TheService, q: Typed = "",
    after: Annotated[str | None, Query(max_length=MAX_CURSOR_CHARS)] = None,
) -> HTMLResponse:  # fmt: skip
    """What will be retried, the soonest first."""
    box = FilterBox("/console/schedule", q, names=NAMES)
    selection = chosen(box, whole(q))
    if isinstance(selection, FilterBox):
        return page(request, "filter_wrong.html", principal, {"box": selection}, status=400)
    view = schedule_view(service, q, selection, after=after)
    return page(
        request, "schedule.html", principal,
        {"view": view, "box": box, "next_href": _next(view), "is_first": after is None},
    )  # fmt: skip


def _next(view: ScheduleView) -> str | None:
    if view.next is None:
        return None
    query = {"q": view.query, "after": view.next} if view.query else {"after": view.next}
    return f"/console/schedule?{urlencode(query)}"

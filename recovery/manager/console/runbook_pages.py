"""`/console/runbook`: what to do about an alert, section by section."""

import time

from fastapi import APIRouter, Request, Response

from recovery.manager.console.reader import reader_of
from recovery.manager.console.rendering import page
from recovery.manager.console.runbook import INTRODUCTION, runbook
from recovery.manager.web.principal import Principal, Reader
from recovery.manager.web.problems import not_found

router = APIRouter()


@router.get("/runbook")
def get_runbook(request: Request, principal: Reader) -> Response:
    """Its beginning, and all sections."""
    return _page(request, principal, INTRODUCTION)


@router.get("/runbook/{section}")
def get_section(request: Request, principal: Reader, section: str) -> Response:
    """One section. Raises HTTPException 404."""
    return _page(request, principal, section)


def _page(request: Request, principal: Principal, name: str) -> Response:
    sections = runbook(reader_of(request, time.time_ns() // 1_000_000).language)
    if name not in sections:
        raise not_found("the runbook has no section of this name")
    return page(request, "runbook.html", principal, {"section": sections[name], "sections": list(sections.values())})

"""The application of the console, which the manager's mounts at /console."""

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from recovery.manager.console import (
    assets,
    audit,
    groups,
    message,
    messages,
    operations,
    overview,
    plans,
    runbook_pages,
    schedule,
    search,
    settings,
    why_not,
)
from recovery.manager.console.errors import add_handlers
from recovery.manager.web.parameters import only_known
from recovery.manager.web.service import Service

_PAGES = (
    overview, schedule, audit, settings, runbook_pages, assets, groups, messages, why_not, search, message, plans, operations,
)  # fmt: skip
COMPRESSED_BYTES = 1_000
"""Answers from this size on are compressed: a page is read on a phone, too."""


def make_console(service: Service) -> FastAPI:
    """The application of a service. Its errors are pages."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )  # fmt: skip
    app.state.service = service
    for one in _PAGES:
        app.include_router(one.router, dependencies=[Depends(only_known)])
    add_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES)
    return app

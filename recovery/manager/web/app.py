"""The application: its routes, what they answer to errors, and the guard around them."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from recovery.manager.console.app import make_console
from recovery.manager.console.rendering import warm_up
from recovery.manager.web import (
    alias_messages,
    alias_replay,
    alias_stats,
    audit,
    auth_routes,
    copies,
    export,
    fleet,
    health,
    messages,
    notifications,
    openapi,
    operations,
    overview,
    plans,
    present,
    said,
    schedule,
    search,
    settings,
)
from recovery.manager.web.guard import CONSOLE, Guard
from recovery.manager.web.parameters import only_known
from recovery.manager.web.principal import Anyone
from recovery.manager.web.problems import add_handlers
from recovery.manager.web.service import Health, Service, Status
from recovery.manager.web.watching import Watch
from worker import __version__

__all__ = ["Health", "Service", "Status", "make_app"]

_ROUTES = (
    present, copies, messages, said, overview, audit, settings, schedule, notifications, plans, operations, export, fleet,
    search, alias_messages, alias_replay, alias_stats,
)  # fmt: skip
THREADS = 12
"""Requests that read ledger or objects at the same time; fewer than the ledger's connections, which intake needs too."""


def make_app(service: Service) -> FastAPI:
    """The application of a service."""
    app = FastAPI(
        title=openapi.TITLE,
        version=__version__,
        openapi_url=None,  # health.py has a route of it, which is counted as any other
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    app.state.watch = Watch(service.ledger)
    for one in _ROUTES:
        app.include_router(one.router, dependencies=[Depends(only_known)])
    app.include_router(health.router)  # probes and scrapers may add parameters of their own
    app.include_router(auth_routes.make_router(service.sign_in))
    for path in ("/", CONSOLE.rstrip("/")):
        app.add_api_route(path, _to_the_console, include_in_schema=False)
    app.mount(CONSOLE.rstrip("/"), make_console(service))
    add_handlers(app)
    app.add_middleware(Guard, allowed_hosts=service.allowed_hosts, sign_in=service.sign_in)
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    return app


async def _to_the_console(_anyone: Anyone) -> RedirectResponse:
    return RedirectResponse(CONSOLE, 303)


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    yield


def _operation_id(route: APIRoute) -> str:
    return route.name

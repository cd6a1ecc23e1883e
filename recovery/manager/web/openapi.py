"""The description of the API (OpenAPI 3.1), which `/openapi.json` serves and docs/reference/api.md is made from."""

from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from recovery.manager.web.message_models import EXAMPLE, EXAMPLE_WITH_ARRIVALS
from recovery.manager.web.principal import Needs, Role
from recovery.manager.web.problems import Problem

TITLE = "dlq-manager"
DESCRIPTION = (
    "The dead letters of s3-index-worker: what failed, why, when and how often, and what to do with them. "
    "Paths under `/api/v1` are stable; those of tag `aliases` are the paths and fields that such tools have had. "
    "Errors are problem details (RFC 9457); times are UTC."
)
TAGS = [
    {"name": "messages", "description": "The dead letters."},
    {
        "name": "operations",
        "description": "What is done with many dead letters: planned, then carried out. And the fleet.",
    },
    {"name": "overview", "description": "Groups and figures."},
    {"name": "search", "description": "The files themselves, where SEARCH_PAGE is on."},
    {"name": "audit", "description": "Who acted, and who viewed."},
    {"name": "notifications", "description": "What was said about failures, and to whom."},
    {"name": "aliases", "description": "Paths and fields that such tools have had, for programs that use them."},
    {"name": "service", "description": "The manager itself."},
]
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
"""What FastAPI says of wrong parameters, which we answer with a problem."""


_NEEDS = {
    None: "Open to everybody.",
    Role.READER: "Needs the role reader, operator or admin.",
    Role.OPERATOR: "Needs the role operator or admin.",
    Role.ADMIN: "Needs the role admin.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=TITLE, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS,
            openapi_version=app.openapi_version,
        )  # fmt: skip
        roles = _roles(app)
        for path in made["paths"].values():
            for operation in path.values():
                operation["description"] += f"\n\n{roles[operation['operationId']]}"
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    operation["responses"].pop("422")
                for parameter in operation.get("parameters", []):
                    _without_null(parameter["schema"])
        schemas = made["components"]["schemas"]
        for name in _OF_FASTAPI:
            schemas.pop(name, None)
        schemas["Message"]["examples"] = [EXAMPLE]  # FastAPI leaves out what is null in those of a model
        schemas["MessageWithArrivals"]["examples"] = [EXAMPLE_WITH_ARRIVALS]
        schemas["Problem"] = Problem.model_json_schema()
        app.openapi_schema = made
    return app.openapi_schema


def _roles(app: FastAPI) -> dict[str, str]:
    """Who may ask each route, in a sentence, by the name of its operation."""
    found: dict[str, str] = {}
    for route in iter_route_contexts(app.routes):
        dependencies = getattr(route.original_route, "dependant", Dependant()).dependencies
        needed = next((one.call.role for one in dependencies if isinstance(one.call, Needs)), None)
        found[route.name or ""] = _NEEDS[needed]
    return found


def _without_null(schema: dict[str, Any]) -> None:
    """A parameter may be absent, but a query has no null."""
    for option in schema.pop("anyOf", []):
        if option.get("type") != "null":
            schema.update(option)

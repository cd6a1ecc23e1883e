"""`/console/settings`: what is set and where, what is wrong with it, and which tokens there are. Nothing is changed here."""

from fastapi import APIRouter, Request, Response

from recovery.manager.console.rendering import page
from recovery.manager.web.principal import Operator
from recovery.manager.web.service import TheService

router = APIRouter()
MAX_TOKENS = 100
"""That are shown, those that are valid first: they are never deleted, and a page has at most 100 KB."""


@router.get("/settings")
def get_settings(request: Request, principal: Operator, service: TheService) -> Response:
    """The settings of the manager that answers; for operators, as in the API."""
    facts = service.settings.read()
    tokens = sorted(facts.tokens, key=lambda one: not one.is_valid(facts.at_ms))
    return page(
        request, "settings.html", principal,
        {
            "facts": facts,
            "tokens": tokens[:MAX_TOKENS],
            "tokens_left_out": len(tokens[MAX_TOKENS:]),
            "changed": [one for one in facts.settings if one.differs],
            "own": [one for one in facts.settings if not one.differs and not one.is_shared],
            "shared": [one for one in facts.settings if not one.differs and one.is_shared],
        },
    )  # fmt: skip

"""`/console/settings`: what is set and where, what is wrong with it, and which tokens there are. Nothing is changed here."""

from fastapi import APIRouter, Request, Response

from recovery.manager.console.rendering import page
from recovery.manager.web.principal import Operator
from recovery.manager.web.service import TheService

router = APIRouter()


@router.get("/settings")
def get_settings(request: Request, principal: Operator, service: TheService) -> Response:
    """The settings of the manager that answers; for operators, as in the API."""
    facts = service.settings.read()
    return page(
        request, "settings.html", principal,
        {
            "facts": facts,
            "changed": [one for one in facts.settings if one.differs],
            "own": [one for one in facts.settings if not one.differs and not one.is_shared],
            "shared": [one for one in facts.settings if not one.differs and one.is_shared],
        },
    )  # fmt: skip

"""`/console/static/`: style and scripts; and the choice of a language."""

import mimetypes

from fastapi import APIRouter, HTTPException
from fastapi.responses import RedirectResponse, Response

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.console.forms import SmallForm, single
from recovery.manager.console.languages import Language
from recovery.manager.console.reader import LANGUAGE_COOKIE
from recovery.manager.console.rendering import ASSETS, VERSION
from recovery.manager.web.auth_routes import own_path
from recovery.manager.web.principal import Anyone

YEAR_S = 365 * 86_400
router = APIRouter()


@router.get("/static/{version}/{name}")
async def get_asset(_anyone: Anyone, version: str, name: str) -> Response:  # noqa: ARG001 (part of the address alone)
    """A part of the pages, which browsers keep: its address has its version."""
    if name not in ASSETS:
        raise HTTPException(404, "there is no such file")
    headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable", "ETag": f'"{VERSION}"'}
    return Response(ASSETS[name], media_type=mimetypes.guess_type(name)[0], headers=headers)


@router.post("/preferences")
async def choose(_anyone: Anyone, form: SmallForm) -> Response:
    """Keep a language in the browser, and go back. The time zone is kept there by the script of the pages, which knows it."""
    fields = single(form)
    response = RedirectResponse(own_path(fields.get("next", "")), 303)
    if (language := fields.get("language")) is not None:
        if language not in set(Language):
            raise AskedWronglyError("language", language, f"one of {', '.join(Language)}")
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, path="/", httponly=False, samesite="lax")
    return response

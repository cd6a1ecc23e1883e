"""What somebody who is not signed in is answered when they open a page: the way in, or what keeps them out."""

from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from recovery.manager.console.rendering import render
from recovery.manager.web.sign_in import Mode, SignIn


def answer_visitor(request: Request, error: HTTPException) -> Response:
    """The answer to a request of nobody (401): to sign in, where a page was opened that can be opened again afterwards."""
    sign_in: SignIn = request.app.state.service.sign_in
    opens_page = request.method == "GET" and request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    if opens_page and sign_in.mode in {Mode.OIDC, Mode.TOKEN}:
        return RedirectResponse(f"/auth/login?next={quote(_address(request), safe='')}", 303)
    return render(
        request, "visitor.html", status=error.status_code, headers=error.headers, mode=sign_in.mode.value,
        headers_of_proxy=(sign_in.proxy.user_header, sign_in.proxy.role_header) if sign_in.proxy else None,
        is_change=request.method != "GET",
    )  # fmt: skip


def _address(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path

"""The pages of signing in and out, in the form of the console's."""

from fastapi import Request, Response

from recovery.manager.console.rendering import page


def token_page(request: Request, path: str, wrong: str = "", status: int = 200) -> Response:
    """Asks for a token, and goes on to a path of this server. `wrong`: `unknown`, or `not kept` by the browser."""
    return page(request, "sign_in.html", None, {"next": path, "wrong": wrong}, status=status)


def gone_on(request: Request, path: str) -> Response:
    """Goes on by itself. A redirect would still count as one from the provider's site, which the guard refuses."""
    return page(request, "signed_in.html", None, {"next": path})


def signed_out(request: Request) -> Response:
    """Says that the session has ended."""
    return page(request, "signed_out.html", None)

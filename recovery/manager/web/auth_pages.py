"""The pages of signing in and out."""

import html

from fastapi.responses import HTMLResponse

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
}


def token_page(path: str, wrong: str = "", status: int = 200) -> HTMLResponse:
    """Asks for a token, and goes on to a path of this server. `wrong`: what was wrong with the last one."""
    said = f'<p role="alert">{html.escape(wrong)}</p>' if wrong else ""
    to = html.escape(path, quote=True)
    return _page(
        "Sign in",
        f'{said}<form method="post" action="/auth/login"><input type="hidden" name="next" value="{to}">'
        '<label for="token">Token</label> <input id="token" name="token" type="password" required autofocus '
        'autocomplete="current-password" spellcheck="false"> <button>Sign in</button></form>'
        "<p>An admin makes one with <code>sudo dlq-manager token create --role operator --name NAME</code>.</p>",
        status,
    )


def gone_on(path: str) -> HTMLResponse:
    """Goes on by itself. A redirect would still count as one from the provider's site, which the guard refuses."""
    to = html.escape(path, quote=True)
    refresh = f'<meta http-equiv="refresh" content="0;url={to}">'
    return _page("Signed in", f'<p>Signed in. <a href="{to}">Go on</a></p>', head=refresh)


def signed_out() -> HTMLResponse:
    """Says that the session has ended."""
    return _page("Signed out", '<p>Nobody is signed in with this browser. <a href="/auth/login">Sign in</a></p>')


def _page(title: str, body: str, status: int = 200, *, head: str = "") -> HTMLResponse:
    made = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}</head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(made, status, _HEADERS)

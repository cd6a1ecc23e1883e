"""Makes pages of templates: everything from outside is escaped, and the browser is told to run and load nothing but ours."""

import functools
import hashlib
import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from fastapi.responses import HTMLResponse
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.requests import Request

from recovery.manager.console.addresses import message_path
from recovery.manager.console.isolation import bidi, parted, short
from recovery.manager.console.languages import Language, translations
from recovery.manager.console.later import AHEAD_S
from recovery.manager.console.reader import exercise, reader_of
from recovery.manager.console.saying import said, sentence
from recovery.manager.known_groups import fingerprint_path
from recovery.manager.roles import Principal, Role
from recovery.manager.web.guard import CONSOLE
from recovery.manager.web.service import Service
from recovery.manager.web.sign_in import Mode
from recovery.operations.dead_letters.desk import MAX_NOTE_CHARS, MAX_OWNER_CHARS, MAX_REASON_CHARS

_HERE = Path(__file__).parent
ASSETS = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir())}
"""By name; they are part of the program."""
VERSION = hashlib.sha256(b"".join(ASSETS.values())).hexdigest()[:12]
"""Of all assets: their addresses change with it, so that browsers may keep them."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",  # a form must say where it comes from
}
_TAKES_FORMS = re.compile(r"(/console/(?:plans|operations)/[^/]+)/.+|/console/(?:plans|preferences|fleet/.*)")
"""Paths that answer forms alone, with that of what the form is about."""


class _Compiled(BytecodeCache):
    """What templates were compiled to, which is the same for every language."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template what it was compiled to before, if it was."""
        if (code := self._code.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what a template was compiled to."""
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


@functools.cache
def _environment(language: Language) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"], auto_reload=False, bytecode_cache=_COMPILED,
    )  # fmt: skip
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters["bidi"] = bidi
    made.filters["short"] = short
    made.filters["parted"] = parted
    made.filters["said"] = partial(said, language)
    made.filters["sentence"] = partial(sentence, language)
    made.filters["message_path"] = message_path
    made.filters["fingerprint_path"] = fingerprint_path
    made.globals |= {
        "max_reason": MAX_REASON_CHARS, "max_note": MAX_NOTE_CHARS, "max_owner": MAX_OWNER_CHARS, "ahead_s": AHEAD_S,
    }  # fmt: skip
    return made


def warm_up() -> None:
    """Load the templates, texts and formats of every language, so that the first page does not take a second to make."""
    for language in Language:
        environment = _environment(language)
        for name in environment.list_templates():
            environment.get_template(name)
        exercise(language)


def page(
    request: Request,
    template: str,
    principal: Principal | None,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HTMLResponse:
    """A page of the console, from a template that has `reader`, `principal`, `may_act` and what is in `context`."""
    service: Service = request.app.state.service
    reader = reader_of(request, time.time_ns() // 1_000_000)
    given = {
        "reader": reader,
        "principal": principal,
        "may_act": principal is not None and principal.role.includes(Role.OPERATOR),
        "is_admin": principal is not None and principal.role.includes(Role.ADMIN),
        "can_sign_out": principal is not None and service.sign_in.mode in {Mode.OIDC, Mode.TOKEN},
        "languages": list(Language),
        "search_page": service.searching is not None,
        "version": VERSION,
        "here": here(request),
        "path": request.url.path,
        **(context or {}),
    }
    html = _environment(reader.language).get_template(template).render(given)
    return HTMLResponse(html, status, {**HEADERS, "Content-Language": reader.language.value})


def here(request: Request) -> str:
    """Path and query of this page, to come back to: as they were sent, for a name in them may have any characters.

    What a form was answered with has no address of its own: then they are those of the page with the form.
    """
    if request.method != "GET":
        return _form_page(request)
    path = request.scope["raw_path"].decode("ascii")
    query = request.scope["query_string"].decode("ascii")
    return f"{path}?{query}" if query else path


def _form_page(request: Request) -> str:
    """Where a form was sent from, which our referrer policy lets browsers say; else the first page.

    Where that had answered a form itself, it is the page of what this was about.
    """
    try:
        came_from = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return CONSOLE
    if came_from.netloc != request.headers.get("host") or not came_from.path.startswith(CONSOLE):
        return CONSOLE
    if found := _TAKES_FORMS.fullmatch(came_from.path):
        return found[1] or CONSOLE
    return urlunsplit(("", "", came_from.path, came_from.query, ""))

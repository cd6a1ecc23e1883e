"""`/console/search`: what the index finds, for people who ask where their file is; and `/console/open`, which downloads a file."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from recovery.manager.console.rendering import page
from recovery.manager.searching import PAGE, Found, NotOpenedError, Searching, Why
from recovery.manager.web.principal import Reader
from recovery.manager.web.search import the_search
from recovery.manager.web.service import TheService
from worker.core.base.errors import IndexUnavailableError
from worker.core.index import MAX_HITS, Hit
from worker.core.index.facets import filters_in, narrowed
from worker.core.index.highlight import pieces
from worker.core.index.mistakes import mistakes
from worker.core.index.query import MAX_CHARS

MAX_KEY_CHARS = 1_024
_STATUS = {Why.NOT_INDEXED: 404, Why.GONE: 404, Why.DENIED: 409, Why.ARCHIVED: 409}
_FROM_OUR_PAGES = frozenset({None, "same-origin", "none"})
"""Sec-Fetch-Site of a link of ours, and of an address that somebody types; None: a browser that does not say it."""
router = APIRouter()
QueryText = Annotated[str, Query(max_length=MAX_CHARS)]


@router.get("/search")
def show_search(
    principal: Reader, request: Request, service: TheService, q: QueryText = "",
    offset: Annotated[int, Query(ge=0, le=MAX_HITS)] = 0,
) -> HTMLResponse:  # fmt: skip
    """A box for a query, and one page of what it finds."""
    searching = the_search(service)
    asked = bool(q.strip())
    wrong = mistakes(q) if asked else []
    found, unavailable = None, ""
    if asked and not wrong:
        try:
            found = searching.search(q, offset=offset)
        except IndexUnavailableError as error:
            unavailable = str(error)
    context = {
        "q": q, "wrong": wrong, "unavailable": unavailable, "found": found, "filters": filters_in(q) if found else [],
        "hits": _hits(found, searching), "facets": _facets(q, found), "pages": _pages(q, found), "search_href": search_href,
    }  # fmt: skip
    return page(request, "search.html", principal, context, status=503 if unavailable else 400 if wrong else 200)


@router.get("/open")
def open_file(
    principal: Reader, request: Request, service: TheService,
    bucket: Annotated[str, Query(max_length=100)], key: Annotated[str, Query(max_length=MAX_KEY_CHARS)],
) -> Response:  # fmt: skip
    """Lead the browser to S3, which sends the file to be saved. Whoever comes from another site is asked first.

    A link and no form, because the content security policy would not let a form lead to S3; each opening stands in the audit.
    """
    searching = the_search(service)
    context = {"bucket": bucket, "key": key, "href": f"/console/open?{urlencode({'bucket': bucket, 'key': key})}"}
    if request.headers.get("sec-fetch-site") not in _FROM_OUR_PAGES or "sec-purpose" in request.headers:
        return page(request, "open.html", principal, {**context, "why": None})
    try:
        return RedirectResponse(searching.open(bucket, key, by=principal.name), 303)
    except NotOpenedError as error:
        return page(request, "open.html", principal, {**context, "why": error.why.name}, status=_STATUS[error.why])


def search_href(query: str, offset: int = 0) -> str:
    """The address of a page of hits."""
    return f"/console/search?{urlencode({'q': query, **({'offset': offset} if offset else {})})}"


def _hits(found: Found | None, searching: Searching) -> list[dict[str, object]]:
    """What is shown of each hit: passages in pieces, each with whether it is a match."""
    return [] if found is None else [_hit(hit, searching.bucket_of(hit.bucket)) for hit in found.result.hits]


def _hit(hit: Hit, bucket: str) -> dict[str, object]:
    folder, _, name = hit.key.rpartition("/")
    return {
        "bucket": bucket, "key": hit.key, "folder": folder, "name": name or hit.key, "size": hit.size_bytes,
        "modified_ms": int(hit.modified.timestamp() * 1000) if hit.modified else None,
        "passages": [pieces(one) for one in hit.highlights],
        "href": f"/console/open?{urlencode({'bucket': bucket, 'key': hit.key})}",
    }  # fmt: skip


def _facets(query: str, found: Found | None) -> list[tuple[str, list[tuple[str, int, str]]]]:
    """Each facet that has several values, with the address of the hits of each."""
    if found is None or found.facets is None:
        return []
    counted = {"extensions": found.facets.extensions, "buckets": found.facets.buckets, "years": found.facets.years}
    return [
        (name, [(value, count, search_href(narrowed(query, name, value))) for value, count in values.items()])
        for name, values in counted.items()
        if len(values) > 1
    ]


def _pages(query: str, found: Found | None) -> dict[str, str | None]:
    """Where the pages before and after are."""
    if found is None:
        return {"before": None, "after": None}
    before = search_href(query, max(0, found.offset - PAGE)) if found.offset else None
    return {"before": before, "after": None if found.next is None else search_href(query, found.next)}

"""`Why not?`: where a file is that is not found, in one sentence."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.console.reader import Reader as Person
from recovery.manager.console.reader import reader_of
from recovery.manager.console.rendering import page
from recovery.manager.console.search import search_href
from recovery.manager.typed_names import Form, readings, where_typed
from recovery.manager.web.moments import moment
from recovery.manager.web.present import where_is
from recovery.manager.web.principal import Reader
from recovery.manager.web.service import TheService
from recovery.manager.where_said import Standing, Voice, sentence, standing

router = APIRouter()
MAX_CHARS = 4_096
"""Of what is typed; what is too long for a key is said by whoever looks for it."""
Typed = Annotated[str, Query(max_length=MAX_CHARS)]


@router.get("/why-not")
def why_not(request: Request, service: TheService, principal: Reader, bucket: Typed = "", key: Typed = "") -> Response:
    """The form, and below it the answer, if a key was given."""
    given: dict[str, Any] = {
        "bucket": bucket or service.sources.settings.s3_bucket or "", "key": key, "where": None, "wrong": None,
    }  # fmt: skip
    if not key.strip():
        return page(request, "why_not.html", principal, given)
    meant, form = readings(key, given["bucket"]), Form.EXACT
    try:
        if meant:
            found, form = where_typed(service.sources, service.ledger, meant)
        else:
            found = where_is(service, bucket or None, key)  # which says what is wrong with it
    except AskedWronglyError as error:
        return page(request, "why_not.html", principal, {**given, "wrong": str(error)}, status=400)
    rows = service.sources.rows
    archived = [(one.dead_letter.id, rows.text(one.dead_letter, one.reason), one.by) for one in found.archived]
    voice = _voice(reader_of(request, time.time_ns() // 1_000_000))
    said = sentence(found, rows, voice)
    others = [one for one in meant if (one.bucket, one.key) != (found.bucket, found.key)]
    nowhere = standing(found) is Standing.NOWHERE
    answered = {
        "where": found, "sentence": said, "archived": archived, "form": form.value, "others": others if nowhere else [],
        "similar": _of_this_name(found.key) if nowhere and service.searching is not None else "",
    }  # fmt: skip
    return page(request, "why_not.html", principal, {**given, **answered})


def _of_this_name(key: str) -> str:
    """The address of the search for the last part of a key, in whatever folder it is."""
    name = key.rstrip("/").rpartition("/")[2].replace('"', " ").strip()
    return search_href(f'"{name}"') if name else ""


def _voice(person: Person) -> Voice:
    """How the sentence is said to whoever asks: times in their zone, as plain text."""
    return Voice(
        person.text, lambda at_ms: str(person.time(at_ms).striptags()) if moment(at_ms) else "?", person.number
    )

"""Make an `Extracted` from a text and a file's properties: scrub the text, cut and count it, convert dates to ISO 8601."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from worker.core.base.reasons import Reason
from worker.core.base.text import scrub
from worker.core.extract import Extracted, Status

MAX_PROPERTY_CHARS = 1000
"""A longer title or author is cut at this length."""
_PDF_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([Z+-])(\d\d)?'?(\d\d)?'?)?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Properties:
    """What a file says about itself, unchanged."""

    title: str | None = None
    author: str | None = None
    created: str | None = None
    language: str | None = None


NOTHING_SAID = Properties()


def found(
    mime_type: str,
    text: str,
    *,
    max_chars: int,
    said: Properties = NOTHING_SAID,
    char_count: int | None = None,
    clean: bool = False,
    missed: Sequence[str] = (),
) -> Extracted:
    """The result for a file that was read: `ok`, `empty` if it contains no text, or `partial` if it has `missed` parts.

    If `text` is only the beginning, `char_count` gives the length of the whole text. `clean` text is not scrubbed.
    """
    count = len(text) if char_count is None else char_count
    content = text if len(text) <= max_chars else text[:max_chars]
    if not clean:
        content = scrub(content)
    status: Status = "partial" if missed else "ok" if text and not text.isspace() else "empty"
    if said is NOTHING_SAID and not missed:
        return Extracted(status, mime_type, content, count, count > max_chars)
    return Extracted(
        status,
        mime_type,
        content,
        count,
        count > max_chars,
        _sentence("; ".join(missed)) or None,
        title=_short(said.title),
        author=_short(said.author),
        created=iso(said.created),
        language=said.language if said.language and _LANGUAGE.fullmatch(said.language) else None,
    )


def failed(status: Status, mime_type: str, sentence: str, reason: Reason) -> Extracted:
    """The result for a file that could not be read, with the reason."""
    return Extracted(status, mime_type, error=_sentence(sentence), reason=reason)


def _sentence(text: str) -> str:
    return scrub(" ".join(text.split()))[:500]


def _short(value: str | None) -> str | None:
    return scrub(value).strip()[:MAX_PROPERTY_CHARS] or None if value else None


def iso(value: str | None) -> str | None:
    """Convert a document's date (ISO 8601, RFC 5322 or PDF's own format) to ISO 8601; None if it has another format."""
    if not value:
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime, _pdf_date):
        try:
            moment = read(value.strip()).isoformat()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        return moment.removesuffix("T00:00:00") if len(value.strip()) == 10 else moment
    return None


def _pdf_date(value: str) -> datetime:
    match = _PDF_DATE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    year, month, day, hour, minute, second, sign, off_hour, off_minute = match.groups()
    zone = f"{sign}{off_hour or '00'}:{off_minute or '00'}" if sign in {"+", "-"} else "+00:00" if sign else ""
    date = f"{year}-{month or '01'}-{day or '01'}"
    return datetime.fromisoformat(f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}")

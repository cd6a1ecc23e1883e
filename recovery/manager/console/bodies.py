"""Bodies as people read them: JSON with an indent, its numbers and names exactly as they are written; and what is wrapped in them.

What is wrapped: JSON in a text of JSON, as SNS does it, and texts in Base64, compressed by gzip or not. Nothing is shown by it that
the body does not show already: where REDACT_FIELDS hides something, what is no JSON has been left out before.
"""

import binascii
import html
import json
import zlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass

from worker.core.base.text import escaped_json

MAX_SHOWN_CHARS = 40_000
"""Of a body, or of one attribute, on a page; the API has the rest."""
BODY_BYTES = 24_000
"""What a body may weigh over the wire, compressed as pages are: JSON of so many characters weighs less, as a rule."""
STACK_BYTES, ATTRIBUTES_BYTES, WRAPPED_BYTES = 8_000, 12_000, 12_000
"""The same of a stack, of all attributes together, and of all that is wrapped: a page has at most 100 KB."""
_WEIGHED_CHARS = 2_000
MAX_DEPTH = 100
INDENT = "  "
MIN_BASE64_CHARS = 16
"""Of fewer, an ordinary word could be meant."""
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Shown:
    """A text on a page."""

    text: str
    left_out: int = 0
    """Characters that are not shown."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A text within a body."""

    name: str
    """The field that has it; empty where it is the whole body."""
    how: tuple[str, ...]
    """How it was written there, the outermost first: `JSON`, or `Base64`, perhaps with `gzip`."""
    text: Shown


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it is written."""

    text: str


class _Pairs(list[tuple[str, object]]):
    """An object with all its names, also those that occur twice."""


def shown(text: str, most_bytes: int = BODY_BYTES) -> Shown:
    """A body for a page: indented where it is JSON, cut where it is long, or weighs more than this."""
    found = pretty(text) if len(text) <= MAX_SHOWN_CHARS else text
    kept = found[: fitting(found, most_bytes)]
    return Shown(kept, len(found) - len(kept))


def fitting(text: str, most_bytes: int) -> int:
    """How many characters of a text, MAX_SHOWN_CHARS at most, weigh no more than this once they are compressed."""
    packer, weight, length = zlib.compressobj(), 0, min(len(text), MAX_SHOWN_CHARS)
    for at in range(0, length, _WEIGHED_CHARS):
        part = html.escape(text[at : at + _WEIGHED_CHARS]).encode("utf-8", "surrogatepass")
        weight += len(packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH))
        if weight > most_bytes:
            return at
    return length


def wrapped(text: str) -> tuple[Wrapped, ...]:
    """What is wrapped in a body, as far as that can be read; of an object, in its own fields alone."""
    if len(text) > MAX_SHOWN_CHARS:
        return ()
    if (found := _of_base64(text)) is not None:
        return (found,)
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else {}
    except (ValueError, RecursionError):
        return ()
    texts = {name: value for name, value in document.items() if isinstance(value, str) and pretty(value) != value}
    return tuple(Wrapped(name, ("JSON",), shown(value, WRAPPED_BYTES // len(texts))) for name, value in texts.items())


def _of_base64(text: str) -> Wrapped | None:
    """The text that a body is in Base64; None if it is none. At most MAX_SHOWN_CHARS bytes of it are unpacked."""
    try:
        found = b64decode(text.strip(), validate=True)
        if found.startswith(_GZIP):
            unpacked = zlib.decompressobj(wbits=31).decompress(found, MAX_SHOWN_CHARS)
            return Wrapped("", ("Base64", "gzip"), shown(unpacked.decode(errors="ignore"), WRAPPED_BYTES))
        written = found.decode()
    except (binascii.Error, zlib.error, ValueError):
        return None
    is_text = len(text) >= MIN_BASE64_CHARS and "\0" not in written
    return Wrapped("", ("Base64",), shown(written, WRAPPED_BYTES)) if is_text else None


def pretty(text: str) -> str:
    """JSON with an indent; anything else, and what is nested too deeply, as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        document = json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_Pairs
        )
        return "".join(_written(document, 0))
    except (ValueError, RecursionError):
        return text


def _written(value: object, depth: int) -> Iterator[str]:
    """Raises RecursionError where it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, _Number):
        yield value.text
    elif isinstance(value, _Pairs):
        yield from _several("{}", [(f"{_text(name)}: ", one) for name, one in value], depth)
    elif isinstance(value, list):
        yield from _several("[]", [("", one) for one in value], depth)
    else:
        yield _text(value)


def _several(brackets: str, items: list[tuple[str, object]], depth: int) -> Iterator[str]:
    if not items:
        yield brackets
        return
    yield brackets[0]
    for place, (name, value) in enumerate(items):
        yield f"{',' if place else ''}\n{INDENT * (depth + 1)}{name}"
        yield from _written(value, depth + 1)
    yield f"\n{INDENT * depth}{brackets[1]}"


def _text(value: object) -> str:
    """With escapes for what would act on the page's own text, such as marks of direction."""
    return escaped_json(json.dumps(value, ensure_ascii=False))

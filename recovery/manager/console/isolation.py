"""Texts of others within our own: isolated, so that whatever their direction, they do not reorder what stands around them."""

import re

from markupsafe import Markup

from worker.core.base.text import escaped

SHORT_BYTES = 200
"""Of a text in a cell of a table, in UTF-8: 50 rows of several have to fit into a page of 100 KB."""
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])")


def bidi(value: object) -> Markup:
    r"""A text of others, isolated: whatever its direction, it does not reorder what stands around it (HTML, `bdi`).

    Characters that control directions or devices are named, such as `\\u202e`: Chromium lets an isolate that is opened in a `bdi`
    and not closed go on after its end.
    """
    text = "" if value is None else str(value)
    return Markup("<bdi>") + _ACTIVE.sub(lambda found: escaped(found[0]), text) + Markup("</bdi>")


def short(value: object, most: int = SHORT_BYTES) -> Markup:
    """The beginning of a text of others, isolated, for a cell of a table. `most`: bytes, of which wide characters have more."""
    text = "" if value is None else str(value)
    raw = text[: most + 1].encode("utf-8", "surrogatepass")
    return bidi(text if len(raw) <= most else raw[:most].decode("utf-8", "ignore").rstrip() + "…")


def parted(value: object, most: int = SHORT_BYTES) -> Markup:
    """The name of a type of error, as `short`; a narrow column breaks it where a word of it begins."""
    return Markup(_HUMP.sub("<wbr>", short(value, most)))  # noqa: S704 (it is markup already)

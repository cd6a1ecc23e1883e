"""Texts of others within our own: isolated, so that whatever their direction, they do not reorder what stands around them."""

import re

from markupsafe import Markup

from worker.core.base.text import escaped

_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def bidi(value: object) -> Markup:
    r"""A text of others, isolated: whatever its direction, it does not reorder what stands around it (HTML, `bdi`).

    Characters that control directions or devices are named, such as `\\u202e`: Chromium lets an isolate that is opened in a `bdi`
    and not closed go on after its end.
    """
    text = "" if value is None else str(value)
    return Markup("<bdi>{}</bdi>").format(_ACTIVE.sub(lambda found: escaped(found[0]), text))

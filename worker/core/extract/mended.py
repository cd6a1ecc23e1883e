"""Mend what makes XML invalid and is found in practice: bare ampersands and control characters.

In its mode for broken XML, libxml2 drops every later reference to a character (`&amp;`), without a word.
"""

import re

_BARE = re.compile(rb"&(?!(?:[A-Za-z_][\w.-]{0,63}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});)")
_FORBIDDEN = bytes(set(range(32)) - set(b"\t\n\r"))
_UNTOUCHABLE = (b"<![CDATA[", b"<!ENTITY")
"""With these, an ampersand may be in its place."""


def mended(xml: bytes) -> bytes:
    """The same XML, if it is in an encoding that contains ASCII, with ampersands escaped and control characters dropped."""
    if b"\0" in xml[:4] or xml[:2] in {b"\xff\xfe", b"\xfe\xff"} or any(mark in xml for mark in _UNTOUCHABLE):
        return xml
    return _BARE.sub(b"&amp;", xml.translate(None, _FORBIDDEN))

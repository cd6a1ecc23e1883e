r"""Make vCards (RFC 6350, and vCard 2.1) and calendars (RFC 5545) readable: join folded lines, undo escapes and encodings.

Long lines are folded anywhere, also inside words; `\n` is a line end; vCard 2.1 writes Japanese as quoted-printable.
"""

import quopri
import re

from worker.core.extract.decode import decode

TYPES = frozenset({"text/calendar", "text/vcard", "text/x-vcard", "text/directory"})
_FOLD = re.compile(r"\n[ \t]")
_FOLD_IN_BYTES = re.compile(rb"(?<![=\r])\r?\n[ \t]")
_ESCAPE = re.compile(r"\\([nN,;:\\])")
_QUOTED = re.compile(
    r"^([^:\n]{0,200};(?:ENCODING=)?QUOTED-PRINTABLE(?:;[^:\n]{0,200})?:)((?:[^\n]*=\n)*[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_CHARSET = re.compile(r"CHARSET=([\w-]{2,40})", re.IGNORECASE)
_DATA = re.compile(
    r"^[^:\n]{0,200};(?:(?:ENCODING=)?(?:BASE64|B)|VALUE=BINARY)\b[^:\n]{0,200}:[A-Za-z0-9+/=\s]*?$(?!\n[ \t])"
    r"|^[\w.-]{1,40}[^:\n]{0,200}:data:[^,\n]{0,200};base64,[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)


def unfolded(data: bytes) -> bytes:
    """The data without folds: some programs fold inside a character. Folds in quoted-printable are left."""
    return _FOLD_IN_BYTES.sub(b"", data)


def readable(text: str) -> str:
    """The text of a vCard or a calendar as people read it, without pictures and sounds."""
    text = text.replace("\r\n", "\n")
    text = _QUOTED.sub(_plain, text)
    text = _FOLD.sub("", text)
    text = _DATA.sub("", text)
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] in "nN" else escape[1], text) if "\\" in text else text


def _plain(line: re.Match[str]) -> str:
    raw = quopri.decodestring(re.sub(r"=\n[ \t]?", "", line[2]).encode("utf-8", "replace"))
    charset = _CHARSET.search(line[1])
    decoded = decode(raw, charset[1] if charset else None)
    return line[1] + (decoded.text.replace("\r\n", "\n").replace("\n", "\n ") if decoded else line[2])

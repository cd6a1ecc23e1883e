"""Documents in RTF. Bytes of Asian code pages are rewritten as Unicode escapes first."""

import re

from worker.core.extract import by_xberg
from worker.core.extract.faults import CorruptError
from worker.core.extract.reading import Reading

_CODE_PAGE = re.compile(rb"\\ansicpg(932|936|949|950)\b")
_UNICODE_OR_BYTES = re.compile(rb"(\\u-?\d+ ?)?((?:\\'[0-9a-fA-F]{2})+)([^\\{}\r\n]?)")
_FILLERS = b"\0\r\n\t \x1a"


def read(body: bytes, reading: Reading) -> None:
    """Read the document."""
    by_xberg.read(readable_rtf(body), "application/rtf", reading)


def readable_rtf(body: bytes) -> bytes:
    """The file with its multi-byte characters rewritten as Unicode escapes. Raises CorruptError if it is truncated."""
    if not body.rstrip(_FILLERS).endswith(b"}"):
        raise CorruptError("the RTF file is truncated: its last brace is missing")
    page = _CODE_PAGE.search(body, 0, 4096)
    if page is None:
        return body
    encoding = "cp" + page[1].decode("ascii")
    return _UNICODE_OR_BYTES.sub(lambda match: _as_unicode(match, encoding), body)


def _as_unicode(match: re.Match[bytes], encoding: str) -> bytes:
    raw, rest = bytes.fromhex(match[2].replace(b"\\'", b"").decode("ascii")), match[3]
    before = b""
    if match[1]:  # a Unicode character; the first bytes repeat it for old readers
        before = b"{\\uc1" + match[1].rstrip() + b"?}"
        raw = raw[1:] if _text_or_none(raw[:1], encoding) else raw[2:]
    text = _text_or_none(raw, encoding)
    if text is None:  # a second byte below 0x80 may be written without an escape
        text, rest = (raw + rest).decode(encoding, "replace"), b""
    units = text.encode("utf-16-le")
    numbers = (int.from_bytes(units[i : i + 2], "little", signed=True) for i in range(0, len(units), 2))
    escaped = b"".join(b"\\u%d?" % number for number in numbers)
    return before + (b"{\\uc1" + escaped + b"}" if escaped else b"") + rest


def _text_or_none(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None

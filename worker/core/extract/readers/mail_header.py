"""Headers of mail as people read them: encoded words (RFC 2047), raw bytes in any encoding, file names (RFC 2231)."""

from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from worker.core.extract.decode import decode

MAX_HEADER_CHARS = 100_000
"""A longer header is cut: lists of recipients reach some thousand characters, hostile ones any number."""
_BROKEN = (HeaderParseError, ValueError, LookupError, AttributeError, TypeError, IndexError)
"""What Python's parser raises for broken headers."""


def header(mail: Message, name: str) -> str:
    """The decoded header on one line; empty if there is none."""
    found = next((value for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    return decoded(str(found)[:MAX_HEADER_CHARS])


def file_name(part: Message) -> str:
    """The name of an attachment; empty if it has none."""
    for key, value in part.raw_items():
        if key.lower() in {"content-disposition", "content-type"} and not str(value).isascii():
            part.replace_header(key, _without_surrogates(str(value)))
    try:
        return decoded(part.get_filename() or "")
    except _BROKEN:
        return ""


def decoded(value: str) -> str:
    """The value on one line, with bytes above ASCII (as lone surrogates) and encoded words decoded."""
    value = _without_surrogates(value.replace("\r", "").replace("\n", ""))
    if "=?" in value:
        with suppress(*_BROKEN):
            value = "".join(_word(part, charset) for part, charset in decode_header(value))
    return " ".join(value.split())


def _without_surrogates(value: str) -> str:
    if value.isascii() and "\x1b" not in value:
        return value
    try:
        raw = value.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    found = decode(raw)
    return found.text if found else value.encode("utf-8", "replace").decode()


def _word(part: bytes | str, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    if charset is None or charset == "unknown-8bit":
        part = part.decode("raw_unicode_escape").encode("utf-8", "replace")  # how `decode_header` encodes plain parts
    found = decode(part, charset)
    return found.text if found else ""

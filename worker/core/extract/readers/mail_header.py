"""Headers of mail as people read them: encoded words (RFC 2047), raw bytes in any encoding, file names (RFC 2231)."""

from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from itertools import islice

from worker.core.extract.charsets import WESTERN, codec_of
from worker.core.extract.decode import decode

MAX_HEADER_CHARS = 100_000
"""A longer header is cut: lists of recipients reach some thousand characters, hostile ones any number."""
_MAX_PARTS_ASKED = 100
"""Number of parts among which one is sought that declares a charset."""
_BROKEN = (HeaderParseError, ValueError, LookupError, AttributeError, TypeError, IndexError)
"""What Python's parser raises for broken headers."""


def charset_of(part: Message) -> str | None:
    """The charset that the Content-Type of a part declares; None if there is none."""
    try:
        return part.get_content_charset()
    except (ValueError, LookupError, TypeError):
        return None


def charset_of_headers(mail: Message) -> str | None:
    """The charset that raw headers are likely in: that of the message or of its first text part; None if unknown."""
    parts = (part for part in islice(mail.walk(), _MAX_PARTS_ASKED) if part.get_content_maintype() == "text")
    return charset_of(mail) or next((charset for part in parts if (charset := charset_of(part))), None)


def header(mail: Message, name: str, charset: str | None = None) -> str:
    """The decoded header on one line; empty if there is none. `charset` is what raw bytes in it are likely in."""
    found = next((value for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    return decoded(str(found)[:MAX_HEADER_CHARS], charset)


def file_name(part: Message, charset: str | None = None) -> str:
    """The name of an attachment; empty if it has none. `charset` is what raw bytes in it are likely in."""
    charset = charset or charset_of(part)
    for key, value in part.raw_items():
        if key.lower() in {"content-disposition", "content-type"} and not str(value).isascii():
            part.replace_header(key, _without_surrogates(str(value), charset))
    try:
        return decoded(part.get_filename() or "", charset)
    except _BROKEN:
        return ""


def decoded(value: str, charset: str | None = None) -> str:
    """The value on one line, with bytes above ASCII (as lone surrogates) and encoded words decoded."""
    value = _without_surrogates(value.replace("\r", "").replace("\n", ""), charset)
    if "=?" in value:
        with suppress(*_BROKEN):
            value = "".join(_word(part, named) for part, named in decode_header(value))
    return " ".join(value.split())


def _without_surrogates(value: str, charset: str | None) -> str:
    if value.isascii() and "\x1b" not in value:
        return value
    try:
        raw = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that do not stand for bytes
        return value.encode("utf-8", "replace").decode()
    found = decode(raw, charset)
    return found.text if found else raw.decode((charset and codec_of(charset)) or WESTERN, "replace")


def _word(part: bytes | str, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    if charset is None or charset == "unknown-8bit":
        part = part.decode("raw_unicode_escape").encode("utf-8", "replace")  # how `decode_header` encodes plain parts
    found = decode(part, charset)
    return found.text if found else ""

"""Extract the text of an e-mail (.eml) with Python's parser."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import Message

from worker.core.extract.decode import decode
from worker.core.extract.markup import html_text
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

_SHOWN = ("Subject", "From", "To", "Cc", "Date")


def read(body: bytes, reading: Reading) -> None:
    """Read the message."""
    text, reading.said = mail_text(body)
    reading.add(text)


def mail_text(body: bytes) -> tuple[str, Properties]:
    """The headers that people search for, the text parts, and the names of the attachments, which are not opened."""
    mail = message_from_bytes(body, policy=policy.default)
    headers = {name: _header(mail, name) for name in _SHOWN}
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    texts = [text for part in _shown_parts(mail) if (text := _part_text(part).strip())]
    names = [name for part in mail.walk() if (name := _file_name(part))]
    attachments = ["Attachments: " + ", ".join(names)] if names else []
    whole = "\n\n".join(["\n".join(lines), *texts, *attachments]).strip()
    return whole, Properties(headers["Subject"] or None, headers["From"] or None, headers["Date"] or None)


def _header(mail: Message, name: str) -> str:
    """A decoded header. Python's parser fails on some broken headers; these count as absent."""
    try:
        return " ".join(str(mail.get(name, "")).split())
    except (ValueError, LookupError, AttributeError, TypeError, IndexError):
        return ""


def _file_name(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except (ValueError, LookupError, AttributeError, TypeError, IndexError):
        return ""


def _shown_parts(mail: Message) -> Iterator[Message]:
    """The parts that a mail program shows. Of a multipart/alternative, this is the plain text, if there is one."""
    hidden: set[int] = set()
    for part in mail.walk():
        if part.get_content_type() == "multipart/alternative":
            kinds = {id(child): child.get_content_type() for child in _children(part)}
            if "text/plain" in kinds.values():
                hidden |= {child for child, kind in kinds.items() if kind == "text/html"}
        if part.get_content_maintype() == "text" and id(part) not in hidden and not _file_name(part):
            yield part


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _part_text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    decoded = decode(raw, part.get_content_charset())
    if decoded is None:
        return ""
    return html_text(decoded.text)[0] if part.get_content_subtype() == "html" else decoded.text

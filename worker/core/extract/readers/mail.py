"""Mail: single messages (.eml, .emlx), web archives (.mht, RFC 2557) and mailboxes (.mbox, RFC 4155).

What a mail program shows is read, and text files among the attachments; of the others, the names.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from itertools import chain, islice, zip_longest

from worker.core.extract.decode import decode
from worker.core.extract.joined import joined
from worker.core.extract.kinds import kind_of
from worker.core.extract.markup import declared_encoding, html_text
from worker.core.extract.plain import extract_text, readable
from worker.core.extract.readers.mail_header import charset_of, charset_of_headers, file_name, header
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

MAX_DEPTH = 30
"""Messages inside messages, and parts inside parts, are read up to this depth."""
MAX_PARTS = 10_000
MAX_MESSAGES = 50_000
"""Further messages of a mailbox are read as one."""
MAX_ATTACHMENT_BYTES = 4 * 1024**2
"""A larger text file among the attachments is found by its name only."""

_SHOWN = ("Subject", "From", "To", "Cc", "Bcc", "Reply-To", "Date")
_NOT_READ = frozenset({"text/css", "text/javascript", "text/x-amp-html"})
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news", "message/partial", "message/external-body"})
_ENCODED = frozenset({"base64", "quoted-printable"})
_NOT_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]{0,20}\r?\n)")
"""An equals sign that quoted-printable (RFC 2045, 6.7) does not allow: every true one is written as =3D."""
_HEAD_END = re.compile(rb"\n\r?\n")
_BEGIN = re.compile(rb"(?:\A|\n\r?\n)From [^\n]{0,300}\d\d:\d\d[^\n]{0,300}\n")
_EMLX = re.compile(rb"\s{0,20}(\d{1,10})\s{0,20}\r?\n")
_SOFT_BREAK = re.compile(r"(?<!--) \n[> ]{0,20}")
_SPLIT = re.compile(r"[\W_]+")
_MAX_COMPARED = 10**9
"""Number of comparisons of characters beyond which the HTML part is taken as it is."""


@dataclass(slots=True)
class _State:
    names: list[str] = field(default_factory=list)
    """The names of the attachments."""
    parts: int = 0
    charset: str | None = None
    """What raw headers of the message at hand are likely in."""


class _Mail(Message):
    """A message whose parser leaves messages in it as they are if they are encoded, so that they can be decoded.

    RFC 2046 (5.2.1) forbids to encode them, but some programs do.
    """

    def get_content_maintype(self) -> str:
        """The first half of the type; the parser takes what follows for headers if it is "message"."""
        kind = super().get_content_maintype()
        return "application" if kind == "message" and _is_encoded_message(self) else kind


def _is_encoded_message(part: Message) -> bool:
    return part.get_content_type() in _MESSAGES and _transfer_encoding(part) in _ENCODED


def _transfer_encoding(part: Message) -> str:
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower()


def read(body: bytes, reading: Reading) -> None:
    """Read the message, or each message of a mailbox."""
    messages = list(_messages(body))
    for number, raw in enumerate(messages, 1):
        with reading.part(f"message {number}"):
            said = _read_message(raw, reading)
            if len(messages) == 1:
                reading.said = said


def _messages(body: bytes) -> Iterator[bytes]:
    body = body.lstrip(b"\r\n\xef\xbb\xbf")
    if not body.startswith(b"From "):
        counted = _EMLX.match(body)
        yield body[counted.end() :][: int(counted[1])] if counted else body
        return
    lines = list(islice(_BEGIN.finditer(body), MAX_MESSAGES))
    if not lines:
        yield body.partition(b"\n")[2]
    for line, following in zip_longest(lines, lines[1:]):
        yield body[line.end() : following.start() if following else len(body)]


def _read_message(raw: bytes, reading: Reading) -> Properties:
    try:
        mail = message_from_bytes(raw, _Mail)
    except RecursionError:
        found = decode(raw)
        reading.add(found.text if found else "")
        reading.miss("the parts of the message are nested too deeply")
        return Properties()
    state = _State(charset=charset_of_headers(mail))
    for text in chain([_shown_headers(mail, state)], _texts(mail, state, 0)):
        reading.add(text + "\n")
    if state.names:
        reading.add("Attachments: " + ", ".join(state.names))
    return Properties(*(header(mail, name, state.charset) or None for name in ("Subject", "From", "Date")))


def _shown_headers(mail: Message, state: _State) -> str:
    return "\n".join(f"{name}: {value}" for name in _SHOWN if (value := header(mail, name, state.charset)))


def _texts_of_message(mail: Message, state: _State, depth: int) -> Iterator[str]:
    outer = state.charset
    state.charset = charset_of_headers(mail) or outer
    yield _shown_headers(mail, state)
    yield from _texts(mail, state, depth)
    state.charset = outer


def _texts_of_bytes(raw: bytes, state: _State, depth: int) -> Iterator[str]:
    """The texts of a message that had to be decoded first."""
    try:
        mail = message_from_bytes(raw, _Mail)
    except RecursionError:
        found = decode(raw)
        yield found.text if found else ""
        return
    yield from _texts_of_message(mail, state, depth)


def _texts(part: Message, state: _State, depth: int) -> Iterator[str]:
    """The texts of a part, and of the parts in it, in the order in which they are shown."""
    state.parts += 1
    if depth > MAX_DEPTH or state.parts > MAX_PARTS:
        return
    name, kind = file_name(part, state.charset), part.get_content_type()
    if name:
        state.names.append(name)
    children = _children(part)
    if kind == "multipart/alternative" and children:
        yield from _of_alternatives([list(_texts(child, state, depth + 1)) for child in children])
    elif _is_encoded_message(part) and not children:
        yield from _texts_of_bytes(_encoded_message(part), state, depth + 1)
    elif kind.startswith("message/") and kind not in _MESSAGES:
        yield "\n".join(f"{key}: {value}" for child in children for key, value in child.items())
        yield "\n".join(str(child.get_payload()) for child in children if not child.is_multipart())
    elif children:
        for child in children:
            inner = _texts_of_message if kind.startswith("message/") else _texts
            yield from inner(child, state, depth + 1)
    elif kind not in _NOT_READ:
        yield from _text_of(part, name, state, depth)


def _encoded_message(part: Message) -> bytes:
    """The message in a part, decoded unless its headers show that it is not encoded, whatever the part says."""
    is_quoted = _transfer_encoding(part) == "quoted-printable"
    found = part.get_payload(decode=True)
    part.replace_header("Content-Transfer-Encoding", "8bit")  # the only way to the bytes as they are
    raw = part.get_payload(decode=True)
    if not isinstance(found, bytes) or not isinstance(raw, bytes):
        return b""
    raw = raw.lstrip()
    end = _HEAD_END.search(raw)
    head = raw[: end.start()] if end else raw[:4096]
    is_plain = _NOT_QUOTED.search(head) is not None if is_quoted else b":" in head
    return raw if is_plain else found.lstrip()


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _of_alternatives(versions: Iterable[list[str]]) -> Iterator[str]:
    """The first version, and those lines of the others that it lacks: the plain text may only say that there is HTML."""
    known = ""
    for version in versions:
        whole = "\n".join(text for text in version if text)
        lines = whole.split("\n")
        if known and len(lines) * len(known) < _MAX_COMPARED:
            whole = "\n".join(line for line in lines if _squeezed(line) not in known)
        known += _squeezed(whole) + "\n"
        yield whole


def _squeezed(text: str) -> str:
    return _SPLIT.sub("", text).casefold()


def _text_of(part: Message, name: str, state: _State, depth: int) -> Iterator[str]:
    """The text of a part that is text; of an attachment, by its name and first bytes."""
    kind = part.get_content_type()
    is_text = (
        kind.startswith("text/") or part.get_content_maintype() == "multipart"
    )  # of the latter, no parts were found
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes) or not raw:
        return
    if is_text and not name:
        yield _shown(raw, kind, part)
    elif name and len(raw) <= MAX_ATTACHMENT_BYTES:
        yield from _of_attachment(raw, name, part, state, depth)


def _shown(raw: bytes, kind: str, part: Message) -> str:
    charset = charset_of(part)
    if kind == "text/html":
        found = decode(raw, charset or declared_encoding(raw))
        return html_text(found.text)[0] if found else ""
    found = decode(raw, charset)
    if found is None:
        return ""
    text = found.text.replace("\r\n", "\n")
    if str(part.get_param("format", "")).lower() == "flowed":  # RFC 3676
        text = _SOFT_BREAK.sub("" if str(part.get_param("delsp", "")).lower() == "yes" else " ", text)
    return readable(joined(text), kind).strip("\n")


def _of_attachment(raw: bytes, name: str, part: Message, state: _State, depth: int) -> Iterator[str]:
    charset = charset_of(part)
    kind = kind_of(raw[:4096], name, part.get_content_type() + (f"; charset={charset}" if charset else ""))
    if kind.route in {"text", "html", "xml"}:
        yield extract_text(raw, kind, len(raw)).content
    elif kind.route == "mail" and depth < MAX_DEPTH:
        yield from _texts_of_bytes(raw, state, depth + 1)

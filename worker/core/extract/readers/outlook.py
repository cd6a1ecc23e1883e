"""Messages that Outlook has stored ([MS-OXMSG]): mails, appointments, contacts, and so on."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from worker.core.extract.decode import decode
from worker.core.extract.markup import declared_encoding, html_text
from worker.core.extract.readers import code_pages, embedded, rtf
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.rtf_compressed import decompressed
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

MAX_DEPTH = 8
"""Messages in messages are read to this depth."""
MAX_PARTS = 5000
"""Further recipients and attachments are not read."""
MAX_BODY_CHARS = 10_000_000
MAX_COMPARED = 500_000_000
"""If the lines of two forms of a body, multiplied, are more than this, both are added without being compared."""
_TEXT, _WIDE, _BINARY, _MANY_WIDE = 0x1E, 0x1F, 0x102, 0x101F
_LONG, _TIME = 0x03, 0x40
_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_FROM, _FROM_ADDRESS, _FROM_SMTP, _BEHALF, _BEHALF_ADDRESS = 0x0C1A, 0x0C1F, 0x5D01, 0x0042, 0x0065
_LISTS = (("To", 0x0E04), ("Cc", 0x0E03), ("Bcc", 0x0E02))
_SUBMITTED, _DELIVERED, _CREATED = 0x0039, 0x0E06, 0x3007
_INTERNET_PAGE, _MESSAGE_PAGE, _LOCALE = 0x3FDE, 0x3FFD, 0x3FF1
_NAME, _ADDRESS, _SMTP = 0x3001, 0x3003, 0x39FE
_LONG_FILE_NAME, _FILE_NAME, _MIME_TYPE = 0x3707, 0x3704, 0x370E
_CONTACT = range(0x3A00, 0x3A60)
"""Names, addresses and telephone numbers of a contact."""
_NAMED = frozenset({0x8208, 0x8005, 0x801A, 0x801B, 0x801C, 0x8083, 0x8093, 0x80A3})
"""Location; file as; home, work and other address; three mail addresses ([MS-OXPROPS])."""
_KEYWORDS = "Keywords"
_EMBEDDED, _CONTENT = "__substg1.0_3701000D", 0x3701
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def read(file: Compound, reading: Reading) -> None:
    """Read the message, and those that are attached to it. Raises CorruptError."""
    message = _Message(file, "", 32)
    reading.said = Properties(message.text(_SUBJECT) or None, message.sender or None, message.date or None)
    message.read(reading, 1)


class _Storage:
    """A storage of properties: a message, a recipient or an attachment."""

    def __init__(self, file: Compound, path: str, header_bytes: int, pages: list[int]) -> None:
        self.file = file
        self.path = path
        self._pages = pages
        raw = file.stream(path + "__properties_version1.0")[header_bytes:]
        self._fixed = {tag: value for tag, _, value in struct.iter_unpack("<II8s", raw[: len(raw) // 16 * 16])}

    def text(self, number: int) -> str:
        """A property that is a text; empty if there is none."""
        wide = self._stream(number, _WIDE)
        if wide:
            return wide[: len(wide) & ~1].decode("utf-16-le", "replace").strip("\0")
        return _decoded(self._stream(number, _TEXT).rstrip(b"\0"), self._pages)

    def binary(self, number: int) -> bytes:
        """A property of bytes."""
        return self._stream(number, _BINARY)

    def number(self, number: int) -> int:
        """A property that is a number; 0 if there is none."""
        return int.from_bytes(self._fixed.get(number << 16 | _LONG, b"")[:4], "little")

    def moment(self, number: int) -> str:
        """A property that is a time, in ISO 8601."""
        ticks = int.from_bytes(self._fixed.get(number << 16 | _TIME, b""), "little")
        try:
            return (_EPOCH + timedelta(seconds=ticks // 10_000_000)).isoformat() if ticks else ""
        except OverflowError:
            return ""

    def several(self, number: int) -> Iterator[str]:
        """The texts of a property that has many."""
        prefix = f"{self.path}__substg1.0_{number:04X}{_MANY_WIDE:04X}"
        for place in range(min(len(self.file.stream(prefix)) // 4, MAX_PARTS)):
            yield self.file.stream(f"{prefix}-{place:08X}").decode("utf-16-le", "replace").strip("\0")

    def _stream(self, number: int, kind: int) -> bytes:
        return self.file.stream(f"{self.path}__substg1.0_{number:04X}{kind:04X}")


class _Message(_Storage):
    """A message: the file itself, or one that is attached."""

    def __init__(self, file: Compound, path: str, header_bytes: int) -> None:
        super().__init__(file, path, header_bytes, [])
        self._internet_page = self.number(_INTERNET_PAGE)
        pages = (self.number(_MESSAGE_PAGE), self._internet_page, code_pages.page_of(self.number(_LOCALE)))
        stated = [page for page in pages if page not in {0, code_pages.UTF_16, code_pages.WESTERN}]
        self._pages = [*stated, code_pages.WESTERN]

    @property
    def sender(self) -> str:
        """Name and address."""
        address = self.text(_FROM_SMTP) or self.text(_FROM_ADDRESS) or self.text(_BEHALF_ADDRESS)
        return _mailbox(self.text(_FROM) or self.text(_BEHALF), address)

    @property
    def date(self) -> str:
        """When it was sent, or else made."""
        return self.moment(_SUBMITTED) or self.moment(_DELIVERED) or self.moment(_CREATED)

    def read(self, reading: Reading, depth: int) -> None:
        """Add the texts. Raises CorruptError."""
        with reading.part("headers"):
            for text in self._headers():
                reading.add(text)
        with reading.part("body"):
            self._read_body(reading)
        with reading.part("properties"):
            for number in (*_CONTACT, *_named(self.file)):
                reading.add(self.text(number))
                reading.add(", ".join(self.several(number)))
        for path in self._parts("__attach_version1.0_"):
            with reading.part("attachments"):
                self._read_attachment(path, reading, depth)

    def _headers(self) -> Iterator[str]:
        lines = [("Subject", self.text(_SUBJECT)), ("From", self.sender)]
        lines += [(name, self.text(number)) for name, number in _LISTS]
        lines.append(("Date", self.date))
        yield from (f"{name}: {value}" for name, value in lines if value)
        recipients = [_Storage(self.file, path, 8, self._pages) for path in self._parts("__recip_version1.0_")]
        addresses = [_address(recipient.text(_SMTP) or recipient.text(_ADDRESS)) for recipient in recipients]
        shown = " ".join(value for _, value in lines)
        yield "; ".join(name for recipient in recipients if (name := recipient.text(_NAME)) and name not in shown)
        yield "; ".join(filter(None, addresses))

    def _read_body(self, reading: Reading) -> None:
        """Add the plain text, and what another form of it says otherwise: plain text has addresses inside its sentences."""
        plain = self.text(_BODY).replace("\r\n", "\n")
        reading.add(plain)
        lines = self._formatted(plain).split("\n")
        known = _squeezed(plain)
        is_long = len(lines) * len(known) > MAX_COMPARED
        for line in lines:
            if is_long or _squeezed(line) not in known:
                reading.add(line)

    def _formatted(self, plain: str) -> str:
        raw = self.binary(_HTML) or self._stream(_HTML, _TEXT)
        if raw:
            found = decode(raw, declared_encoding(raw) or code_pages.codec_of(self._internet_page))
            return html_text(found.text)[0] if found is not None else ""
        if wide := self._stream(_HTML, _WIDE):
            return html_text(wide.decode("utf-16-le", "replace"))[0]
        packed = self.binary(_RTF)
        if not packed or (plain.strip() and "<" not in plain):
            return ""
        inner = Reading(MAX_BODY_CHARS)
        rtf.read(decompressed(packed), inner)
        return inner.text

    def _read_attachment(self, path: str, reading: Reading, depth: int) -> None:
        part = _Storage(self.file, path, 8, self._pages)
        name = part.text(_LONG_FILE_NAME) or part.text(_FILE_NAME) or part.text(_NAME)
        reading.add(f"Attachments: {name}" if name else "")
        storage = path + _EMBEDDED
        if storage + "/__properties_version1.0" in self.file:
            if depth < MAX_DEPTH:
                _Message(self.file, f"{storage}/", 24).read(reading, depth + 1)
        elif storage in self.file:
            embedded.read_object(self.file, storage, name, reading)
        elif part.text(_MIME_TYPE) == "multipart/signed":  # the message itself is in it
            embedded.read(part.binary(_CONTENT), "signed.eml", reading)
        else:
            embedded.read(part.binary(_CONTENT), name, reading)

    def _parts(self, prefix: str) -> list[str]:
        names = [name for name in self.file.children(self.path.rstrip("/")) if name.startswith(prefix)]
        return [f"{self.path}{name}/" for name in names[:MAX_PARTS]]


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _mailbox(name: str, address: str) -> str:
    address = _address(address)
    return f"{name} <{address}>" if name and address and name != address else name or address


def _address(text: str) -> str:
    """An address, unless it is one of those that only an Exchange server knows."""
    return "" if text.startswith("/") else text


def _decoded(raw: bytes, pages: list[int]) -> str:
    """The text in the first of the code pages in which it is valid: what a message states is not always true of it."""
    for page in pages[:-1]:
        with suppress(UnicodeError, LookupError):
            return raw.decode(code_pages.codec_of(page) or "")
    return code_pages.decoded(raw, pages[-1])


def _named(file: Compound) -> list[int]:
    """The numbers of the properties that are known by a name only ([MS-OXMSG] 2.2.3): place, addresses, categories."""
    entries = file.stream("__nameid_version1.0/__substg1.0_00030102")
    names = file.stream("__nameid_version1.0/__substg1.0_00040102")
    found = []
    for key, kind, place in struct.iter_unpack("<IHH", entries[: len(entries) // 8 * 8]):
        if kind & 1:
            size = int.from_bytes(names[key : key + 4], "little")
            is_shown = size == 2 * len(_KEYWORDS) and names[key + 4 : key + 4 + size].decode("utf-16-le") == _KEYWORDS
        else:
            is_shown = key in _NAMED
        if is_shown:
            found.append(0x8000 + place)
    return found[:MAX_PARTS]

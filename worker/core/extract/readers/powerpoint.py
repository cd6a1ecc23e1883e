"""PowerPoint presentations before 2007 ([MS-PPT])."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers import code_pages, embedded, encryption, office_art
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

MAX_RECORDS = 2_000_000
MAX_DEPTH = 64
_HEADER = struct.Struct("<HHI")
_HEADER_BYTES = 8
_CONTAINER = 0xF
_DOCUMENT, _SLIDE, _NOTES, _MASTER, _HANDOUT = 0x3E8, 0x3EE, 0x3F0, 0x3F8, 0xFC9
_DOCUMENT_ATOM, _SLIDE_PERSIST, _LIST_WITH_TEXT = 0x3E9, 0x3F3, 0xFF0
_OBJECT = 0x1011
"""ExOleObjStg: a document that is embedded in a slide."""
_USER_EDIT, _PERSIST_DIRECTORY, _CRYPT_SESSION = 0xFF5, 0x1772, 0x2F14
_TEXT_CHARS, _TEXT_BYTES, _STRING = 0xFA0, 0xFA8, 0xFBA
_SHAPE, _SHAPE_OPTIONS, _SHAPE_DATA = 0xF004, 0xF00B, 0xF011
_HEADERS_FOOTERS, _HYPERLINK, _NAMED_SHOW, _COMMENT, _TAG_DATA = 0xFD9, 0xFD7, 0x411, 0x2EE0, 0x138B
_SHOWN_STRINGS = {_HEADERS_FOOTERS: {0, 1, 2}, _HYPERLINK: {0, 1}, _NAMED_SHOW: {0}, _COMMENT: {0, 1}, _SLIDE: {3}}
"""The strings that people see, by the record that they are in and their numbers: headers, links, comments, slides' names."""
_UNREAD = frozenset({0x3F2, 0x40B, 0x7D0, 0x7E4, _SHAPE_DATA, _LIST_WITH_TEXT})
"""Containers without text: environment, drawings' group, information, sounds, shapes' data; lists of slides are read before."""
_PLACEHOLDER = b"\xc3\x0b\x08\0\0\0"
"""Header of a PlaceholderAtom, which marks the shapes of a master that only say what is to be written where."""
_WITH_TEXT = frozenset({_TEXT_CHARS, _TEXT_BYTES, _STRING, _SHAPE_OPTIONS})
_OLD_TEXT = "Text_Content"
"""The stream in which PowerPoint 95 keeps the text of all slides."""
_SLIDES, _MASTERS, _NOTES_PAGES = 0, 1, 2
"""Instances of the lists of slides."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its kind, its instance, and where its content is."""

    kind: int
    instance: int
    start: int
    end: int


@dataclass(slots=True)
class _Contents:
    """What the document container lists: its slides, masters and notes by the numbers under which they are stored."""

    lists: dict[int, list[int]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    masters: list[int] = field(default_factory=list)


def read(file: Compound, reading: Reading) -> None:
    """Read the presentation: the text of the slides, then notes, masters, and so on. Raises CorruptError, EncryptedError."""
    reading.said = file.properties()
    stream = file.stream("PP97_DUALSTORAGE/PowerPoint Document") or file.stream("PowerPoint Document")
    if "PP97_DUALSTORAGE" not in file and _OLD_TEXT in file:
        text = code_pages.decoded(file.stream(_OLD_TEXT), file.code_page())
        _add(reading, [text.replace("\n", "\r")])
    else:
        with reading.part("slides"):
            user = file.stream("PP97_DUALSTORAGE/Current User") or file.stream("Current User")
            Presentation(stream, user).read(reading)
    for text in file.property_texts():
        reading.add(text)


class Presentation:
    """The stream of a presentation: records, of which those that the last user edit refers to are the presentation."""

    def __init__(self, stream: bytes, user: bytes) -> None:
        """Find the objects that are in use. Raises EncryptedError."""
        self._stream = stream
        self._live, self._root, session = self._objects(int.from_bytes(user[16:20], "little"))
        self._read: set[int] = set()
        self._seen: set[str] = set()
        if session is not None:
            self._decrypt(session)

    def read(self, reading: Reading) -> None:
        """Add the texts. Where the user edits are broken, all objects are read, those of earlier edits too."""
        document = self._record(self._live.get(self._root, -1))
        if document is None or document.kind != _DOCUMENT or not self._read_document(document, reading):
            self._read_all(reading)
        self._read_objects(reading)

    def _read_document(self, document: Record, reading: Reading) -> bool:
        """Add the texts of what the document lists; false if some of it is not there."""
        contents = self._contents(document)
        _add(reading, contents.texts)
        listed = [*contents.lists.get(_SLIDES, []), *contents.lists.get(_NOTES_PAGES, [])]
        absent = [number for number in listed if not self._object(number, reading)]
        self._add_texts(document, reading)
        for number in [*contents.lists.get(_MASTERS, []), *contents.masters]:
            self._object(number, reading)
        return not absent

    def _read_objects(self, reading: Reading) -> None:
        """Add the texts of the documents that are embedded in slides."""
        for place in list(self._live.values())[: embedded.MAX_OBJECTS]:
            record = self._record(place)
            if record is not None and record.kind == _OBJECT:
                raw = self._stream[record.start : record.end]
                embedded.read_file(raw, reading, compressed=record.instance == 1)

    def _objects(self, at: int) -> tuple[dict[int, int], int, int | None]:
        """Where the objects are by their numbers, the number of the document, and that of the encryption's session.

        Each user edit leads to the one before it; the later one counts.
        """
        live: dict[int, int] = {}
        root, session, visited = 0, None, set[int]()
        while at not in visited and (edit := self._record(at)) is not None and edit.kind == _USER_EDIT:
            visited.add(at)
            values = self._stream[edit.start : edit.end]
            if len(values) < 20:
                break
            at, directory, number = struct.unpack_from("<3I", values, 8)
            if len(visited) == 1:
                root = number
                session = struct.unpack_from("<I", values, 28)[0] if len(values) >= 32 else None
            found = self._record(directory)
            if found is not None and found.kind == _PERSIST_DIRECTORY:
                for number, place in self._entries(found):
                    live.setdefault(number, place)
            if not at:
                break
        return live, root, session

    def _entries(self, directory: Record) -> Iterator[tuple[int, int]]:
        at = directory.start
        while at + 4 <= directory.end:
            head = struct.unpack_from("<I", self._stream, at)[0]
            count = min(head >> 20, (directory.end - at - 4) // 4)
            yield from enumerate(struct.unpack_from(f"<{count}I", self._stream, at + 4), start=head & 0xFFFFF)
            at += 4 + 4 * max(count, 0)

    def _decrypt(self, session: int) -> None:
        """Decrypt each object, which has a key of its own ([MS-PPT] 2.3.7). Raises EncryptedError."""
        record = self._record(self._live.pop(session, -1))
        info = self._stream[record.start : record.end] if record is not None else b""
        key = encryption.rc4_key(info, encryption.POWERPOINT)
        plain, room = bytearray(self._stream), 2 * len(self._stream)
        for number, place in self._live.items():
            head = key.decrypt(self._stream[place : place + _HEADER_BYTES], _HEADER_BYTES, number)
            size = _HEADER_BYTES + int.from_bytes(head[4:8], "little")
            data = self._stream[place : place + size]
            room -= len(data)
            if room < 0:
                raise CorruptError("the objects of the presentation overlap")
            if data:
                plain[place : place + len(data)] = key.decrypt(data, len(data), number)
        self._stream = bytes(plain)

    def _record(self, at: int) -> Record | None:
        if not 0 <= at <= len(self._stream) - _HEADER_BYTES:
            return None
        head, kind, size = _HEADER.unpack_from(self._stream, at)
        start = at + _HEADER_BYTES
        return Record(kind, head >> 4, start, min(start + size, len(self._stream)))

    def _children(self, start: int, end: int) -> Iterator[Record]:
        while start + _HEADER_BYTES <= end and (record := self._record(start)) is not None:
            yield record
            start = record.end

    def _contents(self, document: Record) -> _Contents:
        contents = _Contents()
        for child in self._children(document.start, document.end):
            if child.kind == _DOCUMENT_ATOM and child.end - child.start >= 32:
                contents.masters += struct.unpack_from("<2I", self._stream, child.start + 24)
            elif child.kind == _LIST_WITH_TEXT:
                numbers = contents.lists.setdefault(child.instance, [])
                for record in self._children(child.start, child.end):
                    if record.kind == _SLIDE_PERSIST and record.end - record.start >= 4:
                        numbers.append(struct.unpack_from("<I", self._stream, record.start)[0])
                    elif child.instance == _SLIDES and record.kind in {_TEXT_CHARS, _TEXT_BYTES}:
                        contents.texts.append(_decoded(record.kind, self._stream[record.start : record.end]))
        return contents

    def _object(self, number: int, reading: Reading) -> bool:
        """Add the texts of an object; false if there is none of this number."""
        record = self._record(self._live.get(number, -1))
        if record is None or record.kind not in {_SLIDE, _NOTES, _MASTER, _HANDOUT}:
            return False
        self._add_texts(record, reading)
        return True

    def _read_all(self, reading: Reading) -> None:
        for record in self._children(0, len(self._stream)):
            if record.kind == _DOCUMENT:
                _add(reading, self._contents(record).texts)
            if record.kind in {_DOCUMENT, _SLIDE, _NOTES, _MASTER, _HANDOUT}:
                self._add_texts(record, reading)

    def _add_texts(self, parent: Record, reading: Reading) -> None:
        if parent.start not in self._read:
            self._read.add(parent.start)
            _add(reading, self._texts(parent))

    def _texts(self, parent: Record) -> Iterator[str]:
        """The texts in a container, in the order in which they are stored."""
        is_master = parent.kind in {_MASTER, _HANDOUT}
        stream, pending = self._stream, [(parent.kind, parent.start, parent.end)]
        for _ in range(MAX_RECORDS):
            kind, at, end = pending.pop()
            if at + _HEADER_BYTES > end:
                if not pending:
                    return
                continue
            head, inner, size = _HEADER.unpack_from(stream, at)
            start, after = at + _HEADER_BYTES, at + _HEADER_BYTES + size
            pending.append((kind, after, end))
            if head & 0xF == _CONTAINER or inner == _TAG_DATA:
                is_hint = is_master and inner == _SHAPE and _PLACEHOLDER in stream[start:after]
                if inner not in _UNREAD and not is_hint and len(pending) < MAX_DEPTH:
                    pending.append((inner, start, min(after, end)))
            elif inner in _WITH_TEXT:
                yield from self._shown(Record(inner, head >> 4, start, min(after, end)), kind)

    def _shown(self, record: Record, parent: int) -> Iterator[str]:
        """The texts in a record that is no container, in a container of the kind `parent`."""
        raw = self._stream[record.start : record.end]
        if record.kind == _SHAPE_OPTIONS:
            yield from office_art.options(raw, record.instance)
        elif record.kind != _STRING:
            yield _decoded(record.kind, raw)
        elif record.instance in _SHOWN_STRINGS.get(parent, ()):
            text = raw.decode("utf-16-le", "replace").strip("\0")
            if text not in self._seen:  # footers, names of slides and of commenters recur
                self._seen.add(text)
                yield text


def _add(reading: Reading, texts: Iterable[str]) -> None:
    for text in texts:
        for paragraph in text.replace("\x0b", "\n").split("\r"):
            if paragraph.strip() != "*":  # where a number or a date is inserted
                reading.add(paragraph)


def _decoded(kind: int, raw: bytes) -> str:
    """Text in UTF-16, or only the low bytes of it."""
    return raw.decode("latin-1" if kind == _TEXT_BYTES else "utf-16-le", "replace")

"""What Office files say about themselves: title, author, and so on, in property sets ([MS-OLEPS], [MS-OSHARED] 2.3.3)."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worker.core.extract.readers.code_pages import UTF_16, WESTERN, decoded
from worker.core.extract.result import Properties

SUMMARY = "\x05SummaryInformation"
DOCUMENT_SUMMARY = "\x05DocumentSummaryInformation"
"""Names of the two streams."""
MAX_PROPERTIES = 1000
MAX_SETS = 2
_TITLE, _AUTHOR, _CREATED = 2, 4, 12
_SUMMARY_TEXTS = (2, 3, 4, 5, 6, 8)
"""Title, subject, author, keywords, comments, and who saved the document last."""
_DOCUMENT_TEXTS = (2, 14, 15, 26, 27)
"""Category, manager, company, type and status of the content."""
_LANGUAGE = 28
_DICTIONARY, _CODE_PAGE = 0, 1
_LPSTR, _LPWSTR, _BSTR, _FILETIME = 0x1E, 0x1F, 0x08, 0x40
_NUMBERS = {0x02: "<h", 0x03: "<i", 0x05: "<d", 0x12: "<H", 0x13: "<I", 0x14: "<q", 0x15: "<Q"}
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_FIRST_YEAR = 1970
"""An earlier date is a duration (the time spent on editing) or was never set."""

Values = dict[int, str]


def said(streams: tuple[bytes, bytes]) -> Properties:
    """Title, author, date of creation and language in the two streams; what is broken counts as not said."""
    summary, document = _first(streams[0]), _first(streams[1])
    return Properties(summary.get(_TITLE), summary.get(_AUTHOR), summary.get(_CREATED), document.get(_LANGUAGE))


def texts(streams: tuple[bytes, bytes]) -> list[str]:
    """The properties in which people search, one of them a line; those that users have defined with their names."""
    summary, document = _first(streams[0]), _first(streams[1])
    found = [summary.get(key, "") for key in _SUMMARY_TEXTS] + [document.get(key, "") for key in _DOCUMENT_TEXTS]
    found += [f"{name}: {value}" for name, value in _defined_by_users(streams[1])]
    return [text for text in dict.fromkeys(map(str.strip, found)) if text]


def code_page(stream: bytes) -> int:
    """The code page of a stream's texts; 1252 if it does not state one."""
    return next(_raw_sets(stream), (b"", {}, WESTERN))[2]


def _first(stream: bytes) -> Values:
    return next(_sets(stream), ({}, {}))[0]


def _defined_by_users(stream: bytes) -> list[tuple[str, str]]:
    values, names = next((entry for number, entry in enumerate(_sets(stream)) if number == 1), ({}, {}))
    named = ((names.get(key, ""), value) for key, value in values.items())
    return [(name, value) for name, value in named if name and not name.startswith("_")]


def _sets(stream: bytes) -> Iterator[tuple[Values, Values]]:
    """The values and the dictionary of each property set in a stream."""
    for raw, places, page in _raw_sets(stream):
        names = _dictionary(raw[places[_DICTIONARY] :], page) if _DICTIONARY in places else {}
        values = {}
        for key, place in places.items():
            if key not in {_DICTIONARY, _CODE_PAGE} and (value := _value(raw, place, page)):
                values[key] = value
        yield values, names


def _raw_sets(stream: bytes) -> Iterator[tuple[bytes, dict[int, int], int]]:
    """The bytes of each property set, the places of its properties in them, and its code page."""
    try:
        count = min(struct.unpack_from("<I", stream, 24)[0], MAX_SETS)
        starts = [struct.unpack_from("<I", stream, 44 + 20 * number)[0] for number in range(count)]
    except struct.error:
        return
    for start in starts:
        raw = stream[start:]
        if len(raw) >= 16:
            number = min(struct.unpack_from("<I", raw, 4)[0], MAX_PROPERTIES, (len(raw) - 8) // 8)
            places = dict(struct.iter_unpack("<II", raw[8 : 8 + 8 * number]))
            yield raw, places, _page(raw, places)
        else:
            yield b"", {}, WESTERN


def _page(raw: bytes, places: dict[int, int]) -> int:
    at = places.get(_CODE_PAGE, len(raw)) + 4
    return int.from_bytes(raw[at : at + 2], "little") or WESTERN


def _value(raw: bytes, place: int, page: int) -> str:
    """The value at a place, as text; empty if it is of a type in which nobody searches."""
    try:
        kind = struct.unpack_from("<H", raw, place)[0]
        if kind in {_LPSTR, _LPWSTR, _BSTR}:
            return _text(raw, place + 4, UTF_16 if kind == _LPWSTR else page, chars=kind == _LPWSTR)
        if kind == _FILETIME:
            return _moment(struct.unpack_from("<Q", raw, place + 4)[0])
        if kind in _NUMBERS:
            return f"{struct.unpack_from(_NUMBERS[kind], raw, place + 4)[0]:.15g}"
    except struct.error:
        pass
    return ""


def _text(raw: bytes, place: int, page: int, *, chars: bool) -> str:
    size = struct.unpack_from("<I", raw, place)[0] * (2 if chars else 1)
    text = raw[place + 4 : place + 4 + size]
    if page != UTF_16:
        return decoded(text.partition(b"\0")[0], page)
    return decoded(text[: len(text) & ~1], page).partition("\0")[0]


def _moment(ticks: int) -> str:
    """A number of 100-nanosecond intervals since 1601 as a date in ISO 8601."""
    try:
        moment = _EPOCH + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return moment.replace(microsecond=0).isoformat() if moment.year >= _FIRST_YEAR else ""


def _dictionary(raw: bytes, page: int) -> Values:
    names: Values = {}
    try:
        count, at = min(struct.unpack_from("<I", raw)[0], MAX_PROPERTIES), 4
        for _ in range(count):
            key, length = struct.unpack_from("<II", raw, at)
            size = 2 * length if page == UTF_16 else length
            names[key] = _text(raw, at + 4, page, chars=page == UTF_16)
            at += 8 + (size + 3 & ~3 if page == UTF_16 else size)
    except struct.error:
        pass
    return names

"""Extract text that needs no document parser: plain text, tables, logs, source code, and HTML and XML of modest size."""

from collections.abc import Iterator
from pathlib import Path

from worker.core.base.reasons import Reason
from worker.core.extract import Extracted, cards
from worker.core.extract.charsets import codec_of
from worker.core.extract.decode import CHUNK_BYTES, decode, decode_stream
from worker.core.extract.escapes import unescaped
from worker.core.extract.joined import joined
from worker.core.extract.kinds import BINARY, PLAIN, Kind
from worker.core.extract.markup import declared_encoding, html_text, xml_text
from worker.core.extract.result import NOTHING_SAID, failed, found
from worker.core.extract.terminal import as_shown

_WRAPPED = frozenset({PLAIN, "text/markdown", "text/x-rst", "application/x-tex", "application/x-subrip", "text/vtt"})
"""Kinds of text in which a line end need not end a word."""


def extract_text(body: bytes | Path, kind: Kind, max_chars: int) -> Extracted:
    """Extract a file whose route is text, html or xml; the status is `metadata_only` if it turns out to be binary."""
    if kind.route == "text" and (isinstance(body, Path) or len(body) > CHUNK_BYTES):
        long = decode_stream(_chunks(body), max_chars, kind.charset)
        if long is None:
            return _binary(kind)
        text, cut = readable(long[0], kind.mime_type), long[1] - len(long[0])
        count = max(cut + len(text), max_chars + 1) if cut else len(text)
        return found(kind.mime_type, text, max_chars=max_chars, char_count=count)
    data = body.read_bytes() if isinstance(body, Path) else body
    if kind.mime_type in cards.TYPES:
        data = cards.unfolded(data)
    decoded = decode(data, kind.charset if kind.route == "text" else _declared(data, kind))
    if decoded is None:
        return _binary(kind)
    if kind.route == "html":
        text, said = html_text(decoded.text)
        return found(kind.mime_type, text, max_chars=max_chars, said=said)
    if kind.route == "xml":
        return found(kind.mime_type, xml_text(decoded.text), max_chars=max_chars)
    text = readable(decoded.text, kind.mime_type)
    clean = decoded.clean and "\\" not in decoded.text
    return found(kind.mime_type, text, max_chars=max_chars, said=NOTHING_SAID, clean=clean)


def readable(text: str, mime_type: str) -> str:
    """The text as people read it: without terminal codes and escapes, and with words joined that a line end cuts in two."""
    text = as_shown(text)
    if mime_type in cards.TYPES:
        return cards.readable(text)
    text = unescaped(text, mime_type)
    return joined(text) if mime_type in _WRAPPED else text


def _declared(data: bytes, kind: Kind) -> str | None:
    """The charset that the file itself declares, unless it does not fit; otherwise the one in its Content-Type."""
    own = declared_encoding(data)
    if own is None or kind.charset is None:
        return own or kind.charset
    codec = codec_of(own)
    try:
        data.decode(codec or "ascii")
    except UnicodeDecodeError:
        return kind.charset
    return own


def _binary(kind: Kind) -> Extracted:
    """The result for a file without text: unknown data, or a corrupt file if its name says that it is a document."""
    if kind.claimed:
        sentence = "the file is neither the document that its name says it is, nor text"
        return failed("corrupt", BINARY, sentence, Reason.WRONG_TYPE)
    return Extracted("metadata_only", BINARY)


def _chunks(body: bytes | Path) -> Iterator[bytes]:
    if isinstance(body, bytes):
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]
        return
    with body.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk

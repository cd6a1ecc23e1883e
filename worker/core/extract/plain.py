"""Extract text that needs no document parser: plain text, tables, logs, source code, and HTML and XML of modest size."""

import re
from collections.abc import Iterator
from pathlib import Path

from worker.core.extract import Extracted
from worker.core.extract.decode import CHUNK_BYTES, decode, decode_stream
from worker.core.extract.kinds import BINARY, Kind
from worker.core.extract.markup import declared_encoding, html_text, xml_text
from worker.core.extract.result import NOTHING_SAID, failed, found

_JSON = re.compile(r"application/(?:(?:[\w.-]+\+)?json|x-ndjson)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def extract_text(body: bytes | Path, kind: Kind, max_chars: int) -> Extracted:
    """Extract a file whose route is text, html or xml; the status is `metadata_only` if it turns out to be binary."""
    if kind.route == "text" and (isinstance(body, Path) or len(body) > CHUNK_BYTES):
        long = decode_stream(_chunks(body), max_chars)
        if long is None:
            return _binary(kind)
        text = _readable(long[0], kind)
        return found(kind.mime_type, text, max_chars=max_chars, char_count=long[1] - len(long[0]) + len(text))
    data = body.read_bytes() if isinstance(body, Path) else body
    decoded = decode(data, None if kind.route == "text" else declared_encoding(data))
    if decoded is None:
        return _binary(kind)
    text, said = decoded.text, NOTHING_SAID
    if kind.route == "html":
        text, said = html_text(text)
    elif kind.route == "xml":
        text = xml_text(text)
    readable = _readable(text, kind)
    clean = decoded.clean and kind.route == "text" and readable is text
    return found(kind.mime_type, readable, max_chars=max_chars, said=said, clean=clean)


def _readable(text: str, kind: Kind) -> str:
    r"""Replace \uXXXX escapes in JSON by the characters they stand for: nobody searches for `\u6771\u4eac`."""
    if "\\u" not in text or not _JSON.fullmatch(kind.mime_type):
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[0], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins surrogate pairs, as in emoji


def _binary(kind: Kind) -> Extracted:
    """The result for a file without text: unknown data, or a corrupt file if its name says that it is a document."""
    if kind.claimed:
        return failed("corrupt", BINARY, "the file is neither the document that its name says it is, nor text")
    return Extracted("metadata_only", BINARY)


def _chunks(body: bytes | Path) -> Iterator[bytes]:
    if isinstance(body, bytes):
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]
        return
    with body.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk

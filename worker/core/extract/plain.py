"""The text of what needs no parser of documents: plain text, tables, logs, source code; HTML and XML of modest size."""

from collections.abc import Iterator
from pathlib import Path

from worker.core.extract import Extracted
from worker.core.extract.decode import CHUNK_BYTES, decode, decode_stream
from worker.core.extract.kinds import BINARY, Kind
from worker.core.extract.markup import declared_encoding, html_text, xml_text
from worker.core.extract.result import NOTHING_SAID, failed, found


def extract_text(body: bytes | Path, kind: Kind, max_chars: int) -> Extracted:
    """The text of a file of route text, html or xml; `metadata_only` if it is binary data after all."""
    if kind.route == "text" and (isinstance(body, Path) or len(body) > CHUNK_BYTES):
        long = decode_stream(_chunks(body), max_chars)
        return (
            _binary(kind) if long is None else found(kind.mime_type, long[0], max_chars=max_chars, char_count=long[1])
        )
    data = body.read_bytes() if isinstance(body, Path) else body
    decoded = decode(data, None if kind.route == "text" else declared_encoding(data))
    if decoded is None:
        return _binary(kind)
    text, said = decoded.text, NOTHING_SAID
    if kind.route == "html":
        text, said = html_text(text)
    elif kind.route == "xml":
        text = xml_text(text)
    return found(kind.mime_type, text, max_chars=max_chars, said=said, clean=decoded.clean and kind.route == "text")


def _binary(kind: Kind) -> Extracted:
    """No text: unknown data, or, where the name promised a document, a broken one."""
    if kind.claimed:
        return failed("corrupt", BINARY, "neither the document that its name says it is, nor text")
    return Extracted("metadata_only", BINARY)


def _chunks(body: bytes | Path) -> Iterator[bytes]:
    if isinstance(body, bytes):
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]
        return
    with body.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk

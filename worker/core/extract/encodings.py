"""Undo the Content-Encoding with which an object is stored: its bytes are a page or a document, compressed.

The result is bounded: some encodings inflate a thousandfold.
"""

import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import brotli  # type: ignore[import-untyped]
import zstandard

from worker.core.base import temporary
from worker.core.extract.extractor import size_of
from worker.core.extract.faults import CorruptError

CHUNK_BYTES = 256 * 1024
MAX_WINDOW_BYTES = 8 * 1024**2
"""The largest window of zstd in a Content-Encoding (RFC 9659); it is held in memory while a body is decoded."""
MAX_ENCODINGS = 3
_NONE = frozenset({"", "identity", "aws-chunked", "utf-8", "binary", "none"})
"""What stands in Content-Encoding without changing the bytes: some uploaders put a charset there, or leave aws-chunked."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large the result may be, and where it goes."""

    max_bytes: int
    memory_bytes: int
    """A larger result goes to a file."""
    temp_dir: Path


def names_of(content_encoding: str | None) -> list[str]:
    """The encodings that a Content-Encoding header names, in the order in which they were applied."""
    names = (name.strip().lower() for name in (content_encoding or "").split(","))
    return [name for name in names if name not in _NONE]


def decoded(body: bytes | Path, names: list[str], bounds: Bounds) -> bytes | Path | None:
    """The body before these encodings were applied; None if it is larger than allowed. `body` itself stays as it is.

    Raises CorruptError if it is not so encoded, or in a way that is not known; OSError if the disk is at fault.
    """
    if not size_of(body):
        return b""
    if len(names) > MAX_ENCODINGS or any(name not in _READERS for name in names):
        raise CorruptError(f"its Content-Encoding {', '.join(names)} is not known")
    with io.BytesIO(body) if isinstance(body, bytes) else body.open("rb") as source:
        chunks = _chunks(source)
        for name in reversed(names):
            chunks = _READERS[name](chunks)
        try:
            return _stored(chunks, bounds)
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError, gzip.BadGzipFile) as error:
            raise CorruptError(f"it is not encoded as its Content-Encoding says: {error}") from error


def _stored(chunks: Iterator[bytes], bounds: Bounds) -> bytes | Path | None:
    """All chunks, in memory or in a file; None if they are too many."""
    kept, size = bytearray(), 0
    path: Path | None = None
    file: BinaryIO | None = None
    is_whole = False
    try:
        for chunk in chunks:
            size += len(chunk)
            if size > bounds.max_bytes:
                return None
            if file is None and size > bounds.memory_bytes:
                handle, name = tempfile.mkstemp(prefix=temporary.prefix(), dir=bounds.temp_dir)
                path, file = Path(name), os.fdopen(handle, "wb")
                file.write(kept)
            if file is None:
                kept += chunk
            else:
                file.write(chunk)
        is_whole = True
    finally:
        if file is not None:
            file.close()
        if path is not None and not is_whole:
            path.unlink(missing_ok=True)
    return path or bytes(kept)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


class _Joined(io.RawIOBase):
    """Chunks as a file that is read from the beginning."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._chunks, b"")
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _chunks(gzip.GzipFile(fileobj=io.BufferedReader(_Joined(chunks))))  # type: ignore[arg-type]


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A frame that is cut short is not reported by the library: what comes before the cut is taken."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    reader = decompressor.stream_reader(_Joined(chunks), read_across_frames=True)  # type: ignore[arg-type]
    is_empty = True
    for chunk in _chunks(reader):
        is_empty = False
        yield chunk
    if is_empty:
        raise EOFError("it ends early")


def _deflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """With the header of zlib, as the standard has it, or without, as some servers do."""
    first = next(chunks, b"")
    is_zlib = len(first) > 1 and first[0] & 15 == 8 and (first[0] * 256 + first[1]) % 31 == 0
    inflate = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    chunk = first
    while chunk:
        while out := inflate.decompress(chunk, CHUNK_BYTES):
            yield out
            chunk = inflate.unconsumed_tail
        chunk = b"" if inflate.eof else next(chunks, b"")
    if not inflate.eof:
        raise EOFError("it ends early")


def _brotli(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    for chunk in chunks:
        given = chunk
        while out := decoder.process(given, output_buffer_limit=CHUNK_BYTES):
            yield out
            given = b""
    if not decoder.is_finished():
        raise EOFError("it ends early")


_READERS: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip

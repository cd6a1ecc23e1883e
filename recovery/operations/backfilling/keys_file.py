"""A file of keys, as the source of a backfill."""

import codecs
import hashlib
import threading
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from recovery.operations.backfilling.request import SourceError
from recovery.operations.backfilling.sources import PAGE, Candidate, SourcePage, number_in
from worker.core.base.jsontypes import JsonObject
from worker.core.base.text import one_line
from worker.core.s3.objects import Place
from worker.core.s3.state import MAX_KEY_BYTES

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LINE_END = b"\r\n"
_URL = "s3://"
_PART = 1 << 20


class KeysFile:
    """The keys of a file, one per line, in UTF-8, all in one place. The whole file is checked before anything is done.

    A key with a line end cannot be in such a file.
    """

    def __init__(self, file: BinaryIO, name: str, place: Place) -> None:
        """`file` can be read again from its beginning. Raises SourceError with the line that is wrong."""
        self._file = file
        self._called = name
        self._place = place
        self.places = (place,)
        self.total: int | None = sum(1 for _ in self._keys())
        self.name = f"{place} keys sha256:{_sha256(file)}"

    def pages(self, position: JsonObject, stop: threading.Event) -> Iterator[SourcePage]:  # noqa: ARG002 (asks no server)
        """See Source."""
        done = number_in(position, "lines")
        keys = (one for one in self._keys() if one[0] > done)
        while page := list(islice(keys, PAGE)):
            yield SourcePage([Candidate(self._place.bucket, key) for _, key in page], {"lines": page[-1][0]})

    def _keys(self) -> Iterator[tuple[int, str]]:
        """The keys, each with the number of its line. Raises SourceError."""
        self._file.seek(0)
        number = 0
        while line := self._file.readline(MAX_KEY_BYTES + len(codecs.BOM_UTF8) + len(_LINE_END) + 1):
            number += 1
            if number == 1:
                if line.startswith(_UTF_16):
                    raise SourceError(f"{self._called} is UTF-16; it must be UTF-8")
                line = line.removeprefix(codecs.BOM_UTF8)
            raw = line.removesuffix(b"\n").removesuffix(b"\r")
            if raw:
                yield number, self._key(number, raw)

    def _key(self, number: int, raw: bytes) -> str:
        where = f"line {number:,} of {self._called}"
        if len(raw) > MAX_KEY_BYTES:
            raise SourceError(f"{where} has more than the {MAX_KEY_BYTES:,} bytes that a key can have")
        try:
            key = raw.decode()
        except UnicodeDecodeError as error:
            raise SourceError(f"{where} is not UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02x}") from None
        if key.startswith(_URL):
            raise SourceError(f"{where} is {one_line(key[:100])!r}; it must be a key alone, without s3://BUCKET/")
        if not key.startswith(self._place.prefix):
            raise SourceError(f"{where} is {one_line(key[:100])!r}, which is not in {self._place}")
        return key


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while part := file.read(_PART):
        digest.update(part)
    return digest.hexdigest()

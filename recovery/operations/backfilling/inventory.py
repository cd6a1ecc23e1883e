"""An S3 Inventory, as the source of a backfill. Only keys are taken from it: what else it says is a day old, or older.

Formats of manifest and files: S3 User Guide, "Locating your inventory list" and "Amazon S3 Inventory list". Keys in CSV files
are encoded as in a form, and those of other formats are not.
"""

import csv
import gzip
import hashlib
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_plus

import orjson

from recovery.operations.backfilling.columnar import COLUMNAR, columnar_rows
from recovery.operations.backfilling.request import SourceError
from recovery.operations.backfilling.sources import PAGE, Candidate, SourcePage, checked_key, number_in
from worker.core.base.classify import is_transient
from worker.core.base.errors import ObjectGoneError, StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.retry import retry_transient
from worker.core.s3.objects import ObjectStore, Place

CSV = "CSV"
FORMATS = (CSV, *COLUMNAR)
MAX_MANIFEST_BYTES = 64 * 1024**2
"""A manifest has some 150 bytes for each file, and a file has millions of rows."""
MAX_LINE = 64 * 1024
"""Characters of a line of a CSV file: a key has at most three times its 1,024 bytes there, and the other columns are short."""
_COLUMNS = {"key": "key", "islatest": "is_latest", "isdeletemarker": "is_delete_marker"}
"""The columns that are read: by their names without `_`, in lower case, as manifests write them in either way."""


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """One file of an inventory."""

    key: str
    md5: str
    """In hexadecimal digits; empty if the manifest has none."""

    @classmethod
    def of(cls, entry: JsonObject) -> "InventoryFile":
        """The file of an entry of a manifest. Raises SourceError, or what shows that it is no such entry."""
        md5 = entry.get("MD5checksum") or ""
        if not isinstance(md5, str):
            raise SourceError(f"the MD5 of a file in it is {type(md5).__name__}")
        try:
            return cls(checked_key(entry["key"]), md5)
        except SourceError as error:
            raise SourceError(f"a file in it has {error}") from None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the manifest of an inventory says."""

    source: str
    """The bucket that was listed."""
    bucket: str
    """The bucket that has the files."""
    format: str
    columns: tuple[str, ...]
    """Names of the columns of a CSV file, in order."""
    files: tuple[InventoryFile, ...]

    @classmethod
    def parse(cls, raw: bytes) -> "Manifest":
        """Read a manifest. Raises SourceError with what is wrong."""
        try:
            found = orjson.loads(raw)
            files = tuple(InventoryFile.of(one) for one in found["files"])
            source, schema = found["sourceBucket"], found["fileSchema"]
            bucket = found["destinationBucket"].rpartition(":")[2]
            form = found["fileFormat"].upper()
            columns = tuple(one.strip() for one in schema.split(","))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SourceError(
                f"it is not the manifest of an S3 Inventory ({type(error).__name__}: {error}); name its manifest.json"
            ) from None
        if form not in FORMATS:
            raise SourceError(f"its format is {form}; supported are {', '.join(FORMATS)}")
        return cls(source, bucket, form, columns, files)


class Inventory:
    """The keys of an inventory that are in a place: of each object's present version, as the inventory knows it."""

    def __init__(self, store: ObjectStore, manifest: Place, place: Place, *, stop: threading.Event) -> None:
        """Read the manifest at `manifest`. `store` reads objects of any size.

        Raises SourceError if it is none, or about another bucket, and StoreError.
        """
        self._store = store
        self._place = place
        try:
            with self._opened(manifest.bucket, manifest.prefix, "", stop, most_bytes=MAX_MANIFEST_BYTES) as stream:
                raw = stream.read()
            self._manifest = Manifest.parse(raw)
        except SourceError as error:
            raise SourceError(f"{manifest}: {error}") from None
        if self._manifest.source != place.bucket:
            raise SourceError(f"{manifest} is an inventory of {self._manifest.source}, not of {place.bucket}")
        self.places = (place,)
        self.total: int | None = None
        self.name = f"{place} inventory sha256:{hashlib.sha256(raw).hexdigest()}"

    def pages(self, position: JsonObject, stop: threading.Event) -> Iterator[SourcePage]:
        """See Source."""
        first, done = number_in(position, "file"), number_in(position, "rows")
        for number, file in enumerate(self._manifest.files[first:], first):
            with self._opened(self._manifest.bucket, file.key, file.md5, stop) as stream:
                rows = islice(self._rows(file, stream), done if number == first else 0, None)
                count = done if number == first else 0
                while page := list(islice(rows, PAGE)):
                    count += len(page)
                    keys = [row["key"] for row in page if _is_present(row)]
                    found = [Candidate(self._place.bucket, key) for key in keys if key.startswith(self._place.prefix)]
                    yield SourcePage(found, {"file": number, "rows": count}, elsewhere=len(keys) - len(found))
            yield SourcePage([], {"file": number + 1, "rows": 0})

    def _rows(self, file: InventoryFile, stream: BinaryIO) -> Iterator[JsonObject]:
        """The rows of a file. Raises SourceError if it cannot be read."""
        where = f"s3://{self._manifest.bucket}/{file.key}"
        try:
            if self._manifest.format == CSV:
                rows = _csv_rows(stream, self._manifest.columns)
            else:
                rows = columnar_rows(stream, self._manifest.format)
            for number, row in enumerate(rows, 1):
                try:
                    checked_key(row["key"])
                except SourceError as error:
                    raise SourceError(f"row {number:,} has {error}") from None
                yield row
        except SourceError as error:
            raise SourceError(f"{where}: {error}") from None
        except (csv.Error, ValueError, EOFError, zlib.error, OSError) as error:
            raise SourceError(f"{where} cannot be read as {self._manifest.format}: {error}") from error

    @contextmanager
    def _opened(
        self, bucket: str, key: str, md5: str, stop: threading.Event, *, most_bytes: int | None = None
    ) -> Iterator[BinaryIO]:
        """A whole object, verified. Raises StoreError, and SourceError if it is missing, damaged or too large."""

        def admit(size: int) -> None:
            if most_bytes is not None and size > most_bytes:
                raise SourceError(f"it has {size:,} bytes: it is not the manifest of an S3 Inventory")

        try:
            found = retry_transient(
                lambda: self._store.read(bucket, key, admit=admit), transient=is_transient, stop=stop
            )
        except ObjectGoneError:
            raise SourceError(f"s3://{bucket}/{key} does not exist") from None
        except StoreError as error:
            if is_transient(error):
                raise
            raise SourceError(f"s3://{bucket}/{key} cannot be read: {error}") from error
        try:
            if found.body is None:
                raise SourceError(f"s3://{bucket}/{key} is archived")
            with found.body.open("rb") if isinstance(found.body, Path) else BytesIO(found.body) as stream:
                if md5 and hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != md5:
                    raise SourceError(f"s3://{bucket}/{key} is damaged: its MD5 is not the manifest's")
                stream.seek(0)
                yield stream
        finally:
            found.discard()


def _csv_rows(stream: BinaryIO, columns: tuple[str, ...]) -> Iterator[JsonObject]:
    names = [_COLUMNS.get(one.replace("_", "").lower()) for one in columns]
    if "key" not in names:
        raise SourceError(f"its columns are {', '.join(columns)}, and none of them is Key")
    with gzip.open(stream) as raw, TextIOWrapper(raw, "utf-8", newline="") as text:
        for cells in csv.reader(_lines(text), strict=True):
            if len(cells) != len(columns):
                raise SourceError(f"a row has {len(cells)} columns instead of {len(columns)}")
            row: JsonObject = {name: cell for name, cell in zip(names, cells, strict=True) if name}
            row["key"] = unquote_plus(row["key"], errors="strict")
            yield row


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """The lines, each in bounded memory, however well a file without line ends was compressed. Raises SourceError."""
    number = 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise SourceError(f"line {number:,} has more than {MAX_LINE:,} characters")
        yield line


def _is_present(row: JsonObject) -> bool:
    """Whether it is about an object's present version."""
    return _is_yes(row, "is_latest", other=True) and not _is_yes(row, "is_delete_marker", other=False)


def _is_yes(row: JsonObject, name: str, *, other: bool) -> bool:
    """What a column says; `other` where there is none."""
    value = row.get(name)
    if value is None or value == "":
        return other
    return value if isinstance(value, bool) else str(value).lower() == "true"

"""Reads the files of an S3 Inventory in Parquet or ORC, by pyarrow: the extra `inventory`."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from recovery.operations.backfilling.request import SourceError
from worker.core.base.jsontypes import JsonObject

COLUMNAR = ("PARQUET", "ORC")
ROWS = 10_000
"""Number of rows that are in memory as objects at once; besides, a stripe of an ORC file is there as Arrow's columns."""
_READ = ("key", "is_latest", "is_delete_marker")


def columnar_rows(stream: BinaryIO, form: str) -> Iterator[JsonObject]:
    """The rows of a file, with the columns that are needed. Raises SourceError without pyarrow, or where pyarrow cannot read it."""
    try:
        import pyarrow as pa
    except ImportError:
        raise SourceError(
            f"{form} is read by pyarrow, which is not installed: pip install 's3-index-worker[inventory]', or let S3 write CSV"
        ) from None
    try:
        yield from _rows(stream, form)
    except (pa.ArrowException, NotImplementedError, OSError, ValueError) as error:
        raise SourceError(f"it cannot be read as {form}: {error}") from error


def _rows(stream: BinaryIO, form: str) -> Iterator[JsonObject]:
    columns, batches = _parquet(stream) if form == "PARQUET" else _orc(stream)
    if "key" not in columns:
        raise SourceError(f"its columns are {', '.join(columns)}, and none of them is key")
    for batch in batches([name for name in _READ if name in columns]):
        for start in range(0, batch.num_rows, ROWS):
            yield from batch.slice(start, ROWS).to_pylist()


def _parquet(stream: BinaryIO) -> tuple[list[str], Any]:
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(stream)
    return file.schema_arrow.names, lambda names: file.iter_batches(ROWS, columns=names)


def _orc(stream: BinaryIO) -> tuple[list[str], Any]:
    from pyarrow.orc import ORCFile

    file = ORCFile(stream)
    return file.schema.names, lambda names: (file.read_stripe(number, columns=names) for number in range(file.nstripes))

"""The result as a CSV file, one line for each object and each document without one."""

import csv
import io
from datetime import UTC, datetime
from typing import BinaryIO

from recovery.operations.reconciling.work_file import Line, WorkFile
from worker.core.s3.objects import Place

COLUMNS = ("bucket", "key", "state", "etag", "bytes", "last_modified")


def write_csv_header(stream: BinaryIO) -> None:
    """Write the first line."""
    stream.write(_csv(COLUMNS))


def write_csv(stream: BinaryIO, work: WorkFile, place: Place) -> None:
    """Write a line for each object of a place and each document without one, in the order of keys."""
    stream.writelines(
        _csv((place.bucket, line.key, line.state, line.etag or "", *_rest(line))) for line in work.lines()
    )


def _csv(cells: tuple[object, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _rest(line: Line) -> tuple[object, object]:
    """Size and time; empty for a document without an object."""
    if line.modified_ms is None:
        return "", ""
    return line.size, datetime.fromtimestamp(line.modified_ms / 1000, UTC).isoformat(timespec="seconds")

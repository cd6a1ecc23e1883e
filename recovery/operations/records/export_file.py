"""Export files: one JSON line for each dead letter, without loss, and a last line with a checksum of the rest."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import BinaryIO

import orjson

from recovery.operations.records.operator_file import OperatorFile
from worker.core.base.errors import WorkerError
from worker.core.sqs.dead_letter import DeadLetter

SCHEMA = 1
_END = "end_of_export"
_REDACTED = "redacted_export"


class ExportFileError(WorkerError):
    """Raised when a file cannot be written or read, already exists, or is not a complete export."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The last line of an export."""

    messages: int
    sha256: str
    """Checksum of all bytes before this line."""
    queue: str
    """URL of the DLQ from which they were read."""
    exported_at: str
    by: str


def export_lines(
    dead_letters: Iterable[DeadLetter], *, queue: str, by: str,
    redact: Callable[[DeadLetter], Mapping[str, object]] | None = None,
) -> Generator[bytes, None, Seal]:  # fmt: skip
    """The lines of an export, one after another; its seal is the last of them, and is returned.

    `redact` returns what may be shown of each. Such an export says so in its first line, and cannot be imported: what was
    masked would be sent.
    """
    digest = hashlib.sha256()
    count = 0
    if redact is not None:
        head = orjson.dumps({_REDACTED: SCHEMA, "by": by}) + b"\n"
        digest.update(head)
        yield head
    for dead_letter in dead_letters:
        line = orjson.dumps(redact(dead_letter) if redact else dead_letter.as_json()) + b"\n"
        digest.update(line)
        count += 1
        yield line
    now = datetime.now(UTC).isoformat(timespec="seconds")
    seal = Seal(count, digest.hexdigest(), queue, now, by)
    yield orjson.dumps({_END: SCHEMA, **asdict(seal)}) + b"\n"
    return seal


def write_export(file: OperatorFile, dead_letters: Sequence[DeadLetter], *, queue: str, by: str) -> Seal:
    """Write dead letters durably to a new file. An existing file is never replaced.

    Raises OSError; no new file is left behind then.
    """
    lines = export_lines(dead_letters, queue=queue, by=by)
    with file.new() as stream:
        while True:
            try:
                stream.write(next(lines))
            except StopIteration as ended:
                seal: Seal = ended.value
                return seal


def write_verified(file: OperatorFile, dead_letters: Sequence[DeadLetter], *, queue: str, by: str) -> Seal:
    """Write a new file, open it again by its path, and compare. Raises ExportFileError.

    What was written to a pipe cannot be compared; it has been taken by the pipe's reader when this returns.
    """
    with _refused(file, "written"):
        seal = write_export(file, dead_letters, queue=queue, by=by)
    ids = [dead_letter.id for dead_letter in dead_letters]
    with _refused(file, "read back"):
        stream = file.open()
        if stream is not None:
            read: list[str] = []
            with stream:
                seal_read = _verified(stream, lambda dead_letter: read.append(dead_letter.id))
            if (seal_read, read) != (seal, ids):
                raise ValueError("it does not contain what was written to it; the disk may be defective")
    return seal


def check_new(file: OperatorFile) -> None:
    """Check in advance, before the queue is read, that a new file can be written. Raises ExportFileError if not."""
    with _refused(file, "written"):
        file.check_new()


def read_export(file: OperatorFile) -> tuple[Seal, list[DeadLetter]]:
    """Read and verify a complete file. Raises ExportFileError with what is wrong."""
    with _refused(file, "read"):
        stream = file.open()
        if stream is None:
            raise ValueError("it cannot be read")
        dead_letters: list[DeadLetter] = []
        with stream:
            return _verified(stream, dead_letters.append), dead_letters


@contextmanager
def _refused(file: OperatorFile, done: str) -> Iterator[None]:
    """Turn what is wrong with a file into a sentence that names the file. Raises ExportFileError."""
    try:
        yield
    except FileExistsError:
        raise ExportFileError(f"{file.name} already exists; it must be a new file") from None
    except OSError as error:
        raise ExportFileError(f"{file.name} cannot be {done}: {error.strerror or error}") from None
    except ValueError as error:
        raise ExportFileError(f"{file.name}: {error}") from None


def _verified(stream: BinaryIO, take: Callable[[DeadLetter], None]) -> Seal:
    """Verify a file, and hand over each of its dead letters. Raises OSError, and ValueError with an explanation."""
    digest = hashlib.sha256()
    seal: dict[str, object] | None = None
    count = 0
    for number, line in enumerate(stream, start=1):
        if seal is not None:
            raise ValueError(f"line {number} comes after the checksum; the file was altered")
        record = _loads(line, number)
        if _REDACTED in record:
            raise ValueError("it is a redacted export, for reading only: what is masked in it must not be sent")
        if _END in record:
            seal = record
            continue
        take(_dead_letter(record, number))
        digest.update(line)
        count += 1
    if seal is None:
        raise ValueError(f"it ends after {count} messages without a checksum; the file was cut short")
    if seal.get("sha256") != digest.hexdigest() or seal.get("messages") != count:
        raise ValueError(f"its {count} messages do not match the checksum; the file was altered or cut short")
    return Seal(count, digest.hexdigest(), *(str(seal.get(name, "")) for name in ("queue", "exported_at", "by")))


def _loads(line: bytes, number: int) -> dict[str, object]:
    try:
        record = orjson.loads(line)
    except ValueError:
        raise ValueError(f"line {number} is not JSON; the file was cut short, or is not an export of `dlq`") from None
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is not a message; the file is not an export of `dlq`")  # noqa: TRY004 (a value)
    return record


def _dead_letter(record: dict[str, object], number: int) -> DeadLetter:
    try:
        return DeadLetter.from_json(record)
    except ValueError:
        raise ValueError(
            f"line {number} is not a message; the file was altered, or is not an export of `dlq`"
        ) from None

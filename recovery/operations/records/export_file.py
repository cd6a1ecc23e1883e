"""Export files: one JSON line for each dead letter, without loss, and a last line with a checksum of the rest."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from worker.core.base.errors import WorkerError
from worker.core.sqs.dead_letter import DeadLetter

SCHEMA = 1
_END = "end_of_export"


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


def write_export(path: Path, dead_letters: Sequence[DeadLetter], *, queue: str, by: str) -> Seal:
    """Write dead letters durably to a new file. An existing file is never replaced.

    Raises OSError; no new file is left behind then.
    """
    digest = hashlib.sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # only the owner may read the bodies
    try:
        with os.fdopen(handle, "wb") as file:
            for dead_letter in dead_letters:
                line = orjson.dumps(dead_letter.as_json()) + b"\n"
                digest.update(line)
                file.write(line)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            seal = Seal(len(dead_letters), digest.hexdigest(), queue, now, by)
            file.write(orjson.dumps({_END: SCHEMA, **asdict(seal)}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _make_durable(path.parent)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return seal


def write_verified(path: Path, dead_letters: Sequence[DeadLetter], *, queue: str, by: str) -> Seal:
    """Write a new file, read it again, and compare the two. Raises ExportFileError."""
    try:
        seal = write_export(path, dead_letters, queue=queue, by=by)
    except FileExistsError:
        raise ExportFileError(f"{path} is there already; it must be a new file") from None
    except OSError as error:
        raise ExportFileError(f"{path} cannot be written: {error.strerror}") from None
    ids = [dead_letter.id for dead_letter in dead_letters]
    if verify(path) != seal or [dead_letter.id for dead_letter in read_dead_letters(path)] != ids:
        raise ExportFileError(f"{path} does not contain what was written to it; the disk may be defective")
    return seal


def check_new(path: Path) -> None:
    """Check in advance, before the queue is read, that a new file can be written. Raises ExportFileError if not."""
    try:
        is_there, has_folder = path.exists(), path.parent.is_dir()
    except OSError as error:
        raise ExportFileError(f"{path} cannot be written: {error.strerror}") from None
    if is_there:
        raise ExportFileError(f"{path} is there already; it must be a new file")
    if not has_folder:
        raise ExportFileError(f"{path} cannot be written: {path.parent} is not a folder")


def verify(path: Path) -> Seal:
    """Read and check a complete file, and return its seal. Raises ExportFileError with what is wrong."""
    try:
        return _verified(path)
    except ValueError as error:
        raise ExportFileError(f"{path}: {error}") from None
    except OSError as error:
        raise ExportFileError(f"{path} cannot be read: {error.strerror}") from None


def read_dead_letters(path: Path) -> Iterator[DeadLetter]:
    """Read the dead letters of a verified file."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = _loads(line, number)
            if _END not in record:
                yield _dead_letter(record, number)


def _verified(path: Path) -> Seal:
    """Verify a file. Raises OSError, and ValueError with an explanation."""
    digest = hashlib.sha256()
    seal: dict[str, object] | None = None
    count = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if seal is not None:
                raise ValueError(f"line {number} comes after the checksum; the file was altered")
            record = _loads(line, number)
            if _END in record:
                seal = record
                continue
            _dead_letter(record, number)
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


def _make_durable(folder: Path) -> None:
    """Flush the folder to disk as well: otherwise the file may be missing after a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Letters in a file: JSON lines that lose nothing, and a last line whose checksum says that nothing was lost or altered."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from recovery.operations.dead_letters import DeadLetter, sound
from worker.core.sqs.failure_record import attributes_of, lossless

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Seal:
    """The last line of an export."""

    messages: int
    sha256: str
    """Of every byte before this line."""
    queue: str
    """URL of the DLQ that they were read from."""
    exported_at: str
    by: str


def write_export(path: Path, dead_letters: Sequence[DeadLetter], *, queue: str, by: str) -> Seal:
    """Write letters to a new file; once this returns, it is durable. A file that is there already is never replaced.

    Raises OSError; then there is no file.
    """
    digest = hashlib.sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # bodies are nobody else's business
    try:
        with os.fdopen(handle, "wb") as file:
            for dead_letter in dead_letters:
                line = (
                    orjson.dumps(lossless(dead_letter.id, dead_letter.body, dead_letter.system, dead_letter.attributes))
                    + b"\n"
                )
                digest.update(line)
                file.write(line)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            seal = Seal(len(dead_letters), digest.hexdigest(), queue, now, by)
            file.write(orjson.dumps({"end_of_export": SCHEMA, **_fields(seal)}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _make_durable(path.parent)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return seal


def verify(path: Path) -> Seal:
    """Read a file to its end, every record of it; its seal.

    Raises OSError, and ValueError with a sentence where it is cut short, altered, or none of ours.
    """
    digest = hashlib.sha256()
    seal: dict[str, Any] | None = None
    count = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if seal is not None:
                raise ValueError(f"line {number} comes after the checksum; the file was altered")
            record = _loads(line, number)
            if "end_of_export" in record:
                seal = record
                continue
            _dead_letter(record, number)
            digest.update(line)
            count += 1
    if seal is None:
        raise ValueError(f"it ends after {count} messages without a checksum; the file was cut short")
    if seal.get("sha256") != digest.hexdigest() or seal.get("messages") != count:
        raise ValueError(f"its {count} messages do not match the checksum; the file was altered or cut short")
    return Seal(count, seal["sha256"], *(str(seal.get(name, "")) for name in ("queue", "exported_at", "by")))


def read_dead_letters(path: Path) -> Iterator[DeadLetter]:
    """The letters of a file that was verified."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = _loads(line, number)
            if "end_of_export" not in record:
                yield _dead_letter(record, number)


def _fields(seal: Seal) -> dict[str, Any]:
    return {
        "messages": seal.messages, "sha256": seal.sha256, "queue": seal.queue, "exported_at": seal.exported_at, "by": seal.by
    }  # fmt: skip


def _loads(line: bytes, number: int) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except ValueError:
        raise ValueError(f"line {number} is not JSON; the file was cut short, or is no export of `dlq`") from None
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is no message; the file is no export of `dlq`")  # noqa: TRY004 (a value)
    return record


def _dead_letter(record: dict[str, Any], number: int) -> DeadLetter:
    try:
        return sound(
            DeadLetter(record["message_id"], record["body"], record["system_attributes"], attributes_of(record))
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError(f"line {number} is no message; the file was altered, or is no export of `dlq`") from None


def _make_durable(folder: Path) -> None:
    """A file is found after a power cut only once its folder is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

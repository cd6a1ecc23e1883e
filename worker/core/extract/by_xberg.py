"""Read a file with xberg, the parser of the formats that have no reader of our own (docs/evidence.md, Reading documents).

It is imported when it is first needed, because that takes 0.2 s and 58 MB; only child processes may import it.
"""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from worker.core.base.reasons import Reason
from worker.core.extract.faults import NO_MEMORY, CorruptError, EncryptedError, MachineError
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

if TYPE_CHECKING:
    import xberg

_PASSWORD_WANTED = ("password", "encrypted")
"""Words in xberg's error messages that mean that the file is encrypted."""
_MACHINE_AT_FAULT = (
    "Pdfium initialization failed", "No space left on device", "Disk quota exceeded", "Read-only file system",
    "Too many open files",
)  # fmt: skip
"""Phrases in xberg's error messages that do not concern the file."""


def read(body: bytes, mime_type: str, reading: Reading) -> None:
    """Read the file as one of this type; xberg's own detection is not used, because it takes an ODT for a zip archive.

    Raises CorruptError, EncryptedError, MachineError and MemoryError.
    """
    try:
        found = asyncio.run(_extract(body, mime_type))
    except RuntimeError as error:  # what it raises for a file that it cannot read
        raise _as_fault(error) from error
    except Exception as error:  # a panic in Rust arrives as one of several types
        sentence = f"the parser failed: {type(error).__name__}: {error}"
        raise CorruptError(sentence, Reason.PARSER_FAILED) from error
    for document in found.results:
        reading.said = _said_by(document.metadata)  # type: ignore[arg-type]  # its stubs name two classes
        reading.add(document.content)


async def _extract(body: bytes, mime_type: str) -> "xberg.ExtractionResult":
    import xberg

    return await xberg.extract(xberg.ExtractInput(kind="bytes", bytes=body, mime_type=mime_type), _config())


@cache
def _config() -> "xberg.ExtractionConfig":
    import xberg

    return xberg.ExtractionConfig(
        use_cache=False,  # otherwise it keeps every text in the home folder
        disable_ocr=True,
        enable_quality_processing=False,
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
    )


def _said_by(metadata: "xberg.options.Metadata") -> Properties:
    return Properties(
        title=metadata.title or metadata.subject,
        author=", ".join(metadata.authors or []) or metadata.created_by,
        created=metadata.created_at,
        language=metadata.language,
    )


def _as_fault(error: Exception) -> Exception:
    message = str(error)
    if any(words in message for words in NO_MEMORY):
        return MemoryError(message)
    if any(words in message for words in _MACHINE_AT_FAULT):
        return MachineError(message)
    if any(word in message.lower() for word in _PASSWORD_WANTED):
        return EncryptedError("the document is protected by a password")
    return CorruptError(": ".join(dict.fromkeys(message.split(": "))))  # it repeats its messages

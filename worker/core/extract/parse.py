"""Parse a document in a child process, with whichever parser reads its kind correctly.

Never import this in the worker itself: kreuzberg loads a library from TMPDIR (docs/evidence.md, Reading documents).
"""

import kreuzberg

from worker.core.extract import Extracted
from worker.core.extract.compound import Compound
from worker.core.extract.faults import NO_MEMORY, CorruptError, EncryptedError, MachineError
from worker.core.extract.kinds import Kind
from worker.core.extract.mail import mail_text
from worker.core.extract.msdoc import word_text
from worker.core.extract.plain import extract_text
from worker.core.extract.result import Properties, failed, found, said_by
from worker.core.extract.rtf import readable_rtf
from worker.core.extract.zipped import Container, open_document_properties, open_document_text

_ODF = "application/vnd.oasis.opendocument."
_WORD, _EXCEL, _POWERPOINT, _OUTLOOK = (
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-outlook",
)
_STREAMS = (
    ("WordDocument", _WORD),
    ("Workbook", _EXCEL),
    ("Book", _EXCEL),
    ("PowerPoint Document", _POWERPOINT),
    ("__properties_version1.0", _OUTLOOK),
)
_ENCRYPTED_POWERPOINT = bytes.fromhex("dfc4d1f3")
_PASSWORD_WANTED = ("password", "encrypted")
"""Words in kreuzberg's error messages that mean that the file is encrypted (docs/evidence.md, Reading documents)."""
_MACHINE_AT_FAULT = (
    "Pdfium initialization failed", "No space left on device", "Disk quota exceeded", "Read-only file system",
    "Too many open files",
)  # fmt: skip
"""Phrases in kreuzberg's error messages that do not concern the file. It unpacks PDFium into TMPDIR when it gets its
first PDF (docs/evidence.md, Reading documents)."""

_CONFIG = kreuzberg.ExtractionConfig(  # type: ignore[call-arg]  # its stubs lack disable_ocr
    use_cache=False,  # otherwise it keeps every text in the home folder
    disable_ocr=True,
    enable_quality_processing=False,
    concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
)


def parse(body: bytes, kind: Kind, max_chars: int) -> Extracted:
    """Extract the document's text.

    Raises MachineError, and whatever the document's parser raises, including MemoryError and panics in Rust.
    """
    try:
        match kind.route:
            case "zip":
                return _zip(body, kind, max_chars)
            case "ole":
                return _ole(body, max_chars)
            case "mail":
                text, said = mail_text(body)
                return found(kind.mime_type, text, max_chars=max_chars, said=said)
            case "rtf":
                return _by_kreuzberg(readable_rtf(body), kind.mime_type, max_chars)
            case "pdf":
                return _by_kreuzberg(body, kind.mime_type, max_chars)
            case _:
                return extract_text(body, kind, max_chars)
    except CorruptError as error:
        return failed("corrupt", kind.mime_type, str(error))
    except EncryptedError as error:
        return failed("encrypted", kind.mime_type, str(error))


def _zip(body: bytes, kind: Kind, max_chars: int) -> Extracted:
    container = Container(body)
    mime_type = container.document_type()
    if mime_type is None:
        if kind.claimed:
            raise CorruptError("the file is a zip archive, not the document that its name says it is")
        return Extracted("metadata_only", "application/zip")
    if not mime_type.startswith(_ODF):
        return _by_kreuzberg(body, mime_type, max_chars)
    said = open_document_properties(container)
    for family in ("text", "spreadsheet"):
        if mime_type.startswith(_ODF + family):
            text, _ = _kreuzberg(body, _ODF + family)
            return found(mime_type, text, max_chars=max_chars, said=said)
    return found(mime_type, open_document_text(container), max_chars=max_chars, said=said)


def _ole(body: bytes, max_chars: int) -> Extracted:
    file = Compound(body)
    if "EncryptedPackage" in file or file.stream("Current User")[12:16] == _ENCRYPTED_POWERPOINT:
        raise EncryptedError("the document is encrypted")
    mime_type = next((mime_type for stream, mime_type in _STREAMS if stream in file), None)
    if mime_type is None:
        return Extracted("metadata_only", "application/x-ole-storage")
    if mime_type != _WORD:
        return _by_kreuzberg(body, mime_type, max_chars)
    text = word_text(file)
    return found(mime_type, text, max_chars=max_chars, said=_word_properties(body))


def _word_properties(body: bytes) -> Properties:
    try:
        return _kreuzberg(body, _WORD)[1]
    except (CorruptError, EncryptedError):
        return Properties()


def _by_kreuzberg(body: bytes, mime_type: str, max_chars: int) -> Extracted:
    text, said = _kreuzberg(body, mime_type)
    return found(mime_type, text, max_chars=max_chars, said=said)


def _kreuzberg(body: bytes, mime_type: str) -> tuple[str, Properties]:
    try:
        result = kreuzberg.extract_bytes_sync(body, mime_type, _CONFIG)
    except kreuzberg.KreuzbergError as error:
        message = str(error)
        if any(words in message for words in NO_MEMORY):
            raise MemoryError(message) from error
        if any(words in message for words in _MACHINE_AT_FAULT):
            raise MachineError(message) from error
        if any(word in message.lower() for word in _PASSWORD_WANTED):
            raise EncryptedError("the document is protected by a password") from error
        raise CorruptError(": ".join(dict.fromkeys(message.split(": ")))) from error  # PDFium repeats its messages
    return result.content, said_by(dict(result.metadata))

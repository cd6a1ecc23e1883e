"""Parse a document in a child process, with the reader of its format. Never import this in the worker itself."""

from collections.abc import Callable

from worker.core.base.reasons import Reason
from worker.core.extract import Extracted, by_xberg
from worker.core.extract.faults import CorruptError, EncryptedError, MachineError
from worker.core.extract.kinds import Kind, Route
from worker.core.extract.plain import extract_text
from worker.core.extract.readers import (
    dbf,
    encryption,
    epub,
    excel,
    flat,
    hwp,
    iwork,
    mail,
    onenote,
    opendocument,
    outlook,
    pdf,
    powerpoint,
    publisher,
    rtf,
    sheets,
    slides,
    visio,
    visio97,
    word,
    word6,
    word97,
    xps,
)
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.zipped import OPEN_DOCUMENTS, Container
from worker.core.extract.reading import EnoughError, Reading
from worker.core.extract.result import failed, found

MAX_INSIDE_CHARS = 10_000_000
"""Of a text inside another file, this much is read."""

_BROKEN: dict[Route, Reason] = {
    "pdf": Reason.CORRUPT_PDF, "zip": Reason.CORRUPT_DOCUMENT, "flat": Reason.CORRUPT_DOCUMENT,
    "ole": Reason.CORRUPT_OLD_OFFICE, "mail": Reason.CORRUPT_MAIL, "rtf": Reason.CORRUPT_RTF,
}  # fmt: skip
"""The reason for a broken file of a format, unless the reader knows a more exact one."""

OfZip = Callable[[Container, Reading], None]
OfFile = Callable[[bytes, Reading], None]
OfCompound = Callable[[Compound, Reading], None]

_ZIP_READERS: tuple[tuple[str, OfZip], ...] = (
    *((begins, opendocument.read) for begins in OPEN_DOCUMENTS),
    ("application/epub+zip", epub.read),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.", word.read),
    ("application/vnd.ms-word.", word.read),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.", sheets.read),
    ("application/vnd.ms-excel.sheet.binary.", sheets.read_binary),
    ("application/vnd.ms-excel.", sheets.read),
    ("application/vnd.openxmlformats-officedocument.presentationml.", slides.read),
    ("application/vnd.ms-powerpoint.", slides.read),
    ("application/vnd.ms-visio.", visio.read),
    ("application/vnd.ms-xpsdocument", xps.read),
    ("application/oxps", xps.read),
)
"""The reader for each document in a zip container, by the beginning of its MIME type."""
_COMPOUND_READERS: dict[str, OfCompound] = {
    "application/msword": word97.read,
    "application/vnd.ms-excel": excel.read,
    "application/vnd.ms-powerpoint": powerpoint.read,
    "application/vnd.ms-outlook": outlook.read,
    "application/x-mspublisher": publisher.read,
    "application/x-hwp": hwp.read,
    "application/vnd.visio": visio97.read,
}
"""The reader for each document in a compound file."""
_FILE_READERS: dict[str, OfFile] = {
    "mail": mail.read,
    "rtf": rtf.read,
    "pdf": pdf.read,
    "dbf": dbf.read,
    "onenote": onenote.read,
}
"""The reader for each kind of file that is no container, by its route; xberg reads what is not named here."""


def parse(body: bytes, kind: Kind, max_chars: int) -> Extracted:
    """Extract the document's text: `partial` if some of its parts could not be read, a failure if none could.

    Raises MachineError and MemoryError, and whatever a panic in Rust is raised as.
    """
    if kind.route in {"text", "html", "xml"}:
        return extract_text(body, kind, max_chars)
    reading, mime_type = Reading(max_chars), kind.mime_type
    fault: CorruptError | None = None
    try:
        mime_type, read = _reader_of(body, kind)
        if read is None:
            return Extracted("metadata_only", mime_type)
        read(reading)
    except EncryptedError as error:
        return failed("encrypted", mime_type, str(error), error.reason)
    except EnoughError:
        pass
    except (MachineError, MemoryError):
        raise
    except CorruptError as error:
        fault = error
    except Exception as error:  # noqa: BLE001 (a hostile file may make a parser fail in any way)
        fault = CorruptError(f"the parser failed: {type(error).__name__}: {error}", Reason.PARSER_FAILED)
    return _result(reading, mime_type, fault, max_chars, _BROKEN.get(kind.route, Reason.CORRUPT_FILE))


def _result(reading: Reading, mime_type: str, fault: CorruptError | None, max_chars: int, broken: Reason) -> Extracted:
    missed = [*([str(fault)] if fault else []), *reading.missed]
    text = reading.text
    if missed and not text:
        reason = (fault.reason if fault else None) or reading.reason or broken
        return failed("corrupt", mime_type, "; ".join(missed), reason)
    return found(mime_type, text, max_chars=max_chars, said=reading.said, missed=missed)


def _reader_of(body: bytes, kind: Kind) -> tuple[str, Callable[[Reading], None] | None]:
    """The document's exact type, and what reads it; None for an archive and the like, which is found by its name only."""
    if kind.route == "zip":
        return _of_zip(Container(body), kind)
    if kind.route == "flat":
        return _of_flat(body, kind)
    if kind.route == "ole":
        return _of_stream(body) or _of_compound(Compound(body), kind)
    read = _FILE_READERS.get(kind.route)
    if read is None:
        return kind.mime_type, lambda reading: by_xberg.read(body, kind.mime_type, reading)
    return kind.mime_type, lambda reading: read(body, reading)


def _of_flat(body: bytes, kind: Kind) -> tuple[str, Callable[[Reading], None] | None]:
    container = flat.container_of(body)
    if container is None:
        return flat.WORD_2003, lambda reading: flat.read_word_2003(body, reading)
    mime_type, read = _of_zip(container, kind)
    if read is None:
        raise CorruptError("the package has no main part")
    return mime_type, read


def _of_stream(body: bytes) -> tuple[str, Callable[[Reading], None]] | None:
    """What reads a document of before 1993, which is a stream without a compound file around it; None if it is no such one."""
    if body.startswith(word6.MAGIC_2):
        return "application/msword", lambda reading: word6.read_stream(body, reading)
    if excel.is_stream(body):
        return "application/vnd.ms-excel", lambda reading: excel.read_stream(body, reading)
    return None


def _of_zip(container: Container, kind: Kind) -> tuple[str, Callable[[Reading], None] | None]:
    mime_type = container.document_type()
    if mime_type is None:
        if iwork.is_iwork(container):
            return kind.mime_type, lambda reading: iwork.read(container, reading)
        if kind.claimed:
            sentence = "the file is a zip archive, not the document that its name says it is"
            raise CorruptError(sentence, Reason.WRONG_TYPE)
        return "application/zip", None
    read = next((read for begins, read in _ZIP_READERS if mime_type.startswith(begins)), None)
    return mime_type, None if read is None else lambda reading: read(container, reading)


def _of_compound(file: Compound, kind: Kind) -> tuple[str, Callable[[Reading], None] | None]:
    if "EncryptedPackage" in file:
        return _of_zip(Container(encryption.package(file)), kind)
    mime_type = file.document_type()
    if mime_type is None:
        if file.fault and kind.mime_type in _COMPOUND_READERS:
            raise CorruptError(f"the compound file is broken: {file.fault}")
        return "application/x-ole-storage", None
    read = _COMPOUND_READERS[mime_type]
    return mime_type, lambda reading: read(file, reading)


def parse_inside(source: bytes | Compound, kind: Kind, reading: Reading) -> None:
    """Add the text of a file that is inside the one being read. Raises what its reader raises."""
    if kind.route in {"text", "html", "xml"} and isinstance(source, bytes):
        reading.add(extract_text(source, kind, MAX_INSIDE_CHARS).content)
        return
    _, read = _reader_of(source, kind) if isinstance(source, bytes) else _of_compound(source, kind)
    if read is not None:
        said = reading.said
        try:
            read(reading)
            if (isinstance(source, Compound) or kind.route == "pdf") and reading.said is not said:
                reading.add(reading.said.title or "")
        finally:
            reading.said = said

"""PDF documents, with PDFium: pages, form fields and annotations, bookmarks, names of attachments, properties.

PDFium is imported when it is first needed; only child processes may import it. It is not thread-safe, which is why a child
reads one file at a time. Names in capitals are those of ISO 32000-2.
"""

import ctypes
import logging
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING

from worker.core.extract import by_xberg
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.joined import joined
from worker.core.extract.readers import pdf_fonts, pdf_notes, pdf_properties
from worker.core.extract.readers.pdf_strings import decoded
from worker.core.extract.reading import EnoughError, Reading
from worker.core.extract.spaced import unspaced

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MAX_PAGES = 50_000
MAX_BOOKMARKS = 50_000
MAX_DEPTH = 15
"""How deep bookmarks are read."""
MAX_ATTACHMENTS = 1000
MIN_CODES = 10
MAX_CODES = 0.1
"""With a larger share of codes in place of characters, a file is also read in another way."""
MAX_OTHER_CHARS = 1_000_000
"""What is read in this way is cut here."""
_CODES = "\x01\x03\x04\x05\x06\x07\x08\x0e\x0f"
"""Control characters that are in no text: where there are some, a font does not say which characters its codes stand for."""
_LINE_END_HYPHEN = "\ufffe"
"""What PDFium puts in place of a hyphen and the line end after it."""


def read(body: bytes, reading: Reading) -> None:
    """Read the document. Raises CorruptError, and EncryptedError if it cannot be opened with the empty password."""
    import pypdfium2

    logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of XFA forms
    pdf_fonts.install()
    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        raise _as_fault(error) from error
    with closing(document):
        with reading.part("properties"):
            reading.said = pdf_properties.said_by(document, body)
        with reading.part("form"):
            document.init_forms()
        if _read_pages(document, reading):
            with reading.part("text in fonts without Unicode"):
                _read_otherwise(body, reading)
        with reading.part("form data"):
            for text in pdf_notes.xfa_texts(document):
                reading.add(text)
        with reading.part("bookmarks"):
            for bookmark in islice(document.get_toc(MAX_DEPTH), MAX_BOOKMARKS):
                reading.add(bookmark.get_title())
        with reading.part("attachments"):
            for number in range(min(document.count_attachments(), MAX_ATTACHMENTS)):
                reading.add(document.get_attachment(number).get_name())
        with reading.part("properties"):
            for text in pdf_properties.others(document):
                reading.add(text)


def _as_fault(error: Exception) -> Exception:
    import pypdfium2.raw as pdfium

    if getattr(error, "err_code", None) in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
        return EncryptedError("the document is protected by a password")
    return CorruptError("the PDF file is broken")


def _read_pages(document: "PdfDocument", reading: Reading) -> bool:
    """Read all pages; whether PDFium gave the codes of many characters in place of these."""
    count = len(document)
    if count > MAX_PAGES:
        reading.miss(f"only the first {MAX_PAGES} of {count} pages are read")
    before, chars, codes = "", 0, 0
    for number in range(min(count, MAX_PAGES)):
        with reading.part(f"page {number + 1}"):
            text, notes = _read_page(document, number)
            reading.add(joined(text))
            reading.add(across(before, text))
            before = text or before
            chars, codes = chars + len(text), codes + _codes_in(text)
            for note in [*unspaced(text), *notes]:
                reading.add(note)
    return codes > MIN_CODES and codes > MAX_CODES * chars


def _codes_in(text: str) -> int:
    return sum(map(text.count, _CODES))


def _read_otherwise(body: bytes, reading: Reading) -> None:
    """Add what xberg reads: it knows the names of glyphs in Type 3 fonts, which PDFium does not look at."""
    other = Reading(MAX_OTHER_CHARS)
    with suppress(EnoughError):
        by_xberg.read(body, "application/pdf", other)
    if _codes_in(other.text) <= MAX_CODES * len(other.text):
        reading.add(joined(other.text))


def _read_page(document: "PdfDocument", number: int) -> tuple[str, list[str]]:
    """The text of a page, and what its annotations and form fields add to it.

    Flattening makes annotations a part of the page, which has to be loaded again then. Fonts of a few files lose their
    ToUnicode by it, so that the page's own text is read before.
    """
    import pypdfium2.raw as pdfium

    with closing(document.get_page(number)) as page:
        text = page_text(page)
        notes, are_shown = pdf_notes.annotations(page)
        if pdfium.FPDFCatalog_IsTagged(document):
            notes += pdf_notes.alternative_texts(page)
        if not (are_shown and pdf_notes.flatten(page)):
            return text, _absent(notes, text)
    with closing(document.get_page(number)) as page:
        return text, _absent([*page_text(page).split("\n"), *notes], text)


def page_text(page: "PdfPage") -> str:
    """All text of a page, also outside of its boxes. Half a surrogate pair loses only itself."""
    import pypdfium2.raw as pdfium

    with closing(page.get_textpage()) as textpage:
        count = textpage.count_chars()
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (2 * count + 2))()
        text = decoded(buffer, pdfium.FPDFText_GetText(textpage, 0, count, buffer) - 1)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace(_LINE_END_HYPHEN, "-\n")


def _absent(notes: list[str], text: str) -> list[str]:
    """Those notes, each once, that are not a line of the text."""
    seen = {"".join(line.split()) for line in text.split("\n")}
    absent = []
    for note in notes:
        squeezed = "".join(note.split())
        if squeezed not in seen:
            seen.add(squeezed)
            absent.append(note)
    return absent


def across(before: str, text: str) -> str:
    """The last line of a page and the first of the next one, if a word may continue from one to the other."""
    lines = before.rstrip().rpartition("\n")[2] + "\n" + text.lstrip().partition("\n")[0]
    whole = joined(lines)
    return "" if whole == lines else whole

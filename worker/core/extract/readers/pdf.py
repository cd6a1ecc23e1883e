"""PDF documents, with PDFium: pages, form fields and annotations, bookmarks, names of attachments, properties.

PDFium is imported when it is first needed; only child processes may import it. It is not thread-safe, which is why a child
reads one file at a time. Names in capitals are those of ISO 32000-2.
"""

import ctypes
import logging
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.joined import joined
from worker.core.extract.readers import pdf_fonts, pdf_notes, pdf_properties
from worker.core.extract.readers.pdf_strings import decoded
from worker.core.extract.reading import Reading

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MAX_PAGES = 50_000
MAX_BOOKMARKS = 50_000
MAX_DEPTH = 15
"""How deep bookmarks are read."""
MAX_ATTACHMENTS = 1000
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
        _read_pages(document, reading)
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


def _read_pages(document: "PdfDocument", reading: Reading) -> None:
    count = len(document)
    if count > MAX_PAGES:
        reading.miss(f"only the first {MAX_PAGES} of {count} pages are read")
    before = ""
    for number in range(min(count, MAX_PAGES)):
        with reading.part(f"page {number + 1}"):
            text, notes = _read_page(document, number)
            reading.add(joined(text))
            reading.add(across(before, text))
            before = text or before
            for note in notes:
                reading.add(note)


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

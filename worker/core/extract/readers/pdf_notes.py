"""What stands beside the text of a PDF's pages: values of form fields, annotations, alternative texts, XFA forms."""

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lxml import etree

from worker.core.extract.markup import xml_parser
from worker.core.extract.readers.pdf_strings import utf16

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MAX_ANNOTATIONS = 10_000
"""Further ones on the same page are left out."""
MAX_OPTIONS = 1000
"""Further options of the same field are left out."""
MAX_ELEMENTS = 20_000
"""Further elements of the structure of the same page are left out."""
MAX_PACKETS = 100
MAX_PACKET_BYTES = 16 * 1024**2
_KEYS = (b"T", b"Subj", b"Contents")
"""Author, subject and text of an annotation (ISO 32000-2, 12.5.2 and 12.5.6.2)."""
_XFA_PACKETS = frozenset({b"template", b"datasets"})
"""The labels of an XFA form, and the values of its fields (XFA 3.3, chapter 2)."""

_XHTML = "{http://www.w3.org/1999/xhtml}"


def annotations(page: "PdfPage") -> tuple[list[str], bool]:
    """The texts of a page's annotations and form fields, and whether any of them may be shown on the page."""
    import pypdfium2.raw as pdfium

    texts: list[str] = []
    shown = False
    for number in range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            subtype = pdfium.FPDFAnnot_GetSubtype(annotation)
            shown |= subtype not in {pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP}
            if subtype == pdfium.FPDF_ANNOT_WIDGET:
                texts += _of_field(annotation, page.formenv) if page.formenv else ()
            elif subtype != pdfium.FPDF_ANNOT_POPUP:
                texts += _of_annotation(annotation)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return texts, shown


def _of_annotation(annotation: Any) -> Iterator[str]:
    import pypdfium2.raw as pdfium

    for key in _KEYS:
        yield utf16(pdfium.FPDFAnnot_GetStringValue, annotation, key)


def _of_field(widget: Any, form: Any) -> Iterator[str]:
    """The name that is shown for a field, its value, and what can be chosen."""
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFAnnot_GetFormFieldType(form, widget)
    yield utf16(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, widget)
    if kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON, pdfium.FPDF_FORMFIELD_PUSHBUTTON}:
        return
    yield utf16(pdfium.FPDFAnnot_GetFormFieldValue, form, widget)
    for number in range(min(pdfium.FPDFAnnot_GetOptionCount(form, widget), MAX_OPTIONS)):
        yield utf16(pdfium.FPDFAnnot_GetOptionLabel, form, widget, number)


def flatten(page: "PdfPage") -> bool:
    """Make a page's annotations a part of it; whether there was any. The page has to be loaded again then."""
    import pypdfium2.raw as pdfium

    return bool(pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS)


def alternative_texts(page: "PdfPage") -> Iterator[str]:
    """The texts that stand for pictures and formulas on a page of a tagged document (ISO 32000-2, 14.9.3)."""
    import pypdfium2.raw as pdfium

    tree = pdfium.FPDF_StructTree_GetForPage(page)
    if not tree:
        return
    try:
        count = min(pdfium.FPDF_StructTree_CountChildren(tree), MAX_ELEMENTS)
        waiting = [pdfium.FPDF_StructTree_GetChildAtIndex(tree, number) for number in range(count)]
        for _ in range(MAX_ELEMENTS):
            if not waiting:
                break
            element = waiting.pop()
            if element:
                yield utf16(pdfium.FPDF_StructElement_GetAltText, element)
                count = min(pdfium.FPDF_StructElement_CountChildren(element), MAX_ELEMENTS)
                waiting += [pdfium.FPDF_StructElement_GetChildAtIndex(element, number) for number in range(count)]
    finally:
        pdfium.FPDF_StructTree_Close(tree)


def xfa_texts(document: "PdfDocument") -> Iterator[str]:
    """The text of an XFA form, of which the pages may hold no more than a request to open it elsewhere."""
    import pypdfium2.raw as pdfium

    for number in range(min(pdfium.FPDF_GetXFAPacketCount(document), MAX_PACKETS)):
        name = ctypes.create_string_buffer(64)
        pdfium.FPDF_GetXFAPacketName(document, number, name, len(name))
        if name.value in _XFA_PACKETS:
            root = etree.fromstring(_content(document, number), xml_parser())
            yield from () if root is None else map(_text_of, root.iter(etree.Element))


def _text_of(element: etree._Element) -> str:
    """The text that belongs to one element: scripts are not read, and a formatted text is read paragraph by paragraph."""
    if element.tag.startswith(_XHTML):
        return "".join(map(str, element.itertext())) if element.tag == _XHTML + "p" else ""
    return "" if element.tag.endswith("}script") else element.text or ""


def _content(document: "PdfDocument", number: int) -> bytes:
    import pypdfium2.raw as pdfium

    size = ctypes.c_ulong()
    pdfium.FPDF_GetXFAPacketContent(document, number, None, 0, size)
    if not 0 < size.value <= MAX_PACKET_BYTES:
        return b""
    buffer = ctypes.create_string_buffer(size.value)
    pdfium.FPDF_GetXFAPacketContent(document, number, buffer, size.value, size)
    return buffer.raw

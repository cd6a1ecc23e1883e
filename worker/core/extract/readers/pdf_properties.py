"""What a PDF says about itself: its information dictionary (ISO 32000-2, 14.3.3), its XMP, its language."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lxml import etree

from worker.core.extract.markup import xml_parser
from worker.core.extract.readers.pdf_strings import utf16
from worker.core.extract.result import Properties

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MAX_XMP_BYTES = 1024**2
_XMP_END = b"</x:xmpmeta>"
_OF_A_DOCUMENT = b"http://ns.adobe.com/pdf/1.3/"
"""The namespace that the XMP of a document has, and that of a picture in it has not."""
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_HIGH = "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž\ufffd€"
"""PDFDocEncoding from 0x80 to 0xA0 (ISO 32000-2, D.2); 0x9F is not defined."""
_TO_BYTE = {character: 0x80 + at for at, character in enumerate(_HIGH)} | {
    chr(at): at for at in range(256) if not 0x80 <= at <= 0xA0
}
_JAPANESE = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]+")


def said_by(document: "PdfDocument", body: bytes) -> Properties:
    """Title, author, date and language; those that the information dictionary lacks are taken from the XMP."""
    import pypdfium2.raw as pdfium

    title, author, created = (
        repaired(document.get_metadata_value(key)).strip(" \0\t\r\n") for key in ("Title", "Author", "CreationDate")
    )
    xmp = Properties() if title and author and created else of_xmp(body)
    language = utf16(pdfium.FPDFCatalog_GetLanguage, document)
    return Properties(title or xmp.title, author or xmp.author, created or xmp.created, language or xmp.language)


def others(document: "PdfDocument") -> Iterator[str]:
    """Subject and keywords."""
    for key in ("Subject", "Keywords"):
        yield repaired(document.get_metadata_value(key))


def of_xmp(body: bytes) -> Properties:
    """What the last XMP of the document says, if it is neither compressed nor encrypted (XMP part 1, 7; part 3, 1.1.4)."""
    end = body.rfind(_XMP_END)
    while end >= 0:
        begin = body.rfind(b"<x:xmpmeta", max(0, end - MAX_XMP_BYTES), end)
        source = body[begin : end + len(_XMP_END)]
        if begin >= 0 and _OF_A_DOCUMENT in source:
            return _of_packet(source)
        end = body.rfind(_XMP_END, 0, max(0, begin if begin >= 0 else end))
    return Properties()


def _of_packet(source: bytes) -> Properties:
    root = etree.fromstring(source, xml_parser())
    if root is None:
        return Properties()
    created = [
        element.get(_XMP + "CreateDate") or element.findtext(_XMP + "CreateDate")
        for element in root.iter(_RDF + "Description")
    ]
    return Properties(
        next(_items(root, "title"), None),
        ", ".join(_items(root, "creator")) or None,
        next(filter(None, created), None),
        next(_items(root, "language"), None),
    )


def _items(root: etree._Element, name: str) -> Iterator[str]:
    for element in root.iter(_DC + name):
        for item in element.iter(_RDF + "li"):
            if item.text and not item.text.isspace():
                yield item.text


def repaired(text: str) -> str:
    """A text that was written in Shift JIS, as old Japanese programs do, and was read in the encoding of PDF.

    In Latin text, few of the bytes that begin a character in Shift JIS are letters.
    """
    if text.isascii() or any(character not in _TO_BYTE for character in text):
        return text
    raw = bytes(_TO_BYTE[character] for character in text)
    try:
        japanese = raw.decode("cp932")
    except UnicodeDecodeError:
        return text
    wide = [character for character in japanese if not character.isascii()]
    leads = sum(0x80 < byte < 0xA0 for byte in raw)
    return japanese if _JAPANESE.fullmatch("".join(wide)) and 2 * leads >= len(wide) else text

"""Books in EPUB (EPUB 3.3, and 2.0.1): chapters in reading order, tables of contents, properties."""

import posixpath
from urllib.parse import unquote

from worker.core.base.reasons import Reason
from worker.core.extract.decode import decode
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.markup import declared_encoding, html_text, xml_text
from worker.core.extract.readers.epub_package import DTBOOK, HTML, NCX, SVG, TTML, VTT, Item, Package, package_of
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

_ENCRYPTION = "META-INF/encryption.xml"
_XMLENC = "{http://www.w3.org/2001/04/xmlenc#}"
_OBFUSCATIONS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
"""How fonts are protected (EPUB 3.3, 4.4, and Adobe's own way)."""
_XML = frozenset({SVG, DTBOOK, TTML})
_READ = _XML | {HTML, VTT}


def read(container: Container, reading: Reading) -> None:
    """Read the book. Raises EncryptedError if its chapters are encrypted (DRM), and CorruptError if it has none."""
    package = package_of(container, reading)
    reading.said = package.said
    with reading.part(_ENCRYPTION):
        _refuse_encrypted(package, container, reading)
    parts = [*package.spine, *(item for item in package.rest if item.media_type in _READ)]
    if not parts:
        raise CorruptError("the book has no chapters")
    for item in parts:
        with reading.part(item.name):
            reading.add(_chapter(item, container))
    contents = [item for item in package.rest if item.media_type == NCX]
    lines = set(reading.text.splitlines()) if contents else set()
    for item in contents:
        with reading.part(item.name):
            _read_contents(item, container, reading, lines)
    for text in package.others:
        reading.add(text)


def _refuse_encrypted(package: Package, container: Container, reading: Reading) -> None:
    root = container.tree(_ENCRYPTION, reading)
    if root is None:
        return
    chapters = {item.name for item in package.spine}
    for data in root.iter(_XMLENC + "EncryptedData"):
        method = data.find(_XMLENC + "EncryptionMethod")
        if method is not None and method.get("Algorithm") in _OBFUSCATIONS:
            continue
        paths = [unquote(it.get("URI") or "") for it in data.iter(_XMLENC + "CipherReference")]
        if any(posixpath.normpath(path) in chapters for path in paths):
            raise EncryptedError("the book is encrypted (DRM)", Reason.RIGHTS_MANAGEMENT)


def _chapter(item: Item, container: Container) -> str:
    if item.name not in container:
        raise CorruptError("it is missing")
    if item.media_type not in _READ:  # a picture that is a page
        return ""
    data = container.read(item.name)
    decoded = decode(data, declared_encoding(data)) if data else None
    if decoded is None:
        raise CorruptError("it is not text")
    if item.media_type == HTML:
        return html_text(decoded.text)[0]
    return xml_text(decoded.text) if item.media_type in _XML else decoded.text


def _read_contents(item: Item, container: Container, reading: Reading, lines: set[str]) -> None:
    """Read those titles in the table of contents that are no lines of the text (EPUB 2.0.1, OPF 2.4.1)."""
    root = container.tree(item.name, reading)
    for element in () if root is None else root.iter("{*}text"):
        title = " ".join((element.text or "").split())
        if title not in lines:
            lines.add(title)
            reading.add(title)

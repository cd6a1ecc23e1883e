"""Office documents in a single XML file: the "Flat OPC" of Word and PowerPoint since 2007, and the XML of Word 2003.

Read as any other XML, their words would break where the formatting changes, and their pictures would be text in base64.
"""

import base64
import io
import zipfile

from lxml import etree

from worker.core.base.reasons import Reason
from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.flow import Flow
from worker.core.extract.readers.package import text_of
from worker.core.extract.readers.zipped import Container, parsed
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

WORD_2003 = "application/vnd.ms-wordml"
MAX_PARTS = 20_000
"""Further parts are ignored."""
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"


def container_of(body: bytes) -> Container | None:
    """The package in the file, as a container; None if the file is no flat package. Raises CorruptError."""
    root = parsed("the file", body, Reading(0))
    if not root.tag.endswith("}package"):
        return None
    types = etree.Element(f"{{{_TYPES}}}Types")
    out, seen = io.BytesIO(), {""}
    with zipfile.ZipFile(out, "w") as archive:
        for part in root.findall("{*}part")[:MAX_PARTS]:
            name = _attribute(part, "name").lstrip("/")
            if name in seen:
                continue
            seen.add(name)
            declared = {"PartName": f"/{name}", "ContentType": _attribute(part, "contentType")}
            etree.SubElement(types, f"{{{_TYPES}}}Override", declared)
            archive.writestr(name, _content(part))
        if "[Content_Types].xml" not in seen:
            archive.writestr("[Content_Types].xml", etree.tostring(types))
    return Container(out.getvalue())


def read_word_2003(body: bytes, reading: Reading) -> None:
    """Read a document of Word 2003. Its elements have the names of those since 2007. Raises CorruptError."""
    root = parsed("the file", body, reading)
    if not root.tag.endswith("}wordDocument"):
        raise CorruptError("the file is not the Word document that it says it is", Reason.WRONG_TYPE)
    said = root.find("{urn:schemas-microsoft-com:office:office}DocumentProperties")
    texts = {} if said is None else {str(one.tag).rpartition("}")[2]: text_of(one).strip() for one in said}
    reading.said = Properties(texts.get("Title"), texts.get("Author"), texts.get("Created"))
    Flow(reading.add).tree(root)
    for name in (
        "Title",
        "Subject",
        "Author",
        "Keywords",
        "Description",
        "Category",
        "Company",
        "Manager",
        "LastAuthor",
    ):
        reading.add(texts.get(name, ""))


def _attribute(part: etree._Element, name: str) -> str:
    return next((str(value) for key, value in part.attrib.items() if str(key).rpartition("}")[2] == name), "")


def _content(part: etree._Element) -> bytes:
    for element in part:
        name = str(element.tag).rpartition("}")[2]
        if name == "xmlData" and len(element):
            return etree.tostring(element[0], encoding="utf-8", with_tail=False)
        if name == "binaryData":
            try:
                return base64.b64decode(element.text or "")
            except ValueError:
                return b""
    return b""

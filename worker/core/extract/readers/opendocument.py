"""OpenDocument texts, spreadsheets, presentations and drawings (ODF 1.3, part 3), and their predecessors of OpenOffice.org 1."""

from lxml import etree

from worker.core.extract.readers.opendocument_text import Walk
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

MAX_OBJECTS = 500
"""Further embedded objects are left out."""
_CONTENT = "/content.xml"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"


def read(container: Container, reading: Reading) -> None:
    """Read the document: its text, headers and footers, embedded objects such as charts, and its properties."""
    with reading.part("meta.xml"):
        meta = container.tree("meta.xml", reading)
        reading.said = said_by(meta) if meta is not None else Properties()
    with reading.part("content.xml"):
        root = container.tree("content.xml", reading)
        if root is not None:
            Walk(reading).read(root)
    with reading.part("styles.xml"):
        styles = container.tree("styles.xml", reading)
        for masters in () if styles is None else styles.iter(_OFFICE + "master-styles"):
            Walk(reading, is_master=True).read(masters)
    objects = [name for name in container.names if name.endswith(_CONTENT)]
    if len(objects) > MAX_OBJECTS:
        reading.miss(f"only {MAX_OBJECTS} of {len(objects)} embedded objects are read")
    for name in objects[:MAX_OBJECTS]:
        with reading.part(name):
            embedded = container.tree(name, reading)
            if embedded is not None:
                Walk(reading).read(embedded)
    for text in () if meta is None else others(meta):
        reading.add(text)


def said_by(meta: etree._Element) -> Properties:
    """Title, first author, date and language (ODF 1.3, part 3, 4.3)."""
    return Properties(
        title=_first(meta, _DC + "title"),
        author=_first(meta, _META + "initial-creator") or _first(meta, _DC + "creator"),
        created=_first(meta, _META + "creation-date"),
        language=_first(meta, _DC + "language"),
    )


def others(meta: etree._Element) -> list[str]:
    """Each other property that people write, once."""
    names = ("subject", "description", "creator", "contributor", "publisher", "coverage", "rights", "source")
    tags = [*(_DC + name for name in names), _META + "keyword", _META + "user-defined"]
    return list(dict.fromkeys(element.text for element in meta.iter(*tags) if element.text))


def _first(meta: etree._Element, tag: str) -> str | None:
    return next((element.text for element in meta.iter(tag) if element.text), None)

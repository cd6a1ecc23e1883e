"""Drawings since Visio 2013 ([MS-VSDX]): the names of the pages, the texts and the data of shapes, and comments.

The drawings of earlier versions (.vsd) are not read.
"""

from lxml import etree

from worker.core.extract.readers import package
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

_SHAPE_DATA = "./{*}Section[@N='Property']/{*}Row/{*}Cell"
_SHOWN_CELLS = frozenset({"Label", "Value"})


def read(container: Container, reading: Reading) -> None:
    """Read the drawing, page by page."""
    properties = package.properties(container, reading)
    main = package.main_part(container)
    for pages in package.related(container, main, reading, "pages"):
        with reading.part(pages.target):
            root = container.tree(pages.target, reading)
            names = [] if root is None else [page.get("Name", "") for page in root.iterfind("{*}Page")]
            reading.add("\n".join(names))
        for page in package.related(container, pages.target, reading, "page"):
            _read_page(container, page.target, reading)
    for comments in package.related(container, main, reading, "comments"):
        with reading.part(comments.target):
            root = container.tree(comments.target, reading)
            for entry in () if root is None else root.iter("{*}CommentEntry"):
                reading.add("".join(map(str, entry.itertext())))
    package.add_properties(properties, reading)


def _read_page(container: Container, name: str, reading: Reading) -> None:
    with reading.part(name):
        root = container.tree(name, reading)
        for shape in () if root is None else root.iter("{*}Shape"):
            _read_shape(shape, reading)


def _read_shape(shape: etree._Element, reading: Reading) -> None:
    for text in shape.iterfind("{*}Text"):
        reading.add("".join(map(str, text.itertext())))
    data = [cell.get("V", "") for cell in shape.iterfind(_SHAPE_DATA) if cell.get("N") in _SHOWN_CELLS]
    reading.add("\t".join(filter(None, data)))

"""The text of drawings in office files: shapes, charts, SmartArt and VML, for documents, slides and sheets alike.

Sheets call `read(container, part_name, reading)` for a drawing part (DrawingML or VML); documents and slides, whose shapes
stand in the part itself, call `linked` for what that part refers to.
"""

from collections.abc import Callable

from lxml import etree

from worker.core.extract.readers.flow import Flow
from worker.core.extract.readers.package import related, text_of
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

LINKED = ("chart", "chartex", "diagramdata", "chartusershapes", "drawing")
"""The kinds of relationships by which a part refers to what is drawn in it."""
MAX_PARTS = 10_000
"""Further parts are not read."""
MAX_NUMBERS = 2000
"""Further numbers of a chart are not read."""


def read(container: Container, part_name: str, reading: Reading) -> None:
    """Add the text of a drawing part and of the charts and diagrams in it; what is broken is noted in the reading."""
    _read_all(container, [part_name], reading)


def linked(container: Container, part_name: str, reading: Reading) -> None:
    """Add the text of the charts and diagrams to which a part refers; what is broken is noted in the reading."""
    _read_all(container, _linked(container, part_name, reading), reading)


def _read_all(container: Container, names: list[str], reading: Reading) -> None:
    waiting, seen = list(reversed(names)), set[str]()
    while waiting and len(seen) < MAX_PARTS:
        name = waiting.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        with reading.part(name):
            _read_part(container, name, reading)
        waiting += reversed(_linked(container, name, reading))


def _linked(container: Container, part_name: str, reading: Reading) -> list[str]:
    return [link.target for link in related(container, part_name, reading, *LINKED)]


def _read_part(container: Container, name: str, reading: Reading) -> None:
    if name.lower().endswith(".vml"):
        _vml(container.read(name), reading.add)
        return
    root = container.tree(name, reading)
    if root is None:
        reading.miss(f"{name} is missing")
    elif root.tag.endswith("}chartSpace"):
        _chart(root, reading.add)
    else:
        Flow(reading.add).tree(root)


def _chart(root: etree._Element, put: Callable[[str], object]) -> None:
    """Titles, then the names of the series and categories, and the numbers ([ISO/IEC 29500-1] 21.2; [MS-ODRAWXML] 2.24.3)."""
    rows: dict[str, None] = {}
    numbers = 0
    for cache in root.iter("{*}strCache", "{*}numCache", "{*}strLit", "{*}numLit", "{*}lvl", "{*}txData", "{*}tx"):
        name = cache.tag.rpartition("}")[2]
        if name == "tx" and cache.find("{*}v") is None:
            continue  # its text is in a cache, or is a paragraph
        points = [one.text or "" for one in cache.iter("{*}v", "{*}pt") if one.text and not one.text.isspace()]
        if name.startswith("num"):
            points = [_shown(point) for point in points[: max(MAX_NUMBERS - numbers, 0)]]
            numbers += len(points)
        if points:
            rows["\t".join(points)] = None
    Flow(put).tree(root)
    for row in rows:
        put(row)


def _shown(number: str) -> str:
    """A number with at most 15 digits: 4.4000000000000004 is how 4.4 is stored."""
    try:
        return f"{float(number):.15g}" if len(number) > 15 else number
    except ValueError:
        return number


def _vml(raw: bytes, put: Callable[[str], object]) -> None:
    """Text boxes, captions of controls and WordArt ([ISO/IEC 29500-4] 19). Excel writes it as HTML that is not always XML."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True, remove_pis=True, recover=True
    )
    root = etree.fromstring(raw, parser)
    if root is None:
        return
    for box in root.iter("{*}textbox"):
        if box.find(".//{*}p") is None:
            for line in box if len(box) else (box,):
                put(" ".join(text_of(line).split()))
    Flow(put).tree(root)

"""The package document of an EPUB: which parts a book has, in which order, and what it says about itself."""

import posixpath
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from lxml import etree

from worker.core.extract.markup import html_text
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

_CONTAINER = "META-INF/container.xml"
_PAGES = (".xhtml", ".html", ".htm", ".xht")
HTML = "application/xhtml+xml"
SVG = "image/svg+xml"
DTBOOK = "application/x-dtbook+xml"
TTML = "application/ttml+xml"
VTT = "text/vtt"
NCX = "application/x-dtbncx+xml"
_TYPES = {**dict.fromkeys(_PAGES, HTML), ".svg": SVG, ".ncx": NCX, ".ttml": TTML, ".vtt": VTT}
_KNOWN = frozenset(_TYPES.values()) | {DTBOOK}
"""Types that are believed; for others, the name decides."""
_DUBLIN_CORE = "{http://purl.org/dc/elements/"
_FILE_AS = "{http://www.idpf.org/2007/opf}file-as"
_FURTHER = frozenset({"file-as", "alternate-script", "belongs-to-collection"})
"""What people also search for: `file-as` of a Japanese name is its reading (EPUB 3.3, appendix D)."""
_NOT_SEARCHED = frozenset({"date", "language", "format", "type"})


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a book: its name in the container, and its type."""

    name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Package:
    """What the package document says."""

    said: Properties = field(default_factory=Properties)
    others: tuple[str, ...] = ()
    """Further properties."""
    spine: tuple[Item, ...] = ()
    """The parts in reading order."""
    rest: tuple[Item, ...] = ()
    """All others."""


def package_of(container: Container, reading: Reading) -> Package:
    """The book's package; one with all its pages, in the order of the archive, if it cannot be read."""
    with reading.part("the package document"):
        for path in _paths(container, reading):
            root = container.tree(path, reading)
            if root is not None:
                return _package(root, posixpath.dirname(path))
        reading.miss("the package document is missing")
    pages = [Item(name, HTML) for name in container.names if name.lower().endswith(_PAGES)]
    return Package(spine=tuple(pages))


def _paths(container: Container, reading: Reading) -> Iterator[str]:
    """Where the package document may be: as the container says, otherwise wherever there is one."""
    with reading.part(_CONTAINER):
        root = container.tree(_CONTAINER, reading)
        if root is not None:
            yield from (path for element in root.iter("{*}rootfile") if (path := element.get("full-path")))
    yield from (name for name in container.names if name.lower().endswith(".opf"))


def _package(root: etree._Element, folder: str) -> Package:
    items = {element.get("id"): _item(element, folder) for element in root.iter("{*}item") if element.get("href")}
    order = [items[key] for element in root.iter("{*}itemref") if (key := element.get("idref")) in items]
    spine = dict.fromkeys(order)
    rest = dict.fromkeys(item for item in items.values() if item not in spine)
    told = _told(root)
    said = Properties(
        title=next(iter(told["title"]), None),
        author=", ".join(told["creator"]) or None,
        created=next(iter(told["date"]), None),
        language=next(iter(told["language"]), None),
    )
    others = [text for name, texts in told.items() if name not in _NOT_SEARCHED for text in texts]
    return Package(said, tuple(dict.fromkeys(others)), tuple(spine), tuple(rest))


def _item(element: etree._Element, folder: str) -> Item:
    path = unquote((element.get("href") or "").partition("#")[0])
    name = posixpath.normpath(posixpath.join(folder, path))
    suffix = posixpath.splitext(name)[1].lower()
    declared = (element.get("media-type") or "").strip().lower()
    return Item(name, declared if declared in _KNOWN else _TYPES.get(suffix, declared))


def _told(root: etree._Element) -> dict[str, list[str]]:
    """The properties by name (EPUB 3.3, 5.5); in books made before 2007, names begin with a capital letter."""
    told: dict[str, list[str]] = defaultdict(list)
    for element in root.iter("{*}*"):
        namespace, _, name = str(element.tag).rpartition("}")
        if namespace.startswith(_DUBLIN_CORE):
            told[name.lower()].append(_text_of(element))
            told["file-as"] += filter(None, [element.get(_FILE_AS)])
        elif name == "meta" and element.get("property") in _FURTHER:
            told["further"].append(_text_of(element))
    return defaultdict(list, {name: list(filter(None, texts)) for name, texts in told.items()})


def _text_of(element: etree._Element) -> str:
    text = "".join(map(str, element.itertext()))
    return " ".join((html_text(text)[0] if "<" in text else text).split())

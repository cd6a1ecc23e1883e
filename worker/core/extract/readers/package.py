"""What all packages of [ISO/IEC 29500-2] share: content types, relationships, the main part and the properties.

Parts are found through relationships, whatever their names are; names in letters of another case are the same names.
Relationships are told apart by the end of their type, because the strict and the transitional form of the standard, and
the extensions of Microsoft, begin it differently.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from lxml import etree

from worker.core.extract.faults import CorruptError
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

if TYPE_CHECKING:
    from worker.core.extract.readers.zipped import Container

MAX_RELATIONSHIPS = 50_000
"""Further relationships of a part are ignored."""
MAX_PROPERTY_CHARS = 10_000
"""A longer property is cut at this length."""

_OOXML = "application/vnd.openxmlformats-officedocument."
_MACROS = ".macroenabled"
_BY_NAME = (
    ("word/document", _OOXML + "wordprocessingml.document"),
    ("xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    ("xl/workbook", _OOXML + "spreadsheetml.sheet"),
    ("ppt/presentation", _OOXML + "presentationml.presentation"),
    ("visio/document", "application/vnd.ms-visio.drawing"),
    ("fixeddocseq.fdseq", "application/vnd.ms-xpsdocument"),
    ("fixeddocumentsequence.fdseq", "application/vnd.ms-xpsdocument"),
)
"""What the customary name of a main part begins with: for packages without usable content types."""
_FAMILIES = (
    _OOXML + "wordprocessingml.", _OOXML + "spreadsheetml.", _OOXML + "presentationml.",
    "application/vnd.ms-word.", "application/vnd.ms-excel.", "application/vnd.ms-powerpoint.",
    "application/vnd.ms-visio.",
)  # fmt: skip
_XPS = {"http://schemas.microsoft.com/xps/2005/06/fixedrepresentation": "application/vnd.ms-xpsdocument"}
_OXPS = "application/oxps"
_CORE = ("title", "subject", "creator", "keywords", "description", "category", "contentStatus", "lastModifiedBy")
_APP = ("Company", "Manager")


_KNOWN: "WeakKeyDictionary[Container, dict[str, list[Relationship]]]" = WeakKeyDictionary()
"""The relationships that were read already: each part is asked for its headers, its charts, its links, and so on."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A link from one part to another, or to something outside of the package."""

    id: str
    kind: str
    """The end of its type, in lower case: `officedocument`, `header`, `hyperlink`."""
    target: str
    """The name of a part, or an address if it is external."""
    external: bool = False
    type: str = ""
    """The whole type."""


def relationships(container: "Container", part: str = "") -> list[Relationship]:
    """The relationships of a part, or of the package itself, as far as they can be read; none if there are none."""
    known = _KNOWN.setdefault(container, {})
    if part not in known:
        known[part] = list(islice(_relationships(container, part), MAX_RELATIONSHIPS))
    return known[part]


def _relationships(container: "Container", part: str) -> Iterator[Relationship]:
    folder, name = posixpath.split(part)
    try:
        root = _lenient(container.read(posixpath.join(folder, "_rels", f"{name}.rels")))
    except CorruptError:
        return
    for element in () if root is None else root.iterfind("{*}Relationship"):
        whole, target = element.get("Type", ""), element.get("Target", "")
        external = element.get("TargetMode", "").lower() == "external"
        if target:
            where = target if external else resolved(container, part, target)
            yield Relationship(element.get("Id", ""), whole.rpartition("/")[2].lower(), where, external, whole)


def resolved(container: "Container", part: str, target: str) -> str:
    """The name of the part that a target in `part` means. Some writers percent-encode names, and some do not."""
    path = target.replace("\\", "/").partition("#")[0] or target
    name = posixpath.normpath(posixpath.join("/", posixpath.dirname(part), path)).lstrip("/")
    return name if name in container else unquote(name)


def related(container: "Container", part: str, reading: Reading, *kinds: str) -> list[Relationship]:
    """The relationships of these kinds to parts that exist, in their order, each part once. Missing ones are noted."""
    found: dict[str, Relationship] = {}
    for link in relationships(container, part):
        if link.kind not in kinds or link.external:
            continue
        if link.target in container:
            found.setdefault(link.target.lower(), link)
        elif link.target.rpartition("/")[2].upper() != "NULL":  # what some writers put for "no such part"
            reading.miss(f"{link.target} is missing")
    return list(found.values())


def addresses(container: "Container", part: str) -> list[str]:
    """The addresses outside of the package to which a part's hyperlinks lead."""
    return [
        link.target[:MAX_PROPERTY_CHARS]
        for link in relationships(container, part)
        if link.external and link.kind == "hyperlink"
    ]


def main_part(container: "Container") -> str:
    """The name of the main part, whatever it is. Raises CorruptError if there is none."""
    for link in relationships(container):
        if link.kind in {"officedocument", "fixedrepresentation"} and not link.external and link.target in container:
            return link.target
    types = content_types(container)
    for name in container.names:
        if _document_of(types.of(name)) is not None:
            return name
    for name in container.names:
        if name.replace("\\", "/").lstrip("/").lower().startswith(tuple(prefix for prefix, _ in _BY_NAME)):
            return name
    raise CorruptError("the package has no main part")


@dataclass(frozen=True, slots=True)
class ContentTypes:
    """The content type of each part, in lower case."""

    overrides: dict[str, str]
    defaults: dict[str, str]

    def of(self, name: str) -> str:
        """The content type of a part; empty if none is declared."""
        folded = name.replace("\\", "/").lstrip("/").lower()
        return self.overrides.get(folded) or self.defaults.get(folded.rpartition(".")[2], "")


def content_types(container: "Container") -> ContentTypes:
    """What `[Content_Types].xml` says, as far as it can be read."""
    types = ContentTypes({}, {})
    try:
        root = _lenient(container.read("[Content_Types].xml"))
    except CorruptError:
        return types
    for element in () if root is None else root:
        declared = element.get("ContentType", "").strip().lower()
        if part := element.get("PartName"):
            types.overrides[unquote(part).lstrip("/").lower()] = declared
        elif extension := element.get("Extension"):
            types.defaults[extension.lower()] = declared
    return types


def document_type(container: "Container") -> str | None:
    """The MIME type of the document in a package; None if it is no package, or one of another kind."""
    if "[Content_Types].xml" not in container and "_rels/.rels" not in container:
        return None
    for link in relationships(container):
        if link.kind == "fixedrepresentation":
            return _XPS.get(link.type, _OXPS)
    try:
        main = main_part(container)
    except CorruptError:
        return None
    folded = main.replace("\\", "/").lstrip("/").lower()
    by_name = next((mime_type for prefix, mime_type in _BY_NAME if folded.startswith(prefix)), None)
    return _document_of(content_types(container).of(main)) or by_name


def _document_of(content_type: str) -> str | None:
    """The type of a document by that of its main part: the latter has `.main+xml` or `.main` in addition."""
    if not content_type.startswith(_FAMILIES):
        return None
    base, _, rest = content_type.partition(".main")
    if rest not in {"", "+xml"} or base == content_type:
        return None
    return base + ".12" if base.endswith(_MACROS) else base


def properties(container: "Container", reading: Reading) -> list[str]:
    """Note what the document says about itself (title, author, …), and return the text of its properties."""
    texts: dict[str, None] = {}
    for link in relationships(container):
        if link.kind.endswith("-properties") and not link.external:
            with reading.part(link.target):
                root = container.tree(link.target, reading)
                for text in () if root is None else _texts_of(root, link.kind, reading):
                    texts[text] = None
    return list(texts)


def add_properties(texts: list[str], reading: Reading) -> None:
    """Add the text of the properties at the end; not to a file of which nothing else could be read, which is corrupt."""
    if reading.text or not reading.missed:
        for text in texts:
            reading.add(text)


def _texts_of(root: etree._Element, kind: str, reading: Reading) -> list[str]:
    if kind == "custom-properties":
        pairs = ((one.get("name", ""), " ".join(text_of(one).split())) for one in root)
        return [f"{name[:MAX_PROPERTY_CHARS]}\t{value[:MAX_PROPERTY_CHARS]}" for name, value in pairs if value]
    if kind == "core-properties":
        reading.said = Properties(*(_property(root, name) for name in ("title", "creator", "created", "language")))
    return [text for name in (_CORE if kind == "core-properties" else _APP) if (text := _property(root, name))]


def text_of(element: etree._Element) -> str:
    """All text in an element, as it stands."""
    return etree.tostring(element, method="text", encoding="unicode", with_tail=False)


def _property(root: etree._Element, name: str) -> str | None:
    return (root.findtext(f"{{*}}{name}") or "").strip()[:MAX_PROPERTY_CHARS] or None


def _lenient(raw: bytes) -> etree._Element | None:
    """The root of a small XML part, which is read as far as possible."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True, remove_pis=True, recover=True
    )
    try:
        return etree.fromstring(raw, parser) if raw else None
    except etree.XMLSyntaxError:
        return None

"""What belongs to the sheets of a workbook beside their cells: headers, comments, tables, drawings, hints for input."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from worker.core.extract.readers import drawing, package
from worker.core.extract.readers.sheet_text import plain_header, unescaped
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_DETAILS = 20_000
"""Further hints, hyperlinks and headers of a workbook are left out."""
MAX_DETAIL_CHARS = 2_000_000
_SHEET_KINDS = frozenset({"worksheet", "chartsheet", "dialogsheet", "xlmacrosheet", "xlintlmacrosheet"})
_MAX_ADDRESS_CHARS = 2084
_HINTS = ("promptTitle", "prompt", "errorTitle", "error")
_PIVOT_NAMES = ("name", "caption", "dataCaption", "rowHeaderCaption", "colHeaderCaption", "grandTotalCaption")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook: its name, its part, and the kind of the relationship that leads to it."""

    name: str
    part: str
    kind: str


def sheet(name: str, link: package.Relationship | None) -> Sheet:
    """The sheet of this name; its part is missing if there is no link."""
    return Sheet(name, link.target if link else "", link.kind if link else "")


def complete(sheets: list[Sheet], links: dict[str, package.Relationship]) -> list[Sheet]:
    """The sheets, and those to which a workbook refers without listing them. A part that is listed twice is read once."""
    known: set[str] = set()
    found: list[Sheet] = []
    for one in (*sheets, *(sheet("", link) for link in links.values() if link.kind in _SHEET_KINDS)):
        if one.part.lower() not in known:
            found.append(one)
        elif one.name:
            found.append(Sheet(one.name, "", ""))
        known.add(one.part.lower())
    return found


def is_there(container: Container, one: Sheet, reading: Reading) -> bool:
    """Whether there is a part of this sheet to be read; if it is missing, this is noted."""
    if one.part and one.part not in container:
        reading.miss(f"{one.part} is missing")
    return one.part in container


@dataclass(slots=True)
class Details:
    """Texts that were met while the cells were read: each once, in order."""

    texts: dict[str, None] = field(default_factory=dict)
    chars: int = 0
    sheet_name: str = ""
    """The sheet that is being read."""

    def add(self, *texts: str | None) -> None:
        """Add a line of several texts."""
        line = "\t".join(text.strip() for text in texts if text and text.strip())
        if line and len(self.texts) < MAX_DETAILS and self.chars < MAX_DETAIL_CHARS:
            self.texts[line] = None
            self.chars += len(line)

    def add_header(self, text: str | None) -> None:
        """Add a header or a footer."""
        self.add(plain_header(unescaped(text or ""), self.sheet_name))

    def note(self, name: str, element: etree._Element) -> None:
        """Add what an element beside the rows says."""
        if name == "headerFooter":
            for part in element:
                self.add_header(part.text)
        elif name == "hyperlink":
            self.add(element.get("display"), element.get("tooltip"))
        else:
            self.add(*(unescaped(element.get(hint, "")) for hint in _HINTS))
            for formula in element.iterfind("{*}formula1"):
                self.add_choices("".join(formula.itertext()))  # type: ignore[arg-type]  # the stubs allow bytes

    def add_choices(self, formula: str) -> None:
        """Add the entries of a list to choose from, if they are written in the formula itself."""
        if formula.strip().startswith('"'):
            self.add("\t".join(formula.strip().strip('"').split(",")))


def read(container: Container, main: str, sheets: list[Sheet], details: Details, reading: Reading) -> None:
    """Read what the sheets and the workbook refer to, then the document's properties."""
    reading.add("\n".join(details.texts))
    people, addresses = _people(container, main, reading), Details()
    seen: set[str] = set()
    for one in sheets:
        every = package.relationships(container, one.part) if one.part else []
        for link in every:
            if link.external and link.kind == "hyperlink":
                addresses.add(link.target[:_MAX_ADDRESS_CHARS])
        links = [link for link in every if not link.external]
        threaded = any(link.kind == "threadedcomment" for link in links)
        for link in links:
            if link.target not in container or link.target.lower() in seen:
                continue
            seen.add(link.target.lower())
            with reading.part(link.target):
                _read_part(container, link, people, reading, threaded=threaded)
    reading.add("\n".join(addresses.texts))
    for link in package.relationships(container, main):
        if link.kind == "pivotcachedefinition" and link.target.endswith(".xml") and link.target in container:
            with reading.part(link.target):
                reading.add("\n".join(_names(container.tree(link.target, reading), "cacheField")))
    for text in package.properties(container, reading):
        reading.add(text)


def _read_part(
    container: Container, link: package.Relationship, people: dict[str, str], reading: Reading, *, threaded: bool
) -> None:
    if link.kind in {"drawing", "vmldrawing", "legacydrawing"}:
        drawing.read(container, link.target, reading)
        return
    if link.kind not in {"comments", "threadedcomment", "table", "pivottable", "slicer"} or link.target.endswith(
        ".bin"
    ):
        return
    root = container.tree(link.target, reading)
    match link.kind:
        case "comments":
            texts = comments(root, threaded=threaded)
        case "threadedcomment":
            texts = _threaded(root, people)
        case "table":
            texts = _names(root, "tableColumn")
        case _:
            texts = _names(root, "*")
    for text in texts:
        reading.add(text)


def comments(root: etree._Element | None, *, threaded: bool) -> Iterator[str]:
    """The notes on cells with their authors; those that stand in for threaded comments are left out if these are read."""
    if root is None:
        return
    authors = [author.text or "" for author in root.iterfind("{*}authors/{*}author")]
    for comment in root.iterfind("{*}commentList/{*}comment"):
        number = comment.get("authorId", "")
        author = authors[int(number)] if number.isdecimal() and int(number) < len(authors) else ""
        if author.startswith("tc={"):
            if threaded:
                continue
            author = ""
        texts = (one.text or "" for one in comment.iterfind("{*}text//{*}t") if _is_base(one))
        yield with_author(unescaped("".join(texts)), author)


def with_author(text: str, author: str) -> str:
    """A comment after its author, who is often named in the text as well."""
    return text if not author.strip() or text.lstrip().startswith(author.strip()) else f"{author}\t{text}"


def _is_base(element: etree._Element) -> bool:
    parent = element.getparent()
    return parent is None or not parent.tag.endswith("}rPh")


def _people(container: Container, main: str, reading: Reading) -> dict[str, str]:
    found: dict[str, str] = {}
    for link in package.related(container, main, reading, "person"):
        with reading.part(link.target):
            root = container.tree(link.target, reading)
            for person in () if root is None else root.iterfind("{*}person"):
                found[person.get("id", "")] = person.get("displayName", "")
    return found


def _threaded(root: etree._Element | None, people: dict[str, str]) -> Iterator[str]:
    for comment in () if root is None else root.iterfind("{*}threadedComment"):
        yield with_author(comment.findtext("{*}text") or "", people.get(comment.get("personId", ""), ""))


def _names(root: etree._Element | None, inner: str) -> Iterator[str]:
    """The names and captions of a table, a pivot table or a slicer, and those of its columns; each once."""
    if root is None:
        return
    found: dict[str, None] = {}
    for element in (root, *root.iter(f"{{*}}{inner}")):
        for attribute in _PIVOT_NAMES:
            if text := element.get(attribute):
                found[unescaped(text)] = None
        if len(found) >= MAX_DETAILS:
            break
    yield "\t".join(found)

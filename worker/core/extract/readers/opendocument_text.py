"""The text of OpenDocument XML, in blocks: paragraphs, and rows with a tab between cells.

What stands beside a paragraph (notes, comments, text boxes, alternative texts, readings of ruby) follows it, so that its own
words stay together. Names are those of ODF 1.3, part 3.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from lxml import etree

from worker.core.extract.readers.opendocument_names import attribute, name_of
from worker.core.extract.reading import Reading

MAX_DEPTH = 150
"""Elements that lie deeper are read without regard to what they mean."""
MAX_REPEATED = 16
"""A cell that is repeated further (table:number-columns-repeated) is left out from there on."""
_SPACES = re.compile(r"[ \t\r\n]+")
_ROLES_WITH_TEXT = frozenset({"", "footer", "header", "date-time", "page-number"})
"""A shape of a master page with another role (presentation:class) is where the text of slides goes."""
_QUOTED = re.compile(r'"([^"]*)"')
_UNNAMED_PAGE = re.compile(r"(?:page|Slide|Folie|スライド) ?\d+")


class Sink:
    """Where text goes: `parts` of a paragraph's own text or, outside of one, blocks; and what follows them."""

    __slots__ = ("after", "is_inline", "parts", "readings")

    def __init__(self, *, is_inline: bool = False) -> None:
        """Collect the text of a paragraph if it is inline, otherwise blocks."""
        self.is_inline = is_inline
        self.parts: list[str] = []
        self.readings: list[str] = []
        self.after: list[str] = []

    def block(self, text: str) -> None:
        """Add a paragraph or a row."""
        (self.after if self.is_inline else self.parts).append(text)

    def aside(self, texts: Iterable[str]) -> None:
        """Add what stands beside."""
        self.after.extend(texts)


class _Root(Sink):
    """The document itself: blocks are read as soon as they are complete."""

    __slots__ = ("_add",)

    def __init__(self, add: Callable[[str], None]) -> None:
        super().__init__()
        self._add = add

    def block(self, text: str) -> None:
        self._add(text)

    def aside(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._add(text)


class Walk:
    """Reads one XML document, or one part of it."""

    def __init__(self, reading: Reading, *, is_master: bool = False) -> None:
        """Add to `reading`. Of a master page, placeholders are left out."""
        self._root = _Root(reading.add)
        self._is_master = is_master
        self._depth = 0

    def read(self, root: etree._Element) -> None:
        """Read an element with all that it contains."""
        if name_of(root.tag) == "math:math":
            _paragraph(self, root, self._root)
        else:
            self.children(root, self._root)

    def children(self, element: etree._Element, sink: Sink) -> None:
        """Read what an element contains."""
        if self._depth >= MAX_DEPTH:
            sink.block(_collapsed("".join(map(str, element.itertext()))))
            return
        self._depth += 1
        is_inline = sink.is_inline
        if is_inline and element.text:
            sink.parts.append(_collapsed(element.text))
        for child in element:
            handle = _handler_of(child.tag)
            if handle is not None:
                handle(self, child, sink)
            if is_inline and child.tail:
                sink.parts.append(_collapsed(child.tail))
        self._depth -= 1

    def is_placeholder(self, shape: etree._Element) -> bool:
        """Whether a shape shows no text of its own."""
        is_empty = attribute(shape, "presentation", "placeholder") == "true"
        role = attribute(shape, "presentation", "class")
        return is_empty or (self._is_master and role not in _ROLES_WITH_TEXT)


def _collapsed(text: str) -> str:
    """White space in a paragraph is one space (6.1.2); several spaces do no harm."""
    return _SPACES.sub(" ", text) if "\n" in text or "\t" in text else text


def _paragraph(walk: Walk, element: etree._Element, sink: Sink) -> None:
    if not len(element):  # most are: this only saves time
        text = _collapsed(element.text or "").strip()
        if text:
            sink.block(text)
        return
    own = Sink(is_inline=True)
    walk.children(element, own)
    text = "".join(own.parts).strip()
    if text:
        sink.block(text)
    sink.aside([*([" ".join(own.readings)] if own.readings else []), *own.after])


def _aside(walk: Walk, element: etree._Element, sink: Sink) -> None:
    """An annotation, a note or another part of a paragraph or a cell that has paragraphs of its own."""
    own = Sink()
    walk.children(element, own)
    sink.aside([*own.parts, *own.after])


def _text_beside(_walk: Walk, element: etree._Element, sink: Sink) -> None:
    """An element that is a text of its own although it is no paragraph, such as an alternative text."""
    text = _collapsed("".join(map(str, element.itertext()))).strip()
    if text:
        sink.aside([text])


def _annotation(walk: Walk, element: etree._Element, sink: Sink) -> None:
    """A comment: its author, then its text (14.1)."""
    authors = [child.text for child in element if name_of(child.tag) == "dc:creator" and child.text]
    own = Sink()
    walk.children(element, own)
    sink.aside([*authors, *own.parts, *own.after])


def _reading(_walk: Walk, element: etree._Element, sink: Sink) -> None:
    """The reading of a ruby text (6.4): after the paragraph, because it would cut its words."""
    sink.readings.append("".join(map(str, element.itertext())).strip())


def _row(walk: Walk, element: etree._Element, sink: Sink) -> None:
    cells: list[str] = []
    after: list[str] = []
    for cell in element:
        if name_of(cell.tag) not in _CELLS:
            continue
        own = Sink()
        walk.children(cell, own)
        after += own.after
        text = "\n".join(own.parts) or _value(cell)
        if text:
            cells += [text] * _repeated(cell)
    if cells:
        sink.block("\t".join(cells))
    sink.aside(after)


def _value(cell: etree._Element) -> str:
    """The value of a cell that no paragraph shows (19.385)."""
    names = ("string-value", "date-value", "time-value", "value")
    return next(filter(None, (attribute(cell, "office", name) for name in names)), "")


def _repeated(cell: etree._Element) -> int:
    count = attribute(cell, "table", "number-columns-repeated")
    return min(int(count), MAX_REPEATED) if count.isdecimal() and len(count) < 20 else 1


def _table(walk: Walk, element: etree._Element, sink: Sink) -> None:
    """A sheet is known by its name; that of a table in a text is one that the program gave it."""
    parent = element.getparent()
    if parent is not None and name_of(parent.tag) == "office:spreadsheet":
        sink.block(attribute(element, "table", "name"))
    walk.children(element, sink)


def _page(walk: Walk, element: etree._Element, sink: Sink) -> None:
    name = attribute(element, "drawing", "name")
    if not _UNNAMED_PAGE.fullmatch(name):
        sink.block(name)
    walk.children(element, sink)


def _shape(walk: Walk, element: etree._Element, sink: Sink) -> None:
    if not walk.is_placeholder(element):
        walk.children(element, sink)


def _named(_walk: Walk, element: etree._Element, sink: Sink) -> None:
    """A bookmark or a named range, unless its name was made by the program."""
    name = attribute(element, "text", "name") or attribute(element, "table", "name")
    if not name.startswith("_"):
        sink.aside([name])


def _control(walk: Walk, element: etree._Element, sink: Sink) -> None:
    """A control of a form: what it shows, and what was entered (13)."""
    names = ("label", "title", "current-value", "value")
    sink.aside(dict.fromkeys(filter(None, (attribute(element, "form", name) for name in names))))
    walk.children(element, sink)


def _choices(walk: Walk, element: etree._Element, sink: Sink) -> None:
    """What can be entered in a cell (9.4.5), and the messages about it."""
    condition = attribute(element, "table", "condition")
    if "cell-content-is-in-list" in condition:
        sink.aside(filter(None, _QUOTED.findall(condition)))
    walk.children(element, sink)


def _mark(walk: Walk, element: etree._Element, sink: Sink) -> None:
    """An entry of an index, a hidden text or the choice of a drop-down field: its text is an attribute."""
    sink.aside(filter(None, (attribute(element, "text", name) for name in ("string-value", "value"))))
    walk.children(element, sink)


def _link(walk: Walk, element: etree._Element, sink: Sink) -> None:
    walk.children(element, sink)
    sink.aside(filter(None, [attribute(element, "office", "title")]))


def _gap(_walk: Walk, element: etree._Element, sink: Sink) -> None:
    sink.parts.append(_GAPS[name_of(element.tag)])


_GAPS = {"text:s": " ", "text:tab": "\t", "text:tab-stop": "\t", "text:line-break": "\n"}
_CELLS = frozenset({"table:table-cell", "table:covered-table-cell"})
_Handler = Callable[[Walk, etree._Element, Sink], None]  # noqa: SLF001 (lxml has no public name for it)
_HANDLERS: dict[str, _Handler | None] = {
    **dict.fromkeys(("text:p", "text:h", "math:math"), _paragraph),
    **dict.fromkeys(("text:note-body", "text:footnote-body", "text:endnote-body"), _aside),
    **dict.fromkeys(
        (
            "svg:title", "svg:desc", "table:title", "table:desc",
            "presentation:footer-decl", "presentation:header-decl", "presentation:date-time-decl",
        ),
        _text_beside,
    ),
    "office:annotation": _annotation,
    "text:ruby-text": _reading,
    "table:table-row": _row,
    "table:table": _table,
    "drawing:page": _page,
    **dict.fromkeys(("drawing:frame", "drawing:text-box", "drawing:custom-shape", "drawing:page-thumbnail"), _shape),
    **dict.fromkeys(("text:bookmark", "text:bookmark-start", "table:named-range"), _named),
    **dict.fromkeys(
        (
            f"form:{name}"
            for name in (
                "text", "textarea", "formatted-text", "fixed-text", "checkbox", "radio", "listbox", "combobox", "option",
                "item", "button", "frame", "date", "time", "number", "file", "image", "generic-control",
            )
        ),
        _control,
    ),
    "table:content-validation": _choices,
    **dict.fromkeys(
        (
            "text:alphabetical-index-mark", "text:alphabetical-index-mark-start", "text:user-index-mark",
            "text:user-index-mark-start", "text:toc-mark", "text:toc-mark-start", "text:hidden-text", "text:label",
        ),
        _mark,
    ),
    "text:a": _link,
    **dict.fromkeys(_GAPS, _gap),
    **dict.fromkeys(
        (
            # What was deleted, how an index is made, how things look, what programs run: nothing that is shown.
            "text:tracked-changes", "table:tracked-changes", "text:note-citation", "text:footnote-citation",
            "text:endnote-citation", "text:table-of-content-source", "text:illustration-index-source",
            "text:table-index-source", "text:object-index-source", "text:user-index-source",
            "text:alphabetical-index-source", "text:bibliography-source", "text:script", "office:automatic-styles",
            "office:styles", "office:font-face-decls", "office:scripts", "office:binary-data", "office:event-listeners",
            "office:settings", "office:meta", "office:dde-source", "table:table-source", "dc:creator", "dc:date",
            "meta:date-string", "meta:creator-initials", "loext:sender-initials", "math:annotation",
        )
    ),
}  # fmt: skip
"""What is done with each element. Others are only where their contents are; None stands for those that are not read."""


@lru_cache(maxsize=1000)
def _handler_of(tag: object) -> _Handler | None:
    return _HANDLERS.get(name_of(tag), Walk.children) if isinstance(tag, str) else None

"""Walk the elements of HTML and XML and collect their text: what is seen, and the attributes that people read.

A line end in the source is white space; between Chinese and Japanese characters it is nothing at all.
"""

import re
from collections.abc import Iterable
from typing import Final, cast

from lxml import etree

from worker.core.extract.joined import CJK

MAX_VALUE_CHARS = 10_000
"""A longer attribute holds data."""
_WITHOUT_TEXT = frozenset(["script", "style", "template"])
_KEEPS_LINES = frozenset(["pre", "textarea", "screen", "programlisting", "literallayout"])
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em emphasis font i img ins kbd label link mark output phrase q "  # noqa: SIM905
    "quote rb rp rt rtc ruby s samp small span strike strong sub subscript sup superscript time tspan tt u ulink var "
    "wbr".split()
)
"""Elements that do not end a word: 東<b>京</b>都 is one word."""
_BREAKS = frozenset("br lb line p para div li item note row cell td tr line-break tab".split())  # noqa: SIM905
"""Elements that end a word, even amid the text of an element whose other elements do not."""
_SHOWN_IN_HTML = ("title", "placeholder", "aria-label", "summary", "label", "alttext")
_VALUE_HIDDEN = frozenset(["hidden", "password", "checkbox", "radio", "image", "color", "range"])
_METAS = frozenset(
    "description keywords og:title og:description og:site_name twitter:title twitter:description dc.title "  # noqa: SIM905
    "dc.description dc.subject".split()
)
_NOT_READ = frozenset("id idref guid uuid ref class style rid schemalocation nonamespaceschemalocation".split())  # noqa: SIM905
_SHOWN_IN_SVG = frozenset(["aria-label", "title", "label", "alt"])
_SVG = "{http://www.w3.org/2000/svg}"
_XML_NAMESPACE = "{http://www.w3.org/XML/1998/namespace}"
_OFFICE = (
    "{urn:oasis:names:tc:opendocument",
    "{http://schemas.openxmlformats.org",
    "{http://schemas.microsoft.com/office",
)
"""Flat XML of office programs: its attributes are about layout."""
_READABLE = re.compile(r"[^\W\d_]|\d{4}|\d[-/:]\d")
_FRACTION = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")
_DATA = re.compile(r"[A-Za-z0-9+/=_-]{200,}+")
_MAX_SEEN = 100_000

_SOFT: Final = "\v"
"""A line end of the source."""
_SPACES = re.compile(r"[^\S\n\v]+")
_SOFT_RUN = re.compile(r" ?\v[ \v]*")
_CJK_SOFT = re.compile(rf"\v(?<=[{CJK}]\v)(?=[{CJK}])")
_GAPS = re.compile(r" ?\n\s*")


class Walk:
    """The text of a tree, piece by piece. `is_html`: the meaning of names and attributes is known."""

    def __init__(self, *, is_html: bool) -> None:
        self._is_html = is_html
        self._parts: list[str] = []
        self._later: list[str] = []  # what stands after the paragraph: readings, and what attributes say
        self._hidden = self._kept = 0
        self._readings: list[str] = []
        self._in_reading = 0
        self._mixed: list[bool] = []
        self._seen: set[str] = set()

    def text(self, root: etree._Element) -> str:
        """The text, with a line for each element that is not part of a line."""
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if not isinstance(element.tag, str):  # an entity, which is not expanded
                if event == "end":
                    self._add(element.tail)
            elif event == "start":
                self._start(element, element.tag.rpartition("}")[2])
            else:
                self._end(element, element.tag.rpartition("}")[2])
        self._break()
        return _tidy("".join(self._parts), " " if self._is_html else "\n")

    def _start(self, element: etree._Element, name: str) -> None:
        self._hidden += name in _WITHOUT_TEXT or name == "rp"
        self._kept += name in _KEEPS_LINES
        self._in_reading += name in {"rt", "rtc"}
        is_inline = self._is_inline(element, name)
        if not is_inline:
            self._break()
        elif name == "tspan" and any(key in element.attrib for key in ("x", "y", "dy")):
            self._parts.append(_SOFT)
        if not self._hidden and element.attrib:
            said = self._said_in_html(element, name) if self._is_html else self._said_in_xml(element, str(element.tag))
            self._later += said
            if said and not is_inline:
                self._break()
        self._mixed.append(not self._is_html and _is_mixed(element))
        self._add(element.text)

    def _end(self, element: etree._Element, name: str) -> None:
        self._mixed.pop()
        self._hidden -= name in _WITHOUT_TEXT or name == "rp"
        self._kept -= name in _KEEPS_LINES
        self._in_reading -= name in {"rt", "rtc"}
        if name == "ruby" and self._readings:
            self._later.append("".join(self._readings))
            self._readings = []
        if not self._is_inline(element, name):
            self._break()
        self._add(element.tail)

    def _is_inline(self, element: etree._Element, name: str) -> bool:
        if name in _INLINE:
            return True
        if not self._mixed or not self._mixed[-1] or name in _BREAKS:
            return False
        return element.text is not None or len(element) > 0

    def _add(self, text: str | None) -> None:
        if not text or self._hidden:
            return
        if self._in_reading:
            self._readings.append("".join(text.split()))
        elif not self._kept and ("\n" in text or "\r" in text):
            self._parts.append(text.replace("\n", _SOFT).replace("\r", ""))
        elif len(text) < MAX_VALUE_CHARS or not _DATA.fullmatch("".join(text[:MAX_VALUE_CHARS].split())):
            self._parts.append(text)

    def _break(self) -> None:
        if self._in_reading:
            return
        self._parts.append("\n")
        if self._later:
            self._parts += ["\n".join(self._later), "\n"]
            self._later = []

    def _said_in_html(self, element: etree._Element, name: str) -> list[str]:
        get = element.get
        said = [value for key in _SHOWN_IN_HTML if (value := get(key))]
        if name == "img" and (alt := get("alt")):
            self._add(alt if len(alt) < 3 and not alt.isascii() else f" {alt} ")  # one character that fonts do not have
        elif name in {"area", "applet", "input"} and (alt := get("alt")):
            said.append(alt)
        elif (
            name in {"input", "button"} and (get("type") or "").lower() not in _VALUE_HIDDEN and (value := get("value"))
        ):
            said.append(value)
        elif name == "meta" and (get("name") or get("property") or "").lower() in _METAS:
            said.append(get("content") or "")
        return [value[:MAX_VALUE_CHARS] for value in dict.fromkeys(said)]

    def _said_in_xml(self, element: etree._Element, tag: str) -> list[str]:
        if tag.startswith(_OFFICE):
            return []
        said = []
        for name, value in cast("Iterable[tuple[str, str]]", element.attrib.items()):
            local = name.rpartition("}")[2].lower()
            if tag.startswith(_SVG) and local not in _SHOWN_IN_SVG:
                continue
            if local not in _NOT_READ and not name.startswith(_XML_NAMESPACE) and self._is_read(value):
                said.append(value)
        return ["\t".join(said)] if said else []

    def _is_read(self, value: str) -> bool:
        """Whether an attribute has words or long numbers. A plain word that was read before (type="string") is not again."""
        if len(value) > MAX_VALUE_CHARS or not _READABLE.search(value) or _FRACTION.fullmatch(value):
            return False
        if _DATA.fullmatch(value):
            return False
        if len(value) > 20 or not value.isascii() or len(self._seen) > _MAX_SEEN:
            return True
        is_new = value not in self._seen
        self._seen.add(value)
        return is_new


def _is_mixed(element: etree._Element) -> bool:
    """Whether the element has text of its own beside its elements, which are then parts of its sentences."""
    if len(element) == 0:
        return False
    if element.text and not element.text.isspace():
        return True
    return any(child.tail and not child.tail.isspace() for child in element)


def _tidy(text: str, line_end: str) -> str:
    text = _SPACES.sub(" ", text)
    if _SOFT in text:
        text = _CJK_SOFT.sub("", _SOFT_RUN.sub(_SOFT, text)).replace(_SOFT, line_end)
    return _GAPS.sub("\n", text.replace("\u00ad", "")).strip()

"""What each element of WordprocessingML and DrawingML means for the text: handlers of its start and its end."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from lxml import etree

from worker.core.extract.readers import fields
from worker.core.extract.readers.blocks import Level

if TYPE_CHECKING:
    from worker.core.extract.readers.flow import Flow

_OFFICE = "{urn:schemas-microsoft-com:office:office}"
_PROMPTS = frozenset({
    "Click here to enter text.", "Click or tap here to enter text.", "Click here to enter a date.",
    "Click or tap to enter a date.", "Choose an item.", "Choose a building block.",
    "ここをクリックしてテキストを入力してください。", "ここをクリックまたはタップしてテキストを入力してください。",
    "ここをクリックして日付を入力してください。", "クリックまたはタップして日付を入力してください。",
    "アイテムを選択してください。",
})  # fmt: skip
"""What Word shows in an empty control, in English and Japanese. Prompts that a template's author has written are text."""
_AUTOMATIC = re.compile(r"_|OLE_LINK\d+$")
"""Names of bookmarks that Word has given: _GoBack, _Toc…, _Ref…"""
_GREEK = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖαβχδεφγηιϕκλμνοπθρστυϖωξψζ",
        strict=True,
    )
)
"""The letters of Adobe's Symbol encoding."""
_PRIVATE = range(0xF000, 0xF100)
"""Where fonts of symbols have their characters."""

Handler = Callable[["Flow", etree._Element], None]  # noqa: SLF001 (the only name that lxml gives to its elements)
Pair = tuple[Handler | None, Handler | None]


def value(element: etree._Element, name: str) -> str:
    """An attribute, with the namespace of its element or with none; empty if it is missing."""
    return element.get(f"{element.tag.rpartition('}')[0]}}}{name}") or element.get(name) or ""


def _local(element: etree._Element | None) -> str:
    return "" if element is None else element.tag.rpartition("}")[2]


def _opens(level: Level) -> Handler:
    return lambda flow, _: flow.blocks.open(level)


def _closes(level: Level) -> Handler:
    return lambda flow, _: flow.blocks.close(level)


def _adds(text: str) -> Handler:
    return lambda flow, _: flow.blocks.add(text)


def _asides(*names: str) -> Handler:
    def add(flow: "Flow", element: etree._Element) -> None:
        for name in names:
            flow.blocks.aside(value(element, name))

    return add


def _end_paragraph(flow: "Flow", element: etree._Element) -> None:
    flow.blocks.close("paragraph")
    element.clear()  # which bounds the memory for a long document


def _text(flow: "Flow", element: etree._Element) -> None:
    if element.text and not (flow.in_prompt and element.text in _PROMPTS):
        flow.blocks.add(element.text)


def _tab(flow: "Flow", element: etree._Element) -> None:
    if not element.attrib:  # the definition of a tab stop has the same name, but a position
        flow.blocks.add("\t")


def _symbol(flow: "Flow", element: etree._Element) -> None:
    """A character of a font: [ISO/IEC 29500-1] 17.3.3.30."""
    try:
        code = int(value(element, "char"), 16)
    except ValueError:
        return
    if code in _PRIVATE:
        letter = chr(code - _PRIVATE.start)
        flow.blocks.add(_GREEK.get(letter, " ") if value(element, "font") == "Symbol" else " ")
    elif 0 < code <= 0x10FFFF:
        flow.blocks.add(chr(code))


def _skip(flow: "Flow", element: etree._Element) -> None:
    flow.skipped = element


def _alternative(flow: "Flow", element: etree._Element) -> None:
    """One of the forms in which the same content is given ([ISO/IEC 29500-3] 9.3): the first that is not empty is read."""
    before = element.getprevious()
    if before is not None and len(before):
        flow.skipped = element


def _deletion(flow: "Flow", element: etree._Element) -> None:
    """Deleted content, or the deletion of a paragraph's mark or of a row ([ISO/IEC 29500-1] 17.13.5)."""
    parent = element.getparent()
    match _local(parent):
        case "rPr":
            owner = None if parent is None else parent.getparent()
            if flow.blocks.top is not None and _local(owner) == "pPr":
                flow.blocks.top.joined = True
        case "trPr":
            if flow.blocks.top is not None:
                flow.blocks.top.deleted = True
        case _:
            flow.skipped = element


def _ruby_reading(flow: "Flow", element: etree._Element) -> None:
    top = flow.blocks.top
    adjacent = top is not None and flow.ruby_ended_at == len(top.pieces)
    flow.blocks.reading("".join(one.text or "" for one in element.iterfind(".//{*}t")), adjacent=adjacent)


def _end_ruby(flow: "Flow", _: etree._Element) -> None:
    top = flow.blocks.top
    flow.ruby_ended_at = -1 if top is None else len(top.pieces)


def _field_code(flow: "Flow", element: etree._Element) -> None:
    if element.text:
        flow.code.append(element.text)


def _field(flow: "Flow", element: etree._Element) -> None:
    """The beginning, the middle or the end of a field: its code is complete at the latter two."""
    if value(element, "fldCharType") != "begin" and flow.code:
        _note_field(flow, "".join(flow.code))
    flow.code.clear()


def _simple_field(flow: "Flow", element: etree._Element) -> None:
    _note_field(flow, value(element, "instr"))


def _note_field(flow: "Flow", code: str) -> None:
    text, reading = fields.shown(code)
    if text:
        flow.blocks.add(text)
        flow.blocks.reading(reading)
    elif address := fields.link(code):
        flow.links[address] = None


def _drop_down(flow: "Flow", element: etree._Element) -> None:
    """A drop-down form field ([ISO/IEC 29500-1] 17.16.9): only the number of the chosen entry is given."""
    entries = [value(one, "val") for one in element.iterfind("{*}listEntry")]
    chosen = [value(one, "val") for name in ("result", "default") for one in element.iterfind(f"{{*}}{name}")] or ["0"]
    if chosen[0].isdecimal() and int(chosen[0][:6]) < len(entries):
        flow.blocks.add(entries[int(chosen[0][:6])])
    flow.blocks.aside("\t".join(entries))


def _choices(flow: "Flow", element: etree._Element) -> None:
    items = (value(one, "displayText") or value(one, "value") for one in element.iterfind("{*}listItem"))
    flow.blocks.aside("\t".join(items))


def _default(flow: "Flow", element: etree._Element) -> None:
    if _local(element.getparent()) == "textInput":
        flow.blocks.aside(value(element, "val"))


def _no_prompt(flow: "Flow", _: etree._Element) -> None:
    flow.in_prompt = False


def _shows_prompt(flow: "Flow", _: etree._Element) -> None:
    flow.in_prompt = True


def _bookmark(flow: "Flow", element: etree._Element) -> None:
    name = value(element, "name")
    if name and not _AUTOMATIC.match(name):
        flow.bookmarks[name] = None


def _image(flow: "Flow", element: etree._Element) -> None:
    flow.blocks.aside(element.get(f"{_OFFICE}title"))


def _begin_shape(flow: "Flow", _: etree._Element) -> None:
    flow.in_placeholder = False


def _placeholder(flow: "Flow", element: etree._Element) -> None:
    """A placeholder; those of headers and footers have no prompts, but what someone has written."""
    flow.in_placeholder = flow.is_layout and element.get("type") not in {"hdr", "ftr"}


def _begin_body(flow: "Flow", element: etree._Element) -> None:
    if flow.in_placeholder:
        flow.skipped = element


BY_NAME: dict[str, Pair] = {
    "p": (_opens("paragraph"), _end_paragraph),
    "tr": (_opens("row"), _closes("row")),
    "tc": (_opens("cell"), _closes("cell")),
    "t": (None, _text),
    "tab": (None, _tab),
    "ptab": (None, _adds("\t")),
    "br": (None, _adds("\n")),
    "cr": (None, _adds("\n")),
    "noBreakHyphen": (None, _adds("-")),
    "sym": (None, _symbol),
    "den": (_adds("/"), None),  # a fraction's
    "del": (_deletion, None),
    "moveFrom": (_deletion, None),
    "Choice": (_alternative, None),
    "Fallback": (_alternative, None),
    "rt": (_skip, _ruby_reading),
    "ruby": (None, _end_ruby),
    "instrText": (None, _field_code),
    "fldChar": (_field, None),
    "fldSimple": (_simple_field, None),
    "ddList": (None, _drop_down),
    "default": (None, _default),
    "helpText": (None, _asides("val")),
    "statusText": (None, _asides("val")),
    "sdtPr": (_no_prompt, None),
    "alias": (None, _asides("val")),
    "showingPlcHdr": (_shows_prompt, None),
    "sdtContent": (None, _no_prompt),
    "dropDownList": (None, _choices),
    "comboBox": (None, _choices),
    "comment": (_asides("author"), None),
    "bookmarkStart": (_bookmark, None),
    "hyperlink": (_asides("tooltip"), None),
    "hlinkClick": (_asides("tooltip"), None),
    "docPr": (_asides("title", "descr"), None),
    "cNvPr": (_asides("title", "descr"), None),
    "tblCaption": (_asides("val"), None),
    "tblDescription": (_asides("val"), None),
    "shape": (_asides("alt"), None),
    "rect": (_asides("alt"), None),
    "roundrect": (_asides("alt"), None),
    "group": (_asides("alt"), None),
    "imagedata": (_image, None),
    "textpath": (_asides("string"), None),  # WordArt, watermarks
    "sp": (_begin_shape, None),
    "ph": (_placeholder, None),
    "txBody": (_begin_body, None),
}
"""What to do at the start and at the end of an element, by its local name."""

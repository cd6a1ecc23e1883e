"""Independent tools from PyPI, of the optional dependencies `recall`, and from the standard library.

They are imported when used. Numbers and dates are left to Tika: these libraries return values, not what is shown.
"""

import codecs
import email
import email.policy
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.recall.independent import Tool
from benchmarks.recall.phrases import Block

MAX_PAGE_BYTES, MAX_PAGES = 100_000, 20
"""Of a book, what is enough for five phrases: BeautifulSoup takes a minute for some books."""
_MARKED = re.compile(r"\]\(|Pictures/|ObjectReplacements/")
"""What odfdo writes for a link or a picture."""
_ASK = "pip install '.[recall]'"
_BLOCK_TAGS = [
    "address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr",
    "html", "legend", "li", "main", "nav", "ol", "option", "p", "pre", "section", "select", "summary", "table",
    "tbody", "td", "textarea", "tfoot", "th", "thead", "title", "tr", "ul",
]  # fmt: skip
"""Elements that begin and end a line."""


def tools() -> list[Tool]:
    """All tools of this module, those that are missing too."""
    return [
        _tool("python-docx", "docx", {"docx"}, _docx),
        _tool("python-pptx", "pptx", {"pptx"}, _pptx),
        _tool("openpyxl", "openpyxl", {"xlsx", "xlsm"}, _openpyxl),
        _tool("xlrd", "xlrd", {"xls"}, _xlrd),
        _tool("python-calamine", "python_calamine", {"xlsb", "ods"}, _calamine),
        _tool("odfdo", "odfdo", {"odt", "odp"}, _odfdo),
        _tool("striprtf", "striprtf", {"rtf"}, _striprtf),
        _tool("python-oxmsg", "oxmsg", {"msg"}, _oxmsg),
        _tool("beautifulsoup4", "bs4", {"html"}, lambda path: _html(path.read_bytes())),
        _tool("zipfile+beautifulsoup4", "bs4", {"epub"}, _epub),
        _tool("email (Python)", "email", {"eml"}, _email),
        _tool("charset-normalizer", "charset_normalizer", {"txt"}, _charset_normalizer),
        _tool("pypdf", "pypdf", {"pdf"}, _pypdf),
    ]


def declared(path: Path) -> Tool | None:
    """A tool that decodes a text with the charset after which its folder is named (txt/EUC-JP/…), if it is."""
    try:
        codec = codecs.lookup(path.parent.name).name
    except (LookupError, ValueError):
        return None
    name = {"shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030"}.get(codec, codec)
    return Tool(f"Python's {name}", None, lambda read: [Block(read.read_bytes().decode(name))])


def _tool(name: str, module: str, formats: set[str], read: Callable[[Path], list[Block]]) -> Tool:
    return Tool(name, frozenset(formats), read, None if find_spec(module) else f"{name}: {_ASK}")


def _module(name: str) -> Any:
    return import_module(name)


def _blocks(texts: Iterable[object], part: str = "") -> list[Block]:
    return [Block(text, part) for text in texts if isinstance(text, str)]


def _docx(path: Path) -> list[Block]:
    document = _module("docx").Document(str(path))
    found = list(_docx_story(document))
    for section in document.sections:
        for name in ("header", "footer", "first_page_header", "first_page_footer"):
            story = getattr(section, name)
            if not story.is_linked_to_previous:
                found += [Block(block.text, name) for block in _docx_story(story)]
    for comment in document.comments:
        found += [Block(paragraph.text, "comment") for paragraph in comment.paragraphs]
    return found


def _docx_story(story: Any) -> Iterator[Block]:
    for item in story.iter_inner_content():
        if hasattr(item, "rows"):
            for row in item.rows:
                for cell in row.cells:
                    yield from _docx_story(cell)
        else:
            yield Block(item.text)


def _pptx(path: Path) -> list[Block]:
    found = []
    for slide in _module("pptx").Presentation(str(path)).slides:
        found += _pptx_shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            found += [Block(one.text, "notes") for one in slide.notes_slide.notes_text_frame.paragraphs]
    return found


def _pptx_shapes(shapes: Any) -> list[Block]:
    found = []
    for shape in shapes:
        if hasattr(shape, "shapes"):
            found += _pptx_shapes(shape.shapes)
        elif getattr(shape, "has_table", False):
            found += [Block(cell.text) for row in shape.table.rows for cell in row.cells]
        elif shape.has_text_frame:
            found += [Block(paragraph.text) for paragraph in shape.text_frame.paragraphs]
    return found


def _openpyxl(path: Path) -> list[Block]:
    book = _module("openpyxl").load_workbook(path, data_only=True)
    found = _blocks(book.sheetnames, "sheet name")
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            found += _blocks(cell.value for cell in row)
            found += [Block(cell.comment.text, "comment") for cell in row if cell.comment is not None]
        for edge in (sheet.oddHeader, sheet.oddFooter):
            found += _blocks((edge.left.text, edge.center.text, edge.right.text), "header or footer")
    return [block for block in found if not block.part.startswith("header") or "&" not in block.text]


def _xlrd(path: Path) -> list[Block]:
    with _module("xlrd").open_workbook(path, logfile=_Nowhere()) as book:
        found = _blocks(book.sheet_names(), "sheet name")
        for sheet in book.sheets():
            for number in range(sheet.nrows):
                found += _blocks(cell.value for cell in sheet.row(number) if cell.ctype == 1)
    return found


class _Nowhere:
    """A file to which a library may write its warnings."""

    def write(self, _text: str) -> None:
        """Forget it."""


def _calamine(path: Path) -> list[Block]:
    book = _module("python_calamine").CalamineWorkbook.from_path(str(path))
    found = _blocks(book.sheet_names, "sheet name")
    for name in book.sheet_names:
        for row in book.get_sheet_by_name(name).to_python():
            found += _blocks(row)
    return found


def _odfdo(path: Path) -> list[Block]:
    body = _module("odfdo").Document(str(path)).body
    texts = (element.text_recursive for element in body.get_elements("descendant::text:p|descendant::text:h"))
    return [block for block in _blocks(texts) if not _MARKED.search(block.text)]


def _striprtf(path: Path) -> list[Block]:
    read = _module("striprtf.striprtf").rtf_to_text
    return _blocks(read(path.read_bytes().decode("latin-1"), errors="replace").splitlines())


def _oxmsg(path: Path) -> list[Block]:
    message = _module("oxmsg").Message.load(str(path))
    lines = (message.body or "").splitlines()
    return [*_blocks([message.subject], "subject"), *_blocks(lines)]


def _html(body: bytes | str) -> list[Block]:
    soup = _module("bs4").BeautifulSoup(body, "html.parser")
    for tag in soup(["script", "style", "template", "noscript", "rt", "rp"]):
        tag.decompose()
    for text in soup.find_all(string=True):
        if not any(parent.name == "pre" for parent in text.parents):
            text.replace_with(type(text)(re.sub(r"\s+", " ", str(text))))
    for tag in soup.find_all(_BLOCK_TAGS):
        tag.insert_before("\n")
        tag.append("\n")
    return _blocks(soup.get_text().splitlines())


def _epub(path: Path) -> list[Block]:
    with zipfile.ZipFile(path) as book:
        pages = [page for page in book.infolist() if page.filename.lower().endswith((".xhtml", ".html", ".htm"))]
        small = [page.filename for page in pages if page.file_size <= MAX_PAGE_BYTES][:MAX_PAGES]
        return [Block(block.text, name) for name in small for block in _html(book.read(name))]


def _email(path: Path) -> list[Block]:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    found = _blocks([message["subject"] and str(message["subject"])], "subject")
    for part in message.walk():
        if part.get_content_type() == "text/plain" and not part.is_attachment():
            found += _blocks(part.get_content().splitlines())
    return found


def _charset_normalizer(path: Path) -> list[Block]:
    best = _module("charset_normalizer").from_bytes(path.read_bytes()).best()
    return _blocks([str(best)]) if best is not None else []


def _pypdf(path: Path) -> list[Block]:
    return _blocks(page.extract_text() for page in _module("pypdf").PdfReader(path).pages)

"""Extract the text of HTML and XML. DTDs are not loaded, entities are not expanded, and nothing is fetched."""

import re
from html import unescape

from lxml import etree, html

from worker.core.extract.elements import Walk
from worker.core.extract.mended import mended
from worker.core.extract.result import Properties

_DECLARED = re.compile(
    rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w-]+)""",
    re.IGNORECASE,
)
_MAX_PREAMBLE_BYTES = 64 * 1024
_PROLOG = re.compile(r"^\s*<\?xml[^>]*\?>")
_TAG = re.compile(r"<[^<>]*>")  # it stops at the next "<": without that, a megabyte of "<" took an hour
_SILENT = (("<script", "</script"), ("<style", "</style"), ("<!--", "-->"))
_LINES = re.compile(r"\s*\n\s*")


def declared_encoding(head: bytes) -> str | None:
    """The encoding that an HTML or XML file declares in its beginning; the HTML standard demands the first 1024 bytes."""
    match = _DECLARED.search(head[:_MAX_PREAMBLE_BYTES])
    if match is None:
        return None
    name = (match[1] or match[2]).decode("ascii")
    # A declaration that could be read as ASCII cannot be true if it names one of these.
    return None if name.lower().startswith(("utf-16", "utf-32", "ucs")) else name


def html_text(source: str) -> tuple[str, Properties]:
    """The text of an HTML page, with a line for each block element, and the properties given in its head."""
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    root = _parsed(source, parser)
    if root is None or _is_too_deep(parser):
        return _without_tags(source), Properties()
    text = Walk(is_html=True).text(root)
    title = root.findtext(".//title")
    metas = {(m.get("name") or "").lower(): m.get("content") for m in root.iterfind(".//head/meta")}
    return text, Properties(" ".join(title.split()) if title else None, metas.get("author"), language=root.get("lang"))


def xml_text(source: str) -> str:
    """The text of an XML document, with a line for each element that is not part of a sentence, and its attributes."""
    parser = xml_parser(huge_tree="<!ENTITY" not in source)  # the limits protect against entities of entities
    root = _parsed(source, parser)
    return _without_tags(source) if root is None or _is_too_deep(parser) else Walk(is_html=False).text(root)


def xml_parser(*, huge_tree: bool = False) -> etree.XMLParser:
    """A parser for untrusted files."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=huge_tree,
        remove_comments=True,
        remove_pis=True,
        recover=True,
    )


def _parsed(source: str, parser: etree.XMLParser | html.HTMLParser) -> etree._Element | None:
    try:
        raw = _PROLOG.sub("", source, count=1).encode("utf-8", "replace")
        return etree.fromstring(mended(raw) if isinstance(parser, etree.XMLParser) else raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _is_too_deep(parser: etree.XMLParser | html.HTMLParser) -> bool:
    """Whether libxml2 stopped at its limit of depth, which is 2,048 with `huge_tree`."""
    return len(parser.error_log) > 0 and "depth" in (parser.error_log[-1].message or "")


def _without_tags(source: str) -> str:
    for begin, end in _SILENT:
        source = _without(source, begin, end)
    return _LINES.sub("\n", unescape(_TAG.sub("\n", source))).strip()


def _without(source: str, begin: str, end: str) -> str:
    """The source without what stands between these marks, in time that grows with its length alone."""
    lower = source.lower()
    if len(lower) != len(source):  # a few characters have longer small letters
        lower = source
    kept, done = [], 0
    while (start := lower.find(begin, done)) >= 0 and (stop := lower.find(end, start)) >= 0:
        kept.append(source[done:start])
        done = stop + len(end) if end == "-->" else stop  # the rest of a tag is removed as a tag
    return "".join([*kept, source[done:]])

"""Extract the text of HTML and XML. DTDs are not loaded, entities are not expanded, and nothing is fetched."""

import re

from lxml import etree, html

from worker.core.extract.result import Properties

_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rb rp rt rtc ruby s samp small "  # noqa: SIM905
    "span strike strong sub sup time tt u var wbr".split()
)
"""Elements that do not end a word: 東<b>京</b>都 is one word."""
_WITHOUT_TEXT = frozenset(["script", "style", "template"])
_SPACES = re.compile(r"[^\S\n]+")
_GAPS = re.compile(r" ?\n\s*")
_DECLARED = re.compile(
    rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w-]+)""",
    re.IGNORECASE,
)
_PROLOG = re.compile(r"^\s*<\?xml[^>]*\?>")
_TAG = re.compile(r"<[^<>]*>")  # it stops at the next "<": without that, a megabyte of "<" took an hour


def declared_encoding(head: bytes) -> str | None:
    """The encoding that an HTML or XML file declares in its first 1024 bytes (the limit set by the HTML standard)."""
    match = _DECLARED.search(head[:1024])
    if match is None:
        return None
    name = (match[1] or match[2]).decode("ascii")
    # A declaration that could be read as ASCII cannot be true if it names one of these.
    return None if name.lower().startswith(("utf-16", "utf-32", "ucs")) else name


def html_text(source: str) -> tuple[str, Properties]:
    """The text of an HTML page, with a line for each block element, and the properties given in its head."""
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    root = _parsed(source, parser)
    if root is None:
        return _without_tags(source), Properties()
    text = _text_of(root)
    title = root.findtext(".//title")
    metas = {(m.get("name") or "").lower(): m.get("content") for m in root.iterfind(".//head/meta")}
    return text, Properties(" ".join(title.split()) if title else None, metas.get("author"), language=root.get("lang"))


def xml_text(source: str) -> str:
    """The text of an XML document, with a line for each element."""
    root = _parsed(source, xml_parser())
    return _without_tags(source) if root is None else _text_of(root)


def xml_parser() -> etree.XMLParser:
    """A parser for untrusted files."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=True,
    )


def _parsed(source: str, parser: etree.XMLParser | html.HTMLParser) -> etree._Element | None:
    try:
        return etree.fromstring(_PROLOG.sub("", source, count=1).encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _without_tags(source: str) -> str:
    return _tidy(_TAG.sub("\n", source))


def _text_of(root: etree._Element) -> str:
    parts: list[str] = []
    hidden = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        if not isinstance(tag, str):  # an entity, which is not expanded
            if event == "end" and element.tail and not hidden:
                parts.append(element.tail)
            continue
        name = tag.rpartition("}")[2]
        silent = name in _WITHOUT_TEXT
        if event == "start":
            hidden += silent
            text = element.text
        else:
            hidden -= silent
            text = element.tail
        if name not in _INLINE:
            parts.append("\n")
        if text and not hidden:
            parts.append(text)
    return _tidy("".join(parts))


def _tidy(text: str) -> str:
    return _GAPS.sub("\n", _SPACES.sub(" ", text)).strip()

"""Documents of Word since 2007: WordprocessingML ([ISO/IEC 29500-1] 17), with or without macros, and templates."""

import posixpath
import re

from worker.core.extract.kinds import kind_of
from worker.core.extract.plain import extract_text
from worker.core.extract.readers import drawing, embedded, mail, package, rtf
from worker.core.extract.readers.flow import Flow
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_DEPTH = 3
"""Documents in documents are read up to this depth."""
MAX_CHUNK_CHARS = 10_000_000
MAX_LINKS = 5000
"""Further addresses of links are not kept."""
_BESIDE = ("header", "footer", "footnotes", "endnotes", "comments")
"""The kinds of parts beside the main text, in the order in which they are read."""
_BY_NAME = re.compile(r"(header|footer|footnotes|endnotes|comments)\d*\.xml", re.IGNORECASE)
_CHUNK = "afchunk"


def read(container: Container, reading: Reading, depth: int = 0) -> None:
    """Read the document: the main text, then what stands beside it, then names and properties.

    Raises CorruptError if there is no main part.
    """
    main = package.main_part(container)
    properties = package.properties(container, reading) if depth == 0 else []
    flow = Flow(reading.add)
    with reading.part(main):
        flow.read(container, main, reading)
    drawing.linked(container, main, reading)
    embedded.linked(container, main, reading)
    addresses = dict.fromkeys(package.addresses(container, main))
    seen: set[tuple[str, ...]] = set()
    for part in _beside(container, main, reading):
        with reading.part(part):
            _read_part(container, part, reading, seen)
        drawing.linked(container, part, reading)
        embedded.linked(container, part, reading)
        addresses |= dict.fromkeys(package.addresses(container, part))
    for chunk in package.related(container, main, reading, _CHUNK):
        with reading.part(chunk.target):
            _read_chunk(container.read(chunk.target), chunk.target, reading, depth)
    for text in [*flow.bookmarks, *list(addresses | flow.links)[:MAX_LINKS]]:
        reading.add(text)
    package.add_properties(properties, reading)


def _beside(container: Container, main: str, reading: Reading) -> list[str]:
    """The headers, footers, notes and comments, by the relationships; by their customary names if there are none."""
    if package.relationships(container, main):
        links = package.related(container, main, reading, *_BESIDE)
        return [link.target for link in sorted(links, key=lambda link: _BESIDE.index(link.kind))]
    folder = posixpath.dirname(main)
    found = [
        (match[1].lower(), name) for name in container.names if (match := _BY_NAME.fullmatch(posixpath.basename(name)))
    ]
    there = [(kind, name) for kind, name in found if posixpath.dirname(name.replace("\\", "/").lstrip("/")) == folder]
    return [name for _, name in sorted(there, key=lambda pair: _BESIDE.index(pair[0]))]


def _read_part(container: Container, part: str, reading: Reading, seen: set[tuple[str, ...]]) -> None:
    """Read a part beside the main text. Most sections repeat the headers of others: each text is added once."""
    blocks: list[str] = []
    try:
        Flow(blocks.append).read(container, part, reading)
    finally:
        if tuple(blocks) not in seen:
            seen.add(tuple(blocks))
            for block in blocks:
                reading.add(block)


def _read_chunk(body: bytes, name: str, reading: Reading, depth: int) -> None:
    """A document of another format that Word would take in ([ISO/IEC 29500-1] 17.17.2.1)."""
    kind = kind_of(body[:4096], name, None)
    if kind.route == "zip" and depth < MAX_DEPTH:
        read(Container(body), reading, depth + 1)
    elif kind.route == "rtf":
        rtf.read(body, reading)
    elif kind.route == "mail":  # a page with its pictures (MHTML)
        mail.read(body, reading)
    elif kind.route in {"html", "xml", "text"}:
        reading.add(extract_text(body, kind, MAX_CHUNK_CHARS).content)

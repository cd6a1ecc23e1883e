"""Presentations of PowerPoint since 2007: PresentationML ([ISO/IEC 29500-1] 19), with or without macros, and templates."""

import re

from lxml import etree

from worker.core.extract.readers import drawing, embedded, package
from worker.core.extract.readers.flow import Flow
from worker.core.extract.readers.package import Relationship
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_LINKS = 5000
"""Further addresses of links are not kept."""
_SLIDE = re.compile(r"/?ppt[/\\]slides[/\\]slide(\d{1,6})\.xml", re.IGNORECASE)
_AUTHORS = ("commentauthors", "authors")


class _Presentation:
    """What is kept while a presentation is read."""

    def __init__(self, container: Container, reading: Reading) -> None:
        self.container = container
        self.reading = reading
        self.authors: dict[str, str] = {}
        """The names of those who comment, by their ids."""
        self.layouts: dict[str, None] = {}
        """The layouts in use, and the masters of what is printed."""
        self.addresses: dict[str, None] = {}

    def related(self, part: str, *kinds: str) -> list[str]:
        return [link.target for link in package.related(self.container, part, self.reading, *kinds)]


def read(container: Container, reading: Reading) -> None:
    """Read the slides in their order, hidden ones too, each with its charts, notes and comments; layouts come last.

    Raises CorruptError if there is no main part.
    """
    main = package.main_part(container)
    properties = package.properties(container, reading)
    shown = _Presentation(container, reading)
    names: list[str] = []
    slides = package.related(container, main, reading, "slide") or _by_name(container)
    with reading.part(main):
        root = container.tree(main, reading)
        if root is not None:
            slides = _in_order(root, slides)
            names = [one.get("name", "") for one in root.iter("{*}section", "{*}custShow")]
    for part in shown.related(main, *_AUTHORS):
        with reading.part(part):
            _note_authors(shown, part)
    for slide in slides:
        _read_slide(shown, slide.target)
    more = ("notesmaster", "handoutmaster") if slides else ("slidemaster", "notesmaster", "handoutmaster")
    shown.layouts |= dict.fromkeys(shown.related(main, *more))
    _read_layouts(shown)
    for text in [*dict.fromkeys(names), *list(shown.addresses)[:MAX_LINKS]]:
        reading.add(text)
    package.add_properties(properties, reading)


def _in_order(root: etree._Element, slides: list[Relationship]) -> list[Relationship]:
    """The slides in the order of the presentation; those that it does not list are not shown, but are part of the file."""
    listed = (one.attrib for one in root.iterfind("{*}sldIdLst/{*}sldId"))
    keys = [str(key) for attributes in listed for name, key in attributes.items() if str(name).endswith("}id")]
    places = {key: place for place, key in enumerate(keys)}
    return sorted(slides, key=lambda slide: places.get(slide.id, len(places)))


def _by_name(container: Container) -> list[Relationship]:
    """The slides of a package without relationships, in the order of their numbers."""
    found = sorted((int(match[1]), name) for name in container.names if (match := _SLIDE.fullmatch(name)))
    return [Relationship("", "slide", name) for _, name in found]


def _note_authors(shown: _Presentation, part: str) -> None:
    root = shown.container.tree(part, shown.reading)
    for one in () if root is None else root.iter("{*}cmAuthor", "{*}author"):
        shown.authors[one.get("id", "")] = one.get("name", "")


def _read_slide(shown: _Presentation, slide: str) -> None:
    container, reading = shown.container, shown.reading
    with reading.part(slide):
        Flow(reading.add).read(container, slide, reading)
    drawing.linked(container, slide, reading)
    embedded.linked(container, slide, reading)
    for notes in shown.related(slide, "notesslide"):
        with reading.part(notes):
            Flow(reading.add).read(container, notes, reading)
        drawing.linked(container, notes, reading)
        shown.addresses |= dict.fromkeys(package.addresses(container, notes))
    for comments in shown.related(slide, "comments"):
        with reading.part(comments):
            _read_comments(shown, comments)
    shown.layouts |= dict.fromkeys(shown.related(slide, "slidelayout"))
    shown.addresses |= dict.fromkeys(package.addresses(container, slide))


def _read_comments(shown: _Presentation, part: str) -> None:
    """Comments with their authors: `p:cm` has a text ([ISO/IEC 29500-1] 19.4), a thread has bodies ([MS-PPTX] 2.21)."""
    root = shown.container.tree(part, shown.reading)
    if root is None:
        return
    for author in dict.fromkeys(one.get("authorId", "") for one in root.iter("{*}cm", "{*}reply")):
        shown.reading.add(shown.authors.get(author, ""))
    for one in root.iter("{*}text"):
        shown.reading.add(one.text or "")
    Flow(shown.reading.add).tree(root)


def _read_layouts(shown: _Presentation) -> None:
    """The texts that the layouts in use, and their masters, show on every slide; placeholders have only prompts there."""
    parts = dict.fromkeys([*shown.layouts, *(m for part in shown.layouts for m in shown.related(part, "slidemaster"))])
    seen: dict[str, str | None] = {}
    for part in parts:
        with shown.reading.part(part):
            Flow(seen.setdefault, is_layout=True).read(shown.container, part, shown.reading)
    for text in seen:
        shown.reading.add(text)

"""Pages in XPS and OpenXPS ([ECMA-388]): runs of glyphs, each at a place on its page."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from worker.core.extract.readers import package
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_PAGES = 20_000
"""Further pages are not read."""
SAME_WORD_EM = 0.2
"""A smaller gap between two runs of a line is none."""
GUESSED_EM, GUESSED_PER_CHARACTER_EM = 0.25, 0.08
"""What is added to this where the width of the last character is not given, and for each such character."""
_WIDTHS_EM = {**dict.fromkeys(" .,:;'|!iljftI()[]", 0.28), **dict.fromkeys("mwMW@%", 0.85)}
_WIDTH_EM, _WIDE_EM = 0.55, 1.0
"""The usual widths of a Latin and of a Japanese character."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Glyphs on one line."""

    text: str
    place: tuple[str, ...]
    """The transforms around it: places are compared only within the same ones."""
    start: float
    end: float
    baseline: float
    em: float
    """The size of the letters, in the units of the page, as are the three before."""
    tolerance_em: float

    def follows(self, before: "_Run") -> bool:
        """Whether it stands on the same line as the run before it."""
        return self.place == before.place and abs(self.baseline - before.baseline) < 0.3 * max(self.em, before.em)

    def continues(self, before: "_Run") -> bool:
        """Whether it continues the word of the run before it, or one of them has the blank between them."""
        if before.text[-1:].isspace() or self.text[:1].isspace():
            return True
        gap = before.end - self.start if before.end < before.start else self.start - before.end
        return gap < before.tolerance_em * max(self.em, before.em)


def read(container: Container, reading: Reading) -> None:
    """Read the pages in their order. Raises CorruptError if there is no main part."""
    sequence = package.main_part(container)
    properties = package.properties(container, reading)
    pages: list[str] = []
    for document in _sources(container, sequence, "DocumentReference", reading):
        pages += _sources(container, document, "PageContent", reading)
    for page in pages[:MAX_PAGES]:
        with reading.part(page):
            root = container.tree(page, reading)
            if root is None:
                reading.miss(f"{page} is missing")
            else:
                _add_lines(_runs(root), reading)
    package.add_properties(properties, reading)


def _sources(container: Container, part: str, element: str, reading: Reading) -> list[str]:
    """What a sequence of documents, or a document, lists ([ECMA-388] 10)."""
    with reading.part(part):
        root = container.tree(part, reading)
        if root is not None:
            return [package.resolved(container, part, one.get("Source", "")) for one in root.iter(f"{{*}}{element}")]
    return []


def _add_lines(runs: Iterator[_Run], reading: Reading) -> None:
    line: list[str] = []
    before: _Run | None = None
    for run in runs:
        if before is not None and run.follows(before):
            line.append(run.text if run.continues(before) else f" {run.text}")
        else:
            reading.add("".join(line))
            line = [run.text]
        before = run
    reading.add("".join(line))


def _runs(root: etree._Element) -> Iterator[_Run]:
    transforms: list[str] = []
    tags = ("{*}Canvas", "{*}Glyphs", "{*}MatrixTransform")
    for event, element in etree.iterwalk(root, events=("start", "end"), tag=tags):
        name = element.tag.rpartition("}")[2]
        if name == "Canvas" and event == "start":
            transforms.append(element.get("RenderTransform", ""))
        elif name == "Canvas":
            transforms.pop()
        elif name == "MatrixTransform" and event == "start" and transforms:
            transforms[-1] = element.get("Matrix", "")
        elif name == "Glyphs" and event == "start" and element.get("UnicodeString"):
            yield _run(element, tuple(one for one in (*transforms, element.get("RenderTransform", "")) if one))


def _run(glyphs: etree._Element, place: tuple[str, ...]) -> _Run:
    """A run, whose text begins with `{}` if it would otherwise be taken for a markup extension ([ECMA-388] 12.1.4)."""
    text = glyphs.get("UnicodeString", "").removeprefix("{}")
    em = abs(_number(glyphs.get("FontRenderingEmSize"))) or 1.0
    start = _number(glyphs.get("OriginX"))
    width_em, guessed = _width(text, glyphs.get("Indices", ""))
    is_leftward = glyphs.get("BidiLevel", "0")[-1:] in {"1", "3", "5", "7", "9"}
    tolerance_em = SAME_WORD_EM + (GUESSED_EM + GUESSED_PER_CHARACTER_EM * (guessed - 1) if guessed else 0)
    end = start - width_em * em if is_leftward else start + width_em * em
    return _Run(text, place, start, end, _number(glyphs.get("OriginY")), em, tolerance_em)


def _width(text: str, indices: str) -> tuple[float, int]:
    """How wide a run is in em, and of how many characters this had to be guessed ([ECMA-388] 12.1.3)."""
    given = [one.rpartition(")")[2].split(",") for one in indices.split(";")]
    width, guessed = 0.0, 0
    for place, character in enumerate(text):
        advance = given[place][1] if place < len(given) and len(given[place]) > 1 else ""
        if advance:
            width += _number(advance) / 100
        else:
            guessed += 1
            is_wide = unicodedata.east_asian_width(character) in {"W", "F"}
            width += _WIDE_EM if is_wide else _WIDTHS_EM.get(character, _WIDTH_EM)
    return width, guessed


def _number(value: str | None) -> float:
    try:
        number = float(value or 0)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e9 else 0.0

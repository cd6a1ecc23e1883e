"""The runbook in the console: docs/runbook.md, a page for each section, so that an alert leads to what to type.

Raw HTML in it is shown as text. Links within the runbook lead to its pages; of others, which lead to files, the text remains.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_HERE = Path(__file__).parent
_PLACES = (_HERE / "runbook.md", _HERE.parents[2] / "docs" / "runbook.md")
"""In the wheel, and in the repository."""
INTRODUCTION = "introduction"
"""The section before all others."""
_HEADING = re.compile(r"^#{1,2} (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """One section."""

    anchor: str
    title: str
    html: Markup


@functools.cache
def runbook() -> dict[str, Section]:
    """All sections in order, by their anchors."""
    text = next(place for place in _PLACES if place.exists()).read_text(encoding="utf-8")
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    sections: dict[str, Section] = {}
    for heading, end in zip(found, ends, strict=True):
        body = text[heading.end() : end].strip()
        if body:
            anchor = anchor_of(heading[1]) if sections else INTRODUCTION
            sections[anchor] = Section(anchor, heading[1], Markup(_html(body)))  # noqa: S704 (markdown without HTML)
    return sections


def anchor_of(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")


def _html(text: str) -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.children:
            token.children = _linked(token.children)
        if token.type in {"th_open", "td_open"}:
            token.attrs.pop("style", None)  # alignment, which the content security policy would drop
    return str(parser.renderer.render(tokens, parser.options, {}))


def _linked(tokens: list[Token]) -> list[Token]:
    """Links to other sections, and nothing of links to files."""
    kept, is_open = [], False
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrGet("href") or "")
            is_open = href.startswith("#")
            token.attrSet("href", f"/console/runbook/{href[1:]}")
            if not is_open:
                continue
        elif token.type == "link_close" and not is_open:
            continue
        kept.append(token)
    return kept

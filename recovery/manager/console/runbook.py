"""The runbook in the console, a page for each section, so that an alert leads to what to type.

It is docs/runbook.md, and docs/runbook.ja.md in Japanese, where headings name the anchors of the English ones.

Raw HTML in it is shown as text. Links within the runbook lead to its pages; of others, which lead to files, the text remains.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from recovery.manager.console.languages import Language

_HERE = Path(__file__).parent
_PLACES = (_HERE, _HERE.parents[2] / "docs")
"""Its folder in the wheel, and in the repository."""
_FILES = {Language.ENGLISH: "runbook.md", Language.JAPANESE: "runbook.ja.md"}
INTRODUCTION = "introduction"
"""The section before all others."""
_HEADING = re.compile(r'^#{1,2} (?:<a id="([\w-]+)"></a>)?(.+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """One section."""

    anchor: str
    title: str
    html: Markup


@functools.cache
def runbook(language: Language) -> dict[str, Section]:
    """All sections in order, by their anchors."""
    files = (place / _FILES[language] for place in _PLACES)
    text = next(file for file in files if file.exists()).read_text(encoding="utf-8")
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    sections: dict[str, Section] = {}
    for heading, end in zip(found, ends, strict=True):
        body = text[heading.end() : end].strip()
        if body:
            anchor = (heading[1] or anchor_of(heading[2])) if sections else INTRODUCTION
            sections[anchor] = Section(anchor, heading[2], Markup(_html(body)))  # noqa: S704 (markdown without HTML)
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

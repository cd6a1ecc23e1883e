"""Compare a page with its translation: what its reader types, looks for and follows has to be the same in both.

A heading of the translation may name the anchor that GitHub makes of the original's: `## <a id="index-down"></a>…`. So
links to a section lead to it in either language.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.mentions import sections

TRANSLATED = {"docs/runbook.md": "docs/runbook.ja.md"}
"""Pages whose translation is complete, by the original. README.ja.md is a page of its own: it leaves out a section."""
_BLOCKS = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def translations_that_drifted(root: Path) -> list[str]:
    """One sentence for each difference between a page and its translation."""
    return [
        f"{there}: {fault}"
        for page, there in TRANSLATED.items()
        for fault in differences((root / page).read_text(), (root / there).read_text())
    ]


def differences(original: str, translation: str) -> list[str]:
    """How they differ in their sections, and in what each of these has: code, links, paragraphs and rows."""
    before, after = sections(original), sections(translation)
    names, names_after = [name for name, _ in before], [name for name, _ in after]
    if names != names_after:
        return [*_uneven("section", Counter(names), Counter(names_after))] or ["its sections are in another order"]
    return [
        f"#{name}: {fault}"
        for (name, text), (_, translated) in zip(before, after, strict=True)
        for fault in _differences_of_a_section(text, translated)
    ]


def _differences_of_a_section(text: str, translated: str) -> Iterator[str]:
    if _BLOCKS.findall(text) != _BLOCKS.findall(translated):
        yield "its lines of code differ"
    prose, translated_prose = _BLOCKS.sub("", text), _BLOCKS.sub("", translated)
    found: tuple[tuple[str, Callable[[str], list[str]]], ...] = (("code", _CODE.findall), ("link", _LINK.findall))
    for what, find in found:
        yield from _uneven(what, Counter(find(prose)), Counter(find(translated_prose)))
    count, translated_count = (len(_lines(one)) for one in (prose, translated_prose))
    if count != translated_count:
        yield f"it has {translated_count} paragraphs and rows; the original has {count}"


def _uneven(what: str, before: Counter[str], after: Counter[str]) -> Iterator[str]:
    """What one of the two has more often: the words of another language may be in another order."""
    for one in sorted((before - after) | (after - before)):
        yield f"the {what} {one} is there {after[one]} times, and {before[one]} times in the original"


def _lines(prose: str) -> list[str]:
    """Its paragraphs, items and rows, each of which is a line of its own in our pages."""
    return [line for line in prose.splitlines() if line.strip()]

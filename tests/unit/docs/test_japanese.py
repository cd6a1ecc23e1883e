"""README.ja.md is written, not translated; but what its reader types, sets and follows is the same as in README.md.

The translation of the runbook is compared by tools/translated.py.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENGLISH, JAPANESE = (ROOT / "README.md").read_text(), (ROOT / "README.ja.md").read_text()
RUNBOOK = (ROOT / "docs/runbook.ja.md").read_text()


def typed(page: str) -> list[str]:
    """The indented lines, without the comments at their end."""
    lines = [line for line in page.splitlines() if line.startswith("    ") and line.strip()]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


def capitals(page: str) -> set[str]:
    return set(re.findall(r"\b(?!EX_)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", page))


def links(page: str) -> set[str]:
    """Where links lead, to a page of either language."""
    found = (link for link in re.findall(r"\]\(([^)]+)\)", page) if not link.startswith("README"))
    return {link.replace(".ja.md", ".md") for link in found}


def exit_codes(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `(\d+)` \| (\w+) \|", page, re.MULTILINE)


def codes(page: str) -> set[str]:
    """What is written as code within a sentence, but for the lines of commands."""
    return set(re.findall(r"`([^`\n]+)`", page))


@pytest.mark.parametrize("what", [typed, capitals, links, exit_codes])
def test_what_is_typed_set_and_followed_is_the_same_in_both(what) -> None:
    assert what(JAPANESE) == what(ENGLISH)


def test_the_japanese_page_names_no_code_that_the_english_one_does_not() -> None:
    typed_words = set(re.findall(r"\w+", "\n".join(typed(ENGLISH))))
    assert codes(JAPANESE) - codes(ENGLISH) - typed_words == set()


def test_each_page_links_to_the_other() -> None:
    assert "[日本語](README.ja.md)" in ENGLISH.splitlines()
    assert "[English](README.md)" in JAPANESE.splitlines()
    assert (ROOT / "docs/runbook.md").read_text().startswith("[日本語](runbook.ja.md)\n\n# Runbook\n")
    assert RUNBOOK.startswith('[English](runbook.md)\n\n# <a id="runbook"></a>手順書\n')
    assert "(docs/runbook.ja.md)" in JAPANESE


def test_every_heading_of_the_first_hour_has_its_counterpart() -> None:
    assert [len(one) for one in re.findall(r"^(#+) ", JAPANESE, re.MULTILINE)] == [
        len(level)
        for level, title in re.findall(r"^(#+) (.*)", ENGLISH, re.MULTILINE)
        if title != "Compared with others"
    ]


@pytest.mark.parametrize("page", [JAPANESE, RUNBOOK], ids=["README", "runbook"])
def test_sentences_end_politely_throughout(page: str) -> None:
    prose = [line for line in page.splitlines() if re.search("[ぁ-ん]", line) and not line.startswith(("|", "    "))]
    plain_links = [re.sub(r"\]\([^)]*\)", "]", line) for line in prose]
    bare = [re.sub(r"（[^（）]*）", "", re.sub(r"（[^（）]*）", "", line)) for line in plain_links]
    ended = [sentence for line in bare for sentence in re.findall(r"[^。]*。", line)]
    plain = [one for one in ended if not re.search(r"(?:ます|です|ません|ました|でした|ください)。$", one)]
    assert plain == []

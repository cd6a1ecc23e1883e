"""The runbook's sections as pages, in both languages."""

import re
from collections import Counter
from typing import Any

import pytest
from lxml import html

from recovery.manager.console.languages import Language
from recovery.manager.console.runbook import INTRODUCTION, Section, runbook
from recovery.manager.thresholds import THRESHOLDS
from testing.ledgers import new_ledger
from tests.support.api import Api

KANA = re.compile("[ぁ-んァ-ン]")


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    ledger = new_ledger(f"sqlite:///{tmp_path_factory.mktemp('runbook')}/ledger.sqlite")
    yield Api(ledger)
    ledger.close()


def article(document: str) -> Any:
    """What a page shows of its section."""
    return next(html.document_fromstring(document).iter("article"))


def parsed(section: Section) -> Any:
    return html.fromstring(f"<div>{section.html}</div>")


def texts(tree: Any, query: str) -> list[str]:
    return [str(one if isinstance(one, str) else one.text_content()) for one in tree.xpath(query)]


@pytest.mark.parametrize("language", Language)
def test_every_alert_has_its_page_with_what_to_type(language):
    sections = runbook(language)
    for one in THRESHOLDS:
        assert parsed(sections[one.section]).xpath("//pre"), one.section
    assert sections["dlq-depth"].title == "dlq-depth"
    assert next(iter(sections)) == INTRODUCTION


@pytest.mark.parametrize("language", Language)
def test_links_lead_to_sections_that_exist_or_nowhere(language):
    sections = runbook(language)
    hrefs = [href for one in sections.values() for href in re.findall(r'href="([^"]*)"', one.html)]
    assert len(hrefs) > 30
    assert {one.removeprefix("/console/runbook/") for one in hrefs} <= set(sections)
    assert not any("style=" in one.html or "<script" in one.html for one in sections.values())


@pytest.mark.parametrize("language", Language)
def test_tables_and_code_are_kept(language):
    page = parsed(runbook(language)[INTRODUCTION])
    assert len(list(page.iter("tr"))) > 15
    assert any("dlq stats" in "".join(str(text) for text in one.itertext()) for one in page.iter("pre"))


@pytest.mark.parametrize("language", Language)
def test_nothing_of_the_files_own_is_shown(language):
    for one in runbook(language).values():
        for mark in ("&lt;a id", "**", "日本語", "English"):
            assert mark not in one.title + one.html, one.anchor


def test_both_languages_have_the_same_sections_with_the_same_code_and_links():
    english, japanese = runbook(Language.ENGLISH), runbook(Language.JAPANESE)
    assert list(english) == list(japanese)
    for one, other in zip(map(parsed, english.values()), map(parsed, japanese.values()), strict=True):
        assert texts(one, "//pre") == texts(other, "//pre")
        for query in ("//code", "//a/@href"):
            assert Counter(texts(one, query)) == Counter(texts(other, query))


def test_titles_are_names_of_alarms_or_japanese():
    for anchor, section in runbook(Language.JAPANESE).items():
        assert section.title == anchor or re.search("[ぁ-んァ-ン一-龠]", section.title), anchor


@pytest.mark.parametrize("anchor", runbook(Language.JAPANESE))
def test_a_japanese_reader_is_shown_each_section_in_japanese(api, anchor):
    answer = api.ask(f"/console/runbook/{anchor}", accept_language="ja")
    assert (answer.status_code, answer.headers["content-language"]) == (200, "ja")
    shown = article(answer.text)
    assert texts(shown, ".//h1") == [runbook(Language.JAPANESE)[anchor].title]
    assert not html.document_fromstring(answer.text).xpath("//main//@lang")
    paragraphs = texts(shown, "./p | ./ul/li")
    assert [one for one in paragraphs if not KANA.search(one) and not one.endswith(":")] == []


def test_the_language_is_the_readers(api):
    path = "/console/runbook/index-down"
    assert texts(article(api.ask(path).text), ".//h1") == ["Index down"]
    chosen = api.ask(path, accept_language="en", cookie="console-language=ja")
    assert texts(article(chosen.text), ".//h1") == ["インデックスの停止"]


def test_a_section_that_is_not_there_is_missing_in_japanese(api):
    answer = api.ask("/console/runbook/nowhere", accept_language="ja")
    assert answer.status_code == 404
    assert "手順書にこの名前の項目はありません" in answer.text

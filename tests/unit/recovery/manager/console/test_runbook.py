"""The runbook's sections as pages."""

import re

from lxml import html

from recovery.manager.console.runbook import INTRODUCTION, runbook
from recovery.manager.thresholds import THRESHOLDS


def test_every_alert_has_its_page_with_what_to_type():
    sections = runbook()
    for one in THRESHOLDS:
        page = html.fromstring(f"<div>{sections[one.section].html}</div>")
        assert page.xpath("//pre"), one.section
    assert sections["dlq-depth"].title == "dlq-depth"
    assert next(iter(sections)) == INTRODUCTION


def test_links_lead_to_sections_that_exist_or_nowhere():
    sections = runbook()
    hrefs = [href for one in sections.values() for href in re.findall(r'href="([^"]*)"', one.html)]
    assert len(hrefs) > 30
    assert {one.removeprefix("/console/runbook/") for one in hrefs} <= set(sections)
    assert not any("style=" in one.html or "<script" in one.html for one in sections.values())


def test_tables_and_code_are_kept():
    page = html.fromstring(f"<div>{runbook()[INTRODUCTION].html}</div>")
    assert len(list(page.iter("tr"))) > 15
    assert any("dlq stats" in "".join(str(text) for text in one.itertext()) for one in page.iter("pre"))

"""The limits that the overview knows are those of the alerts, and each leads to a section of the runbook."""

import re
from pathlib import Path

from recovery.manager.thresholds import NOT_HERE, THRESHOLDS
from recovery.manager.verdict import Do
from recovery.manager.verdict_words import STEPS, WORDS
from tools.prometheus_rules import rules

RUNBOOK = Path(__file__).parents[4] / "docs/runbook.md"


def test_the_limits_are_those_of_the_alerts():
    of_rules = {one.name: one for one in rules()}
    assert {one.alert for one in THRESHOLDS} | NOT_HERE == set(of_rules)
    assert not {one.alert for one in THRESHOLDS} & NOT_HERE
    for one in THRESHOLDS:
        rule = of_rules[one.alert]
        sign, limit = (">", 0) if "== 1" in rule.condition else (rule.condition[0], rule.limit)
        assert (one.severity.value, one.section, one.limit) == (rule.severity, rule.section, limit), one.alert
        assert one.is_lower == (sign == "<"), one.alert


def test_every_step_has_its_words_and_its_section():
    sections = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
        for line in RUNBOOK.read_text().splitlines()
        if line.startswith("#")
    }
    source = (Path(__file__).parents[4] / "recovery/manager/verdict.py").read_text()
    named = set(re.findall(r'Do\.\w+, "([\w-]+)"|section="([\w-]+)"|values, "([\w-]+)"', source))
    assert {one for found in named for one in found if one} <= sections
    assert {one.section for one in THRESHOLDS} <= sections
    assert set(STEPS) == set(Do)
    assert all(words.one for words in WORDS.values())

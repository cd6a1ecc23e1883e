"""What each setting is for, and what it may be: in the language of the reader, from where the setting is defined."""

import contextlib
import re
from typing import Any

import pytest
from lxml import html

from recovery.manager.console.languages import Language
from recovery.manager.console.saying import said
from recovery.manager.settings import ManagerSettings
from recovery.manager.settings_facts import words_of_settings
from testing.ledgers import new_ledger
from tests.support.api import Api
from worker.core.base.settings_words import accepted

JAPANESE = re.compile("[぀-ヿ一-鿿]")
FIELDS = ManagerSettings.model_fields


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


def purposes(api, **headers):
    """What the page says of each setting, by its name."""
    tree: Any = html.fromstring(api.ask("/console/settings", **headers).text)
    rows = tree.xpath("//tr[td[5]][td[1]/code]")
    return tree, {row.xpath("string(td[1]/code)"): row.xpath("td[5]")[0] for row in rows}


@pytest.mark.parametrize("name", FIELDS)
def test_what_a_setting_is_for_and_may_be_is_said_in_both_languages(name):
    description, right = FIELDS[name].description, accepted(FIELDS[name])
    assert description in words_of_settings()
    assert JAPANESE.search(said(Language.JAPANESE, description))
    assert said(Language.ENGLISH, description).striptags() == description.replace("`", "")
    if right:
        shown = said(Language.JAPANESE, right).striptags()
        assert JAPANESE.search(shown)
        assert not re.search("[a-z]{2,} [a-z]{2,}", shown)
        assert said(Language.ENGLISH, right).striptags() == right


@pytest.mark.parametrize(
    ("right", "japanese"),
    [
        ("seconds, a whole number from 30 to 43,200", "秒数: 30 以上 43,200 以下の整数"),
        ("seconds, a number above 0 and up to 300", "秒数: 0 より大きく 300 以下の数"),
        ("bytes, a whole number from 16,777,216 on", "バイト数: 16,777,216 以上の整数"),
        ("none, token, oidc or proxy", "none、token、oidc、proxy のいずれか"),
        ("yes or no", "yes または no"),
    ],
)
def test_what_a_setting_may_be_is_said_naturally(right, japanese):
    assert said(Language.JAPANESE, right).striptags() == japanese


def test_the_page_says_them_in_the_language_of_the_reader(api):
    tree, shown = purposes(api, accept_language="ja")
    assert shown.keys() >= {"MANAGER_AUTH", "NOTIFY_URLS", "RETRY_RATE", "INDEX_URL"}
    assert [name for name, cell in shown.items() if not JAPANESE.search(cell.text_content())] == []
    assert shown["MANAGER_AUTH"].xpath(".//code/text()") == ["dlq-manager token create"]
    assert "%2C" in shown["NOTIFY_URLS"].text_content()
    assert "<N>" in shown["LOG_FORMAT"].text_content()
    assert "(秒数: 60 以上 604,800 以下の整数)" in shown["NOTIFY_EVERY_S"].text_content()
    assert not tree.xpath("//main//*[@lang]")
    english = purposes(api)[1]
    assert english["NOTIFY_LANGUAGE"].text_content() == "Language of notifications: en or ja. (en or ja)"


def test_what_is_wrong_is_named_in_the_language_of_the_reader(api):
    api.problems.append("intake is on hold: denied")
    shown = purposes(api, accept_language="ja")[0].xpath("//section[@aria-labelledby='wrong']//li")
    texts = [one.text_content() for one in shown]
    assert texts[0] == "マネージャー: 取り込みを停止しています: denied"
    assert any(one.startswith("通知: 失敗の通知先がありません") for one in texts)

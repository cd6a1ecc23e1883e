"""Each state of the console says in either language what it is, above what it shows, and keeps nobody out."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.axe import Inspector
from tests.support.console_states import STAGES
from tests.support.reader import LANGUAGES, WIDTHS, Reader

SAYS = {
    "empty": {"en": r"Nothing has failed; last checked \d+ seconds? ago\.", "ja": r"失敗はありません。最終確認: \d+ 秒前"},
    "loading": {"en": r"Loading: what stands below is still the page before\.", "ja": "読み込み中です。"},
    "stale": {
        "en": r"Unknown since .+cannot be opened.+What stands here was read \d+ seconds? ago\.",
        "ja": r"から不明: .+cannot be opened.+ 表示は \d+ 秒前 に読んだものです",
    },
    "denied": {"en": "This needs the role operator. You are token:readers", "ja": "これには役割 operator が必要です。"},
    "manager-unavailable": {
        "en": r"The manager does not answer\. What stands below was read at \d+:\d\d:\d\d",
        "ja": r"マネージャーが応答しません。.+ \d+:\d\d:\d\d",
    },
    "database-unavailable": {
        "en": "The database of the manager refuses. Nothing is lost", "ja": "マネージャーのデータベースが応答しません。",
    },
}  # fmt: skip
ABOVE = {"loading": "#loading", "manager-unavailable": "#stale"}
"""What stands above the content that it is about, and stays in sight."""


def test_each_state_has_its_words():
    assert set(SAYS) == set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_a_state_says_what_it_is(name: str, tmp_path: Path, reader_of: Callable[..., Reader]):
    inspector = Inspector()
    with STAGES[name](tmp_path) as stage:
        for language, scheme, width in zip(LANGUAGES, ("light", "dark"), WIDTHS.values(), strict=True):
            reader = reader_of(stage.origin, language=language, scheme=scheme, width=width)
            stage.show(reader)
            assert re.search(SAYS[name][language], " ".join(reader.text.split())), reader.text
            assert reader.sideways_px == 0
            assert inspector.violations(reader.page) == []
            if name in ABOVE:
                reader.page.evaluate("scrollTo(0, document.body.scrollHeight)")
                assert top_of(reader, ABOVE[name]) in range(100)


def top_of(reader: Reader, selector: str) -> int:
    """How far something is below the upper edge of the window, in px."""
    return int(reader.page.locator(selector).evaluate("one => Math.round(one.getBoundingClientRect().top)"))

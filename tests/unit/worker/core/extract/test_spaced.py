"""Words with spaces between their characters."""

import time

import pytest

from worker.core.extract.spaced import unspaced


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("御 請 求 書", ["御請求書"]),
        ("見　積　書\n氏 名: 山田 花子", ["見積書", "氏名"]),
        ("風あ の イ ー ハ トーヴ", ["風あのイーハトーヴ"]),
        ("氏名 住所 電話", []),
        ("A 社と B 社", []),
        ("年\n月", []),
        ("a b c", []),
    ],
)
def test_characters_that_stand_alone_are_put_together(text: str, words: list[str]) -> None:
    assert unspaced(text) == words


def test_a_long_line_takes_little_time() -> None:
    began = time.process_time()
    assert unspaced("東" * 1_000_000) == []
    assert unspaced("東 " * 300_000) == ["東" * 300_000]
    assert time.process_time() - began < 15

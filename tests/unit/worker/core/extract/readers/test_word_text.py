"""Fields, ruby and special characters in the text of Word before 2007."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.word_text import paragraphs, piece_table


def shown(text: str) -> list[str]:
    return [paragraph for paragraph in paragraphs(text) if paragraph]


def test_the_base_of_ruby_stays_in_its_place_and_the_reading_follows_the_paragraph() -> None:
    ruby = '\x13 EQ \\* jc2 \\* "Font:MS Mincho" \\* hps11 \\o\\ad(\\s\\up 10(とう),東)\x15'
    assert shown(f"株式会社{ruby}京\rつぎ") == ["株式会社東京", "とう", "つぎ"]


def test_characters_in_circles_and_fractions_are_kept() -> None:
    assert shown("\x13 EQ \\o\\ac(○,印)\x15") == ["○印"]


def test_a_field_shows_its_result() -> None:
    assert shown('See \x13 HYPERLINK "http://example.com" \x14the page\x15.') == ["See the page."]


def test_a_field_inside_the_code_of_another_one_is_not_shown() -> None:
    assert shown("a\x13 IF \x13 MERGEFIELD x \x14secret\x15 = 1 \x14b\x15c") == ["abc"]


def test_a_field_without_a_result_shows_the_text_of_a_button_only() -> None:
    assert shown("a\x13 MACROBUTTON NoMacro [Document Title]\x15b\x13 TC x \x15c") == ["a[Document Title]bc"]


def test_nothing_is_lost_if_a_field_does_not_end() -> None:
    assert shown("before \x13 PAGE after\x14 more") == ["before  PAGE after more"]
    assert shown("a\x15b\x14c") == ["abc"]


def test_cells_of_a_row_are_separated_by_tabs() -> None:
    assert shown("a\x07b\x07\x07c\x07d\x07\x07") == ["a\tb", "c\td"]


def test_hyphens_and_marks_do_not_break_words() -> None:
    assert shown("co\x1eoperation in\x1fter\x02national\x0bline") == ["co-operation international\nline"]


def test_fields_that_are_nested_without_end_take_no_time() -> None:
    started = time.process_time()
    shown("\x13a" * 200_000 + "\x15" * 200_000)
    assert time.process_time() - started < 6


@given(st.text(alphabet="\x13\x14\x15\x07\rab\\(), EQo", max_size=60))
def test_no_text_raises_an_error(text: str) -> None:
    assert all(character not in paragraph for paragraph in paragraphs(text) for character in "\x13\x14\x15\x07")


def test_pieces_are_found_after_property_modifiers() -> None:
    table = struct.pack("<3I", 0, 4, 9) + struct.pack("<HIH", 0, 100, 0) + struct.pack("<HIH", 0, 200, 0)
    clx = b"\1\2\0xx" + b"\2" + struct.pack("<I", len(table)) + table
    assert piece_table(clx) == [(100, 4), (200, 5)]


@pytest.mark.parametrize("clx", [b"", b"\3", b"\2\0\0\0\0", b"\1\xff\xff"])
def test_a_document_without_pieces_is_corrupt(clx: bytes) -> None:
    with pytest.raises(CorruptError):
        piece_table(clx)

"""What Office files say about themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.property_sets import FILETIME_2024, dictionary, filetime, page, property_stream, text, wide
from worker.core.extract.readers import property_sets
from worker.core.extract.result import Properties


@pytest.mark.parametrize(
    ("number", "codec", "title"),
    [
        (932, "cp932", "見積書 ①"),
        (65001, "utf-8", "見積書"),
        (1252, "cp1252", "Apresentação ‚Straße‘"),
        (1251, "cp1251", "Договор"),
        (936, "gb18030", "报告"),
        (10001, "cp932", "見積"),
        (1252, "cp932", "お見積書"),  # said wrongly
    ],
)
def test_a_title_is_read_in_the_code_page_of_its_set(number: int, codec: str, title: str) -> None:
    stream = property_stream({1: page(number), 2: text(title.encode(codec))})
    assert property_sets.said((stream, b"")).title == title


def test_texts_in_utf_16_need_no_code_page() -> None:
    assert property_sets.said((property_stream({2: wide("見積書")}), b"")).title == "見積書"


def test_author_date_and_language_are_read() -> None:
    summary = property_stream({1: page(932), 4: text("山田".encode("cp932")), 12: filetime(FILETIME_2024)})
    document = property_stream({28: text(b"ja-JP")})
    expected = Properties(None, "山田", "2024-01-01T00:00:00+00:00", "ja-JP")
    assert property_sets.said((summary, document)) == expected


@pytest.mark.parametrize("ticks", [0, 600_000_000, 2**64 - 1])
def test_a_date_that_was_never_set_is_none(ticks: int) -> None:
    assert property_sets.said((property_stream({12: filetime(ticks)}), b"")).created is None


def test_the_texts_in_which_people_search_are_found_once() -> None:
    summary = property_stream({2: text(b"Plan"), 3: text(b"Budget"), 5: text(b"key words"), 6: text(b"Plan")})
    document = property_stream(
        {2: text(b"Category"), 15: text(b"Company")},
        {0: dictionary({2: b"Customer", 3: b"_PID"}), 1: page(1252), 2: text(b"Miyakodori"), 3: text(b"hidden")},
    )
    assert property_sets.texts((summary, document)) == [
        "Plan", "Budget", "key words", "Category", "Company", "Customer: Miyakodori",
    ]  # fmt: skip


@given(st.binary(max_size=400), st.integers(0, 300), st.binary(min_size=1, max_size=8))
def test_no_bytes_raise_an_error(raw: bytes, at: int, noise: bytes) -> None:
    stream = bytearray(property_stream({1: page(932), 2: text(b"Plan")}, {0: dictionary({2: b"a"}), 2: wide("b")}))
    stream[at : at + len(noise)] = noise
    for body in (raw, bytes(stream)):
        assert all(len(text) <= len(body) for text in property_sets.texts((body, body)))
        assert len(property_sets.said((body, body)).title or "") <= len(body)

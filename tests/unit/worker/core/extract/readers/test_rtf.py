"""RTF."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers import rtf
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

DATA = Path(__file__).parents[5] / "data/reach"
FONTS = (
    r"{\fonttbl{\f0\fnil\fcharset0 Arial;}{\f1\fnil\fcharset128 MS Gothic;}{\f2\fcharset204 Times;}"
    r"{\f3\fcharset134 SimSun;}{\f4\fcharset129 Batang;}{\f5\fcharset77 Osaka;}}"
)


def read(body: str | bytes) -> Reading:
    reading = Reading(10**6)
    rtf.read(body.encode("latin-1") if isinstance(body, str) else body, reading)
    return reading


def text_of(body: str, head: str = r"\ansi\ansicpg1252\deff0" + FONTS) -> str:
    reading = read("{\\rtf1" + head + "\n" + body + "}")
    assert reading.missed == []
    return reading.text


def escaped(text: str, codec: str) -> str:
    return "".join(f"\\'{byte:02x}" for byte in text.encode(codec))


def test_the_cases_of_issue_19_are_read() -> None:
    assert read((DATA / "rtf_fcharset.rtf").read_bytes()).text == "latin 東京都庁 rtffcharset"
    assert read((DATA / "tika_testRTF-ms932.rtf").read_bytes()).said.title == "タイトル"


@pytest.mark.parametrize(
    ("number", "codec", "text"),
    [
        (1, "cp932", "見積①髙"),
        (2, "cp1251", "Договор"),
        (3, "gb18030", "朱镕基"),
        (4, "cp949", "똠방"),
        (5, "mac_roman", "Größe"),
    ],
)
def test_bytes_are_in_the_code_page_of_their_font(number: int, codec: str, text: str) -> None:
    assert text_of(f"\\'e9 {{\\f{number} {escaped(text, codec)}}} \\'e9") == f"é {text} é"
    assert text_of(f"\\f{number} {escaped(text, codec)}", r"\ansi\deff0" + FONTS) == text
    assert text_of(escaped(text, codec), rf"\ansi\deff{number}" + FONTS) == text


def test_the_font_for_asian_text_counts_where_word_says_that_the_text_is_asian() -> None:
    run = r"\loch\af0\hich\af0\dbch\af1\dbch " + escaped("見積", "cp932") + r"\loch caf\'e9"
    assert text_of(run) == "見積café"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"\'8c\'a9\'90\'cf", "見積"),
        (r"\'8c\'a9{\b\'90\'cf}", "見積"),
        (r"\'83A\'83j", "アニ"),
        (r"\u35211\'8c\'a9\u-31309 ?", "見" + chr(65536 - 31309)),
        (r"\u35211 \'3f\'90\'cf", "見積"),
        (r"\uc2\u35211\'8c\'a9\u31309\'90\'cf", "見積"),
        (r"\uc0\u35211\u31309 x", "見積x"),
        (r"{\uc1\u-10180?\u-8328?}", "🍸"),
        (r"\u35211\~\u31309\tab\u26360 ?", "見積書"),
        (r"\u35211\par x", "見\nx"),
    ],
)
def test_unicode_and_bytes_of_cp932_are_read_together(body: str, text: str) -> None:
    assert text_of(body, r"\ansi\ansicpg932") == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"one\par two\line three\page four", "one\ntwo\nthree\nfour"),
        (r"\trowd a\cell b\cell\row\trowd c\cell d\cell\row", "a\tb\nc\td"),
        ("soft\\-ware hard\\_hyphen no\\~break br\r\neak \\{x\\} \\\\", "software hard-hyphen no break break {x} \\"),
        (r"\ldblquote x\rdblquote\emdash y", "“x”—y"),
        (r"gone {\deleted old}{\revised new}", "gone new"),
        (
            r"{\v hidden words}{\*\unknown no}{\*\generator Msftedit;}{\stylesheet{\s1 Normal;}}{\pict 0102ff}",
            "hidden words",
        ),
        (r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}", "link"),
        (r"{\upr{\'3f\'3f}{\*\ud\u35211?\u31309?}} after", "見積 after"),
        ("before{\\pict\\bin6 }{}}{\\}after", "beforeafter"),
    ],
)
def test_control_words_mean_what_the_specification_says(body: str, text: str) -> None:
    assert text_of(body) == text


def test_a_phonetic_guide_gives_the_base_in_place_and_the_reading_after_the_paragraph() -> None:
    field = r"{\field{\*\fldinst EQ \\* jc2 \\o\\ad(\\s\\up 9(\u12354?\u12376?),\u32043?)}{\fldrslt }}"
    assert text_of(f"x{field}y\\par z") == "x紫y\nあじ\nz"


def test_parts_beside_the_main_text_follow_it() -> None:
    body = (
        r"{\header head}{\footer foot}Main{\footnote note}{\*\bkmkstart mark}{\*\bkmkend mark}{\*\atnid T}{\*\atnauthor Taro}"
        r"{\*\annotation{\*\atnref 1}remark}{\shp{\*\shpinst{\sp{\sn wzDescription}{\sv a photo}}{\sp{\sn fill}{\sv 9}}"
        r"{\shptxt boxed\par}}{\shprslt{\*\do{\dptxbxtext again}}}} text"
    )
    assert text_of(body) == "Main text\na photo\nboxed\nhead\nfoot\nnote\nTaro\nremark\nmark"


def test_properties_are_read_in_the_document_s_code_page() -> None:
    info = (
        rf"{{\info{{\title {escaped('題名', 'cp932')}}}{{\author {escaped('西田', 'cp932')}}}{{\subject about}}{{\keywords key}}"
        r"{\*\company Midoriya}{\creatim\yr2026\mo4\dy9\hr8\min5}{\generator x}}{\*\userprops{\propname case}{\staticval 77}}"
    )
    reading = read(r"{\rtf1\ansi\ansicpg932\deff0" + FONTS + info + "text}")
    assert reading.said == Properties("題名", "西田", "2026-04-09T08:05:00")
    assert reading.text == "text\nabout\nkey\nMidoriya\ncase\n77"


@pytest.mark.parametrize("end", ["", "{\\pict 01", "\\", "\\'e", "\0\0\r\n"])
def test_of_a_truncated_file_what_is_there_is_read(end: str) -> None:
    reading = read("{\\rtf1\\ansi {\\b text} and mo" + end)
    assert reading.text == "text and mo"
    assert reading.missed == ["the RTF file is truncated: its last brace is missing"]


def test_text_after_a_brace_too_many_and_a_second_document_are_read() -> None:
    assert read("{\\rtf1 one}}\\par two\\par}{\\rtf1 three}\0\0").text == "one\ntwo\nthree"


def test_what_does_not_begin_as_rtf_is_corrupt() -> None:
    with pytest.raises(CorruptError):
        read("text only")


@given(st.text("{}\\'*urtfbin0159 ;\0é", max_size=200))
def test_anything_inside_is_survived(body: str) -> None:
    assert len(read("{\\rtf1" + body).text) <= 4 * len(body) + 4


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "}",
        "\\'8c",
        "\\u1?",
        "{\\*\\x ",
        "{\\field{\\*\\fldinst EQ \\\\o(",
        "\\",
        "}}\\pard",
        "{\\pict\\bin1 ",
        "{\\sp{\\sn",
    ],
)
def test_time_grows_with_the_length_alone(piece: str) -> None:
    began = time.process_time()
    with suppress(CorruptError):
        read("{\\rtf1" + piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 18


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"\'93\'fa\'96\{\'8c\'ea", "日本語"),
        (rb"\'95\\\'8e\'a6", "表示"),
        (rb"\'83A\{x\}\\", "ア{x}\\"),
    ],
)
def test_a_second_byte_may_be_an_escaped_brace_or_backslash(escaped: bytes, text: str) -> None:
    reading = read(rb"{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset128 MS;}}\f0 " + escaped + rb"\par}")
    assert reading.text == text

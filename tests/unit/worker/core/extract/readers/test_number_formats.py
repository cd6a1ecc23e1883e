"""Numbers, dates and times are shown as Excel shows them.

Expected values of the formats with a comment "Excel" are in the .csv files which Excel wrote of the workbooks of SheetJS's
test_files; the others follow from [ECMA-376] part 1, 18.8.30 and 18.8.31.
"""

from datetime import datetime

import pytest

from worker.core.extract.readers import number_formats
from worker.core.extract.readers.number_formats import NumberFormats, general

DAY = 45761.0  # 2025-04-14


def shown(code: str, value: float, **options: bool) -> str:
    return NumberFormats({200: code}, **options).of(200)(float(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (1e20, "1E+20"), (1 / 3, "0.333333333"), (-1 / 3, "-0.333333333"), (0.1 + 0.2, "0.3"),
        (12345678901.0, "12345678901"), (123456789012.0, "1.23457E+11"), (1234.56789012, "1234.56789"),
        (12345.678901234, "12345.6789"), (0.0001234567, "0.000123457"), (0.00001, "1E-05"), (-0.00004, "-4E-05"),
        (99999999999.5, "1E+11"), (0.99999999999, "1"), (5e-324, "4.94066E-324"), (100000.5, "100000.5"), (0.0, "0"),
    ],
)  # fmt: skip
def test_general_shows_up_to_eleven_characters(value: float, text: str) -> None:
    assert general(value) == text


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("#,##0", 1234567, "1,234,567"),
        ("#,##0", -0.4, "0"),
        ("#,##0.00;[Red]-#,##0.00", 1234567.885, "1,234,567.89"),
        ("#,##0_);(#,##0)", -12, "(12)"),
        ('"¥"#,##0;"¥"-#,##0', -5, "¥-5"),
        ('"\\"#,##0', 100, "¥100"),
        ("[$¥-411]#,##0", 1234567, "¥1,234,567"),
        ("_-* #,##0.00\\ [$€-407]_-", 12.5, "12.50 €"),
        ("¥#,##0.00", 1.005, "¥1.01"),
        ("0.0%", 0.1234, "12.3%"),
        ("0.00E+00", 0.00012, "1.20E-04"),
        ("##0.0E+0", 123456, "123.5E+3"),
        ("# ?/?", 1.5, "1 1/2"),
        ("# ?/16", 0.5, "8/16"),
        ("000-0000-0000", 9012345678, "090-1234-5678"),
        ("#,##0,", 1234567, "1,235"),
        ('0.0,,"百万円"', 1234567890, "1234.6百万円"),
        ('[>=1000]#,##0"千";[<0]"負"0;0.0', 1500, "1,500千"),
        ('[>=1000]#,##0"千";[<0]"負"0;0.0', 5, "5.0"),
        ("[<=9999999]###-####;(###) ###-####", 8005551234, "(800) 555-1234"),
        ('0"人"', 25, "25人"),
        ('General"人"', 25, "25人"),
        ("G/標準", 5.5, "5.5"),
        ("#,##0;-#,##0;", 0, ""),
        (";;;", 5, "5"),
        ("#", 0, ""),
        ("00000", 123, "00123"),
        ("@", 5, "5"),
    ],
)
def test_a_number_is_shown_in_its_format(code: str, value: float, text: str) -> None:
    assert shown(code, value) == text


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ('yyyy"年"m"月"d"日"', DAY, "2025年4月14日"),
        ('[$-411]ggge"年"m"月"d"日"', DAY, "令和7年4月14日"),
        ('[$-411]ggge"年"m"月"d"日"', 43586, "令和元年5月1日"),
        ('[$-411]ggge"年"m"月"d"日"', 43585, "平成31年4月30日"),
        ("[$-411]ge.m.d;@", DAY, "R7.4.14"),
        ("ggee", 9000, "大13"),
        ('[$-411][DBNum1]ggge"年"m"月"d"日"', DAY, "令和七年四月十四日"),
        ("[$-411]yyyy/m/d(aaa)", DAY, "2025/4/14(月)"),
        ("[$-411]dddd", DAY, "月曜日"),
        ("[$-804]dddd", DAY, "星期一"),
        ("[$-409]dddd, mmmm dd, yyyy", DAY, "Monday, April 14, 2025"),
        ("d-mmm-yy", DAY, "14-Apr-25"),
        ("yyyy/mm/dd hh:mm:ss.000", DAY + 0.5123456, "2025/04/14 12:17:46.660"),
        ("h:mm AM/PM", 0.75, "6:00 PM"),
        ("h:mm AM/PM", 0.0, "12:00 AM"),
        ("[h]:mm:ss", 1.5, "36:00:00"),
        ("[mm]:ss", 0.1, "144:00"),
        ("mm:ss.0", 0.0123, "17:42.7"),
        ("m/d/yyyy ddd", 60, "2/29/1900 Wed"),
        ("m/d/yyyy ddd", 1, "1/1/1900 Sun"),
        ("m/d/yyyy ddd", 61, "3/1/1900 Thu"),
        ("m/d/yyyy", 59, "2/28/1900"),
        ("yyyy", -1.0, "-1"),
        ("yyyy", 1e9, "1000000000"),
    ],
)
def test_a_date_is_shown_in_its_format(code: str, value: float, text: str) -> None:
    assert shown(code, value) == text


def test_the_date_system_of_1904_begins_1462_days_later() -> None:
    assert shown("yyyy/m/d", DAY - 1462, date1904=True) == "2025/4/14"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (27, "R7.4.14"), (28, "令和7年4月14日"), (30, "4/14/25"), (31, "2025年4月14日"), (32, "12時00分"), (34, "2025年4月"),
        (35, "4月14日"), (50, "R7.4.14"), (55, "2025年4月"), (58, "令和7年4月14日"), (0, "45761.5"), (3, "45,762"),
        (9, "4576150%"), (14, "4/14/25"), (22, "4/14/25 12:00"), (46, "1098276:00:00"), (49, "45761.5"),
    ],
)  # fmt: skip
def test_a_built_in_format_needs_no_code(number: int, text: str) -> None:
    assert NumberFormats({}).of(number)(DAY + 0.5) == text


def test_a_japanese_system_shows_short_dates_and_currencies_in_its_own_way() -> None:
    formats = NumberFormats({201: "[$-F800]dddd, mmmm dd, yyyy", 202: "[$-F400]h:mm:ss AM/PM"}, japanese=True)
    assert [formats.of(number)(DAY + 0.75) for number in (5, 14, 201, 202)] == [
        "¥45,762", "2025/4/14", "2025年4月14日", "18:00:00"
    ]  # fmt: skip


def test_other_forms_that_people_search_for_are_kept_once_each() -> None:
    formats = NumberFormats({200: "#,##0", 201: '[$-411]ggge"年"m"月"d"日"', 202: "000-0000-0000", 203: "yyyy-mm-dd"})
    values = (
        (200, 1234567),
        (200, 1234567),
        (200, 12),
        (201, DAY),
        (202, 9012345678),
        (203, DAY + 1),
        (0, 4901234567894),
    )
    for number, value in values:
        formats.of(number)(float(value))
    assert list(formats.further) == ["1234567", "2025-04-14", "09012345678", "4901234567894"]


def test_the_number_of_other_forms_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_formats, "MAX_FURTHER", 3)
    formats = NumberFormats({})
    for value in range(1000, 1010):
        formats.of(3)(float(value))
    assert list(formats.further) == ["1000", "1001", "1002"]


def test_a_text_is_shown_in_the_format_of_its_cell() -> None:
    formats = NumberFormats({200: '@"様"', 201: '0;0;0;"Mr. "@', 202: "@"})
    assert [show and show("山田") for show in map(formats.text_of, (200, 201, 202, 0))] == [
        "山田様", "Mr. 山田", None, None
    ]  # fmt: skip


def test_a_date_becomes_the_serial_number_of_its_system() -> None:
    when = datetime(2025, 4, 14, 12)  # noqa: DTZ001
    assert NumberFormats({}).serial(when) == DAY + 0.5
    assert NumberFormats({}, date1904=True).serial(when) == DAY + 0.5 - 1462


@pytest.mark.parametrize(
    "code", ["[", '"', "\\", "[$", "0" * 300, "/", "E+", "[>]0", "?/0", ".", ",", "_", "*", ";;;;;;"]
)
def test_a_strange_code_still_shows_something(code: str) -> None:
    assert isinstance(shown(code, 12.5), str)

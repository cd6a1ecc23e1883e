"""The codes of Word's fields."""

import pytest

from worker.core.extract.readers import fields


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (r'EQ \* jc2 \* "Font:MS Mincho" \* hps10 \o\ad(\s\up 9(とう),東)', ("東", "とう")),
        (r" eq \o(\s\up 9(a);b) ", ("b", "a")),
        (r"EQ \o\ac(○,秘)", ("○ 秘", "")),
        (r"EQ \f(1,2)", ("1 2", "")),
        ("PAGE", ("", "")),
        ("equal", ("", "")),
        (" MACROBUTTON NoMacro [宛先を入力] ", ("[宛先を入力]", "")),
        ("EQ " + "(" * 100_000, ("", "")),
    ],
)
def test_a_code_shows_a_text_and_perhaps_a_reading(code: str, expected: tuple[str, str]) -> None:
    assert fields.shown(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (' HYPERLINK "https://example.com/a b" \\o "tip"', "https://example.com/a b"),
        ('HYPERLINK \\l "_Toc1"', None),
        ("PAGEREF x", None),
    ],
)
def test_a_link_has_an_address(code: str, expected: str | None) -> None:
    assert fields.link(code) == expected

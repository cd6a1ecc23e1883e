"""A text of others in a page: isolated, escaped, and with no character that would still have an effect."""

import pytest

from recovery.manager.console.isolation import bidi


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("契約書 שלום \U0001f338 a\nb\tc", "契約書 שלום \U0001f338 a\nb\tc"),
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("\u2067not closed", "\\u2067not closed"),
        ("\u2069\u202eout", "\\u2069\\u202eout"),
        ("\x00\x1b[31m\x85\ud800", "\\x00\\x1b[31m\\x85\\ud800"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        (None, ""),
        (7, "7"),
    ],
)
def test_a_text_of_others_is_itself_and_nothing_more(text: object, shown: str) -> None:
    assert str(bidi(text)) == f"<bdi>{shown}</bdi>"

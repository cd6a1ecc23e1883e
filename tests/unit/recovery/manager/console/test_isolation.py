"""A text of others in a page: isolated, escaped, and with no character that would still have an effect."""

import pytest

from recovery.manager.console.isolation import bidi, parted


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


def test_the_name_of_an_error_may_be_broken_where_a_word_of_it_begins() -> None:
    assert str(parted("MalformedEventError")) == "<bdi>Malformed<wbr>Event<wbr>Error</bdi>"
    assert str(parted("S3KeyGone<B>&Co 契約Error")) == "<bdi>S3<wbr>Key<wbr>Gone&lt;B&gt;&amp;Co 契約Error</bdi>"
    assert str(parted("NoSuchBucket", 6)) == "<bdi>No<wbr>Such…</bdi>"
    assert str(parted(None)) == "<bdi></bdi>"

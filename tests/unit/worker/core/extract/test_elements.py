"""What is read of HTML and XML, and in which order."""

import time

import pytest

from worker.core.extract.markup import html_text, xml_text


def page(source: str) -> str:
    return html_text("<html><body>" + source)[0]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "<p>本日は<ruby><rb>紫陽花</rb><rp>（</rp><rt>あじ<br>さい</rt><rp>）</rp></ruby>が咲く</p><p>次</p>",
            "本日は紫陽花が咲く\nあじさい\n次",
        ),
        ("<p><ruby>東<rt>とう</rt>京<rt>きょう</rt></ruby>都</p>", "東京都\nとうきょう"),
        ("<p>単<wbr>語 long<wbr>word soft&shy;hyphen</p>", "単語 longword softhyphen"),
        ("<p>折り返した\n  文章と\n<b>太\n字</b> plain\nwords</p>", "折り返した文章と太字 plain words"),
        ("<pre>a\nb</pre>", "a\nb"),
        ("<p>葛<img alt='󠄀飾'>区 <img alt='a photo'>x</p>", "葛󠄀飾区 a photo x"),
        ("<p>東<a title='題'>京</a>都</p>", "東京都\n題"),
        ("<input type=hidden value=secret><input type=password value=pw><input type=submit value=送信><p>x", "送信\nx"),
        ("<select><optgroup label=群><option label=札>値</select>", "群\n札\n値"),
        ("<textarea placeholder=例>欄</textarea><button aria-label=閉じる>×</button>", "例\n欄\n閉じる\n×"),
        (
            "<noscript>代わり</noscript><template>型</template><script type='application/ld+json'>{}</script><!-- c -->",
            "代わり",
        ),
    ],
)
def test_a_page_gives_what_is_seen_and_what_its_attributes_say(source: str, text: str) -> None:
    assert page(source) == text


def test_the_head_gives_its_description() -> None:
    source = "".join(
        f"<meta {kind}='{name}' content='{name} words'>"
        for kind, name in [
            ("name", "description"),
            ("property", "og:title"),
            ("name", "viewport"),
            ("name", "Keywords"),
        ]
    )
    assert html_text(f"<head>{source}</head><body>x")[0] == "description words\nog:title words\nKeywords words\nx"


@pytest.mark.parametrize("depth", [300, 1_500, 3_000, 100_000])
def test_text_is_found_however_deep_it_lies(depth: int) -> None:
    began = time.process_time()
    source = "<div>" * depth + "<script>hidden()</script>深い &amp; text" + "</div>" * depth + "<p>after</p>"
    assert [line.strip() for line in page(source).splitlines()] == ["深い & text", "after"]
    nested = "<a>" * depth + "deep" + "</a>" * depth
    assert xml_text(nested) == "deep"
    assert time.process_time() - began < 15


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "<d><row 氏名='鈴木花子' n='1' id='x7' tel='03-1234'/><row t='string'/><row t='string'>v</row></d>",
            "鈴木花子 03-1234\nstring\nv",
        ),
        ("<opml><body><outline text='天気' xmlUrl='http://x/feed'/></body></opml>", "天気 http://x/feed"),
        ("<a lat='35.68123' d='" + "QUJD" * 60 + "' xml:lang='ja'>x</a>", "x"),
        (
            "<para>A <emphasis>bold</emphasis>ness of <x>it</x>s<br/>next<footnote><para>Note</para></footnote></para>",
            "A boldness of its\nnext\nNote",
        ),
        ("<para>手で折り返\nした段落 one\ntwo</para>", "手で折り返した段落 one\ntwo"),
        ("<dict><key>名前</key><string>東京</string><data>" + "QUJD" * 3000 + "</data></dict>", "名前\n東京"),
        (
            (
                "<svg xmlns='http://www.w3.org/2000/svg'><path d='M1 2' class='box' id='p'/>"
                "<text><tspan>承</tspan><tspan>認</tspan></text></svg>"
            ),
            "承認",
        ),
        (
            (
                "<svg xmlns='http://www.w3.org/2000/svg'><text><tspan x='0'>two</tspan>"
                "<tspan x='0' dy='9'>lines 見</tspan><tspan x='0' dy='9'>積</tspan></text></svg>"
            ),
            "two\nlines 見積",
        ),
        ("<w:p xmlns:w='http://schemas.microsoft.com/office/word/2003/wordml' w:val='noise'>x</w:p>", "x"),
    ],
)
def test_xml_gives_its_text_and_the_attributes_that_people_read(source: str, text: str) -> None:
    assert xml_text(source) == text


@pytest.mark.parametrize(
    "piece", ["<p", "<ruby><rt>", "<!--", "</a>", "<a t='\n", "<script>", "\n ", "<x/>\u00ad", "&lt;"]
)
def test_time_grows_with_the_length_alone(piece: str) -> None:
    began = time.process_time()
    page(piece * (1_000_000 // len(piece)))
    xml_text("<r>x" + piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 24

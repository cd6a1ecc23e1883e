"""Text, HTML and XML in process."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.kinds import kind_of
from worker.core.extract.markup import html_text, xml_text
from worker.core.extract.plain import extract_text


def extract(body: bytes, key: str, max_chars: int = 10**6):
    return extract_text(body, kind_of(body[:4096], key, None), max_chars)


def test_a_text_is_cut_at_the_limit_and_counted_whole() -> None:
    extracted = extract("見積書".encode() * 10, "a.txt", 7)
    assert (extracted.content, extracted.char_count, extracted.truncated) == ("見積書見積書見", 30, True)


@pytest.mark.parametrize("as_path", [False, True])
def test_a_long_text_is_cut_and_counted_whole_too(tmp_path: Path, *, as_path: bool) -> None:
    body = "議事録。\n".encode("cp932") * 200_000
    path = tmp_path / "body"
    path.write_bytes(body)
    extracted = extract_text(path if as_path else body, kind_of(body[:4096], "a.txt", None), 10)
    assert (extracted.content, extracted.char_count, extracted.truncated) == ("議事録。\n議事録。\n", 1_000_000, True)


@pytest.mark.parametrize("key", ["a.json", "a.jsonl", "a.geojson"])
def test_escapes_in_json_are_the_characters_they_stand_for(key: str) -> None:
    body = rb'{"\u6771\u4eac": "\ud83c\udf38 \\u0041 \"\n", "x": "\u0007\ud800"}'
    kind = kind_of(body, key, "application/geo+json" if key == "a.geojson" else None)
    assert extract_text(body, kind, 100).content == '{"東京": "🌸 \\u0041 "\n", "x": "\ufffd\ufffd"}'
    assert extract_text(body * 9_000, kind, 30).content.startswith('{"東京": "🌸')


def test_control_characters_are_scrubbed() -> None:
    assert extract(b"a\x01b\x7f" + b"c" * 200, "a.txt").content[:4] == "a\ufffdb\ufffd"


def test_white_space_alone_is_empty() -> None:
    assert extract(b" \r\n\t\n", "a.txt").status == "empty"


def test_noise_is_metadata_only_and_corrupt_where_the_name_promised_a_document() -> None:
    noise = bytes(range(256)) * 4
    assert extract(noise, "a.txt").status == "metadata_only"
    assert extract(noise, "a.txt").mime_type == "application/octet-stream"
    assert extract(noise, "a.pdf").status == "corrupt"


def test_html_gives_its_text_title_and_language_but_no_scripts() -> None:
    page = (
        "<html lang=ja><head><title>お知らせ</title><meta name=author content=総務><style>p{}</style></head><body>"
        "<script>secret()</script><p>東<b>京</b>都</p><table><tr><td>甲</td><td>乙</td></tr></table></body></html>"
    )
    text, said = html_text(page)
    assert text == "お知らせ\n東京都\n甲\n乙"
    assert (said.title, said.author, said.language) == ("お知らせ", "総務", "ja")


@pytest.mark.parametrize(
    ("charset", "codec"), [("Shift_JIS", "cp932"), ("euc-jp", "euc-jp"), ("windows-1251", "cp1251")]
)
def test_html_declares_its_encoding(charset: str, codec: str) -> None:
    word = "Привет" if codec == "cp1251" else "髙"[: codec == "cp932"] + "漢字"
    body = f'<html><head><meta charset="{charset}"></head><body><p>{word}</p></body></html>'.encode(codec)
    assert extract(body, "a.html").content == word


def test_xml_in_a_legacy_encoding_is_read() -> None:
    body = "<?xml version='1.0' encoding='EUC-JP'?><品><名>書籍</名><名>文具</名></品>".encode("euc-jp")
    assert extract(body, "a.xml").content == "書籍\n文具"


def test_broken_markup_still_gives_its_text() -> None:
    assert "text" in xml_text("<a><b>text</a> & <")
    assert html_text("<<<>>> &&& text")[0].endswith("text")
    assert xml_text("") == ""


def test_a_billion_laughs_stay_few() -> None:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]><x a="&l9;">&l9;<y>end</y></x>'
    started = time.monotonic()
    extracted = extract(bomb.encode(), "a.xml")
    assert time.monotonic() - started < 6
    assert len(extracted.content) < 10_000


def test_an_external_entity_is_not_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("classified")
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}"><!ENTITY % p SYSTEM "{secret.as_uri()}"> %p;]>'
    extracted = extract(f'<?xml version="1.0"?>{doctype}<x>&e;<y>end</y></x>'.encode(), "a.xml")
    assert "classified" not in extracted.content


def test_deeply_nested_markup_is_survived() -> None:
    assert extract(b"<html>" + b"<div>" * 50_000 + b"x", "a.html").status in {"ok", "empty"}
    assert extract(b"<?xml version='1.0'?>" + b"<a>" * 50_000 + b"x", "a.xml").status in {"ok", "empty"}


@given(st.binary(max_size=400), st.sampled_from(["a.txt", "a.html", "a.xml", "a.csv", "a.pdf", "a"]))
def test_any_bytes_give_a_status(body: bytes, key: str) -> None:
    kind = kind_of(body, key, None)
    if body and kind.route in {"text", "html", "xml"}:
        assert extract_text(body, kind, 100).status in {"ok", "empty", "metadata_only", "corrupt"}


@given(st.text(max_size=300))
def test_any_markup_gives_text(source: str) -> None:
    assert isinstance(html_text("<html>" + source)[0], str)
    assert isinstance(xml_text("<a>" + source), str)


def test_the_last_line_of_a_log_of_ten_million_characters_is_read_in_time() -> None:
    line = "2026-03-09 12:00:00 INFO \x1b[32m接続\x1b[0m を開始 request=12345 path=C:\\new\\table\n"
    body = (line * (9_990_000 // len(line)) + '{"msg": "last \\u77f3\\u7247 pebble"}\n').encode()
    began = time.process_time()
    extracted = extract(body, "a.log", 10**7)
    assert "last 石片 pebble" in extracted.content[-60:]
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    ("name", "content_type", "phrases"),
    [
        ("json_nl.json", None, ["occurred\nConnection refused\nRetry later\tTabbed", "経路\n次行"]),
        ("json_nb.ipynb", None, ["分析の見出し", "東京", "結果の表 nbout"]),
        ("xml_bigattr.xml", None, ["鈴木花子", "総務課", "xmlattrs"]),
        ("svg_flow.svg", None, ["承認", "流れ図 svgtitle", "申請 svgtext"]),
        ("html_ruby.html", None, ["東京都", "紫陽花が満開です。東京都\nあじさい\nとうきょう"]),
        ("html_wbr.html", None, ["長い単語の分割 longword softhyphen"]),
        (
            "html_attrs.html",
            None,
            [
                "altimg",
                "descmeta",
                "inputval",
                "keymeta",
                "placehold",
                "titleattr",
                "optval",
                "noscripttext",
                "textareaval",
            ],
        ),
        ("html_gb.html", None, ["合同编号"]),
        ("html_euckr.html", None, ["회의록"]),
        ("text_koi_ct.txt", "text/plain; charset=koi8-r", ["Договор поставки"]),
        ("sq_linebreak.txt", None, ["分かれた言葉です", "見積書を送付します"]),
    ],
)
def test_the_cases_of_issue_19_are_found(name: str, content_type: str | None, phrases: list[str]) -> None:
    body = (Path(__file__).parents[4] / "data/reach" / name).read_bytes()
    content = extract_text(body, kind_of(body[:4096], name, content_type), 10**6).content
    assert [phrase for phrase in phrases if phrase not in content] == []


def test_the_charset_of_the_content_type_counts_where_it_fits(tmp_path: Path) -> None:
    koi8 = "Договор поставки\n".encode("koi8-r")
    declared = kind_of(koi8, "a.txt", 'text/plain; charset="KOI8-R"')
    (path := tmp_path / "body").write_bytes(koi8 * 20_000)
    assert extract_text(path, declared, 20).content == "Договор поставки\nДог"
    assert extract_text("日本語のファイル".encode("cp932"), declared, 20).content == "日本語のファイル"
    page = '<html><meta charset="euc-kr"><p>회의록'
    assert (
        extract_text(page.encode("cp949"), kind_of(page.encode(), "a", "text/html; charset=gbk"), 20).content
        == "회의록"
    )
    russian = "<html><p>Договор".encode("cp1251")
    assert extract_text(russian, kind_of(russian, "a", "text/html; charset=windows-1251"), 20).content == "Договор"


def test_the_other_kinds_of_text_keep_their_line_ends() -> None:
    for name in ("a.csv", "a.py", "a.json", "a.yaml"):
        assert extract("東京\n大阪".encode(), name).content == "東京\n大阪"

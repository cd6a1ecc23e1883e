"""The page Search: what is found is shown escaped and marked, narrowed by links, and opened by a link to S3 alone."""

import contextlib
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from lxml import html

from testing.ledgers import new_ledger
from testing.memory import BUCKET, INDEX_DOWN
from tests.support.api import Api
from tests.support.library import HOSTILE, library

KEY = "経理/2026/見積書.pdf"


@pytest.fixture
def off(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as opened:
        yield Api(opened)


@pytest.fixture
def api(off, tmp_path):
    return Api(off.ledger, index=library(tmp_path / "index.sqlite", copies=30), search_page=True)


def page(api, query, status=200, **headers):
    answer = api.ask(f"/console/search?q={quote(query)}", **headers)
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def said(node):
    return " ".join(node.text_content().split())


def links(found, text):
    return [one.get("href") for one in found.xpath("//main//a") if said(one).startswith(text)]


def asked(href):
    return parse_qs(urlsplit(href).query)


def test_a_hit_has_its_name_path_size_time_and_marked_passages(api):
    found = page(api, "見積書")
    [hit] = found.findall(".//article")
    assert said(hit.find("h2")) == "見積書.pdf"
    assert "経理/2026" in said(hit)
    assert "47.1 KiB" in said(hit)
    assert [one.get("datetime") for one in hit.iter("time")] == ["2026-04-01T00:30:00.000Z"]
    assert [said(one) for one in hit.iter("mark")] == ["見積書", "見積書"]
    assert asked(hit.find("h2/a").get("href")) == {"bucket": [BUCKET], "key": [KEY]}
    assert "1 file found." in said(found)


def test_nothing_of_a_document_becomes_markup(api):
    found = page(api, "forecast")
    assert len(found.findall(".//article")) == 4
    assert found.xpath("//main//img | //main//script") == []
    assert len(found.findall(".//script")) == 1
    names = [one.text_content() for one in found.xpath("//article/h2/a/bdi")]
    assert len(names) == 4
    assert HOSTILE.partition("\u202e")[0] in found.text_content()
    assert "<script>alert(2)</script>" in found.text_content()


def test_facets_are_links_that_narrow_and_filters_links_that_widen(api):
    found = page(api, "forecast")
    [href] = links(found, "pdf 1")
    assert asked(href) == {"q": ["forecast ext:pdf"]}
    assert asked(links(found, "2025 1")[0]) == {"q": ["forecast after:2025 before:2026"]}
    narrowed = page(api, "forecast ext:pdf")
    assert len(narrowed.findall(".//article")) == 1
    assert asked(links(narrowed, "ext:pdf")[0]) == {"q": ["forecast"]}


def test_pages_follow_each_other(api):
    first = page(api, "copy")
    [href] = first.xpath("//a[@rel='next']/@href")
    second = html.fromstring(api.ask(href).text)
    assert (len(first.findall(".//article")), len(second.findall(".//article"))) == (20, 10)
    assert second.xpath("//a[@rel='next']") == []
    assert second.xpath("//a[@rel='prev']/@href") == ["/console/search?q=copy"]


def test_an_empty_box_asks_nothing_and_nothing_found_leads_to_why_not(api):
    assert page(api, "").findall(".//article") == []
    assert "Nothing was found" not in said(page(api, ""))
    found = page(api, "nowhere/契約.pdf")
    assert "Nothing was found." in said(found)
    assert found.xpath("//main//a/@href")[-1] == f"/console/why-not?key={quote('nowhere/契約.pdf')}"


def test_a_mistake_is_explained_and_the_query_kept(api):
    found = page(api, "report size:>banana", status=400)
    assert "give a number with b, kb, mb, gb or tb" in said(found)
    assert found.get_element_by_id("q").get("value") == "report size:>banana"


def test_an_index_that_is_down_is_said(off):
    api = Api(off.ledger, search_page=True)
    api.fakes.faults.add("index.search", INDEX_DOWN)
    assert "The index cannot be asked now." in said(page(api, "x", status=503))


def test_a_file_is_opened_at_s3_and_that_is_recorded(api):
    api.fakes.s3.bodies[KEY] = b"pdf"
    [href] = page(api, "見積書").xpath("//article/h2/a/@href")
    answer = api.ask(href, sec_fetch_site="same-origin")
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).hostname == f"{BUCKET}.s3.example.com"
    assert answer.headers["cache-control"] == "no-store"
    [entry] = [one for one in api.fakes.under("s3-index-worker/audit/").values() if one["action"] == "open"]
    assert (entry["bucket"], entry["key"]) == (BUCKET, KEY)


def test_whoever_comes_from_another_site_is_asked_first(api):
    api.fakes.s3.bodies[KEY] = b"pdf"
    answer = api.ask(
        f"/console/open?bucket={BUCKET}&key={quote(KEY)}", sec_fetch_site="cross-site", sec_fetch_mode="navigate",
        sec_fetch_dest="document",
    )  # fmt: skip
    assert answer.status_code == 200
    assert "recorded in the audit" in answer.text
    assert api.fakes.under("s3-index-worker/audit/") == {}


@pytest.mark.parametrize(
    ("key", "text"), [("secret.txt", "The index holds no document"), (KEY, "has been deleted from S3")]
)
def test_a_file_that_cannot_be_opened_is_explained(api, key, text):
    answer = api.ask(f"/console/open?bucket={BUCKET}&key={quote(key)}")
    assert answer.status_code == 404
    assert text in said(html.fromstring(answer.text))


def test_where_it_is_off_there_is_no_page_and_no_entry_that_leads_there(off, api):
    for path in ("/console/search", f"/console/open?bucket={BUCKET}&key=bare"):
        answer = off.ask(path)
        assert answer.status_code == 404
        assert "SEARCH_PAGE=on" in answer.text
        assert html.fromstring(answer.text).xpath("//nav/a[@href='/console/search']") == []
    assert page(api, "").xpath("//nav/a[@aria-current]/@href") == ["/console/search"]


def test_in_japanese_the_page_is(api):
    found = page(api, "見積書", accept_language="ja")
    assert "1 件のファイルが見つかりました。" in said(found)
    assert "見つかりませんでした。" in said(page(api, "nowhere", accept_language="ja"))
    assert "検索語に誤りがあります" in said(page(api, "size:>x", status=400, accept_language="ja"))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("size:>banana", "size:>banana: '>banana' はサイズではありません。b、kb、mb、gb、tb のいずれかを付けた数を"),
        ("after:soon", "after:soon: 'soon' は日付ではありません。日、月、年のいずれかを"),
        ("ext:", "ext:: コロンの直後に値がありません。1 つまたは複数を"),
        ("size:", "size:: コロンの直後に値がありません。"),
        ("siez:>1mb", "siez:>1mb: 'siez' という条件はありません。近いものは size です。"),
        ("foo:bar", "foo:bar: 'foo' という条件はありません。使える条件: ext、bucket、size、after、before"),
        ('"a b', '"a b: 引用符が閉じていません。'),
        ("size:>1 mb", "size:>1 mb: 空白を入れずに size:>1mb と書いてください"),
        ("after:2027 before:2026", "after と before の間に何も残りません。"),
        ("-draft", "-draft: 除外するものしか書かれていません。"),
        ("!!", "!!: 検索できる語がありません。"),
    ],
)
def test_a_mistake_is_said_in_japanese_too(api, query, text):
    found = page(api, query, status=400, accept_language="ja")
    assert said(found.xpath("//div[@role='alert']/ul/li")[0]).startswith(text)


def test_what_is_nowhere_leads_to_the_search_for_its_name_where_there_is_one(api, off):
    key = quote('wrong/folder/a "b".pdf')
    answer = html.fromstring(api.ask(f"/console/why-not?key={key}").text)
    [link] = [a.get("href") or "" for a in answer.iter("a") if (a.get("href") or "").startswith("/console/search?q=")]
    assert parse_qs(urlsplit(link).query) == {"q": ['"a  b .pdf"']}
    assert "/console/search?q=" not in off.ask(f"/console/why-not?key={key}").text

"""What every index does alike: versions, removals, answers for each document, and what a search finds."""

import dataclasses
import random
import time
import unicodedata
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.index.conftest import Documents, opened
from worker.core.base.jsontypes import JsonObject
from worker.core.base.uniform import uniform
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START, Entry, Facets, Stored, WriteStatus
from worker.core.index.document import Write, encode
from worker.core.index.facets import FIELDS, narrowed
from worker.core.s3.objects import ObjectState

WRITTEN, SUPERSEDED, REJECTED = WriteStatus.WRITTEN, WriteStatus.SUPERSEDED, WriteStatus.REJECTED


def state(etag):
    return ObjectState(etag, datetime(2026, 4, 1, 9, tzinfo=UTC), None)


# -- versions ----------------------------------------------------------------------------------------------------


def test_of_two_observations_the_later_wins_in_either_order(index, documents):
    later, earlier = (
        documents.make("a", "new", version=2_000, etag="2"),
        documents.make("a", "old", version=1_000, etag="1"),
    )
    assert [result.status for result in index.write([later])] == [WRITTEN]
    assert [result.status for result in index.write([earlier])] == [SUPERSEDED]
    assert index.stored([("b", "a")]) == [Stored(state("2"), 2_000, "ok")]


def test_the_same_observation_may_be_written_twice(index, documents):
    write = documents.make("a", version=1_000)
    assert [index.write([write])[0].status for _ in range(2)] == [WRITTEN, WRITTEN]


def test_a_removal_wins_over_an_older_observation_that_is_written_after_it(index, documents):
    removal, older = documents.make("a", version=2_000, removal=True), documents.make("a", version=1_999)
    documents.put("a", version=1_000)
    assert index.write([removal])[0].status is WRITTEN
    assert index.write([older])[0].status is SUPERSEDED
    assert index.stored([("b", "a")]) == [None]


def test_a_removal_of_a_missing_document_is_remembered_too(index, documents):
    assert index.write([documents.make("a", version=2_000, removal=True)])[0].status is WRITTEN
    assert index.write([documents.make("a", version=1_999)])[0].status is SUPERSEDED
    assert index.write([documents.make("a", version=2_001)])[0].status is WRITTEN


def test_a_removal_with_an_earlier_observation_removes_nothing(index, documents):
    documents.put("a", version=2_000)
    assert index.write([documents.make("a", version=1_000, removal=True)])[0].status is SUPERSEDED
    assert index.stored([("b", "a")])[0] is not None


def test_any_order_of_versions_ends_with_the_greatest(index, documents):
    rng = random.Random(7)
    for key in "abcdefgh":
        versions = list(range(1_000, 1_012))
        rng.shuffle(versions)
        writes = [documents.make(key, version=v, etag=str(v), removal=v % 3 == 0) for v in versions]
        for start in range(0, len(writes), 3):
            index.write(writes[start : start + 3])
        assert index.stored([("b", key)]) == [Stored(state("1011"), 1_011, "ok") if 1_011 % 3 else None]


# -- answers -----------------------------------------------------------------------------------------------------


def test_each_write_is_answered_in_its_place_and_a_bad_one_harms_no_other(index, documents):
    bad = Write("b", "bad", 1_000, "e", b'["not an object"]')
    surrogate = dataclasses.replace(documents.make("b"), key="\ud800")
    results = index.write([documents.make("a"), bad, surrogate, documents.make("c")])
    assert [result.status for result in results] == [WRITTEN, REJECTED, REJECTED, WRITTEN]
    assert results[1].reason
    assert results[2].reason
    assert documents.keys("") == ["a", "c"]


def test_malformed_dates_and_numbers_reject_no_document(index, documents):
    result = documents.put("a.txt", "text", created="0000-00-00", last_modified="yesterday", file_size="large")
    assert result.status is WRITTEN
    assert documents.keys("text") == ["a.txt"]


def test_unknown_fields_are_taken_and_make_no_mapping(index, documents):
    assert documents.put("a", "text", surprise={"deep": [1, "x"]}).status is WRITTEN
    assert documents.put("b", "text", surprise="a string now").status is WRITTEN


def test_metadata_of_any_shape_is_taken(index, documents):
    assert documents.put("a", metadata={"owner": "me", "a.b": "1", "日本": "値"}).status is WRITTEN
    assert documents.put("b", metadata={"a": "1"}).status is WRITTEN


@pytest.mark.parametrize("key", ["k" * 1_024, "漢" * 341, "a//b/../c", "tab\tnew\nline", "🌸", '"quoted\\"'])
def test_keys_of_every_kind_are_stored_unchanged(index, documents, key):
    assert documents.put(key, etag="x").status is WRITTEN
    assert index.stored([("b", key), ("b", key + "x")]) == [Stored(state("x"), documents.version, "ok"), None]
    assert documents.keys("") == [key]


def test_the_same_key_of_two_buckets_is_two_documents(index, documents):
    documents.put("a", bucket="b1", etag="1")
    documents.put("a", bucket="b2", etag="2")
    assert [found.state.etag for found in index.stored([("b1", "a"), ("b2", "a")])] == ["1", "2"]


def test_a_text_at_the_limit_is_taken_found_and_marked(index, documents):
    text = "吾輩は猫である。 " * 100_000 + " needle"
    assert documents.put("long.txt", text).status is WRITTEN
    assert documents.keys("needle") == ["long.txt"]
    assert index.search("吾輩").hits[0].highlights


def test_more_documents_than_fit_in_one_request_are_all_written(index, documents):
    writes = [documents.make(f"{number}.txt", f"{number} " * 400_000) for number in range(8)]
    assert {result.status for result in index.write(writes)} == {WRITTEN}
    index.refresh()
    assert index.search("", limit=1).total == 8


def test_nothing_to_write_is_nothing_to_answer(index):
    assert index.write([]) == []
    assert index.stored([]) == []


def test_ensure_again_makes_nothing_and_finds_nothing_wrong(index):
    again = index.ensure()
    assert again.created == []
    assert [finding for finding in again.findings if finding.level != "ok"] == []
    assert [finding for finding in index.inspect().findings if finding.level != "ok"] == []
    assert index.inspect().exists
    index.ping()


@pytest.mark.parametrize("kind", ["sqlite", "opensearch"])
def test_an_index_that_was_never_made_does_not_exist_and_looking_does_not_make_it(request, tmp_path, index_name, kind):
    url = f"sqlite:///{tmp_path}/index.db" if kind == "sqlite" else request.getfixturevalue(kind).url
    with closing(opened(url, index_name)) as never_made:
        assert [never_made.inspect().exists for _ in range(2)] == [False, False]


# -- search ------------------------------------------------------------------------------------------------------

LIBRARY = {
    "経理/2026/見積書 テンプレート.xlsx": "東京都の支店に送る見積書。合計 1,200円",
    "経理/2025/請求書.pdf": "京都支店あて。お支払いは月末まで。",
    "sales/Quarterly forecast Q3.pptx": "The quarterly forecast was revised. Revenue grows.",
    "sales/old_draft-v2.txt": "draft forecast, superseded",
    "photos/IMG_1234.jpg": "",
    "manual/ガイド.epub": "ｶﾞｲﾄﾞﾌﾞｯｸ と ＡＢＣ",
}


@pytest.fixture
def library(index, documents):
    results = index.write([documents.make(key, content) for key, content in LIBRARY.items()])
    assert {result.status for result in results} == {WRITTEN}
    return documents


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("京都", ["経理/2025/請求書.pdf", "経理/2026/見積書 テンプレート.xlsx"]),
        ("東京", ["経理/2026/見積書 テンプレート.xlsx"]),
        ("支店", ["経理/2025/請求書.pdf", "経理/2026/見積書 テンプレート.xlsx"]),
        ("テンプ", ["経理/2026/見積書 テンプレート.xlsx"]),
        ("見積書", ["経理/2026/見積書 テンプレート.xlsx"]),
        ("forecast", ["sales/Quarterly forecast Q3.pptx", "sales/old_draft-v2.txt"]),
        ("FORECAST", ["sales/Quarterly forecast Q3.pptx", "sales/old_draft-v2.txt"]),
        ('"quarterly forecast"', ["sales/Quarterly forecast Q3.pptx"]),
        ('"forecast quarterly"', []),
        ("quart", ["sales/Quarterly forecast Q3.pptx"]),
        ("forecast -draft", ["sales/Quarterly forecast Q3.pptx"]),
        ("1234", ["photos/IMG_1234.jpg"]),
        ("draft", ["sales/old_draft-v2.txt"]),
        ("経理/2026", ["経理/2026/見積書 テンプレート.xlsx"]),
        ("sales", ["sales/Quarterly forecast Q3.pptx", "sales/old_draft-v2.txt"]),
        ("ガイドブック", ["manual/ガイド.epub"]),
        ("ABC", ["manual/ガイド.epub"]),
        ("ext:pdf", ["経理/2025/請求書.pdf"]),
        ("ext:pdf,xlsx 支店", ["経理/2025/請求書.pdf", "経理/2026/見積書 テンプレート.xlsx"]),
        ("-ext:pdf 支店", ["経理/2026/見積書 テンプレート.xlsx"]),
        ("大阪", []),
        ("!!!", []),
        ("bucket:other", []),
    ],
)
def test_what_a_query_finds(library, query, found):
    assert library.keys(query) == sorted(found)


# -- what does not matter ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("⾼⽥⾺場の⽇本⽀社⻑", "高田馬場", "[高田馬場]の日本支社長"),
        ("高田馬場", "⾼⽥⾺場", "[高田馬場]"),
        ("神⼾市", "神戸", "[神戸]市"),
        ("神戶市", "神戸", "[神戶]市"),
        ("黑田", "⿊田", "[黑田]"),
        ("㈱日立㍿製作所", "日立株式会社", "(株)[日立株式会社]製作所"),
        ("㈱日立", "(株)日立", "([株)日立]"),
        (unicodedata.normalize("NFD", "ガラスのパイプ"), "パイプ", "ガラスの[パイプ]"),
        ("パイプ", unicodedata.normalize("NFD", "パイプ"), "[パイプ]"),
        ("a soft\u00adhyphen and zero\u200bwidth", "softhyphen", "a [softhyphen] and zerowidth"),
        ("zerowidth", "zero\u200bwidth\ufeff", "[zerowidth]"),
        ("葛\U000e0100城市", "葛城", "[葛城]市"),
        ("見積書 株式会社", "書株", "見積[書 株]式会社"),
        ("見積書\n株式会社", '"見積書 株式会社"', "[見積書 株式会社]"),
        ("見積書株式会社", '"見積書 株式会社"', "[見積書株式会社]"),
        ("見積書株式会社", '"見積書　株式会社"', "[見積書株式会社]"),
        ("東 京 都", "東京都", "[東 京 都]"),
        ("東京都", '"東 京 都"', "[東京都]"),
        ("言葉は分か\r\n    れたまま", "分かれた", "言葉は[分か れた]まま"),
        ("の データ ベース を", "データベース", "の [データ ベース] を"),
        ("見積書 株式会社", "株式", "見積書 [株式]会社"),
        ("アメリカ イギリス ドイツ フランス", "ドイツ", "アメリカ イギリス [ドイツ] フランス"),
        ("서울 시청 앞", '"서울 시청"', "[서울 시청] 앞"),
        ("the résumé of 2026", "resume", "the [résumé] of 2026"),
    ],
)
def test_what_does_not_matter_in_a_text_does_not_matter_in_a_query(index, documents, text, query, shown):
    documents.put("a.txt", uniform(text))
    documents.put("b.txt", "something else")
    assert documents.keys(query) == ["a.txt"]
    [passage] = index.search(query).hits[0].highlights
    joined = passage.replace(f"{HIGHLIGHT_END} {HIGHLIGHT_START}", " ")
    assert joined.replace(HIGHLIGHT_START, "[").replace(HIGHLIGHT_END, "]") == shown


LONG = {
    "en.txt": (
        "forecast",
        "This is a sentence before it. " * 20
        + "The quarterly forecast was read. "
        + "This is a sentence after it. " * 20,
        "This is a sentence before it. " * 2
        + "The quarterly [forecast] was read."
        + " This is a sentence after it." * 2,
    ),
    "ja.txt": (
        "業績予測",
        "前置きの文がここに続いている。" * 20
        + "財務部長が業績予測を読み上げた。"
        + "後置きの文がここに続いている。" * 20,
        "前置きの文がここに続いている。" * 5
        + "財務部長が[業績予測]を読み上げた。"
        + "後置きの文がここに続いている。" * 4,
    ),
}


@pytest.mark.parametrize("key", LONG)
def test_a_hit_shows_whole_sentences_of_some_150_characters(index, documents, key):
    query, text, shown = LONG[key]
    documents.put(key, text)
    index.refresh()
    [passage] = index.search(query).hits[0].highlights
    assert passage.replace(HIGHLIGHT_START, "[").replace(HIGHLIGHT_END, "]") == shown


def test_a_match_past_the_first_million_characters_is_found_and_shown(index, documents):
    documents.put("long.txt", "吾輩は猫である。 a line\n" * 100_000 + "the needle 縫針 was here")
    index.refresh()
    for query, shown in (("needle", "the [needle] 縫針 was"), ("縫針", "the needle [縫針] was")):
        [passage] = index.search(query).hits[0].highlights
        assert shown in passage.replace(HIGHLIGHT_START, "[").replace(HIGHLIGHT_END, "]")


def test_a_text_with_over_1_024_words_that_begin_alike_is_found_and_shown(index, documents):
    documents.put("search_jobs.log", "".join(f"job {number} done 3\n" for number in range(110_000, 115_000)))
    for query in ("job-11", "job-11 done-3", " ".join(f"job-11{at}" for at in range(5)), '"job 110007 done"'):
        assert documents.keys(query) == ["search_jobs.log"], query
        [first, *_] = index.search(query).hits[0].highlights
        assert f"{HIGHLIGHT_START}job 110" in first


def test_the_passages_of_many_hits_are_each_of_its_own_text(index, documents):
    index.write([documents.make(f"{number}.txt", f"number {number} " + "x " * 60_000) for number in range(20)])
    index.refresh()
    hits = index.search("number", limit=20).hits
    assert len(hits) == 20
    for hit in hits:
        assert f"{HIGHLIGHT_START}number{HIGHLIGHT_END} {hit.key.removesuffix('.txt')} " in hit.highlights[0]
        assert "content" not in hit.fields


@pytest.mark.parametrize(
    ("text", "query"),
    [("見積書 株式会社", "積書会社"), ("서울 시청", "울시"), ("tokyo tower", "tokyotower"), ("東京 tower", "東京都")],
)
def test_what_matters_in_a_text_matters_in_a_query(documents, text, query):
    documents.put("a.txt", uniform(text))
    assert documents.keys(query) == []


def test_size_and_date_narrow_a_search(index, documents):
    documents.put("small.txt", file_size=10, last_modified="2026-01-31T10:00:00Z")
    documents.put("large.txt", file_size=3 * 1024**2, last_modified="2026-06-01T10:00:00Z")
    found = {query: documents.keys(query) for query in ("size:>1mb", "size:<1kb", "after:2026-02-01", "before:2026-02")}
    assert found == {
        "size:>1mb": ["large.txt"], "size:<1kb": ["small.txt"], "after:2026-02-01": ["large.txt"], "before:2026-02": ["small.txt"],
    }  # fmt: skip


def test_matches_are_marked_in_names_and_contents(index, library):
    library.index.refresh()
    [hit] = index.search("見積書").hits
    marked = f"{HIGHLIGHT_START}見積書{HIGHLIGHT_END}"
    text = "".join(hit.highlights).replace(HIGHLIGHT_END + HIGHLIGHT_START, "")
    assert text.count(marked) >= 2 or text.count(HIGHLIGHT_START) >= 2
    assert "content" not in hit.fields
    assert hit.fields["file_key"] == "経理/2026/見積書 テンプレート.xlsx"


def test_the_better_match_comes_first(index, documents):
    documents.put("a.txt", "budget " + "other words " * 200)
    documents.put("budget 2026.txt", "budget budget")
    index.refresh()
    assert index.search("budget").hits[0].key == "budget 2026.txt"


def test_a_removed_document_is_found_no_more(index, documents):
    documents.put("a.txt", "temporary")
    documents.put("a.txt", removal=True)
    assert documents.keys("temporary") == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=60) | st.text(alphabet='"-:*()[]{}^~?\\/+&|<>= AND OR NOText東京', max_size=40))
def test_any_string_is_a_query_and_none_an_error(index, query):
    assert index.search(query, limit=3).total >= 0


# -- facets and pages --------------------------------------------------------------------------------------------

YEARS = {"a.pdf": "2024-12-31T23:59:59+00:00", "b.pdf": "2025-01-01T00:00:00+00:00", "c.TXT": "2026-06-01T10:00:00Z"}


def test_facets_count_all_matches_and_each_value_finds_as_many(index, documents):
    for key, modified in YEARS.items():
        documents.put(key, "budget of the year", last_modified=modified, file_extension=key[2:].lower())
    documents.put("d", "a budget", bucket="other-files", file_extension="", last_modified="2026-01-01T00:00:00+00:00")
    documents.put("e.pdf", "something else")
    index.refresh()
    assert index.facets("budget") == Facets(
        {"pdf": 2, "txt": 1}, {"other-files": 1}, {"2026": 2, "2025": 1, "2024": 1}
    )  # a bucket's name has three characters at least, so "b" is none
    assert index.facets("ext:pdf").extensions == {"pdf": 3}
    assert index.facets("budget -year ext:pdf") == Facets({}, {}, {})
    assert index.facets("!!!") == Facets({}, {}, {})
    for facet, counts in zip(FIELDS, dataclasses.astuple(index.facets("budget")), strict=True):
        for value, count in counts.items():
            assert index.search(narrowed("budget", facet, value)).total == count, (facet, value)


def test_documents_that_lack_a_field_are_found_and_counted_where_they_have_one(index):
    version = int(time.time() * 1000)
    sources: dict[str, JsonObject] = {
        "bare": {"file_key": "bare", "content": "old words"},
        "odd": {"file_key": "odd", "content": "old words", "file_extension": 7, "last_modified": "yesterday", "file_size": "big"},
        "null": {"file_key": "null", "content": "old words", "file_extension": None, "last_modified": None, "bucket": None},
    }  # fmt: skip
    for key, source in sources.items():
        [result] = index.write([Write("our-files", key, version, None, encode(source))])
        assert result.status is WRITTEN
    index.refresh()
    hits = index.search("old words").hits
    assert sorted(hit.key for hit in hits) == ["bare", "null", "odd"]
    assert {(hit.size_bytes, hit.modified) for hit in hits} == {(None, None)}
    assert index.facets("old words").years == {}
    assert index.search("old words after:2020").total == 0


def test_hits_are_read_page_by_page_and_none_twice(index, documents):
    index.write([documents.make(f"{number:02}.txt", "number") for number in range(25)])
    index.refresh()
    for query in ("number", ""):
        pages = [index.search(query, limit=10, offset=offset) for offset in (0, 10, 20, 30)]
        assert [len(page.hits) for page in pages] == [10, 10, 5, 0]
        assert [page.total for page in pages] == [25] * 4
        assert len({hit.key for page in pages for hit in page.hits}) == 25
    assert index.search("number", limit=10, offset=9_995).hits == []
    assert index.search("number", limit=10, offset=50_000).total == 25


def test_the_newest_comes_first_where_no_word_is_asked_for(index, documents):
    for key, modified in YEARS.items():
        documents.put(key, last_modified=modified)
    index.refresh()
    found = index.search("before:2026-12").hits
    assert [hit.key for hit in found] == ["c.TXT", "b.pdf", "a.pdf"]
    assert found[0].modified == datetime(2026, 6, 1, 10, tzinfo=UTC)


# -- entries -----------------------------------------------------------------------------------------------------


def test_the_entries_of_a_bucket_are_listed_by_prefix_in_utf8_order_and_page_by_page(index, documents, monkeypatch):
    for module in ("question", "sqlite", "opensearch"):
        monkeypatch.setattr(f"worker.core.index.{module}.ENTRIES_AT_ONCE", 3)
    keys = ["a", "a/1", "a/2", "a//b", "A", "a*", "a?", "ab", "契約/東京.txt", "\U0001f389", "\uff5e", "z" * 1024]
    writes = [documents.make(key) for key in (*keys, "a/gone")]
    index.write([*writes, documents.make("a/3", bucket="other"), documents.make("a/gone", removal=True)])
    index.refresh()
    for prefix in ("", "a", "a/", "a*", "契約/", "none"):
        wanted = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
        found: list[str] = []
        while page := index.entries("b", prefix, after=found[-1] if found else ""):
            found += [entry.key for entry in page]
        assert found == wanted, prefix


def test_an_entry_has_the_etag_and_the_version_of_its_document(index, documents):
    version = int(time.time() * 1000)
    without = documents.make("b.txt", version=version)
    index.write([
        documents.make("a.txt", etag="one", version=version),
        replace(without, source=encode({"bucket": "b", "file_key": "b.txt", "content": "x" * 100_000})),
    ])  # fmt: skip
    index.refresh()
    assert index.entries("b", "") == [Entry("a.txt", "one", version), Entry("b.txt", None, version)]
    assert index.nameless() == 0


def test_what_a_wrong_clock_has_dated_can_be_removed_with_its_own_version(index, documents):
    future = int(time.time() * 1000) + 86_400_000
    documents.put("a.txt", version=future)
    assert documents.put("a.txt").status is WriteStatus.SUPERSEDED
    assert documents.put("a.txt", version=future, removal=True).status is WriteStatus.WRITTEN
    assert index.stored([("b", "a.txt")]) == [None]


def test_sqlite_forgets_at_once_what_a_wrong_clock_has_dated(tmp_path):
    with closing(opened(f"sqlite:///{tmp_path}/index.db", "files")) as index:
        index.ensure()
        documents = Documents(index)
        future = int(time.time() * 1000) + 86_400_000
        documents.put("a.txt", "before", version=future)
        documents.put("a.txt", version=future, removal=True)
        assert documents.put("a.txt", "after").status is WriteStatus.WRITTEN
        assert documents.keys("after") == ["a.txt"]
        assert documents.keys("before") == []

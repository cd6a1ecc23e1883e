"""States that a real OpenSearch gets into, and what is made of each."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from tests.integration.index.conftest import Documents, opened
from worker.core.base.errors import IndexUnavailableError
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START, Entry, Facets, Index, WriteStatus
from worker.core.index.document import encode

UNAVAILABLE, WRITTEN = WriteStatus.UNAVAILABLE, WriteStatus.WRITTEN


@pytest.fixture
def ask(opensearch):
    def ask(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(opensearch.url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    return ask


@pytest.fixture
def index(opensearch, index_name) -> Iterator[Index]:
    with closing(opened(opensearch.url, index_name)) as made:
        yield made


@pytest.fixture
def documents(index):
    return Documents(index)


def test_template_index_and_alias_are_made_where_nothing_is(index, index_name, ask):
    assert [name.split()[0] for name in index.ensure().created] == ["template", "index", "alias"]
    assert list(ask("GET", f"/_alias/{index_name}")) == [f"{index_name}-000001"]
    mapping = ask("GET", f"/{index_name}/_mapping")[f"{index_name}-000001"]["mappings"]
    assert (mapping["dynamic"], mapping["properties"]["content"]["fields"]["ja"]["analyzer"]) == ("false", "forms")


def test_the_first_write_makes_the_index_too(documents):
    assert documents.put("a.txt", "東京").status is WRITTEN
    assert documents.keys("東京") == ["a.txt"]


def test_an_index_blocked_by_a_full_disk_is_unavailable_and_the_ping_says_so(index, documents, index_name, ask):
    index.ensure()
    ask("PUT", f"/{index_name}/_settings", {"index.blocks.read_only_allow_delete": True})
    assert documents.put("a").status is UNAVAILABLE
    with pytest.raises(IndexUnavailableError, match="read_only_allow_delete"):
        index.ping()
    ask("PUT", f"/{index_name}/_settings", {"index.blocks.read_only_allow_delete": None})
    index.ping()
    assert documents.put("a").status is WRITTEN


def test_a_closed_index_is_unavailable(index, documents, index_name, ask):
    index.ensure()
    ask("POST", f"/{index_name}-000001/_close")
    assert documents.put("a").status is UNAVAILABLE
    with pytest.raises(IndexUnavailableError):
        index.ping()


def test_an_alias_without_a_write_index_is_unavailable_and_named(index, documents, index_name, ask):
    index.ensure()
    add = [{"add": {"index": f"{index_name}-000001", "alias": index_name, "is_write_index": False}}]
    ask("POST", "/_aliases", {"actions": add})
    assert documents.put("a").status is UNAVAILABLE
    assert any("has no write index" in finding.what for finding in index.inspect().findings)


def test_a_rollover_is_refused_by_the_next_write_and_every_probe_until_one_index_is_left(
    index, documents, index_name, ask
):
    """Otherwise the old content could be found for ever beside the new."""
    index.ensure()
    documents.put("a.txt", "old words")
    ask("POST", f"/{index_name}/_rollover")
    for attempt in (lambda: documents.put("a.txt", "new words"), index.ping, index.ensure):
        with pytest.raises(IndexUnavailableError, match=r"points to 2 indexes .*_reindex"):
            attempt()
    assert any(finding.level == "error" and "2 indexes" in finding.what for finding in index.inspect().findings)
    ask("POST", "/_aliases", {"actions": [{"remove": {"index": f"{index_name}-000001", "alias": index_name}}]})
    index.ping()
    index.ensure()
    assert documents.put("a.txt", "newer words").status is WRITTEN
    assert list(documents.keys("newer")) == ["a.txt"]


def test_an_alias_that_was_moved_to_another_index_is_followed(index, documents, index_name, ask):
    index.ensure()
    ask("PUT", f"/{index_name}-000002")
    moved = [
        {"remove": {"index": f"{index_name}-000001", "alias": index_name}},
        {"add": {"index": f"{index_name}-000002", "alias": index_name, "is_write_index": True}},
    ]
    ask("POST", "/_aliases", {"actions": moved})
    assert documents.put("a.txt", "words").status is WRITTEN
    assert documents.put("b.txt", "words").status is WRITTEN
    assert sorted(documents.keys("words")) == ["a.txt", "b.txt"]


def test_a_data_stream_is_refused_with_the_reason(index, index_name, ask):
    body = {"index_patterns": [index_name], "data_stream": {}, "priority": 900}
    ask("PUT", f"/_index_template/stream-{index_name}", body)
    ask("PUT", f"/_data_stream/{index_name}")
    for attempt in (index.ping, index.ensure):
        with pytest.raises(IndexUnavailableError, match="is a data stream"):
            attempt()


def test_an_index_that_soon_forgets_removals_is_reported(index, index_name, ask):
    index.ensure()
    assert not any("gc_deletes" in finding.what for finding in index.inspect().findings)
    ask("PUT", f"/{index_name}/_settings", {"index.gc_deletes": "60s"})
    [finding] = [one for one in index.inspect().findings if "gc_deletes" in one.what]
    assert (finding.level, "1h" in finding.hint) == ("warning", True)


def test_an_index_with_an_older_analyzer_is_reported_and_what_is_as_typed_is_found(index, documents, index_name, ask):
    parts = {"type": "custom", "tokenizer": "standard", "filter": ["cjk_width", "lowercase", "cjk_bigram"]}
    content = {"type": "text", "analyzer": "parts"}
    ask("PUT", f"/{index_name}-000001", {
        "settings": {"analysis": {"analyzer": {"parts": parts}}}, "mappings": {"properties": {"content": content}},
        "aliases": {index_name: {"is_write_index": True}},
    })  # fmt: skip
    [finding] = [one for one in index.ensure().findings if "東 京" in one.what]
    assert (finding.level, "reindex_index" in finding.hint) == ("warning", True)
    documents.put("spaced.txt", "見積書 株式会社")
    assert documents.keys('"見積書 株式会社"') == ["spaced.txt"]


def test_other_forms_of_a_japanese_word_are_found_and_marked(index, documents):
    documents.put("a.txt", "彼は東京まで走った。")
    assert documents.keys("走る") == ["a.txt"]
    [passage] = index.search("走る").hits[0].highlights
    assert passage == f"彼は東京まで{HIGHLIGHT_START}走っ{HIGHLIGHT_END}た。"


def test_other_forms_of_a_japanese_word_are_shown_in_whole_sentences_too(index, documents):
    documents.put("a.txt", "前置きの文がここに続く。" * 20 + "彼は東京まで走った。" + "後置きの文がここに続く。" * 20)
    assert documents.keys("走る") == ["a.txt"]
    [passage] = index.search("走る").hits[0].highlights
    marked = f"前置きの文がここに続く。彼は東京まで{HIGHLIGHT_START}走っ{HIGHLIGHT_END}た。後置きの文がここに続く。"
    assert marked in passage
    assert passage.startswith("前置きの文")
    assert 120 <= len(passage) <= 212


def test_a_search_does_not_fail_because_of_what_it_is_to_show(index, documents, monkeypatch):
    documents.put("a.txt", "走った words")
    for name in ("texts", "other_forms"):
        monkeypatch.setattr(f"worker.core.index.question.{name}", lambda *_: {"query": "no such query"})
        assert documents.keys("走る") == ["a.txt"]
        assert index.search("走る").hits[0].highlights == []
    index.refresh()


def test_a_removed_alias_is_restored_and_its_documents_are_found_again(index, documents, index_name, ask):
    index.ensure()
    documents.put("before.txt", "東京")
    ask("POST", "/_aliases", {"actions": [{"remove": {"index": f"{index_name}-000001", "alias": index_name}}]})
    assert documents.put("after.txt", "東京").status is WRITTEN
    assert list(ask("GET", f"/_alias/{index_name}")) == [f"{index_name}-000001"]
    assert sorted(documents.keys("東京")) == ["after.txt", "before.txt"]


def test_a_removal_restores_a_removed_alias_and_makes_no_index_of_its_name(index, documents, index_name, ask):
    index.ensure()
    documents.put("before.txt", "東京")
    ask("POST", "/_aliases", {"actions": [{"remove": {"index": f"{index_name}-000001", "alias": index_name}}]})
    assert documents.put("gone.txt", "東京", removal=True).status is WRITTEN
    assert list(ask("GET", f"/{index_name}*")) == [f"{index_name}-000001"]
    assert list(documents.keys("東京")) == ["before.txt"]


def test_an_index_deleted_during_the_run_is_made_again_with_its_mapping(index, documents, index_name, ask):
    index.ensure()
    ask("DELETE", f"/{index_name}-000001")
    documents.put("経理/a.txt", "東京都", removal=True)
    assert documents.put("経理/a.txt", "東京都").status is WRITTEN
    assert documents.keys("京都") == ["経理/a.txt"]
    [mapping] = ask("GET", f"/{index_name}/_mapping").values()
    assert mapping["mappings"]["dynamic"] == "false"


def test_an_index_of_the_earlier_system_is_used_as_it_is_with_its_plain_key_ids(index, documents, index_name, ask):
    ask(
        "PUT",
        f"/{index_name}",
        {"mappings": {"properties": {"content": {"type": "text"}, "file_size": {"type": "long"}}}},
    )
    ask("PUT", f"/{index_name}/_doc/a.txt?refresh=true", {"bucket": "b", "file_key": "a.txt", "content": "old"})
    state = index.ensure()
    assert state.plain_key_ids
    said = [finding.what for finding in state.findings if finding.level == "warning"]
    assert any("does not find parts of Japanese words" in what for what in said)
    assert any("rejects a document with a malformed" in what for what in said)
    assert documents.put("a.txt", "new").status is WRITTEN
    assert ask("GET", f"/{index_name}/_count")["count"] == 1
    assert index.stored([("b", "a.txt"), ("other", "a.txt")])[1] is None


@pytest.mark.parametrize(
    ("modified", "years"), [("2025-03-01T10:00:00Z", {"2025": 1}), ("in the spring of 2025, or so", {})]
)
def test_an_index_whose_mapping_opensearch_chose_has_facets_too(index, index_name, ask, modified, years):
    old = {
        "bucket": "our-files",
        "file_key": "a.pdf",
        "content": "old",
        "file_extension": ".pdf",
        "last_modified": modified,
    }
    ask("PUT", f"/{index_name}/_doc/a.pdf?refresh=true", old)
    index.ensure()
    assert index.facets("old") == Facets({"pdf": 1}, {"our-files": 1}, years)
    assert index.search("old ext:pdf bucket:our-files").total == 1
    [hit] = index.search("old").hits
    assert (hit.modified is None) == (not years)


def test_a_document_its_mapping_cannot_take_is_rejected_with_the_reason(index, documents, index_name, ask):
    ask("PUT", f"/{index_name}", {"mappings": {"dynamic": "strict", "properties": {"file_key": {"type": "keyword"}}}})
    result = documents.put("a.txt")
    assert result.status is WriteStatus.REJECTED
    assert "strict_dynamic_mapping" in result.reason
    assert any("rejects every document" in finding.what for finding in index.inspect().findings)


def test_two_workers_may_make_the_index_at_once(opensearch, index_name):
    from concurrent.futures import ThreadPoolExecutor

    indexes = [opened(opensearch.url, index_name) for _ in range(8)]
    try:
        with ThreadPoolExecutor(8) as pool:
            states = list(pool.map(lambda one: one.ensure(), indexes))
    finally:
        for one in indexes:
            one.close()
    made = [name for state in states for name in state.created if name.startswith("index")]
    assert len(made) == 1


def test_a_missing_server_is_unavailable_and_its_address_named(index_name):
    with closing(opened("http://127.0.0.1:9", index_name)) as index:
        for call in (index.ping, index.ensure, lambda: index.search("x"), lambda: index.stored([("b", "k")])):
            with pytest.raises(IndexUnavailableError, match=r"127\.0\.0\.1:9"):
                call()


def test_a_stopped_server_is_unavailable_after_the_timeout(opensearch, index_name):
    with closing(opened(opensearch.url, index_name, index_timeout_s=1)) as index:
        opensearch.pause()
        try:
            with pytest.raises(IndexUnavailableError, match="within 1 s"):
                index.ping()
        finally:
            opensearch.resume()


def test_an_index_without_any_field_has_no_entries(opensearch, index_name, ask):
    ask("PUT", f"/{index_name}", {})
    with closing(opened(opensearch.url, index_name)) as index:
        assert index.entries("bucket", "", after="") == []
        assert index.nameless() == 0


def test_documents_of_one_key_under_other_ids_are_entries_too_and_none_is_left_out(opensearch, index_name, monkeypatch):
    for module in ("question", "opensearch"):
        monkeypatch.setattr(f"worker.core.index.{module}.ENTRIES_AT_ONCE", 3)
    keys = ["a", "b", "c"]
    with (
        closing(opened(opensearch.url, index_name)) as index,
        closing(opened(opensearch.url, index_name, document_ids="key")) as other,
    ):
        index.ensure()
        documents = Documents(index)
        index.write([documents.make(key) for key in keys])
        other.write([documents.make(key) for key in keys])
        index.refresh()
        found: list[Entry] = []
        while page := index.entries("b", "", after=found[-1].key if found else ""):
            found += page
        assert sorted((entry.key, entry.is_reachable) for entry in found) == [
            (key, is_reachable) for key in keys for is_reachable in (False, True)
        ]


def test_documents_without_bucket_or_key_are_counted(opensearch, index_name):
    with closing(opened(opensearch.url, index_name)) as index:
        index.ensure()
        documents = Documents(index)
        whole = documents.make("a")
        index.write([
            whole, replace(whole, key="b", source=encode({"bucket": "b"})),
            replace(whole, key="c", source=encode({"file_key": "c"})),
            replace(whole, key="d", source=encode({"content": "x"})),
        ])  # fmt: skip
        index.refresh()
        assert index.nameless() == 3

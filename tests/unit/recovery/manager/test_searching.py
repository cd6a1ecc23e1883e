"""What the search page finds, which files it opens, and what is recorded of that."""

import contextlib
import threading
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from recovery.manager.bounded import TOO_MUCH
from recovery.manager.searching import AT_ONCE, OPEN, NotOpenedError, Why
from testing.ledgers import new_ledger
from testing.memory import BUCKET, DOWN, INDEX_DOWN
from tests.support.api import Api
from tests.support.library import library
from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.index.document import Write, encode
from worker.core.s3.links import ARCHIVED


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger, index=library(tmp_path / "index.sqlite", copies=45), search_page=True)


@pytest.fixture
def searching(api):
    assert api.service.searching is not None
    return api.service.searching


def opened(api):
    found = [one for one in api.fakes.under("s3-index-worker/audit/").values() if one["action"] == OPEN]
    return [(one["by"], one["bucket"], one["key"], one["result"]) for one in found]


def test_a_page_has_its_hits_and_the_facets_of_all(searching):
    found = searching.search("copy", limit=20)
    assert (found.result.total, len(found.result.hits), found.next) == (45, 20, 20)
    assert found.facets is not None
    assert found.facets.extensions == {"txt": 45}
    last = searching.search("copy", limit=20, offset=40)
    assert (len(last.result.hits), last.next) == (5, None)
    assert last.facets == found.facets


def test_a_file_that_is_found_can_be_opened_and_that_is_recorded(api, searching):
    key = "経理/2026/見積書.pdf"
    api.fakes.s3.bodies[key] = b"pdf"
    link = urlsplit(searching.open(BUCKET, key, by="ana"))
    assert (link.hostname, unquote(link.path)) == (f"{BUCKET}.s3.example.com", f"/{key}")
    assert parse_qs(link.query) == {"saved-as": ["見積書.pdf"]}
    assert opened(api) == [("ana", BUCKET, key, {"opened": 1})]


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        (BUCKET, "secret.txt"),
        ("state", "経理/2026/見積書.pdf"),
        ("", "経理/2026/見積書.pdf"),
        (BUCKET, ""),
        ("other", "bare"),
    ],
)
def test_what_the_index_has_no_document_of_is_not_opened(api, searching, bucket, key):
    api.fakes.s3.bodies[key] = b"a secret"
    with pytest.raises(NotOpenedError) as raised:
        searching.open(bucket, key, by="ana")
    assert raised.value.why is Why.NOT_INDEXED
    assert opened(api) == []


def test_a_document_that_names_no_bucket_is_one_of_the_usual_bucket(api, searching):
    api.fakes.s3.bodies["bare"] = b"x"
    assert searching.bucket_of("") == BUCKET
    assert searching.open(BUCKET, "bare", by="ana")
    searching._index.write([Write("other", "bare", 1, "e", encode({"file_key": "bare", "content": "x"}))])
    with pytest.raises(NotOpenedError):
        searching.open("other", "bare", by="ana")


@pytest.mark.parametrize(
    ("code", "why"), [("NoSuchKey", Why.GONE), ("AccessDenied", Why.DENIED), (ARCHIVED, Why.ARCHIVED)]
)
def test_why_a_file_cannot_be_opened_is_said_and_nothing_is_recorded(api, searching, code, why):
    def refuse(*_name):
        raise StoreError("refused", code=code)

    searching._sign = refuse
    with pytest.raises(NotOpenedError) as raised:
        searching.open(BUCKET, "経理/2026/見積書.pdf", by="ana")
    assert raised.value.why is why
    assert opened(api) == []


def test_nothing_is_opened_that_cannot_be_recorded(api, searching):
    api.fakes.s3.bodies["bare"] = b"x"
    api.fakes.faults.add("state.put", DOWN)
    with pytest.raises(StoreError):
        searching.open(BUCKET, "bare", by="ana")


def test_hits_are_shown_where_the_index_does_not_count_in_time(searching, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr("recovery.manager.searching.FACETS_S", 0.5)
    monkeypatch.setattr(searching._index, "facets", lambda _query: never.wait(30))
    found = searching.search("copy")
    assert (found.result.total, found.facets) == (45, None)
    never.set()


def test_an_index_that_does_not_answer_in_time_is_unavailable(searching, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr("recovery.manager.searching.SEARCH_S", 0.1)
    monkeypatch.setattr(searching._index, "search", lambda *_args, **_more: never.wait(30))
    with pytest.raises(IndexUnavailableError, match="has not answered in time"):
        searching.search("copy")
    never.set()


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("index", IndexUnavailableError, "has not answered in time"),
        ("s3", StoreError, "S3 has not answered in time; ask again"),
    ],
)
def test_a_file_is_not_opened_where_something_does_not_answer_in_time(searching, monkeypatch, what, error, said):
    never = threading.Event()
    monkeypatch.setattr("recovery.manager.searching.OPEN_S", 1.0)
    if what == "index":
        monkeypatch.setattr(searching._index, "stored", lambda _keys: never.wait(30))
    else:
        monkeypatch.setattr(searching, "_sign", lambda *_: never.wait(30))
    with pytest.raises(error, match=said):
        searching.open(BUCKET, "経理/2026/見積書.pdf", by="ana")
    never.set()


def test_an_index_that_does_not_answer_keeps_nobody_from_asking_s3(api, searching, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr("recovery.manager.searching.SEARCH_S", 0.1)
    for call in ("search", "facets"):
        monkeypatch.setattr(searching._index, call, lambda *_args, **_more: never.wait(30))
    for _ in range(AT_ONCE):
        with pytest.raises(IndexUnavailableError, match="has not answered in time"):
            searching.search("copy")
    with pytest.raises(IndexUnavailableError, match=f"^{TOO_MUCH}$"):
        searching.search("copy")
    assert api.sources.asked.start(lambda: "there").result(5) == "there"
    api.fakes.s3.bodies["経理/2026/見積書.pdf"] = b"pdf"
    assert urlsplit(searching.open(BUCKET, "経理/2026/見積書.pdf", by="ana")).hostname == f"{BUCKET}.s3.example.com"
    never.set()


def test_an_index_that_is_down_is_unavailable(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        api = Api(ledger, search_page=True)
        api.fakes.faults.add("index.search", INDEX_DOWN)
        assert api.service.searching is not None
        with pytest.raises(IndexUnavailableError):
            api.service.searching.search("x")

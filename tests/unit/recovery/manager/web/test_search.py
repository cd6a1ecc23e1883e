"""`/api/v1/search`: there where SEARCH_PAGE is on, and answers as the command does."""

import contextlib

import pytest

from testing.ledgers import new_ledger
from testing.memory import BUCKET, INDEX_DOWN
from tests.support.api import Api
from tests.support.library import library


@pytest.fixture
def searched(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger, index=library(tmp_path / "index.sqlite", copies=30), search_page=True)


def test_a_search_has_hits_with_marked_passages_and_the_facets_of_all(searched):
    assert searched.get("/api/v1/search?q=見積書 ext:pdf") == {
        "total": 1,
        "hits": [
            {
                "bucket": BUCKET, "key": "経理/2026/見積書.pdf", "score": pytest.approx(0, abs=100), "size_bytes": 48_213,
                "modified_at": "2026-04-01T00:30:00.000Z",
                "highlights": ["\ue000見積書\ue001.pdf", "東京支店に送る\ue000見積書\ue001です。合計は 1,200円。"],
            }
        ],
        "facets": {"extensions": {"pdf": 1}, "buckets": {BUCKET: 1}, "years": {"2026": 1}},
        "next": None,
    }  # fmt: skip


def test_dates_narrow_by_when_the_object_was_modified(searched):
    found = searched.get("/api/v1/search?q=forecast after:2025 before:2026")
    assert [one["key"] for one in found["hits"]] == ["sales/Quarterly forecast.pptx"]
    facets = searched.get("/api/v1/search?q=forecast")["facets"]
    assert facets["years"] == {"2025": 1, "2024": 1}
    assert list(facets["years"]) == ["2025", "2024"]


def test_what_a_document_lacks_is_null_and_its_bucket_the_usual_one(searched):
    [hit] = searched.get("/api/v1/search?q=another program")["hits"]
    assert (hit["bucket"], hit["key"], hit["size_bytes"], hit["modified_at"]) == (BUCKET, "bare", None, None)


def test_pages_follow_each_other(searched):
    first = searched.get("/api/v1/search?q=copy&limit=25")
    second = searched.get(f"/api/v1/search?q=copy&limit=25&offset={first['next']}")
    assert (len(first["hits"]), len(second["hits"]), second["next"]) == (25, 5, None)
    assert len({one["key"] for one in first["hits"] + second["hits"]}) == 30


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("q=size:>banana", "give a number with b, kb, mb, gb or tb"),
        ("q=type:pdf", "there is no field 'type'"),
        ("q=", "nothing was asked for"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=101", "limit"),
        ("q=a&offset=10001", "offset"),
        ("query=a", "query"),
    ],
)
def test_a_mistake_is_explained(searched, asked, said):
    problem = searched.refused(f"/api/v1/search?{asked}", 400)
    assert said in problem["detail"]
    assert problem["field"]


def test_an_index_that_cannot_be_used_is_503(api):
    shown = Api(api.ledger, search_page=True)
    shown.fakes.faults.add("index.search", INDEX_DOWN)
    assert "down" in shown.refused("/api/v1/search?q=a", 503)["detail"]


def test_where_the_page_is_off_there_is_no_search_and_the_reason_is_said(api):
    said = api.refused("/api/v1/search?q=a", 404)["detail"]
    assert "SEARCH_PAGE=on turns it on" in said

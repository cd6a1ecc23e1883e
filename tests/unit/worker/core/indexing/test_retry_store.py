"""Names and records of `retry-index/`."""

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testing.fakes import Fakes
from worker.core.index.document import Write, document_id
from worker.core.indexing.retry_store import (
    RetryRecord,
    RetryStore,
    held_for,
    parked_name,
    record_name,
    waiting_name,
)
from worker.core.s3.objects import carried_unchanged
from worker.core.s3.state import safe_name

OBSERVED_AT_MS = 1_767_225_600_123  # 2026-01-01


def test_the_name_shows_day_bucket_key_and_time():
    assert (
        record_name("files", "経理/予算 案.xlsx", OBSERVED_AT_MS)
        == f"retry-index/2026-01-01/files/経理/予算 案.xlsx.{OBSERVED_AT_MS}.json"
    )


NASTY = st.text(st.sampled_from("/%2F~.a\n漢"), min_size=1, max_size=12)


@given(NASTY, NASTY)
@example("a//b", "a/%2Fb")
@example("/", "%2F")
@example("a\n", "a%0A")
@example("x" * 1000, record_name("b", "x" * 1000, 1).removeprefix("retry-index/1970-01-01/b/").removesuffix(".1.json"))
def test_no_two_keys_have_the_same_name(one, other):
    names = {record_name("b", key, 1) for key in (one, other)}
    assert len(names) == len({one, other})


@given(st.text(min_size=1, max_size=400, alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_name_is_one_that_every_s3_and_client_carries(key):
    name = parked_name(record_name("files", key, OBSERVED_AT_MS))
    assert len(name.encode()) <= 1024
    assert all(len(part.encode()) <= 255 for part in name.split("/"))
    assert "//" not in name
    assert not any(part in {".", "..", ""} for part in name.split("/"))
    assert not any(c < " " or c == "\x7f" for c in name)


@given(st.text(min_size=1, max_size=400, alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_held_object_has_a_name_that_every_s3_carries_and_is_as_any_record_otherwise(key):
    fakes = Fakes()
    store = RetryStore(fakes.state)
    scope = f"s3://files/{key}"
    store.hold("files", key, OBSERVED_AT_MS, scope=scope, reason="spent")
    store.close()
    [(name, record)] = fakes.s3.records.items()
    assert held_for(name) == safe_name(scope)
    assert len(name.encode()) <= 1024
    assert all(0 < len(part.encode()) <= 255 for part in name.split("/"))
    assert waiting_name(name).startswith("retry-index/2026-01-01/files/")
    assert parked_name(name).startswith("retry-index/parked/2026-01-01/files/")
    read = RetryRecord.from_json(orjson.loads(record))
    assert read.write == Write("files", key, OBSERVED_AT_MS, None, None)


def test_long_keys_that_differ_at_their_ends_have_different_names():
    assert record_name("b", "x" * 1000 + "1", OBSERVED_AT_MS) != record_name("b", "x" * 1000 + "2", OBSERVED_AT_MS)


DOCUMENT = '{"bucket":"files","file_key":"k//é","content":"東"}'.encode()


@pytest.mark.parametrize("source", [DOCUMENT, None])
def test_a_record_reads_back_as_it_was(source):
    record = RetryRecord(
        Write("files", "k//é", OBSERVED_AT_MS, "etag" if source else None, source), "index unavailable", rejected=False
    )
    assert RetryRecord.from_json(orjson.loads(record.as_json())) == record


@pytest.mark.parametrize("found", [{}, {"schema": 99}, {"schema": 1}, {"schema": 1, "bucket": 7}])
def test_what_is_no_record_is_refused(found):
    with pytest.raises(ValueError, match="retry record"):
        RetryRecord.from_json(found)


@pytest.mark.parametrize("other", [{"bucket": "other"}, {"file_key": "k"}, {"file_key": ["k//é"]}, {"bucket": None}])
def test_a_document_about_another_object_than_its_record_is_refused(other):
    stored = orjson.loads(RetryRecord(Write("files", "k//é", 1, "e", DOCUMENT), "why", rejected=False).as_json())
    with pytest.raises(ValueError, match="about another object"):
        RetryRecord.from_json({**stored, "document": {**stored["document"], **other}})


@pytest.mark.parametrize(
    ("key", "carried"),
    [
        ("a/b.txt", True),
        ("経理/a b", True),
        ("a//b", False),
        ("/a", False),
        ("a/../b", False),
        ("./a", False),
        ("a\nb", False),
        ("..a", True),
    ],
)
def test_keys_that_obstore_would_change_are_known(key, carried):
    assert carried_unchanged(key) is carried


def test_ids_over_the_limit_are_hashed_and_differ():
    a, b = document_id("b", "漢" * 341 + "a"), document_id("b", "漢" * 341 + "b")
    assert a != b
    assert len(a.encode()) <= 512
    assert document_id("b", "k") == "b/k"
    assert document_id("b", "k", plain_key=True) == "k"

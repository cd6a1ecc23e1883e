"""The state bucket's requests at S3's limits."""

import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError

from worker.core.base.errors import StoreError
from worker.core.s3.state import MAX_DELETES, MAX_NAME_CHARS, S3State, pause_in_force, safe_name


class FakeS3:
    def __init__(self, refused=()):
        self.refused, self.batches, self.singly = refused, [], []

    def delete_objects(self, **call):
        keys = [one["Key"] for one in call["Delete"]["Objects"]]
        self.batches.append(keys)
        return {
            "Errors": [{"Key": key, "Code": "AccessDenied", "Message": "no"} for key in keys if key in self.refused]
        }

    def delete_object(self, **call):
        self.singly.append(call["Key"])


def state(s3, **objects):
    store: Any = SimpleNamespace(s3=s3, **objects)
    return S3State(store, "state")


def test_any_number_of_records_is_deleted_in_requests_that_s3_takes():
    s3 = FakeS3()
    state(s3).delete_all([f"retry-index/{number}" for number in range(MAX_DELETES + 1)])
    assert [len(batch) for batch in s3.batches] == [MAX_DELETES, 1]


def test_a_key_that_xml_cannot_hold_is_deleted_by_itself():
    s3 = FakeS3()
    state(s3).delete_all(["a", "b\x01", "c"])
    assert (s3.batches, s3.singly) == ([["a", "c"]], ["b\x01"])


def test_nothing_to_delete_asks_nothing():
    s3 = FakeS3()
    state(s3).delete_all([])
    assert (s3.batches, s3.singly) == ([], [])


@pytest.mark.parametrize("code", ["MissingContentMD5", "NotImplemented", "InvalidRequest"])
def test_a_store_that_refuses_to_delete_many_at_once_is_asked_for_each_from_then_on(code):
    class Refusing(FakeS3):
        def delete_objects(self, **call):
            self.batches.append(call)
            raise ClientError({"Error": {"Code": code}}, "DeleteObjects")

    s3 = Refusing()
    records = state(s3)
    for keys in (["a", "b"], ["c"]):
        records.delete_all(keys)
    assert (len(s3.batches), s3.singly) == (1, ["a", "b", "c"])


def test_a_denial_is_no_reason_to_delete_one_by_one():
    class Denying(FakeS3):
        def delete_objects(self, **_call):
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteObjects")

    s3 = Denying()
    with pytest.raises(StoreError):
        state(s3).delete_all(["a"])
    assert s3.singly == []


def test_a_record_that_could_not_be_deleted_is_reported():
    with pytest.raises(StoreError, match="b: no"):
        state(FakeS3(refused={"b"})).delete_all(["a", "b"])


def test_metadata_is_encoded_once_and_fits_a_header():
    put = []
    objects = {"put": lambda _bucket, _key, _record, metadata: put.append(metadata)}
    state(FakeS3(), **objects).put("k", b"{}", metadata={"reason": "100 % 拒否\n", "long": "漢" * 1000})
    [metadata] = put
    assert metadata["reason"] == "100 %25 %E6%8B%92%E5%90%A6%0A"
    assert len(metadata["long"]) <= 1000
    assert unquote(metadata["long"], errors="strict").strip("漢") == ""


def test_a_record_that_comes_cheaply_is_not_asked_for_twice():
    assert state(FakeS3(), peek=lambda _bucket, _key: (b"{}", '"etag"')).get("a") == b"{}"


@pytest.mark.parametrize(
    "text", ["a/b", "..", ".", "契約 1", "a~b", "x" * 500, "y" * 499 + "z", "%2E", "", "\ud800", "A.b_c-1"]
)
def test_any_text_has_a_name_of_its_own_in_one_segment(text):
    name = safe_name(text)
    assert re.fullmatch("[A-Za-z0-9._%~-]*", name)
    assert name not in {".", ".."}
    assert len(name) <= MAX_NAME_CHARS
    others = {safe_name(other) for other in ("a%2Fb", "x" * 499, "y" * 500, "a%7Eb", "A.b_c-2")}
    assert name not in others


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b"7", b'{"reason": {"a": 1}}', b'{"reason": null, "by": ["x"]}', b'{"until_ms": "soon"}']
)
def test_a_pause_record_of_whatever_form_pauses_and_is_text(raw):
    found = pause_in_force(raw, 1_000)
    assert found is not None
    assert "cannot be read" in found["reason"]
    assert all(isinstance(value, str | int) for value in found.values())


def test_a_pause_that_has_run_out_is_none():
    assert pause_in_force(b'{"reason": "x", "until_ms": 999}', 1_000) is None
    assert pause_in_force(b'{"reason": "x", "until_ms": 1001}', 1_000) == {"reason": "x", "until_ms": 1001}


def test_folders_are_those_of_every_page_of_a_listing():
    class Listing:
        def get_paginator(self, name):
            return self

        def paginate(self, **call):
            assert call == {"Bucket": "state", "Prefix": "audit/2026-", "Delimiter": "/"}
            return [
                {"CommonPrefixes": [{"Prefix": "audit/2026-10-31/"}]},
                {},
                {"CommonPrefixes": [{"Prefix": "audit/2026-11-01/"}]},
            ]

    assert list(state(Listing()).folders("audit/2026-")) == ["audit/2026-10-31/", "audit/2026-11-01/"]

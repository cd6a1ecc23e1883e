"""From an observation of an object to its write: versions, repeated observations, names."""

import gzip
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from worker.core.base.errors import ObjectGoneError, StoreError, UnreadableFileError
from worker.core.extract import Extracted
from worker.core.indexing.fresh_writer import MAX_OBSERVATION_AGE_MS
from worker.core.indexing.pipeline import MAX_OBSERVATIONS, Pipeline, extension_of
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectState, Snapshot

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.ms = 1_000_000

    def now_ms(self):
        return self.ms


class Bucket:
    """S3 as the pipeline sees it: one object, whose successive states are given by their etags (None: gone)."""

    def __init__(self, *etags):
        self.clock, self.etags, self.error = Clock(), list(etags), None
        self.modified = NOON
        """What a HEAD says; a GET says NOON."""
        self.others_readable = True

    def read(self, bucket, key, *, admit=lambda _: None):
        if self.error is not None:
            raise self.error
        if self.etags[0] is None:
            raise ObjectGoneError(key)
        body = f"text of {self.etags[0]}".encode()
        return Snapshot(bucket, key, self.clock.ms, len(body), self.etags[0], NOON, "v", "text/plain", {}, body)

    def is_object_fault(self, error, bucket, key):
        return error.code == "AccessDenied" and self.others_readable

    def head(self, bucket, key):
        etag = self.etags[0]
        return (None if etag is None else ObjectState(etag, self.modified, "v")), self.clock.ms


class SlowExtractor:
    """Takes a while on S3's clock; the object may change meanwhile."""

    def __init__(self, bucket, took_ms=0, *, changes=False, status="ok"):
        self.bucket, self.took_ms, self.changes, self.status = bucket, took_ms, changes, status

    def extract(self, body, key, content_type):
        self.bucket.clock.ms += self.took_ms
        if self.changes and len(self.bucket.etags) > 1:
            self.bucket.etags.pop(0)
        return Extracted(self.status, "text/plain", body.decode(), len(body), error="why")


def pipeline(bucket, extractor=None, **settings):
    usual: dict[str, Any] = {"state": "state", "include_keys": (), "exclude_keys": (), "worker_name": "w"}
    usual |= {"max_content_chars": 1_000, "spool_bytes": 4_096}
    known: Any = SimpleNamespace(**(usual | settings))
    slow: Any = extractor or SlowExtractor(bucket)
    return Pipeline(known, bucket, extractor=slow)


def product(bucket, extractor=None, key="a/b.txt"):
    made = pipeline(bucket, extractor)
    return made.document(made.read("b", key))


def test_a_document_has_the_version_of_its_observation():
    bucket = Bucket("e1")
    write = product(bucket).write
    assert (write.version, write.etag) == (1_000_000, "e1")
    assert orjson.loads(write.source)["content"] == "text of e1"


def test_an_object_that_is_gone_is_a_removal_at_the_time_before_the_observation():
    bucket = Bucket(None)
    write = pipeline(bucket).read("b", "k").write
    assert (write.is_removal, write.version) == (True, 1_000_000)


def test_a_refused_read_removes_nothing():
    bucket = Bucket("e1")
    bucket.error = StoreError("no", code="NoSuchBucket")
    with pytest.raises(StoreError):
        pipeline(bucket).read("b", "k")


def test_an_old_observation_is_repeated_and_the_newer_time_counts():
    bucket = Bucket("e1")
    write = product(bucket, SlowExtractor(bucket, MAX_OBSERVATION_AGE_MS + 1)).write
    assert (write.version, write.etag) == (1_000_000 + MAX_OBSERVATION_AGE_MS + 1, "e1")


def test_an_object_that_changed_during_a_long_extraction_is_read_again():
    bucket = Bucket("e1", "e2")
    write = product(bucket, SlowExtractor(bucket, MAX_OBSERVATION_AGE_MS + 1, changes=True)).write
    assert write.etag == "e2"
    assert orjson.loads(write.source)["content"] == "text of e2"


def test_a_change_of_the_metadata_alone_during_a_long_extraction_is_a_change():
    bucket = Bucket("e1")
    bucket.modified = NOON + timedelta(seconds=1)
    extractor = SlowExtractor(bucket, MAX_OBSERVATION_AGE_MS + 1)
    assert product(bucket, extractor).write.version == 1_000_000 + (MAX_OBSERVATIONS - 1) * extractor.took_ms


def test_an_object_that_goes_during_a_long_extraction_is_removed():
    bucket = Bucket("e1", None)
    write = product(bucket, SlowExtractor(bucket, MAX_OBSERVATION_AGE_MS + 1, changes=True)).write
    assert write.is_removal


def test_an_object_that_changes_all_the_time_is_given_up_with_a_whole_document_of_one_observation():
    bucket = Bucket(*(f"e{n}" for n in range(MAX_OBSERVATIONS + 3)))
    write = product(bucket, SlowExtractor(bucket, MAX_OBSERVATION_AGE_MS + 1, changes=True)).write
    assert orjson.loads(write.source)["content"] == f"text of {write.etag}"
    assert bucket.clock.ms - write.version > MAX_OBSERVATION_AGE_MS


@pytest.mark.parametrize("status", ["corrupt", "encrypted", "timeout", "out_of_memory"])
def test_an_unreadable_file_is_a_document_and_a_fault_that_names_it(status):
    bucket = Bucket("e1")
    made = product(bucket, SlowExtractor(bucket, status=status))
    assert isinstance(made.fault, UnreadableFileError)
    assert str(made.fault) == "s3://b/a/b.txt: why"
    assert orjson.loads(made.write.source)["extraction"] == {
        "status": status, "error": "why", "truncated": False, "indexed_chars": 10
    }  # fmt: skip


def test_names_are_searched_without_what_does_not_matter_while_the_key_stays_exact():
    key = "経\u200b理/" + unicodedata.normalize("NFD", "ガイド") + ".ＰDF"
    fields = orjson.loads(product(Bucket("e1"), key=key).write.source)
    assert fields["file_key"] == key
    assert fields["s3_url"] == f"s3://b/{key}"
    assert (fields["file_name"], fields["file_extension"], fields["path"]) == ("ガイド.PDF", "pdf", ["経理"])


def extracted(**told):
    class Extractor:
        def extract(self, _body, _key, _content_type):
            return Extracted("ok", "text/plain", **told)

    def fields(**settings):
        made = pipeline(Bucket("e1"), Extractor(), **settings)
        return orjson.loads(made.document(made.read("b", "a.txt")).write.source)

    return fields


def test_text_title_and_author_are_indexed_without_what_does_not_matter():
    fields = extracted(content="⾼⽥㍿", title="soft\u00adhyphen", author="ﾀﾅｶ", char_count=3)()
    assert (fields["content"], fields["title"], fields["author"]) == ("高田株式会社", "softhyphen", "タナカ")
    assert (fields["char_count"], fields["extraction"]["indexed_chars"]) == (3, 6)
    assert fields["extraction"]["truncated"] is False


@pytest.mark.parametrize(
    ("content", "truncated", "kept", "is_truncated"),
    [
        ("㍿㍿", False, "株式会社株", True),
        ("abcde", False, "abcde", False),
        ("abcde", True, "abcde", True),
        ("", False, "", False),
    ],
)
def test_a_text_longer_than_the_setting_is_cut_and_says_how_much_is_indexed(content, truncated, kept, is_truncated):
    fields = extracted(content=content, truncated=truncated)(max_content_chars=5)
    assert fields["content"] == kept
    assert (fields["extraction"]["truncated"], fields["extraction"]["indexed_chars"]) == (is_truncated, len(kept))


def snapshot_of(body, key="a.txt", content_type=None):
    return Snapshot("b", key, 1_000_000, len(body), "e", NOON, None, content_type, {}, body)


def test_documents_of_long_texts_are_made_one_at_a_time_and_others_meanwhile():
    at_once, most = [], []

    class Extractor:
        def extract(self, body, _key, _content_type):
            at_once.append(len(body))
            most.append(sorted(at_once))
            time.sleep(0.1)
            at_once.remove(len(body))
            return Extracted("ok", "text/plain", "x")

    made = pipeline(Bucket("e1"), Extractor())
    bodies = [snapshot_of(b"x" * size) for size in (5_000, 5_001, 10, 5_002, 11)]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(made.document, bodies))
    assert max(sum(size >= 5_000 for size in sizes) for sizes in most) == 1
    assert any(10 in sizes and len(sizes) > 1 for sizes in most)


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.txt", "txt"),
        ("a.tar.GZ", "gz"),
        (".env", ""),
        ("README", ""),
        ("a.", ""),
        ("v1.2 final", ""),
        ("表.xlsx", "xlsx"),
    ],
)
def test_an_extension_is_what_users_call_one(name, extension):
    assert extension_of(name) == extension


def test_globs_choose_what_is_indexed():
    made = pipeline(Bucket("e1"), include_keys=("docs/*", "*.md"), exclude_keys=("*/tmp/*",))
    reasons = {key: made.skip_reason(ObjectRef("b", key)) for key in ("docs/a", "x.md", "x.txt", "docs/tmp/a")}
    assert reasons == {
        "docs/a": None, "x.md": None, "x.txt": "outside INCLUDE_KEYS", "docs/tmp/a": "inside EXCLUDE_KEYS",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("etag", "may_be_gone", "error", "reason"),
    [
        ("e1", True, None, "inside EXCLUDE_KEYS"),
        (None, True, None, None),
        (None, False, None, "inside EXCLUDE_KEYS"),
        (None, True, StoreError("no", code="AccessDenied"), "inside EXCLUDE_KEYS"),
    ],
    ids=["is there", "gone", "of a creation", "denied"],
)
def test_an_excluded_object_is_observed_only_if_its_document_may_have_to_leave(etag, may_be_gone, error, reason):
    bucket = Bucket(etag)
    bucket.error = error
    made = pipeline(bucket, exclude_keys=("*.tmp",))
    assert made.skip_reason(ObjectRef("b", "x.tmp", may_be_gone=may_be_gone)) == reason


@pytest.mark.parametrize("code", ["SlowDown", "AccessDenied"])
def test_a_failure_that_is_not_its_own_leaves_open_whether_an_excluded_object_is_gone(code):
    bucket = Bucket(None)
    bucket.error, bucket.others_readable = StoreError("no", code=code), False
    with pytest.raises(StoreError):
        pipeline(bucket, exclude_keys=("*.tmp",)).skip_reason(ObjectRef("b", "x.tmp"))


@pytest.mark.parametrize(
    ("body", "encoding", "content"),
    [
        (gzip.compress(b"<p>page"), "gzip", "<p>page"), (b"<p>page", "gzip", "<p>page"), (b"<p>page", "sdch", "<p>page"),
        (b"<p>page", None, "<p>page"),
    ],
    ids=["encoded", "wrongly declared", "unknown", "not encoded"],
)  # fmt: skip
def test_a_body_is_read_as_it_was_before_its_content_encoding(tmp_path, monkeypatch, body, encoding, content):
    bucket = Bucket("e1")
    admitted: list[int] = []
    stored = Snapshot("b", "a.html", 1, len(body), "e1", NOON, "v", "text/html", {}, body, encoding)
    monkeypatch.setattr(bucket, "read", lambda _bucket, _key, *, admit: stored)
    made = pipeline(bucket, max_object_bytes=100, spool_bytes=100, temp_dir=tmp_path)
    snapshot = made.read("b", "a.html", admit=admitted.append)
    assert orjson.loads(made.document(snapshot).write.source)["content"] == content
    assert snapshot.size == len(body), "what S3 says"
    assert admitted == ([100] if encoding else [])


def test_a_body_whose_decoding_exceeds_the_limit_is_indexed_by_its_name(tmp_path, monkeypatch):
    bucket, body = Bucket("e1"), gzip.compress(bytes(1_000))
    stored = Snapshot("b", "a.html", 1, len(body), "e1", NOON, "v", "text/html", {}, body, "gzip")
    monkeypatch.setattr(bucket, "read", lambda _bucket, _key, *, admit: stored)
    made = pipeline(bucket, max_object_bytes=999, spool_bytes=100, temp_dir=tmp_path)
    assert made.build("b", "a.html").extraction == "too_large"
    assert list(tmp_path.iterdir()) == []


def test_a_spooled_file_whose_beginning_cannot_be_read_is_removed(tmp_path, monkeypatch):
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"large")
    snapshot = Snapshot("b", "k", 1, 5, "etag", NOON, "v", "text/plain", {}, spooled)
    monkeypatch.setattr("worker.core.indexing.pipeline.head_of", Raises(MemoryError()))
    with pytest.raises(MemoryError):
        pipeline(Bucket("etag")).is_slow(snapshot)
    assert not spooled.exists()


class Raises:
    def __init__(self, error):
        self.error = error

    def __call__(self, *_):
        raise self.error


@pytest.mark.parametrize(("size", "is_folder"), [(0, True), (1, False)])
def test_an_empty_object_whose_key_ends_in_a_slash_is_a_folder_and_one_with_content_a_file(size, is_folder):
    bucket = Bucket("1")
    bucket.read = lambda *_, **__: Snapshot("b", "契約書/old/", 7, size, "1", NOON, "v", "text/plain", {}, b"x" * size)  # type: ignore[method-assign]
    made = pipeline(bucket).build("b", "契約書/old/")
    assert made.write.is_removal is is_folder
    if not is_folder:
        assert made.write.source is not None
        fields = orjson.loads(made.write.source)
        assert (fields["file_key"], fields["file_name"], fields["path"]) == ("契約書/old/", "old", ["契約書"])

"""`retry-index/` as an outage of the index leaves it: most objects are unchanged, some have changed, some are gone."""

import json

from testing.site import Site
from worker.core.index.document import Write
from worker.core.indexing.retry_store import RetryRecord

OF_TEN = ("replayed",) * 7 + ("rebuilt", "removed", "rebuilt")
"""What replaying the records is expected to find."""
DAY_MS = 86_400_000
OUTAGE_MS = 1_795_000_000_000


def result_of(number: int) -> str:
    return OF_TEN[number % len(OF_TEN)]


def kept_keys(keys: list[str]) -> set[str]:
    """Of one key per record, those whose objects must be in the index at the end."""
    return {key for number, key in enumerate(keys) if result_of(number) != "removed"}


def fill_retry(site: Site, count: int, *, content: str = "") -> list[str]:
    """Store `count` records dated over three days, and their objects as they are now; returns the keys."""
    keys = [f"帳票/{number:05}.txt" for number in range(count)]
    there = [key for number, key in enumerate(keys) if result_of(number) != "removed"]
    etags = site.put_all({key: f"text of {key}" for key in there})
    modified = site.last_modified("帳票/")
    records = [
        _record(site, number, key, etags.get(key, "gone"), content, modified.get(key, "gone"))
        for number, key in enumerate(keys)
    ]
    site.put_all({record.name: record.as_json() for record in records}, bucket=site.state_bucket)
    return keys


def put_record(site: Site, record: RetryRecord) -> None:
    site.s3.put_object(Bucket=site.state_bucket, Key=record.name, Body=record.as_json())


def record_of(
    site: Site, key: str, etag: str, *, content: str = "", at_ms: int = OUTAGE_MS, modified: str | None = None
) -> RetryRecord:
    """The document of an object, stored because the index was unavailable."""
    fields = {
        "bucket": site.bucket,
        "file_key": key,
        "etag": etag,
        "last_modified": modified or site.last_modified(key).get(key, "gone"),
        "content": content or f"text of {key}",
    }
    write = Write(site.bucket, key, at_ms, etag, json.dumps(fields).encode())
    return RetryRecord(write, "the index is unavailable", rejected=False)


def _record(site: Site, number: int, key: str, etag: str, content: str, modified: str) -> RetryRecord:
    known = "changed since" if result_of(number) == "rebuilt" else etag
    at_ms = OUTAGE_MS - number % 3 * DAY_MS
    return record_of(site, key, known, content=content, at_ms=at_ms, modified=modified)

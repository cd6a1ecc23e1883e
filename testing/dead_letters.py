"""A DLQ as after an incident: most messages can be recovered; some are indexed already, some objects are gone, some bad."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from testing.aws import s3_event, s3_record, sqs_client
from testing.site import Site
from worker.core.index.document import Write
from worker.core.index.open import open_index

OF_TWENTY = ("recovered",) * 16 + ("already_indexed",) * 2 + ("gone", "archived")
"""The expected findings for the dead letters: 80%, 10%, 5% and 5%."""
SENDERS = 8


def expected(count: int) -> Counter[str]:
    """The findings that a recovery of this number of dead letters must have."""
    return Counter(finding_of(number) for number in range(count))


def finding_of(number: int) -> str:
    return OF_TWENTY[number % len(OF_TWENTY)]


def kept_keys(keys: list[str]) -> list[str]:
    """Of the keys of the dead letters, those whose objects must be in the index at the end."""
    return [key for number, key in enumerate(keys) if finding_of(number) in {"recovered", "already_indexed"}]


def fill_dlq(site: Site, keys: list[str], etags: dict[str, str], *, endpoint: str) -> None:
    """Send a dead letter for each key to the DLQ, and index the objects that are to be found indexed already.

    A third of the dead letters has no failure record.
    """
    _index(site, [key for number, key in enumerate(keys) if finding_of(number) == "already_indexed"], etags)
    dead_letters = [_dead_letter(site, number, key) for number, key in enumerate(keys)]
    parts = [dead_letters[start::SENDERS] for start in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(lambda part: _send(endpoint, site.queues.dlq, part), parts))


def _dead_letter(site: Site, number: int, key: str) -> dict[str, Any]:
    finding = finding_of(number)
    body = s3_event(s3_record(site.bucket, f"gone/{key}" if finding == "gone" else key))
    if finding == "archived":
        body = f"noise {number}"
    if number % 3 == 0:
        return {"MessageBody": body}
    bad = finding == "archived"
    failure = {
        "schema": 1, "kind": "USER_ERROR" if bad else "RECOVERABLE", "error_type": "MalformedEventError" if bad else "OSError",
        "message": "why", "stack": "", "fingerprint": "0" * 12, "attempts": 3, "redrives": 0,
        "source_message_id": f"source-{number}", "source_queue": site.queues.source,
    }  # fmt: skip
    attribute = {"DataType": "String", "StringValue": json.dumps(failure)}
    return {"MessageBody": body, "MessageAttributes": {"failure": attribute}}


def _send(endpoint: str, queue: str, dead_letters: list[dict[str, Any]]) -> None:
    with closing(sqs_client(endpoint)) as client:
        for start in range(0, len(dead_letters), 10):
            entries = [
                {**dead_letter, "Id": str(at)} for at, dead_letter in enumerate(dead_letters[start : start + 10])
            ]
            assert not client.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed")  # type: ignore[arg-type]


def _index(site: Site, keys: list[str], etags: dict[str, str]) -> None:
    """Write documents as an earlier worker did: with S3's etag, and an old version."""
    with closing(open_index(site.settings())) as index:
        index.ensure()
        modified = site.last_modified("")
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            index.write([_document(site, key, etags[key], modified[key]) for key in part])


def _document(site: Site, key: str, etag: str, modified: str) -> Write:
    fields = {
        "bucket": site.bucket, "file_key": key, "etag": etag, "last_modified": modified, "content": "text",
        "extraction": {"status": "ok"},
    }  # fmt: skip
    return Write(site.bucket, key, 1_700_000_000_000, etag, json.dumps(fields).encode())

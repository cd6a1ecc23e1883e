"""Failed messages of five kinds as they lie in a DLQ; a third of them without a failure record, as SQS itself moves them."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from testing.aws import s3_event, s3_record, sqs_client

KINDS = (
    ("RECOVERABLE", "TimeoutError"), ("USER_ERROR", "UnreadableFileError"), ("SYSTEM_ERROR", "StoreError"),
    ("UNKNOWN", "StoreError"), ("RECOVERABLE", "QueueError"),
)  # fmt: skip
SENDERS = 8


def fill(endpoint: str, dlq: str, *, source: str, bucket: str, count: int) -> None:
    """Send so many failures to a DLQ."""
    parts = [range(start, count, SENDERS) for start in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        list(
            pool.map(
                lambda numbers: _send(endpoint, dlq, [failed(number, source, bucket) for number in numbers]), parts
            )
        )


def failed(number: int, source: str, bucket: str) -> dict[str, Any]:
    """One failed message, as the entry that sends it."""
    body = s3_event(s3_record(bucket, f"契約/{number % 40:02d}/{number:06d}.pdf"))
    if number % 3 == 0:
        return {"MessageBody": body}
    kind, error_type = KINDS[number % len(KINDS)]
    failure = {
        "schema": 1, "kind": kind, "error_type": error_type, "message": f"{error_type}: 例 {number}", "stack": "File …\n" * 20,
        "fingerprint": f"fp-{error_type}", "attempts": 3, "redrives": 0, "source_queue": source,
        "source_message_id": f"source-{number}", "first_failed_at": "2026-11-29T00:00:00.000+00:00",
    }  # fmt: skip
    return {
        "MessageBody": body,
        "MessageAttributes": {
            "failure": {"DataType": "String", "StringValue": json.dumps(failure, ensure_ascii=False)}
        },
    }


def _send(endpoint: str, queue: str, entries: list[dict[str, Any]]) -> None:
    with closing(sqs_client(endpoint)) as client:
        for start in range(0, len(entries), 10):
            batch = [{**entry, "Id": str(at)} for at, entry in enumerate(entries[start : start + 10])]
            assert not client.send_message_batch(QueueUrl=queue, Entries=batch).get("Failed")  # type: ignore[arg-type]

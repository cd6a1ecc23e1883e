"""Dead letters as a console shows them: causes of every kind, names of every kind, each with its record and its row."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recovery.ledger.operations import Operation
from recovery.ledger.plans import Plan
from recovery.ledger.rows import Arrival, Change, State
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET
from tests.support.api import Api
from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.queue import Message
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SOURCE = "https://sqs.eu-central-1.amazonaws.com/123456789012/documents"
FRONTIER = "https://sqs.eu-central-1.amazonaws.com/123456789012/frontier"
STACK = """Traceback (most recent call last):
  File "/opt/s3-index-worker/worker/handler.py", line 214, in handle
    done = self._settle(message, self._process(message))
  File "/opt/s3-index-worker/worker/core/s3/store.py", line 188, in read
    raise StoreError(f"GET s3://{bucket}/{key}: no answer in 30 s", code="ReadTimeout")
worker.core.base.errors.StoreError: GET s3://files/経理/2026/契約書-0001.pdf: no answer in 30 s
"""
NAMES = (
    "経理/2026/契約書-{:04d}.pdf", "営業/見積/第{:d}四半期 見積書.xlsx", "人事/評価/評価シート {:03d}.docx",
    "reports/2026/Q3/board report {:03d}.pdf", "legal/NDA draft (v{:d}+final).docx", "図面/図面_{:05d}.tiff",
)  # fmt: skip
ODD_KEYS = (
    "長い名前/" + "契" * 337 + ".pdf", "d/" * 508 + "end.txt", "archive/\u202egnp.exe", "שלום עולם/דוח 2026.pdf",
    "سلام/تقرير ٢٠٢٦.pdf", "写真/\U0001f338 花見 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1ef\U0001f1f5.jpg",
    "<img src=x onerror=alert(1)>.pdf", "a  b\u3000c\u00a0d .txt", "%2e%2e/%00/?versionId=1#top", "葛\U000e0100飾/髙﨑.txt",
    "under_score-and-dashes-without-any-space-" + "x" * 120 + ".pdf", " ", "null",
)  # fmt: skip
"""1,024 bytes of Japanese and of short folders, directions, emoji, and what looks like markup or like an encoding."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What many dead letters have in common."""

    kind: FailureKind
    error_type: str
    fingerprint: str
    message: str
    count: int
    hours: float
    """They came within so many hours before now."""
    keys: Sequence[str] = NAMES
    reason: str = ""
    bucket: str = BUCKET


CAUSES = {
    "timeout": Cause(
        FailureKind.RECOVERABLE, "ReadTimeoutError", "5b1f2c7d90aa", "GET s3://files/{key}: no answer in 30 s", 212, 30
    ),
    "denied": Cause(
        FailureKind.SYSTEM_ERROR, "StoreError", "9ac0d1e2f3b4", "AccessDenied in s3://archive-2019", 96, 3,
        reason="AccessDenied", bucket="archive-2019",
    ),
    "password": Cause(
        FailureKind.USER_ERROR, "UnreadableFileError", "3d2572ea9916", "the file is protected by a password", 41, 160,
        reason="password",
    ),
    "odd": Cause(
        FailureKind.USER_ERROR, "UnreadableFileError", "77e0c1aa5d02", "the PDF file is broken: {key}", len(ODD_KEYS), 50,
        keys=ODD_KEYS, reason="corrupt-pdf",
    ),
}  # fmt: skip


@dataclass
class Scene:
    """The manager, and the names of what a picture or a test wants to open."""

    api: Api
    now_ms: int
    ids: dict[str, str] = field(default_factory=dict)
    """Dead letters by what they are: `open`, `held`, `noted`, `scheduled`, `sent`, `foreign`, `odd`, `unknown`, `archived`."""
    plans: dict[str, Plan] = field(default_factory=dict)
    """`redrive`, and `delete`, which cannot be undone."""
    operations: dict[str, Operation] = field(default_factory=dict)
    """`done`, `failed`, `running`, `paused`."""


def dead_letter(
    scene: Scene, name: str, body: str, failure: dict[str, Any] | None, at_ms: int, **attributes: str
) -> StoredDeadLetter:
    """A dead letter that came at this time, stored as a manager stores it."""
    said = {one: {"DataType": "String", "StringValue": text} for one, text in attributes.items()}
    if failure is not None:
        said["failure"] = {
            "DataType": "String",
            "StringValue": json.dumps({"schema": 1, **failure}, ensure_ascii=False),
        }
    message = Message(name, "r", body, {"SentTimestamp": str(at_ms), "ApproximateReceiveCount": "5"}, said)
    stored, _ = take_in(scene.api.fakes.state, DeadLetter.received(message), at_ms=at_ms)
    return stored


def arrive(scene: Scene, stored: Iterable[StoredDeadLetter]) -> list[str]:
    """Their rows, as from their records; their identities."""
    rows = [scene.api.rows.row(one) for one in stored]
    scene.api.ledger.take_in([Arrival(f"m-{row.identity}", row, row.last_seen_ms) for row in rows])
    return [row.identity for row in rows]


def failure_of(cause: Cause, key: str, at_ms: int) -> dict[str, Any]:
    """The failure record that a worker would have written."""
    return {
        "kind": cause.kind.value, "error_type": cause.error_type, "message": cause.message.replace("{key}", key)[:500],
        "reason": cause.reason, "stack": STACK, "fingerprint": cause.fingerprint, "attempts": 5, "redrives": 0,
        "first_failed_at": moment(at_ms - 20 * MINUTE_MS), "last_failed_at": moment(at_ms), "source_queue": SOURCE,
        "worker": f"worker-{at_ms % 3 + 1}", "correlation_id": f"c-{at_ms % 1_000:03d}",
    }  # fmt: skip


def arrive_of(scene: Scene, name: str, cause: Cause) -> None:
    stored = []
    for number in range(cause.count):
        share = ((number + 1) / cause.count) ** 2  # most of them lately
        at_ms = scene.now_ms - int(cause.hours * HOUR_MS * share) - 40_000
        key = key_of(cause, number)
        body = s3_event(s3_record(cause.bucket, key, size=48_213 + number))
        stored.append(
            dead_letter(scene, identity(name, number), body, failure_of(cause, key, at_ms), at_ms, tenant="acme")
        )
    identities = arrive(scene, stored)
    scene.ids[name] = identities[0]


def key_of(cause: Cause, number: int) -> str:
    key = cause.keys[number % len(cause.keys)]
    return key if cause.keys is ODD_KEYS else key.format(number + 1)


def identity(name: str, number: int) -> str:
    """As SQS's ids look; it begins differently for each cause."""
    first = f"{sum(name.encode()) * 7919 % 0xFFFF:04x}{number:04x}"
    return f"{first}-6c1e-4b7a-9d10-{number * 7 + 0x5EED:012x}"


def foreign(scene: Scene) -> None:
    """Messages of another service, whose type is known, so that they can be corrected and sent."""
    stored = []
    for number in range(14):
        at_ms = scene.now_ms - number * 35 * MINUTE_MS - 90_000
        body = json.dumps(
            {"type": "maps", "city": ("東京", "Osaka", "Köln")[number % 3], "correlation_id": f"area-{number}", "lat": 35.68,
             "lng": 139.76, "radius": 1500, "category": "cafés & バー", "enqueued_at": at_ms / 1000}, ensure_ascii=False,
        )  # fmt: skip
        failure = {
            "kind": "USER_ERROR", "error_type": "ValueError", "message": 'no such category: "cafés & バー"', "attempts": 3,
            "fingerprint": "c0ffee112233", "source_queue": FRONTIER, "source_service": "frontier", "stack": STACK,
            "metadata": {"shard": number, "region": "ap-northeast-1"}, "worker": "frontier-2",
        }  # fmt: skip
        stored.append(dead_letter(scene, identity("foreign", number), body, failure, at_ms))
    scene.ids["foreign"] = arrive(scene, stored)[0]


def unknown(scene: Scene) -> None:
    """What SQS moved by itself, of which nobody knows why; two of them are no JSON at all."""
    stored = []
    for number in range(9):
        at_ms = scene.now_ms - number * 5 * HOUR_MS - 10 * DAY_MS - 5 * HOUR_MS
        body = (
            s3_event(s3_record(BUCKET, key_of(CAUSES["timeout"], 500 + number)))
            if number > 1
            else "\u202etext/これは JSON ではない"
        )
        stored.append(dead_letter(scene, identity("unknown", number), body, None, at_ms))
    identities = arrive(scene, stored)
    scene.ids["unknown"] = identities[2]
    found = "recovery would index it: its object can be read"
    scene.api.ledger.change_many([Change(one, "diagnosed", "manager", {"finding": found}) for one in identities[2:]])


def history(scene: Scene) -> None:
    """Two weeks in which most of what was redriven did not come back, and in which encrypted files were given up."""
    ledger = scene.api.ledger
    for name, ended, count in (("timeout", State.RECOVERED, 180), ("password", State.ABANDONED, 28)):
        cause, arrivals = replace(CAUSES[name], count=count), []
        for number in range(count):
            at_ms = scene.now_ms - 12 * HOUR_MS - int(13 * DAY_MS * ((number * 37) % count) / count)
            body = s3_event(s3_record(cause.bucket, key_of(cause, 1_000 + number)))
            stored = dead_letter(scene, identity(f"old {name}", number), body, failure_of(cause, "", at_ms), at_ms)
            arrivals.append(Arrival(f"m-{stored.dead_letter.id}", scene.api.rows.row(stored), at_ms))
        ledger.take_in(arrivals)
        names = [one.row.identity for one in arrivals]
        sent_ms = scene.now_ms - 9 * HOUR_MS
        if ended is State.RECOVERED:
            fields = {"state": State.SENT, "sent_at_ms": sent_ms, "sent_by": "ben@ops-1", "redrives": 1}
            ledger.change_many([Change(one, "redrive", "ben@ops-1", fields) for one in names])
            ledger.take_in([Arrival(f"again-{one.row.identity}", one.row, sent_ms + HOUR_MS) for one in arrivals[:7]])
            names = names[7:]
        ledger.change_many([Change(one, ended.value, "manager", {"state": ended}) for one in names])
        for one in arrivals:
            scene.api.fakes.state.delete(one.row.key)


def moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(at_ms / 1000))

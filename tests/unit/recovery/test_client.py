"""The client for other services, as far as that needs no server: what it loads, what it refuses, what it writes."""

import json
import subprocess
import sys
from typing import Any

import pytest

from recovery.client import DeadLetterClient, DLQClient, ItemError, NotPublishedError
from testing.fakes import Fakes
from testing.memory import DOWN, SQS_DOWN
from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError, QueueError

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/files-dlq"
HEAVY = (
    "xberg", "pypdfium2", "olefile", "msoffcrypto", "lxml", "opensearchpy", "typer", "click", "jsonschema", "pydantic_settings",
    "prometheus_client", "moto",
    "fastapi", "uvicorn", "sqlalchemy", "alembic", "apprise", "authlib", "psycopg", "recovery.operations", "recovery.cli",
)  # fmt: skip


class OneQueue:
    """What a client sends to: entries, or an error."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.error: QueueError | None = None
        self.closed = 0

    def send_one(self, entry: Any) -> str:
        if self.error is not None:
            raise self.error
        self.sent.append(entry)
        return "id-1"

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setattr("worker.core.base.retry.FIRST_WAIT_S", 0.001)


@pytest.fixture
def made(fakes: Fakes):
    found: Any = DeadLetterClient(URL, state_bucket="our-worker-state", region="eu-central-1")
    found._queue, found._state = OneQueue(), fakes.state
    return found


def failure_of(entry: Any) -> dict[str, Any]:
    return dict(json.loads(entry["MessageAttributes"]["failure"]["StringValue"]))


def test_it_is_imported_without_the_managers_dependencies_and_without_heavy_ones():
    code = "import sys, recovery.client; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "recovery.client" in loaded
    assert loaded & set(HEAVY) == set()


def test_the_body_stays_and_the_failure_stands_beside_it(made):
    published = made.publish(
        "本文", error=TimeoutError("no answer"), retry_count=3, source_service="maps", metadata={"city": "京都"},
        correlation_id="c-1", routing_key="maps.high",
    )  # fmt: skip
    assert (published.message_id, published.stored_key, published.why) == ("id-1", "", "")
    [entry] = made._queue.sent
    assert (entry["MessageBody"], entry["MessageAttributes"].keys()) == ("本文", {"failure"})
    failure = failure_of(entry)
    assert {name: failure[name] for name in ("kind", "error_type", "message", "attempts", "source_service", "routing_key")} == {
        "kind": "RECOVERABLE", "error_type": "TimeoutError", "message": "no answer", "attempts": 3, "source_service": "maps",
        "routing_key": "maps.high",
    }  # fmt: skip
    assert (failure["correlation_id"], failure["metadata"]) == ("c-1", {"city": "京都"})


def test_both_have_the_names_that_they_have_elsewhere(made):
    assert DLQClient is DeadLetterClient
    assert made.publish_to_dlq({"a": 1}, error="x").message_id == "id-1"


@pytest.mark.parametrize(
    ("item", "body"),
    [
        ("text", "text"), ("", ""), ({"city": "京都", "n": 1.5}, '{"city": "京都", "n": 1.5}'), ([1, None], "[1, null]"),
        (None, "null"), (2**80, str(2**80)), ("\x00", "\x00"), ({"a": "\x00\uffff"}, '{"a": "\\u0000\\uffff"}'),
        ({"a": "\ud800"}, '{"a": "\\ud800"}'),
    ],
)  # fmt: skip
def test_what_is_no_text_becomes_json_that_sqs_takes(made, item, body):
    made.publish(item, error="x")
    assert made._queue.sent[0]["MessageBody"] == body


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (b"bytes", "a bytes that cannot be JSON"), ({"at": object()}, "a dict that cannot be JSON"), (float("nan"), "a float"),
        ({1, 2}, "a set"), ({(1, 2): 3}, "a dict"), ("\ud800", "a text that cannot be UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_message_is_refused_in_a_sentence_and_nothing_is_sent(made, fakes, item, said):
    with pytest.raises(ItemError, match=said):
        made.publish(item, error="x")
    assert (made._queue.sent, fakes.s3.records) == ([], {})
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ItemError, match="Circular"):
        made.publish(cycle, error="x")


def test_what_the_queue_does_not_take_is_stored_with_its_record_and_the_reason_returned(made, fakes):
    made._queue.error = SQS_DOWN
    published = made.publish("body", error=ValueError("no"), source_service="maps")
    assert (published.message_id, published.why) == ("", "ServiceUnavailable: down")
    [(key, stored)] = fakes.under("dead-letters/").items()
    assert key == published.stored_key
    assert (stored["body"], stored["failure"]["error_type"]) == ("body", "ValueError")
    assert stored["failure"]["source_message_id"] == stored["message_id"], (
        "a copy that arrived nevertheless is known by it"
    )


def test_a_transient_refusal_is_tried_again(made, monkeypatch):
    answers: list[Any] = [SQS_DOWN, SQS_DOWN, "id-3"]

    def send_one(_entry: Any) -> str:
        answer = answers.pop(0)
        if isinstance(answer, QueueError):
            raise answer
        return str(answer)

    monkeypatch.setattr(made._queue, "send_one", send_one)
    assert made.publish("body", error="x").message_id == "id-3"


def test_if_both_refuse_it_is_said_and_the_item_is_still_the_callers(made, fakes):
    made._queue.error = QueueError("denied", code="AccessDenied")
    fakes.faults.add("state.claim", DOWN)
    with pytest.raises(NotPublishedError, match="AccessDenied: denied; SlowDown: down"):
        made.publish("body", error="x")
    made._state = None
    with pytest.raises(NotPublishedError, match="no state bucket is given: AccessDenied"):
        made.publish("body", error="x")


def test_what_is_too_large_for_a_queue_is_stored_and_metadata_goes_first_for_room(made, fakes):
    assert made.publish("x" * 1_048_576, error="x").stored_key
    metadata, room = {"m": "y" * 3_000}, 1_048_576 - 3_000
    assert made.publish("x" * room, error=TimeoutError("t" * 400), metadata=metadata).message_id
    failure = failure_of(made._queue.sent[0])
    assert ("metadata" in failure, failure["message"]) == (False, "t" * 400)


def test_a_fifo_queue_gets_group_and_deduplication_id(made):
    made._url += ".fifo"
    made.publish("body", error="x")
    assert {"MessageGroupId", "MessageDeduplicationId"} <= made._queue.sent[0].keys()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queue_url": "files-dlq"}, "queue_url='files-dlq' is not a queue URL"),
        ({"queue_url": URL, "state_bucket": "s3://state/"}, "state_bucket='s3://state/' is not a bucket name"),
        ({"queue_url": "http://127.0.0.1:1/q", "region": "no region!"}, "AWS_REGION"),
    ],
)
def test_what_cannot_be_is_refused_at_once_with_its_name(given, said):
    with pytest.raises(ConfigError, match=said):
        DeadLetterClient(**given)


def test_a_closed_client_publishes_nothing_and_closes_only_what_is_its_own(made):
    with made:
        pass
    made.close()
    assert made._queue.closed == 2
    with pytest.raises(NotPublishedError, match="closed"):
        made.publish("body", error="x")
    shared: Any = DeadLetterClient(URL, aws=Aws(region="eu-central-1"))
    shared._queue = OneQueue()
    shared.close()
    assert shared._queue.closed == 0

"""Dead letters of other services: published by the client, or in other tools' style; shown by `dlq`, and sent on unchanged."""

import json
import re
import threading
import time
from typing import Any

import pytest

from recovery.client import DeadLetterClient, NotPublishedError
from testing.aws import drain
from tests.integration.dlq.verbs import MAPS, ask, dead_letter, depth, dlq
from tests.support.pages import DOCS

NOWHERE = "http://127.0.0.1:9"
FACTS = {
    "x-retry-count": "3", "x-error-type": "TimeoutError", "x-error-message": "maps did not answer in 5 s",
    "x-source-service": "maps", "x-stack-trace": 'File "/app/maps.py", line 7, in fetch', "x-metadata": '{"city": "京都"}',
    "x-failed-at": "2026-11-24T02:07:24Z",
}  # fmt: skip


@pytest.fixture
def environment(site, monkeypatch):
    """The credentials and endpoints of the site, as another service has them in its environment."""
    for name, value in site.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def client(site, environment):
    with DeadLetterClient(site.queues.dlq, state_bucket=site.state_bucket) as made:
        yield made


def failed(item: object, client: DeadLetterClient, **known: Any):
    """Publish an item as a service does whose work on it has failed."""
    with pytest.raises(TimeoutError) as caught:
        _ask_maps()
    return client.publish(item, error=caught.value, source_service="maps", **known)


def _ask_maps() -> None:
    raise TimeoutError(f"maps did not answer in {time.time()} s")


def test_what_a_service_publishes_is_in_the_queue_with_its_failure_and_dlq_shows_it(site, client):
    item = {"city": "京都", "lat": 35.0}
    published = failed(item, client, retry_count=3, metadata={"zoom": 7}, correlation_id="c-1", routing_key="maps.high")
    another = failed("text\n", client)
    [listed, other] = sorted(ask(site, "list"), key=lambda one: one["message_id"] != published.message_id)
    assert (listed["message_id"], other["message_id"]) == (published.message_id, another.message_id)
    assert (listed["kind"], listed["error_type"], listed["source_service"]) == ("RECOVERABLE", "TimeoutError", "maps")
    assert (listed["correlation_id"], listed["routing_key"]) == ("c-1", "maps.high")
    [group] = ask(site, "groups")
    assert (group["count"], group["error_type"]) == (2, "TimeoutError")
    shown = dlq(site, "inspect", "--message-id", published.message_id).stdout
    for text in ("maps did not answer", "in _ask_maps", "maps.high", '{"zoom":7}', '"city": "京都"'):
        assert text in shown
    bodies = {one["Body"] for one in drain(site.sqs, site.queues.dlq)}
    assert {json.dumps(item, ensure_ascii=False), "text\n"} == bodies


def test_the_example_of_the_page_works_as_it_is_written(site, environment):
    [example] = re.findall(r"```python\n(.*?)```", (DOCS / "dlq.md").read_text(), re.DOTALL)
    text = example.replace("our-worker-state", site.state_bucket)
    names = {"DLQ_QUEUE_URL": site.queues.dlq, "item": {"a": 1}, "handle": lambda _: _ask_maps()}
    exec(text, names)
    names["dead_letters"].close()
    [listed] = ask(site, "list")
    assert (listed["error_type"], listed["source_service"]) == ("TimeoutError", "maps")


def test_many_threads_share_one_client(site, client):
    ids: list[str] = []

    def publish(lane: int) -> None:
        ids.extend(failed(f"{lane}-{number}", client).message_id for number in range(10))

    threads = [threading.Thread(target=publish, args=(lane,)) for lane in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(ids)) == 80
    assert depth(site)[0] == 80


def test_while_the_queue_is_away_items_are_stored_and_every_verb_finds_them(site, environment):
    environment.setenv("AWS_ENDPOINT_URL_SQS", NOWHERE)
    with DeadLetterClient(site.queues.dlq, state_bucket=site.state_bucket) as client:
        published = failed("本文", client, metadata={"zoom": 7})
    assert published.message_id == ""
    assert "EndpointConnectionError" in published.why
    assert site.state_keys("dead-letters/") == [published.stored_key]
    stored = site.state_record(published.stored_key)
    assert (stored["body"], stored["failure"]["metadata"], stored["failure"]["kind"]) == (
        "本文",
        {"zoom": 7},
        "RECOVERABLE",
    )


@pytest.mark.parametrize("item", ["\x00\x1b", ""], ids=["characters that SQS refuses", "an empty text"])
def test_what_the_queue_refuses_is_stored_as_it_is(site, client, item):
    published = failed(item, client)
    assert published.why
    assert site.state_record(published.stored_key)["body"] == item
    assert depth(site) == (0, 0)


def test_if_queue_and_bucket_are_away_the_caller_is_told_and_keeps_the_item(site, environment):
    environment.setenv("AWS_ENDPOINT_URL_SQS", NOWHERE)
    environment.setenv("AWS_ENDPOINT_URL_S3", NOWHERE)
    with (
        DeadLetterClient(site.queues.dlq, state_bucket=site.state_bucket) as client,
        pytest.raises(NotPublishedError, match="neither the queue nor"),
    ):
        failed("item", client)
    assert site.state_keys("dead-letters/") == []


@pytest.mark.parametrize("way", ["attributes", "envelope"])
def test_other_tools_dead_letters_are_understood_and_sent_on_unchanged(site, way):
    if way == "attributes":
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in FACTS.items()}
        attributes["x-retry-count"] = {"DataType": "Number", "StringValue": "3"}
        body = json.dumps(MAPS, ensure_ascii=False)
    else:
        facts = {name.removeprefix("x-").replace("-", "_"): value for name, value in FACTS.items()}
        attributes, body = {}, json.dumps({"payload": {"city": "京都"}, **facts}, ensure_ascii=False)
    name = dead_letter(site, body, attributes)
    [listed] = ask(site, "list", "--kind", "recoverable", "--error", "timeouterror")
    assert (listed["message_id"], listed["error"], listed["source_service"]) == (name, FACTS["x-error-message"], "maps")
    assert ask(site, "stats")["by_source"] == {"maps": 1}
    [group] = ask(site, "groups")
    assert (group["error_type"], group["message"]) == ("TimeoutError", FACTS["x-error-message"])
    [seen] = ask(site, "inspect", "--message-id", name)
    assert (seen["failure"]["attempts"], seen["failure"]["metadata"]) == (3, {"city": "京都"})
    if way == "attributes":
        assert ask(site, "redrive", "--message-id", name)["sent"] == [name]
        [sent] = drain(site.sqs, site.queues.source)
    else:  # nobody has declared its type, so nothing but its archive takes it
        run = ask(site, "delete", "--message-id", name, "--reason", "a test")["run"]
        ask(site, "restore", "--run", run, "--yes")
        [sent] = drain(site.sqs, site.queues.dlq)
    received = {key: value["StringValue"] for key, value in sent.get("MessageAttributes", {}).items()}
    failure = json.loads(received.pop("failure", "{}"))
    assert (sent["Body"], received) == (body, {key: value["StringValue"] for key, value in attributes.items()})
    if way == "attributes":
        assert (failure["redrives"], failure["error_type"], failure["source_service"]) == (1, "TimeoutError", "maps")

"""The `dlq` verbs on dead letters that are stored in `dead-letters/`, beside those in the queue."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from recovery.operations.transfer.claims import Claims
from testing.aws import drain, s3_event, s3_record
from testing.site import Site
from tests.integration.dlq.verbs import about, ask, depth, dlq, failure
from worker.core.audit import Run
from worker.core.base.settings import load
from worker.core.clients import Clients, connect
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import Arrival, read, take_in
from worker.core.sqs.visibility import VisibilityExtender

RIVALS = 8
ROUNDS = 4


@pytest.fixture
def clients(site, monkeypatch) -> Clients:
    for name, value in site.env.items():
        monkeypatch.setenv(name, value)
    return connect(load())


def store(site: Site, clients: Clients, name: str, key: str, **more: str) -> str:
    """Store a dead letter, as a worker does whose DLQ refuses it; returns its key."""
    body = s3_event(s3_record(site.bucket, key))
    record = failure(source_message_id=name, source_queue=site.queues.source, **more)
    one = DeadLetter(name, body, {"SentTimestamp": "1790000000000"}, record)
    return take_in(clients.state, one, at_ms=clients.objects.clock.now_ms())[0].key


def test_stored_dead_letters_are_listed_inspected_redriven_and_abandoned_like_others(site, clients):
    keys = {name: store(site, clients, name, f"契約/{name}.pdf") for name in ("s-1", "s-2", "s-3")}
    queued = about(site, "in-queue.txt")
    assert {row["message_id"] for row in ask(site, "list")} == {*keys, queued}
    listed = dlq(site, "list", COLUMNS="200").stdout.splitlines()
    assert [" open " in line for line in listed if " never " in line] == [True] * 3
    figures = ask(site, "stats")
    assert (figures["stored"], figures["depth"], figures["visible"]) == (3, 4, 1)
    [shown] = ask(site, "inspect", "--message-id", "s-1")
    assert (shown["stored"], shown["record"]["state"]) == (keys["s-1"], "open")
    assert keys["s-1"] in dlq(site, "inspect", "--message-id", "s-1").stdout

    assert ask(site, "redrive", "--message-id", "s-1", "--yes")["sent"] == ["s-1"]
    [sent] = drain(site.sqs, site.queues.source)
    assert '"dead_letter_id":"s-1"' in sent["MessageAttributes"]["failure"]["StringValue"]
    assert {row["message_id"] for row in ask(site, "list")} == {"s-2", "s-3", queued}
    [shown] = ask(site, "inspect", "--message-id", "s-1")
    assert shown["record"]["sent"]["to"] == site.queues.source
    assert "its result is not known yet" in dlq(site, "inspect", "--message-id", "s-1", COLUMNS="200").stdout
    refused = ask(site, "redrive", "--message-id", "s-1", "--yes", code=3)["refused"]
    assert "has sent it" in refused["s-1"]

    assert sorted(ask(site, "abandon", "--all", "--reason", "試験", "--yes")["sent"]) == sorted(["s-2", "s-3", queued])
    assert (depth(site), site.state_keys("dead-letters/")) == ((0, 0), [keys["s-1"]])
    assert {row["message_id"] for row in ask(site, "list", "--archive")} == {"s-2", "s-3", queued}
    assert ask(site, "restore", "--message-id", "s-2")["sent"] == ["s-2"]


def test_of_eight_rivals_one_claims_each_dead_letter_and_none_is_taken_in_twice(site, clients):
    key = store(site, clients, "s-1", "a.txt")
    record = read(clients.state, key)
    assert record is not None

    def rival(number: int, start: threading.Barrier) -> tuple[Claims, dict[str, str]]:
        run = Run.new("dlq redrive", action="redrive", by=f"op-{number}@host")
        extender = VisibilityExtender(clients.dlq, visibility_s=60)
        claims = Claims(clients.dlq, clients.state, run, extender, clients.objects.clock)
        start.wait()
        return claims, claims.take([record.dead_letter])

    def copy(number: int, start: threading.Barrier) -> Arrival:
        one = DeadLetter(
            f"m-{number // 4}", "body", {"SentTimestamp": "1790000000000"}, failure(source_message_id="s-9")
        )
        start.wait()
        return take_in(clients.state, one, at_ms=1)[1]

    with ThreadPoolExecutor(RIVALS) as pool:
        for _ in range(ROUNDS):
            start = threading.Barrier(RIVALS)
            results = [one.result() for one in [pool.submit(rival, at, start) for at in range(RIVALS)]]
            [winner] = [claims for claims, refused in results if not refused]
            winner.release()
        start = threading.Barrier(RIVALS)
        arrivals = [one.result() for one in [pool.submit(copy, at, start) for at in range(RIVALS)]]
    assert sorted(arrivals) == [Arrival.NEW, *[Arrival.REPEATED] * 6, Arrival.RETURNED]
    assert len(site.state_keys("dead-letters/")) == 2

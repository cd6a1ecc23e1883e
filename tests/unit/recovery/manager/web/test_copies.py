"""Copy, edit, send: once for each version, and the original is kept, held, and linked with its copy."""

import json

import pytest

from recovery.ledger.errors import LedgerError
from recovery.ledger.rows import State
from recovery.manager.redaction import HIDDEN, Redactor
from recovery.operations.dead_letters.copies import copies_of, original_of
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET, DOWN, SQS_DOWN
from tests.support.api import Api
from worker.core.base.errors import QueueError
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import Refusal

MAPS = {"type": "maps", "city": "松江", "correlation_id": "c-1", "lat": 35.4, "lng": 133.0, "radius": 5, "category": "x",
        "enqueued_at": 1}  # fmt: skip
BEFORE, AFTER = json.dumps({**MAPS, "radius": 0}), json.dumps({**MAPS, "radius": 7}, ensure_ascii=False)
PATH = "/api/v1/messages/a/copies"


@pytest.fixture
def maps(api):
    """A message of another program, with a fault in it."""
    api.add("a", body=BEFORE, type="maps", fault="maps: radius: does not fit")
    return api


def send(api, body=AFTER, status=201, **headers):
    answer = api.ask(PATH, method="POST", body={"body": body}, **{"if_match": '"1"', **headers})
    assert answer.status_code == status, answer.text
    return answer.json()


def record(api, name="a"):
    found = dead_letter_store.read(api.fakes.state, api.ledger.get(name).key)
    assert found is not None
    return found


def sent(api):
    return list(api.fakes.source.messages.values())


def audit(api):
    return [one for one in api.fakes.under("s3-index-worker/audit/").values() if one["action"] == "copy"]


def test_a_copy_is_sent_and_the_original_held_with_links_both_ways(maps):
    said = send(maps)
    [message] = sent(maps)
    assert (message.body, message.attributes["raw"]["BinaryValue"]) == (AFTER, b"\0\xff")
    failure = json.loads(message.attributes["failure"]["StringValue"])
    assert (failure["copy_of"], failure["dead_letter_id"]) == ("a", said["copy_id"])
    assert (failure["kind"], failure.get("stack"), failure["source_queue"]) == ("UNKNOWN", None, said["to"])
    [copy] = copies_of(record(maps))
    assert (copy.id, copy.by, copy.to, copy.is_sent) == (said["copy_id"], "api@host", said["to"], True)
    assert said["message"]["hold"].startswith(f"an edited copy, {copy.id}, was sent to http://sqs/source; ")
    assert said["not_recorded"] is None
    events = maps.get("/api/v1/messages/a/events")["items"]
    assert [(one["action"], one["by"], one["details"]["copy"]) for one in events[-2:]] == [
        ("copying", "api@host", copy.id), ("copied", "api@host", copy.id)
    ]  # fmt: skip
    [entry] = audit(maps)
    assert (entry["by"], entry["copy"], entry["result"]) == ("api@host", copy.id, {"a": "copied"})
    found = maps.get("/api/v1/messages/a/present")
    assert [(one["id"], one["is_sent"]) for one in found["copies"]] == [(copy.id, True)]


def test_a_copy_that_fails_is_a_dead_letter_of_its_own_that_names_the_original(maps):
    said = send(maps)
    stored, _ = dead_letter_store.take_in(maps.fakes.state, DeadLetter.received(sent(maps)[0]), at_ms=1)
    assert (stored.dead_letter.id, original_of(stored.dead_letter)) == (said["copy_id"], "a")
    assert record(maps).dead_letter.body == BEFORE


def test_one_version_is_copied_once(maps):
    send(maps)
    assert "changed since" in send(maps, status=412)["detail"]
    assert "it is held: an edited copy" in send(maps, status=409, if_match="*")["detail"]
    maps.ask("/api/v1/messages/a/hold", method="DELETE", if_match="*")
    send(maps, if_match="*")
    assert [one.is_sent for one in copies_of(record(maps))] == [True, True]
    assert len(sent(maps)) == 2


def test_the_same_request_again_has_the_same_answer(maps):
    first = send(maps, idempotency_key="k")
    assert send(maps, idempotency_key="k") == first
    assert len(sent(maps)) == 1


def test_of_two_at_the_same_moment_one_sends(maps, monkeypatch):
    claim = maps.fakes.state.claim

    def other_first(key, body, *, instead_of):
        monkeypatch.undo()
        held = record(maps)
        claim(
            key, json.dumps({**held.as_json(), "hold": {"reason": "mine", "by": "b"}}).encode(), instead_of=instead_of
        )
        return claim(key, body, instead_of=instead_of)

    monkeypatch.setattr(maps.fakes.state, "claim", other_first)
    assert "b holds it: mine" in send(maps, status=409)["detail"]
    assert sent(maps) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BEFORE, "the body is that of the original"),
        (json.dumps({**MAPS, "lat": 91}), "maps: lat: does not fit maximum: 90"),
        (json.dumps({**MAPS, "correlation_id": ""}), "message missing correlation_id"),
        ("{", "the body is of type unknown; it should be of type maps"),
        (json.dumps({"bucket": "b", "key": "k"}), "the body is an S3 event"),
        (AFTER.replace("松", "\ufffe"), "which SQS does not take"),
        (json.dumps({**MAPS, "city": "x" * 1_048_576}), None),
    ],
)
def test_a_body_that_must_not_be_sent_is_refused_and_nothing_changes(maps, body, said):
    answer = send(maps, body, status=409 if said else 400)
    assert (said or "1048576") in answer["detail"]
    assert (sent(maps), maps.ledger.get("a").version, copies_of(record(maps))) == ([], 1, ())


def test_s3_events_are_not_edited(api):
    api.add("a", body=s3_event(s3_record(BUCKET, "k")), type="s3-event")
    assert "reads the object as it is now; redrive it" in send(api, status=409)["detail"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hold": "legal"}, "it is held: legal"),
        ({"state": State.SENT, "sent_by": "b", "sent_to": "q"}, "b has sent it to q"),
        ({"state": State.ABANDONED}, "it is abandoned"),
    ],
)
def test_what_must_not_be_acted_upon_is_refused(api, fields, said):
    api.add("a", body=BEFORE, type="maps", **fields)
    assert said in send(api, status=409)["detail"]


def test_while_the_fleet_is_paused_nothing_is_sent(maps):
    maps.fakes.s3.records[PAUSE_KEY] = b'{"reason": "work", "by": "me"}'
    assert "work" in send(maps, status=409)["detail"]
    assert sent(maps) == []


def test_a_schedule_ends_and_comes_back_if_nothing_was_sent(maps):
    before = record(maps)
    scheduled = before.__class__.from_json(
        json.dumps({**before.as_json(), "retry": {"count": 1, "at_ms": 5}}).encode(), before.key, before.etag
    )
    assert dead_letter_store.write(maps.fakes.state, scheduled)
    maps.fakes.source.refuses[0] = Refusal("InvalidMessageContents", "no", senders_fault=True)
    assert "refuses: InvalidMessageContents" in send(maps, status=409)["detail"]
    again = record(maps)
    assert (again.hold, again.retry.at_ms, again.retry.count, copies_of(again)) == (None, 5, 1, ())
    assert maps.ledger.get("a").hold is None
    events = maps.get("/api/v1/messages/a/events")["items"]
    assert [one["action"] for one in events[-2:]] == ["copying", "not copied"]
    maps.fakes.source.refuses.clear()
    send(maps, if_match="*")
    assert record(maps).retry.at_ms is None


def test_without_an_answer_the_original_is_held_and_nothing_is_sent_again(maps):
    maps.fakes.faults.add("source.send", SQS_DOWN)
    assert "nobody knows whether the copy was sent" in send(maps, status=503, idempotency_key="k")["detail"]
    assert maps.fakes.faults.calls.count("source.send") == 1
    maps.fakes.faults.plan.clear()
    assert "is being sent to" in send(maps, status=409, if_match="*", idempotency_key="k")["detail"]
    [copy] = copies_of(record(maps))
    assert (copy.is_sent, sent(maps), maps.ledger.get("a").hold[:14]) == (False, [], "an edited copy")
    assert [one["result"] for one in audit(maps)] == [{"a": "unclear"}]


def test_a_kill_between_recording_and_sending_does_not_send_twice(maps, monkeypatch):
    def killed(_entries):
        raise KeyboardInterrupt

    monkeypatch.setattr(maps.fakes.source, "send", killed)
    with pytest.raises(KeyboardInterrupt):
        send(maps)
    monkeypatch.undo()
    assert "is being sent to" in send(maps, status=409, if_match="*")["detail"]
    assert sent(maps) == []


def test_a_queue_that_must_not_be_sent_to_is_refused(maps):
    maps.fakes.faults.add("source.send", QueueError("denied", code="AccessDenied"))
    assert "refuses: denied" in send(maps, status=409)["detail"]
    assert record(maps).hold is None


def test_what_cannot_be_recorded_afterwards_was_sent_all_the_same(maps):
    maps.fakes.faults.add("state.claim", DOWN, after=1)
    said = send(maps)
    assert (said["not_recorded"], len(sent(maps))) == ("down", 1)
    assert record(maps).hold is not None


def test_where_the_ledger_refuses_nothing_is_sent(maps, monkeypatch):
    def refuse(_changes):
        raise LedgerError("the ledger x is locked")

    monkeypatch.setattr(maps.ledger, "change_many", refuse)
    assert send(maps, status=503)["detail"] == "the ledger x is locked"
    monkeypatch.undo()
    assert (sent(maps), record(maps).hold) == ([], None)


def test_what_is_hidden_is_not_sent_as_it_is_shown(tmp_path):
    ledger = new_ledger(f"sqlite:///{tmp_path}/l.sqlite")
    api = Api(ledger, redactor=Redactor(["$.city"]))
    api.add("a", body=BEFORE, type="maps")
    assert "which stands for what REDACT_FIELDS hides" in send(api, AFTER.replace("松江", HIDDEN), status=409)["detail"]
    send(api)
    ledger.close()


def test_the_version_is_needed(maps):
    answer = maps.ask(PATH, method="POST", body={"body": AFTER})
    assert answer.status_code == 428


def test_another_queue_may_be_named(maps):
    answer = maps.ask(PATH, method="POST", body={"body": AFTER, "to": "not a queue"}, if_match="*")
    assert answer.status_code == 400
    answer = maps.ask(PATH, method="POST", body={"body": AFTER, "to": "http://sqs/q/other"}, if_match="*")
    assert (answer.status_code, answer.headers["etag"]) == (201, f'"{maps.ledger.get("a").version}"')

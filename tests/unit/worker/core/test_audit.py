"""Audit records: what is written is complete, and what the state bucket refuses is in the log."""

import json
from datetime import UTC, datetime

from worker.core.audit import AuditEvent, Run, record, write
from worker.core.base.errors import StoreError
from worker.core.base.logs import observe
from worker.core.sqs.dead_letter import DeadLetter

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
DEAD_LETTER = DeadLetter("m1", "本文", {"SentTimestamp": "5"}, {"raw": {"DataType": "Binary", "BinaryValue": b"\0"}})
EVENT = AuditEvent("redrive", "run-1", "me@here", ("m1",), {"sent": 1}, {"to": "queue"}, (DEAD_LETTER,), AT)


def test_a_record_contains_messages_that_exist_nowhere_else_completely(fakes):
    key = write(fakes.state, EVENT)
    assert key.startswith("s3-index-worker/audit/2026-11-23/120000000000-redrive-")
    [stored] = json.loads(fakes.state.get(key))["dead_letters"]
    assert DeadLetter.from_json(stored) == DEAD_LETTER


def test_a_record_says_who_did_what_in_words_that_a_program_finds(fakes):
    write(fakes.state, EVENT)
    [stored] = fakes.under("s3-index-worker/audit/").values()
    assert stored.pop("dead_letters")[0]["body"] == "本文"
    assert stored == {
        "schema": 1, "action": "redrive", "run": "run-1", "by": "me@here", "at": "2026-11-23T12:00:00.000+00:00",
        "to": "queue", "ids": ["m1"], "result": {"sent": 1},
    }  # fmt: skip


def test_what_the_state_bucket_refuses_is_in_the_log_and_says_why(fakes):
    fakes.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    logged = []
    end = observe(lambda event, fields: logged.append((event, fields["record"])))
    recorded = record(fakes.state, EVENT)
    end()
    assert (recorded.key, recorded.problem) == ("", "denied")
    assert logged == [("audit.recorded", "")]


def test_runs_have_names_of_their_own():
    runs = {Run.new("dlq redrive", action="redrive", by="me@here").name for _ in range(100)}
    assert len(runs) == 100
    assert all(name.startswith("dlq-redrive-20") for name in runs)

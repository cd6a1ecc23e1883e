"""What became of a dead letter that was sent: only S3 and the index can say that it was handled."""

import threading
from dataclasses import replace

import pytest

from recovery.operations.confirm import Known, Standing, confirm, end, refs_of, waiting_in
from recovery.operations.dead_letters.message_types import load_types
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS
from worker.core.audit import Run
from worker.core.base.concurrency import Pace
from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.index.document import Write
from worker.core.indexing.retry_store import RetryRecord, parked_name, record_name
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Claim, Sending, StoredState

TYPES = load_types(default_bucket=BUCKET)
RUN = Run.new("dlq-manager confirm", action="confirm", by="manager@h")
SENT_MS = NOW_MS - 60_000


def sent(fakes, name, *keys, body=None):
    """A dead letter that was sent a minute ago."""
    fakes.dlq.add(name, body or s3_event(*(s3_record(BUCKET, key) for key in keys)))
    stored = fakes.store(name)
    sending = Sending(SENT_MS, "by", "run", "http://sqs/source", NOW_MS + 60_000)
    written = dead_letter_store.write(fakes.state, replace(stored, state=StoredState.SENT, sent=sending))
    assert written is not None
    return written


def put(fakes, key, *, is_indexed=True, version=NOW_MS - 1_000, status="ok"):
    fakes.s3.bodies[key] = b"text"
    if is_indexed:
        fakes.indexed(key, status=status)
        fakes.index.documents[BUCKET, key] = version, fakes.index.documents[BUCKET, key][1]


def look(fakes, *stored):
    settings = fakes.settings()
    known = Known(settings, fakes.s3, fakes.index, Pace(None), threading.Event())
    pairs = [(one, refs_of(one, settings, TYPES)) for one in stored]
    names = {(ref.bucket, ref.key) for _, refs in pairs for ref in refs}
    return confirm(known, pairs, waiting_in(fakes.state, names))


def standing(fakes, *keys):
    return look(fakes, sent(fakes, "m", *keys))[0].standing


def test_a_document_of_the_object_as_it_is_observed_after_the_sending_confirms(fakes):
    put(fakes, "契約.txt")
    assert standing(fakes, "契約.txt") is Standing.CONFIRMED


def test_one_observed_before_the_sending_does_not(fakes):
    put(fakes, "a.txt", version=SENT_MS - 1)
    assert standing(fakes, "a.txt") is Standing.WAITING


def test_one_of_an_earlier_state_of_the_object_does_not(fakes):
    put(fakes, "a.txt")
    fakes.s3.bodies["a.txt"] = b"other"
    assert standing(fakes, "a.txt") is Standing.WAITING


def test_one_without_its_text_does_not(fakes):
    put(fakes, "a.txt", status="corrupt")
    [found] = look(fakes, sent(fakes, "m", "a.txt"))
    assert (found.standing, "corrupt" in found.why) == (Standing.UNREADABLE, True)


def test_every_record_of_the_message_counts(fakes):
    put(fakes, "a.txt")
    put(fakes, "b.txt", is_indexed=False)
    assert standing(fakes, "a.txt", "b.txt") is Standing.WAITING
    put(fakes, "b.txt")
    assert look(fakes, sent(fakes, "n", "a.txt", "b.txt"))[0].standing is Standing.CONFIRMED


def test_object_and_document_that_are_both_gone_confirm(fakes):
    assert standing(fakes, "gone.txt") is Standing.CONFIRMED


def test_a_document_whose_object_is_gone_does_not(fakes):
    put(fakes, "a.txt")
    del fakes.s3.bodies["a.txt"]
    assert standing(fakes, "a.txt") is Standing.WAITING


@pytest.mark.parametrize("is_parked", [False, True])
@pytest.mark.parametrize("key", ["経理/a.txt", "x" * 600, "a//b"])
def test_a_document_in_retry_index_is_shown_so(fakes, is_parked, key):
    put(fakes, key, is_indexed=False)
    name = record_name(BUCKET, key, NOW_MS)
    write = Write(BUCKET, key, NOW_MS, None, None)
    fakes.state.put(parked_name(name) if is_parked else name, RetryRecord(write, "why", rejected=True).as_json())
    fakes.state.put(record_name(BUCKET, key + "2", NOW_MS), b"{}")
    assert standing(fakes, key) is (Standing.PARKED if is_parked else Standing.STORED_FOR_RETRY)


def test_one_bucket_that_refuses_does_not_keep_the_others_waiting(fakes):
    put(fakes, "a.txt")
    other = sent(fakes, "n", body=s3_event(s3_record("other-bucket", "b.txt")))
    found = look(fakes, sent(fakes, "m", "a.txt"), other)
    assert [one.standing for one in found] == [Standing.CONFIRMED, Standing.WAITING]
    assert "S3 does not say" in found[1].why


@pytest.mark.parametrize(("call", "error"), [("index.stored", INDEX_DOWN), ("s3.head", DOWN), ("state.list", DOWN)])
def test_while_one_call_fails_nothing_is_known_and_nothing_changes(fakes, call, error):
    put(fakes, "a.txt")
    stored = sent(fakes, "m", "a.txt")
    fakes.faults.add(call, error)
    with pytest.raises((IndexUnavailableError, StoreError)):
        look(fakes, stored)
    fakes.faults.plan.clear()
    assert list(fakes.under(DEAD_LETTERS_PREFIX)) == [stored.key]


def test_folders_excluded_keys_and_other_programs_messages_have_nothing_to_confirm_them(fakes):
    settings = fakes.settings(exclude_keys="tmp/*")
    bodies = ['{"type": "maps"}', s3_event(s3_record(BUCKET, "folder/")), s3_event(s3_record(BUCKET, "tmp/a"))]
    for number, body in enumerate(bodies):
        assert refs_of(sent(fakes, f"m{number}", body=body), settings, TYPES) == []


def test_the_audit_says_what_became_of_it_before_its_record_is_deleted(fakes):
    stored = sent(fakes, "m", "a.txt")
    fakes.faults.calls.clear()
    assert [one.dead_letter.id for one in end(fakes.state, RUN, [stored], "recovered", now_ms=NOW_MS)] == ["m"]
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}
    [entry] = fakes.under("s3-index-worker/audit/").values()
    assert (entry["action"], entry["ids"], entry["result"]) == ("confirm", ["m"], {"m": "recovered"})
    assert fakes.faults.calls.index("state.put") < fakes.faults.calls.index("state.delete")


@pytest.mark.parametrize("call", ["state.claim", "state.put", "state.get", "state.delete"])
def test_any_single_failing_call_keeps_the_record_and_a_later_run_ends_it(fakes, call):
    stored = sent(fakes, "m", "a.txt")
    fakes.faults.add(call, DOWN, times=1)
    with pytest.raises(StoreError):
        end(fakes.state, RUN, [stored], "recovered", now_ms=NOW_MS)
    again = dead_letter_store.read(fakes.state, stored.key)
    assert again is not None
    later_ms = NOW_MS + 600_000
    assert end(fakes.state, RUN, [again], "recovered", now_ms=later_ms)
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}


def test_what_has_come_back_since_stays(fakes):
    stored = sent(fakes, "m", "a.txt")
    again = replace(stored.dead_letter, id="m2", stored_key="")
    dead_letter_store.write(fakes.state, stored.returned(again, NOW_MS))
    assert end(fakes.state, RUN, [stored], "recovered", now_ms=NOW_MS) == []
    assert list(fakes.under(DEAD_LETTERS_PREFIX)) == [stored.key]


def test_what_somebody_else_is_acting_on_stays(fakes):
    stored = sent(fakes, "m", "a.txt")
    claimed = dead_letter_store.write(fakes.state, replace(stored, claim=Claim("op", "other", NOW_MS + 1)))
    assert claimed is not None
    assert end(fakes.state, RUN, [claimed], "recovered", now_ms=NOW_MS) == []

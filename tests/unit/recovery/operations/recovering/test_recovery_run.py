"""Every row of the table of `recover_dlq`, its abort rules, and that no message is lost if a call fails."""

import contextlib
import json
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.operations.dead_letters.facts import Filter
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.engine import Disposition
from recovery.operations.records.archive import read
from recovery.operations.recovering.preconditions import check_all
from recovery.operations.recovering.recovery_run import RecoveryRun
from recovery.operations.recovering.request import RecoverRequest
from testing.fakes import Fakes
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS, SQS_DOWN
from tests.support.size import sized
from worker.core.audit import Run
from worker.core.base.classify import FailureKind
from worker.core.base.errors import (
    ConfigError,
    DependencyError,
    ExitCode,
    IndexUnavailableError,
    StoreError,
    WorkerError,
)
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, RETRY_PREFIX
from worker.core.sqs.dead_letter import DeadLetter

DAY_MS = 86_400_000


def recover(fakes, *, settings=None, **options):
    """Run a recovery and return its report. Raises the error that aborted it."""
    request = RecoverRequest(Run.new("recover_dlq", action="recover", by="me@here"), load_types(), **options)
    report = RecoveryRun(settings or fakes.settings(), fakes.clients, request, stop=threading.Event()).run()
    if report.failure is not None:
        raise report.failure
    return report


def test_a_dead_letter_whose_object_is_already_indexed_is_deleted(fakes):
    fakes.s3.bodies["a.txt"] = b"text"
    fakes.indexed("a.txt")
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.ALREADY_INDEXED: 1}
    assert not fakes.dlq.messages
    assert "index.write" not in fakes.faults.calls
    assert "s3.read" not in fakes.faults.calls


@pytest.mark.parametrize("status", ["corrupt", "encrypted", "timeout", "out_of_memory"])
def test_an_object_that_was_indexed_without_its_text_is_read_again(fakes, status):
    fakes.s3.bodies["a.txt"] = b"text"
    fakes.indexed("a.txt", status=status)
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.RECOVERED: 1}


def test_a_missing_object_is_indexed_with_dlq_as_its_recovery_source(fakes):
    fakes.s3.bodies["経理/見積 書.txt"] = "見積".encode()
    fakes.dead_letter("m1", "経理/見積 書.txt")
    assert recover(fakes).counts == {Disposition.RECOVERED: 1}
    _, document = fakes.index.documents[BUCKET, "経理/見積 書.txt"]
    assert (document["content"], document["recovery_source"]) == ("見積", "dlq")
    assert not fakes.dlq.messages


def test_an_object_that_has_changed_is_indexed_in_its_current_state(fakes):
    fakes.s3.bodies["a.txt"] = b"old"
    fakes.indexed("a.txt")
    fakes.s3.bodies["a.txt"] = b"new"
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.RECOVERED: 1}
    assert fakes.index.documents[BUCKET, "a.txt"][1]["content"] == "new"


def test_an_object_that_is_gone_is_removed_from_the_index_and_its_message_audited(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    fakes.indexed("a.txt")
    del fakes.s3.bodies["a.txt"]
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.GONE: 1}
    assert not fakes.index.documents
    assert not fakes.dlq.messages
    [record] = fakes.under("s3-index-worker/audit/").values()
    assert record["ids"] == ["m1"]
    assert "a.txt" in record["dead_letters"][0]["body"]


def test_a_document_that_the_index_rejects_is_stored_for_retry(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    fakes.index.rejects.add("a.txt")
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.STORED_FOR_RETRY: 1}
    [record] = fakes.under(RETRY_PREFIX).values()
    assert (record["rejected"], record["key"]) == (True, "a.txt")
    assert not fakes.dlq.messages


@pytest.mark.parametrize("body", ["noise", "[]", '{"hello": 1}'])
def test_a_malformed_message_is_archived_completely(fakes, body):
    attributes = {"raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    fakes.dlq.add("m1", body, attributes, sent_ms=1_795_000_000_000)
    assert recover(fakes).counts == {Disposition.ARCHIVED: 1}
    assert not fakes.dlq.messages
    entry = read(fakes.state, "dlq-archive/2026-11-18/m1-m1.json")
    assert entry is not None
    assert (entry.dead_letter.body, entry.dead_letter.attributes["raw"]["BinaryValue"]) == (body, b"\x00\xff")
    assert entry.error_type == "MalformedEventError"


def test_a_file_that_cannot_be_read_is_archived_and_findable_by_name(fakes, monkeypatch):
    fakes.s3.bodies["契約.pdf"] = b"%PDF-1.4 broken"
    fakes.dead_letter("m1", "契約.pdf")
    assert recover(fakes).counts == {Disposition.ARCHIVED: 1}
    assert fakes.index.documents[BUCKET, "契約.pdf"][1]["extraction"]["status"] == "corrupt"
    [(key, record)] = fakes.under(ARCHIVE_PREFIX).items()
    assert key.endswith("/契約.pdf-m1.json")
    assert record["error_type"] == "UnreadableFileError"


def test_a_message_with_a_bucket_that_does_not_exist_is_kept(fakes):
    fakes.dead_letter("m1", "a.txt", bucket="nobody")
    summary = recover(fakes)
    assert summary.counts == {Disposition.KEPT: 1}
    assert summary.as_json()["causes"][0]["error_type"] == "StoreError NoSuchBucket"


def test_one_key_denied_while_others_can_be_read_is_kept(fakes):
    fakes.s3.bodies |= {"a.txt": b"x", "b.txt": b"y"}
    fakes.s3.denied.add("a.txt")
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.KEPT: 1}


def test_the_message_is_kept_if_access_to_all_objects_is_denied(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    fakes.s3.denied.add("a.txt")
    fakes.dead_letter("m1", "a.txt")
    assert recover(fakes).counts == {Disposition.KEPT: 1}
    assert list(fakes.dlq.messages) == ["m1"]
    assert not fakes.dlq.hidden


def test_a_transient_failure_keeps_the_message_and_releases_it_at_the_end(fakes):
    fakes.dead_letter("m1", "a.txt")
    fakes.faults.add("s3.read", DOWN)
    assert recover(fakes).counts == {Disposition.KEPT: 1}
    assert list(fakes.dlq.messages) == ["m1"]
    assert not fakes.dlq.hidden


def expiring(fakes):
    fakes.dead_letter("m1", "a.txt", sent_ms=int(time.time() * 1000) - 13 * DAY_MS)
    fakes.faults.add("s3.read", DOWN)


def test_a_message_that_is_kept_and_about_to_expire_waits_in_the_state_bucket_instead(fakes):
    expiring(fakes)
    report = recover(fakes)
    assert (report.counts, report.is_unfinished) == ({Disposition.KEPT: 1}, True)
    [record] = fakes.under(DEAD_LETTERS_PREFIX).values()
    assert (record["dead_letter_id"], record["state"]) == ("m1", "open")
    assert not report.also["duplicates"], "what was moved is not handled again in this run"
    assert not fakes.dlq.messages
    assert not fakes.under(ARCHIVE_PREFIX)
    [cause] = report.causes()
    assert cause.reason.endswith("now in dead-letters/")


def test_one_that_cannot_be_stored_there_stays_in_the_queue(fakes):
    expiring(fakes)
    fakes.faults.add("state.claim", DOWN)
    assert recover(fakes).counts == {Disposition.KEPT: 1}
    assert list(fakes.dlq.messages) == ["m1"]


@pytest.mark.parametrize("asked", [False, True])
def test_what_the_system_is_at_fault_for_is_archived_only_if_that_is_asked_for(fakes, asked):
    for number in range(15):
        failure = {"kind": "SYSTEM_ERROR", "error_type": "StoreError", "message": "NoSuchBucket"}
        fakes.dead_letter(f"m{number}", f"{number}.txt", bucket="no-such-bucket", failure=failure)
    report = recover(fakes, archive_system_errors=asked)
    assert report.counts == {Disposition.ARCHIVED if asked else Disposition.KEPT: 15}
    assert len(fakes.dlq.messages) == (0 if asked else 15)
    assert (report.is_unfinished, len(fakes.under(ARCHIVE_PREFIX))) == ((False, 15) if asked else (True, 0))
    [cause] = report.causes()
    assert (cause.count, cause.reason) == (15, "NoSuchBucket in s3://no-such-bucket")


def test_a_failure_of_the_system_is_kept_even_if_its_file_turns_out_to_be_unreadable(fakes):
    fakes.s3.bodies["a.pdf"] = b"%PDF-1.4 broken"
    fakes.dead_letter("m1", "a.pdf", failure={"kind": "SYSTEM_ERROR", "error_type": "KeyError", "message": "a bug"})
    assert recover(fakes).counts == {Disposition.KEPT: 1}
    assert recover(fakes, archive_system_errors=True).counts == {Disposition.ARCHIVED: 1}


def test_several_records_count_as_the_worst_of_them(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    events = [json.loads(body)["Records"][0] for body in _bodies(fakes, "a.txt", "gone.txt")]
    fakes.dlq.add("m1", json.dumps({"Records": [*events, {"eventName": 7}]}))
    assert recover(fakes).counts == {Disposition.ARCHIVED: 1}
    assert (BUCKET, "a.txt") in fakes.index.documents


def _bodies(fakes, *keys):
    for number, key in enumerate(keys):
        fakes.dead_letter(f"x{number}", key)
    return [fakes.dlq.messages.pop(f"x{number}").body for number in range(len(keys))]


@pytest.mark.parametrize("body", ['{"Event": "s3:TestEvent"}', '{"Records": []}'])
def test_a_message_without_anything_to_index_is_archived(fakes, body):
    fakes.dlq.add("m1", body)
    assert recover(fakes).counts == {Disposition.SKIPPED: 1}
    assert not fakes.dlq.messages
    [record] = fakes.under("dlq-archive/").values()
    assert (record["body"], record["error_type"]) == (body, "skipped")


def test_a_mistyped_inclusion_empties_no_queue(fakes):
    for number in range(150):
        fakes.s3.bodies[f"{number}.txt"] = b"text"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    with pytest.raises(ConfigError, match="check INCLUDE_KEYS and EXCLUDE_KEYS"):
        recover(fakes, settings=fakes.settings(include_keys=("*.tx",)))
    archived = len(fakes.under("dlq-archive/"))
    assert archived < 100
    assert len(fakes.dlq.messages) == 150 - archived
    assert recover(fakes, settings=fakes.settings(include_keys=("*.tx",)), accept_skipped=True).counts.keys() == {
        Disposition.SKIPPED
    }
    assert not fakes.dlq.messages


def test_a_valid_message_of_another_type_is_kept_with_the_reason(fakes):
    body = json.dumps({"type": "maps", "correlation_id": "c-1", "city": "東京", "lat": 35.7, "lng": 139.7})
    fakes.dlq.add("m1", body)
    summary = recover(fakes)
    assert summary.counts == {Disposition.KEPT: 1}
    assert summary.is_unfinished
    assert list(fakes.dlq.messages) == ["m1"]
    assert not fakes.dlq.hidden


def test_an_operator_can_confirm_that_the_objects_are_gone(fakes):
    for number in range(120):
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    with pytest.raises(ConfigError, match="--accept-gone"):
        recover(fakes)
    left = len(fakes.dlq.messages)
    assert left
    assert recover(fakes, accept_gone=True).counts == {Disposition.GONE: left}
    assert not fakes.dlq.messages


def test_two_messages_that_give_one_source_id_are_not_copies_unless_their_bodies_are_the_same(fakes):
    for name in ("a", "b"):
        fakes.s3.bodies[f"{name}.txt"] = b"x"
        fakes.dead_letter(name, f"{name}.txt", failure={"source_message_id": "forged"})
    assert recover(fakes).counts == {Disposition.RECOVERED: 2}
    assert set(fakes.index.documents) == {(BUCKET, "a.txt"), (BUCKET, "b.txt")}


def test_copies_of_one_message_are_handled_once(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    [body] = _bodies(fakes, "a.txt")
    failure = {"failure": {"DataType": "String", "StringValue": '{"source_message_id": "s1"}'}}
    for name in ("m1", "m2", "m3"):
        fakes.dlq.add(name, body, failure)
    summary = recover(fakes)
    assert summary.counts == {Disposition.RECOVERED: 1}
    assert summary.also["duplicates"] == 2
    assert not fakes.dlq.messages


def test_dead_letters_in_the_state_bucket_are_processed(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    fakes.dead_letter("m1", "a.txt")
    message = fakes.dlq.messages.pop("m1")
    record = {
        "schema": 1, "message_id": "m1", "body": message.body, "system_attributes": {}, "message_attributes": {},
        "failure": {"kind": "UNKNOWN"},
    }  # fmt: skip
    fakes.s3.records["dead-letters/2026-11-23/m1.json"] = json.dumps(record).encode()
    assert recover(fakes).counts == {Disposition.RECOVERED: 1}
    assert not fakes.under("dead-letters/")


def test_a_dry_recovery_changes_nothing_and_reports_the_results(fakes):
    fakes.s3.bodies |= {"a.txt": b"x", "b.txt": b"y"}
    fakes.indexed("b.txt")
    for name, key in (("m1", "a.txt"), ("m2", "b.txt"), ("m3", "gone.txt")):
        fakes.dead_letter(name, key)
    fakes.dlq.add("m4", "noise")
    before = dict(fakes.index.documents)
    summary = recover(fakes, dry_run=True)
    assert summary.counts == {
        Disposition.RECOVERED: 1, Disposition.ALREADY_INDEXED: 1, Disposition.GONE: 1, Disposition.ARCHIVED: 1
    }  # fmt: skip
    assert len(fakes.dlq.messages) == 4
    assert not fakes.dlq.hidden
    assert not fakes.s3.records
    assert fakes.index.documents == before


def test_only_selected_messages_are_processed(fakes):
    fakes.s3.bodies |= {"a.txt": b"x", "b.txt": b"y"}
    fakes.dead_letter("m1", "a.txt", failure={"kind": "RECOVERABLE"})
    fakes.dead_letter("m2", "b.txt", failure={"kind": "USER_ERROR"})
    summary = recover(fakes, chosen=Filter(kind=FailureKind.RECOVERABLE))
    assert (summary.counts, summary.also["not_selected"]) == ({Disposition.RECOVERED: 1}, 1)
    assert list(fakes.dlq.messages) == ["m2"]
    assert recover(fakes, chosen=Filter(older_than_s=60)).also["not_selected"] == 1
    assert recover(fakes, ids=frozenset({"m2"})).counts == {Disposition.RECOVERED: 1}


@pytest.mark.parametrize(
    "chosen",
    [
        Filter(error="oserror"), Filter(group="5b1f"), Filter(match="契約"), Filter(type="s3-event", error="OSError"),
        Filter(kind=FailureKind.USER_ERROR), Filter(older_than_s=3600),
    ],
)  # fmt: skip
def test_a_run_takes_every_filter_and_gives_the_others_back_unharmed(fakes, chosen):
    fakes.s3.bodies["契約.txt"] = b"text"
    cause = {"kind": "USER_ERROR", "error_type": "OSError", "fingerprint": "5b1f2c7d90aa"}
    fakes.dead_letter("m0", "契約.txt", failure=cause, sent_ms=NOW_MS - 7_200_000)
    for number in range(1, 30):
        failure = {"kind": "UNKNOWN", "error_type": "KeyError", "fingerprint": "77aa"}
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure=failure, sent_ms=int(time.time() * 1000))
    report = recover(fakes, chosen=chosen, batch_size=5)
    assert (dict(report.counts), report.also["not_selected"]) == ({Disposition.RECOVERED: 1}, 29)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden, report.is_unfinished) == (29, set(), False)
    assert {one.receives for one in map(DeadLetter.received, fakes.dlq.messages.values())} <= {0, 1}


def test_max_batches_bounds_a_run(fakes):
    for number in range(50):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    assert recover(fakes, batch_size=10, max_batches=2).handled == 20
    assert len(fakes.dlq.messages) == 30


def test_the_rate_limit_is_respected(fakes):
    for number in range(20):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    began = time.monotonic()
    recover(fakes, batch_size=5, rate=50)
    assert time.monotonic() - began >= 15 / 50


def test_an_index_that_becomes_unavailable_stops_the_run_and_archives_nothing(fakes):
    for number in range(60):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    fakes.faults.add("index.write", INDEX_DOWN, after=2)
    with pytest.raises(IndexUnavailableError):
        recover(fakes)
    assert not fakes.s3.records
    assert not fakes.dlq.hidden
    assert len(fakes.dlq.messages) + len(fakes.index.documents) >= 60


def test_a_single_document_refused_transiently_is_kept(fakes):
    fakes.s3.bodies |= {"a.txt": b"x", "b.txt": b"y"}
    fakes.index.unavailable.add("a.txt")
    fakes.dead_letter("m1", "a.txt")
    fakes.dead_letter("m2", "b.txt")
    assert recover(fakes).counts == {Disposition.KEPT: 1, Disposition.RECOVERED: 1}
    assert list(fakes.dlq.messages) == ["m1"]


def test_a_run_stops_if_most_of_a_hundred_objects_are_gone(fakes):
    for number in range(300):
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    with pytest.raises(ConfigError, match="S3_BUCKET"):
        recover(fakes)
    assert len(fakes.dlq.messages) == 210, "the batch that tells is not settled either"


def test_a_mapping_that_rejects_everything_stops_the_run(fakes):
    fakes.index.rejects_all = True
    for number in range(300):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    with pytest.raises(ConfigError, match="mapper_parsing_exception"):
        recover(fakes)
    assert len(fakes.dlq.messages) >= 100


def test_errors_that_the_failure_records_already_name_do_not_stop_the_run(fakes):
    for number in range(150):
        fakes.dlq.add(
            f"m{number}", "noise",
            {"failure": {"StringValue": json.dumps({"error_type": "MalformedEventError", "message": "the body is not JSON"})}},
        )  # fmt: skip
    assert recover(fakes).counts == {Disposition.ARCHIVED: 150}


def test_a_denied_bucket_does_not_hold_up_the_messages_of_others(fakes):
    for number in range(260):
        fakes.dead_letter(f"d{number}", f"{number}.txt", bucket="denied-bucket")
    for number in range(30):
        fakes.s3.bodies[f"{number}.txt"] = b"text"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    fakes.s3.denied_buckets.add("denied-bucket")
    summary = recover(fakes)
    assert summary.counts == {Disposition.RECOVERED: 30, Disposition.KEPT: 260}
    assert len(fakes.dlq.messages) == 260
    assert not fakes.dlq.hidden


def test_a_failed_delete_is_counted_and_does_no_harm(fakes):
    fakes.s3.bodies["a.txt"] = b"x"
    fakes.dead_letter("m1", "a.txt")
    fakes.faults.add("dlq.delete", SQS_DOWN)
    summary = recover(fakes)
    assert (summary.counts, summary.also["settled_not_deleted"]) == ({Disposition.RECOVERED: 1}, 1)


def test_a_message_is_kept_if_archiving_fails(fakes):
    fakes.dlq.add("m1", "noise")
    fakes.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert recover(fakes).counts == {Disposition.KEPT: 1}
    assert list(fakes.dlq.messages) == ["m1"]


def test_an_unusable_queue_bucket_or_index_is_reported_before_the_run(fakes):
    for name, error, kind in (
        ("dlq.attributes", SQS_DOWN, DependencyError),
        ("s3.check_bucket", StoreError("no", code="NoSuchBucket"), ConfigError),
        ("index.ping", INDEX_DOWN, DependencyError),
    ):
        fakes.faults.plan.clear()
        fakes.faults.add(name, error)
        with pytest.raises(kind):
            check_all(fakes.settings(), fakes.clients)


# -- nothing lost ------------------------------------------------------------------------------------------------

KINDS = ("ok", "indexed", "gone", "noise", "rejected", "corrupt", "nobucket")
CALLS = (
    "dlq.receive", "dlq.delete", "dlq.hide", "dlq.attributes", "s3.read", "s3.head", "index.stored", "index.write",
    "state.put", "state.delete", "state.list", "state.get", "state.claim",
)  # fmt: skip


@pytest.mark.timeout(sized(900, usual=180))
@settings(
    max_examples=sized(500, usual=40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=25),
    call=st.sampled_from(CALLS),
    after=st.integers(0, 3),
    times=st.sampled_from([1, 3, 1_000_000]),
    transient=st.booleans(),
    stored=st.integers(1, 4),
)
def test_recovery_loses_no_message_whichever_call_fails(kinds, call, after, times, transient, stored):
    fakes = Fakes()
    for number, kind in enumerate(kinds):
        _put_dead_letter(fakes, number, kind)
        if number % stored == 0:
            fakes.store(f"m{number}")
    service = call.partition(".")[0]
    code = "ServiceUnavailable" if transient else "AccessDenied"
    error = {"dlq": SQS_DOWN, "index": INDEX_DOWN}.get(service) or StoreError("x", code=code)
    fakes.faults.add(call, error, after=after, times=times)
    with contextlib.suppress(WorkerError):  # and nothing else: every failure must be one that the code expects
        recover(fakes, batch_size=5)
    for number, kind in enumerate(kinds):
        assert _is_somewhere(fakes, number, kind), (number, kind)


def _put_dead_letter(fakes, number, kind):
    key, name = f"{kind}-{number}.txt", f"m{number}"
    if kind in {"ok", "indexed", "rejected"}:
        fakes.s3.bodies[key] = b"x"
    if kind == "indexed":
        fakes.indexed(key)
    if kind == "rejected":
        fakes.index.rejects.add(key)
    if kind == "corrupt":
        key = f"{kind}-{number}.pdf"
        fakes.s3.bodies[key] = b"%PDF-1.4 broken"
    if kind == "noise":
        fakes.dlq.add(name, f"noise {number}")
    else:
        fakes.dead_letter(name, key, bucket="nobody" if kind == "nobucket" else BUCKET)


def _is_somewhere(fakes, number, kind):
    """Whether it is in the DLQ, the index, retry-index/ or the archive; or, if its object is gone, in the audit."""
    name = f"m{number}"
    archived = (record["message_id"] for record in fakes.under(ARCHIVE_PREFIX).values())
    stored = (record["message_id"] for record in fakes.under(DEAD_LETTERS_PREFIX).values())
    if name in fakes.dlq.messages or name in archived or name in stored:
        return True
    if kind in {"noise", "corrupt", "nobucket"}:
        return False
    if kind == "gone":
        return any(name in record["ids"] for record in fakes.under("s3-index-worker/audit/").values())
    if kind == "rejected":
        return any(record["key"] == f"{kind}-{number}.txt" for record in fakes.under(RETRY_PREFIX).values())
    return (BUCKET, f"{kind}-{number}.txt") in fakes.index.documents


def test_exit_codes_are_as_documented():
    assert (ExitCode.INCOMPLETE, ExitCode.USAGE, ExitCode.DEPENDENCY, ExitCode.PAUSED, ExitCode.CONFIG) == (
        3,
        64,
        69,
        75,
        78,
    )

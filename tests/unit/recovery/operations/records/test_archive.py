"""The archive: what is put there is read whole, and one restore of many wins."""

import json

import pytest

from recovery.operations.records.archive import Archive, ArchivedDeadLetter, Claim, claim, finish, read, read_all
from worker.core.sqs.dead_letter import Attribute, DeadLetter, Refused

ATTRIBUTES: dict[str, Attribute] = {
    "raw": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    "failure": {"DataType": "String", "StringValue": '{"kind": "USER_ERROR", "redrives": 2}'},
}
DEAD_LETTER = DeadLetter("m1", "本文", {"SentTimestamp": "1795000000000"}, ATTRIBUTES)


@pytest.fixture
def key(fakes):
    archive = Archive(fakes.state, "http://sqs/dlq", "me@here", "run-1")
    return archive.put(DEAD_LETTER, about="契約/a b.pdf", reason="r", error_type="deleted")


def claimed_by(fakes, key, name):
    return claim(fakes.state, key, by=name, run=f"run-{name}", to="http://sqs/source")


def test_what_is_put_there_is_read_whole(fakes, key):
    archived = read(fakes.state, key)
    assert archived is not None
    assert archived.dead_letter == DEAD_LETTER
    assert (archived.reason, archived.error_type, archived.by, archived.run) == ("r", "deleted", "me@here", "run-1")
    assert key == "dlq-archive/2026-11-18/契約/a b.pdf-m1.json"


def test_only_one_restore_of_two_gets_the_claim(fakes, key):
    first, second = claimed_by(fakes, key, "a"), claimed_by(fakes, key, "b")
    assert isinstance(first, Claim)
    assert isinstance(second, Refused)
    assert "a has been restoring it since" in second.reason


def test_once_sent_it_is_never_restored_again(fakes, key):
    finish(fakes.state, claimed_by(fakes, key, "a"), sent=True)
    assert "already restored by a at" in claimed_by(fakes, key, "b").reason


def test_what_was_not_sent_may_be_restored_at_once(fakes, key):
    finish(fakes.state, claimed_by(fakes, key, "a"), sent=False)
    assert isinstance(claimed_by(fakes, key, "b"), Claim)


def test_what_a_newer_writer_added_to_a_record_survives_a_restore(fakes, key):
    fakes.s3.records[key] = json.dumps({**json.loads(fakes.s3.records[key]), "ticket": 123}).encode()
    finish(fakes.state, claimed_by(fakes, key, "a"), sent=True)
    stored = json.loads(fakes.s3.records[key])
    assert (stored["ticket"], stored["restored"]["done"], stored["failure"]["redrives"]) == (123, True, 2)


def test_what_is_no_longer_there_is_refused(fakes):
    assert claimed_by(fakes, "dlq-archive/x.json", "a") == Refused("it is no longer in the archive")


@pytest.mark.parametrize(
    "change", [{"reason": 5}, {"restored": "x"}, {"restored": [1]}, {"body": None}, {"queue": None}]
)
def test_what_is_no_record_is_named_and_passed_over(fakes, key, change):
    good = fakes.s3.records[key]
    fakes.s3.records["dlq-archive/bad.json"] = bad = json.dumps({**json.loads(good), **change}).encode()
    with pytest.raises(ValueError, match=r"bad\.json is not a record of dlq-archive/"):
        ArchivedDeadLetter.from_json("dlq-archive/bad.json", bad)
    assert [one.key for one in read_all(fakes.state, fakes.state.keys("dlq-archive/"))] == [key]

"""What S3, the index and the queues hold now: of one dead letter, and of one object."""

import threading
from urllib.parse import quote

import pytest

from recovery.ledger.rows import State
from recovery.manager import present
from recovery.manager.present import LATE, Looker
from recovery.manager.redaction import HIDDEN, Redactor
from recovery.manager.sources import NO_INDEX
from recovery.operations import whereabouts
from recovery.operations.records.archive import Archive
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS, SQS_DOWN
from tests.support.api import Api
from worker.core.index.document import Write
from worker.core.indexing.retry_store import RetryRecord, RetryStore, parked_name
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs import dead_letter_store

KEY = "経理/契約 & <b>.pdf"
NASTY = ["a+b c%41&=;#?.txt", "x\u202egnp.exe", "日本/😀\n\t.txt", "'; DROP TABLE--", "/leading", "k" * 1_000]


def add(api, name="a", key=KEY, **fields):
    return api.add(
        name, body=s3_event(s3_record(BUCKET, key)), bucket=BUCKET, object_key=key, type="s3-event", **fields
    )


def now(api, name="a"):
    return api.get(f"/api/v1/messages/{name}/present")


def where(api, key=KEY, more=""):
    return api.get(f"/api/v1/where?key={quote(key, safe='')}{more}")


def hold_back(api, key=KEY, *, rejected=True, name=None):
    store = RetryStore(api.fakes.state)
    record = RetryRecord(
        Write(BUCKET, key, NOW_MS, None, None), "mapper_parsing_exception: bad date", rejected=rejected
    )
    store.put_as(name or record.name, record)
    store.close()
    return record


# -- a dead letter ---------------------------------------------------------------------------------------------------


def test_what_is_there_and_what_recovery_would_do_is_said(api):
    add(api)
    api.fakes.s3.bodies[KEY] = b"text"
    found = now(api)
    [one] = found["objects"]
    assert (one["bucket"], one["key"], one["has_changed"]) == (BUCKET, KEY, True)
    assert (one["s3"]["exists"], one["s3"]["size_bytes"], one["s3"]["etag"]) == (True, 4, api.fakes.s3.etag(KEY))
    assert (one["index"]["exists"], one["index"]["is_current"]) == (False, False)
    assert found["recovery"] == "recovery would index it: its object can be read"
    assert found["advice"]["command"] == "dlq recover --message-id a"
    api.fakes.indexed(KEY)
    [one] = now(api)["objects"]
    assert (one["index"]["is_current"], one["index"]["extraction"]) == (True, "ok")
    assert one["index"]["observed_at"] == "2026-11-18T11:06:39.000Z"


def test_what_is_gone_and_what_cannot_be_asked_is_said(api):
    add(api)
    [one] = now(api)["objects"]
    assert (one["s3"]["exists"], one["s3"]["problem"]) == (False, None)
    api.fakes.faults.add("index.stored", INDEX_DOWN)
    api.fakes.faults.add("s3.read", DOWN)
    api.ledger.change("a", version=None, by="me", action="note", note="x")
    found = now(api)
    [one] = found["objects"]
    assert (one["s3"]["exists"], one["s3"]["problem"]) == (None, "cannot be asked: down")
    assert (one["index"]["exists"], one["index"]["problem"]) == (None, "cannot be asked: down")
    assert found["recovery"] == "recovery cannot begin: down"
    assert found["advice"]["command"] == "s3-index-worker doctor"


def test_without_an_index_it_says_so(api):
    add(api)
    sources = api.sources.__class__(
        api.sources.settings, api.sources.clients, api.sources.state, api.rows, api.sources.source, None, None
    )
    found = Looker(sources).look(api.ledger.get("a"))
    assert (found.recovery, found.objects[0].index.problem) == (NO_INDEX, NO_INDEX)


def test_the_pause_and_what_another_holds_are_in_the_advice(api):
    row = add(api)
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.s3.records[PAUSE_KEY] = b'{"reason": "work", "by": "me"}'
    assert now(api)["advice"]["command"].endswith(" --while-paused")
    answer = api.ask(f"/api/v1/messages/{row.identity}/hold", method="PUT", body={"reason": "wait"}, if_match="*")
    assert answer.status_code == 200
    assert "holds it: wait" in now(api)["advice"]["why"]


def test_a_dead_letter_without_a_record_says_what_it_became(api):
    add(api, stored=False, state=State.RECOVERED)
    found = now(api)
    assert found["recovery"] == "nothing: it is recovered, and has no record any more"
    assert (found["objects"][0]["key"], found["advice"]) == (KEY, None)
    api.fakes.faults.add("state.get", DOWN)
    assert now(api)["recovery"] == "its record cannot be read: down"


@pytest.mark.parametrize("state", [State.ARCHIVED, State.ABANDONED])
def test_what_was_given_up_is_kept_by_the_archive(api, state):
    add(api, stored=False, state=state)
    assert (
        now(api)["recovery"] == f"nothing: it is {state}; the archive keeps it, until it is purged, and can restore it"
    )


def test_one_that_takes_too_long_is_asked_on_and_known_the_next_time(api, monkeypatch):
    monkeypatch.setattr(present, "LOOK_S", 0.2)
    add(api)
    go_on = threading.Event()
    read = api.fakes.s3.read

    def slow(bucket, key, **more):
        go_on.wait(10)
        return read(bucket, key, **more)

    monkeypatch.setattr(api.fakes.s3, "read", slow)
    found = now(api)
    assert (found["recovery"], found["advice"]) == (LATE, None)
    assert found["objects"][0]["s3"]["problem"].startswith("has not answered")
    go_on.set()
    monkeypatch.setattr(present, "LOOK_S", 8.0)
    assert "the object no longer exists" in now(api)["recovery"]
    before = api.fakes.faults.calls.count("index.stored")
    assert "the object no longer exists" in now(api)["recovery"]
    assert api.fakes.faults.calls.count("index.stored") == before + 1  # recovery's verdict is known


def test_of_many_objects_some_are_looked_at(api):
    body = s3_event(*(s3_record(BUCKET, f"{number}.txt") for number in range(25)))
    api.add("many", body=body)
    found = now(api, "many")
    assert (len(found["objects"]), found["left_out"]) == (20, 5)


def test_what_is_hidden_is_not_said(tmp_path):
    ledger = new_ledger(f"sqlite:///{tmp_path}/l.sqlite")
    api = Api(ledger, redactor=Redactor(["$..key"]))
    add(api)
    found = now(api)
    assert found["objects"][0]["key"] == HIDDEN
    assert KEY not in str(found)
    assert any("REDACT_FIELDS" in one for one in where(api)["unknown"])
    ledger.close()


def test_an_unknown_one_is_not_found(api):
    assert "no dead letter" in api.refused("/api/v1/messages/nobody/present", 404)["detail"]


# -- an object -------------------------------------------------------------------------------------------------------


def test_what_is_indexed_needs_no_further_explanation(api):
    add(api)
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.indexed(KEY)
    found = where(api)
    assert found["standing"] == "indexed"
    assert found["sentence"] == (
        "It has been in S3 since 2026-11-23T12:00:00.000Z (4 bytes), and the index has held it as it is now "
        "since 2026-11-18T11:06:39.000Z."
    )
    assert [one["identity"] for one in found["dead_letters"]] == ["a"]


@pytest.mark.parametrize(
    ("status", "standing"), [("ok", "indexed"), ("metadata_only", "indexed_by_name"), ("corrupt", "unreadable")]
)
def test_what_became_of_its_text_is_said(api, status, standing):
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.indexed(KEY, status=status)
    assert where(api)["standing"] == standing


def test_an_earlier_state_and_one_that_is_gone_are_said(api):
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.indexed(KEY)
    api.fakes.s3.bodies[KEY] = b"another"
    assert where(api)["standing"] == "outdated"
    del api.fakes.s3.bodies[KEY]
    assert where(api)["sentence"].startswith("It is not in S3, and the index holds it as it was before")


@pytest.mark.parametrize(
    ("rejected", "parked", "standing", "said"),
    [
        (True, False, "rejected", "because the index refused it: mapper_parsing_exception: bad date"),
        (False, False, "waiting", "because the index did not take it"),
        (True, True, "parked", "parked in retry-index/ since"),
    ],
)
def test_what_waits_in_retry_index_is_found(api, rejected, parked, standing, said):
    api.fakes.s3.bodies[KEY] = b"text"
    name = parked_name(RetryRecord(Write(BUCKET, KEY, NOW_MS, None, None), "", rejected=True).name) if parked else None
    hold_back(api, rejected=rejected, name=name)
    hold_back(api, "another.txt")
    found = where(api)
    assert (found["standing"], len(found["retry_index"])) == (standing, 1)
    assert said in found["sentence"]
    assert found["retry_index"][0]["is_parked"] is parked


def test_what_is_held_for_a_cap_is_found(api):
    store = RetryStore(api.fakes.state)
    store.hold(BUCKET, KEY, NOW_MS, scope="s3://files/経理/", reason="MAX_FILES_PER_DAY is used up")
    store.close()
    assert where(api)["standing"] == "capped"


@pytest.mark.parametrize("key", NASTY)
def test_any_key_is_found_everywhere(api, key):
    add(api, key=key)
    hold_back(api, key)
    stored = dead_letter_store.read(api.fakes.state, api.ledger.get("a").key)
    assert stored is not None
    Archive(api.fakes.state, "q", "me", "run").put(
        stored.dead_letter.__class__("old", stored.dead_letter.body, {"SentTimestamp": str(NOW_MS)}, {}),
        about=key, reason="corrupt", error_type="E",
    )  # fmt: skip
    found = where(api, key)
    assert (found["key"], found["standing"]) == (key, "rejected")
    assert [one["identity"] for one in found["dead_letters"]] == ["a"]
    assert [one["identity"] for one in found["archived"]] == ["old"]
    other = where(api, key + "x" if len(key) < 1_000 else key[:-1])
    assert (other["dead_letters"], other["archived"], other["retry_index"]) == ([], [], [])


def test_among_more_names_than_are_read_those_of_the_last_days_are_found(api, monkeypatch):
    monkeypatch.setattr(whereabouts, "MAX_NAMES", 3)
    for number in range(5):
        hold_back(api, f"{number}.txt")
    hold_back(api, "zz/last.txt")
    found = where(api, "zz/last.txt")
    assert found["standing"] == "rejected"
    assert any("more records than are looked through" in one for one in found["unknown"])


@pytest.mark.parametrize(
    ("state", "fields", "standing"),
    [
        (State.OPEN, {}, "open"),
        (State.OPEN, {"hold": "legal"}, "held"),
        (State.SCHEDULED, {"retry_at_ms": NOW_MS}, "scheduled"),
        (State.SENT, {"sent_at_ms": NOW_MS}, "sent"),
        (State.ARCHIVED, {}, "given_up"),
        (State.ABANDONED, {}, "given_up"),
        (State.MISSING, {}, "missing"),
        (State.RECOVERED, {}, "unindexed"),
    ],
)
def test_each_state_of_its_dead_letter_is_said(api, state, fields, standing):
    api.fakes.s3.bodies[KEY] = b"text"
    add(api, stored=False, state=state, **fields)
    found = where(api)
    assert found["standing"] == standing
    if standing != "unindexed":
        assert "ReadTimeoutError" in found["sentence"]


def test_of_what_is_nowhere_no_message_and_no_command_is_promised(api):
    api.fakes.source.add("m", "{}")
    found = where(api)
    assert (found["standing"], found["in_queue"]) == ("nowhere", 1)
    assert found["sentence"] == (
        "It is not in S3, and the index has nothing under this name: check the name and the folder."
    )
    found = where(api, more="&bucket=other-bucket")
    assert found["standing"] == "nowhere"
    assert found["sentence"] == (
        "The bucket other-bucket does not exist, and the index has nothing under this name: check the bucket's name."
    )


def test_what_is_not_indexed_may_still_be_in_a_queue(api):
    api.fakes.s3.bodies[KEY] = b"text"
    found = where(api)
    assert found["standing"] == "unindexed"
    assert "`reconcile_index s3://files --fix` finds what is missing" in found["sentence"]
    api.fakes.source.add("m", "{}")
    api.fakes.dlq.add("d", "{}")
    found = where(api)
    assert (found["in_queue"], found["in_dlq"]) == (1, 1)
    assert found["sentence"].endswith(
        "and the index does not hold it; messages that have not been processed yet (2) may be about it."
    )


@pytest.mark.parametrize("silent", ["source.attributes", "dlq.attributes"])
def test_nothing_is_called_lost_while_one_queue_does_not_say_what_it_has(api, silent):
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.faults.add(silent, SQS_DOWN)
    assert where(api)["sentence"].endswith(
        "and the index does not hold it; whether a message about it waits is not known."
    )


def test_what_the_settings_keep_out_is_said(api):
    api.fakes.s3.bodies[KEY] = b"text"
    sources = api.service.sources
    object.__setattr__(sources, "settings", sources.settings.model_copy(update={"exclude_keys": ["経理/*"]}))
    assert where(api)["sentence"].endswith("and it is not to be in the index: it is inside EXCLUDE_KEYS.")


def test_an_outage_of_everything_is_said_in_sentences(api, monkeypatch):
    for name in ("s3.read", "state.list", "source.attributes", "dlq.attributes"):
        api.fakes.faults.add(name, SQS_DOWN if "attributes" in name else DOWN)
    api.fakes.faults.add("index.stored", INDEX_DOWN)
    found = where(api)
    assert (found["standing"], found["in_queue"], found["in_dlq"]) == ("unknown", None, None)
    assert found["sentence"].startswith("S3 does not say whether it exists (cannot be asked: down)")
    assert len(found["unknown"]) == 6


@pytest.mark.parametrize("name", ["s3.read", "state.list", "index.stored", "dlq.attributes"])
def test_each_outage_leaves_what_the_others_say(api, name):
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.faults.add(name, {"index.stored": INDEX_DOWN, "dlq.attributes": SQS_DOWN}.get(name, DOWN))
    found = where(api)
    assert len(found["unknown"]) == (2 if name == "state.list" else 1)
    assert found["s3"]["exists"] is (None if name == "s3.read" else True)


def test_the_bucket_defaults_and_names_that_cannot_be_are_refused(api):
    assert where(api)["bucket"] == BUCKET
    assert where(api, more="&bucket=other-bucket")["s3"]["problem"] == "cannot be asked: no such bucket"
    assert api.refused("/api/v1/where?key=a&bucket=s3://x", 400)["field"] == "bucket"
    assert api.refused("/api/v1/where?key=", 400)["field"] == "key"
    assert api.refused(f"/api/v1/where?key={'%E5%A5%91' * 400}", 400)["field"] == "key"
    assert api.refused("/api/v1/where", 400)["field"] == "key"

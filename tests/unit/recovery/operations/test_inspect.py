"""What `inspect` advises is what then happens: for everything that S3, the index, the record and the message may say."""

import itertools
import json
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest

from recovery.operations.advice import DOCTOR
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import MAX_REDRIVES, Filter, facts_of
from recovery.operations.dead_letters.scan import receive
from recovery.operations.engine import Disposition, RecoveryEngine
from recovery.operations.inspect import Recovery, inspect
from recovery.operations.recovering.outlook import dry_engine, sentence
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.sending import Rules
from testing.aws import s3_event, s3_record
from testing.fakes import Fakes, included_types
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS
from worker.core.audit import Run
from worker.core.base.classify import FailureKind
from worker.core.base.errors import IndexUnavailableError
from worker.core.clients import make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.pause import pause_fleet
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs.dead_letter import Refused
from worker.core.sqs.dead_letter_store import write
from worker.core.sqs.stored_dead_letter import Claim, Hold, Sending, StoredState
from worker.core.sqs.visibility import VisibilityExtender

KEY = "a.pdf"
NOISE = bytes(range(256)) * 10  # no PDF, which is found out without a child process
NO_WAITS = threading.Event()
NO_WAITS.set()
KINDS = [None, *FailureKind]
MAPS = {"type": "maps", "correlation_id": "c-1"}


def in_s3(fakes, state):
    fakes.s3.bodies |= {KEY: NOISE if state == "unreadable" else b"%not a PDF but text", "other.txt": b"x"}
    match state:
        case "gone":
            del fakes.s3.bodies[KEY]
        case "denied":
            fakes.s3.denied.add(KEY)
        case "bucket denied":
            fakes.s3.denied_buckets.add(BUCKET)
        case "down":
            fakes.faults.add("s3.read", DOWN)


def in_index(fakes, state):
    match state:
        case "current" if KEY in fakes.s3.bodies:
            fakes.indexed(KEY)
        case "rejects" if KEY in fakes.s3.bodies:
            fakes.index.rejects.add(KEY)
        case "down":
            for call in ("index.stored", "index.write"):
                fakes.faults.add(call, INDEX_DOWN)
        case "missing":
            fakes.index.exists = False


S3 = ("readable", "unreadable", "gone", "no bucket", "denied", "bucket denied", "down", "bug")
FAULTS_OF_THE_SYSTEM = ("no bucket", "denied", "bucket denied", "bug")
INDEX = ("nothing", "current", "rejects", "down", "missing")


def body_of(kind, bucket=BUCKET):
    match kind:
        case "event":
            return s3_event(s3_record(bucket, KEY))
        case "half malformed":
            return json.dumps({"Records": [json.loads(s3_event(s3_record(bucket, KEY)))["Records"][0], {"s3": 7}]})
        case "excluded":
            return s3_event(s3_record(bucket, "a.tmp"))
        case "test event":
            return json.dumps({"Event": "s3:TestEvent"})
    return "noise"


def failure(kind, redrives=0):
    return None if kind is None else {"kind": kind, "error_type": "E", "message": "m", "redrives": redrives}


def add(fakes, body, record=None):
    attributes = {"failure": {"DataType": "String", "StringValue": json.dumps(record)}} if record else {}
    fakes.dlq.add("m1", body, attributes, sent_ms=NOW_MS)
    [dead_letter] = receive(fakes.dlq, 1, visibility_s=60)
    return dead_letter


def dlq_clients(fakes):
    return DlqClients(fakes.dlq, fakes.s3, fakes.state, included_types())


def advice_on(fakes, dead_letter, *, engine=True):
    with ExitStack() as stack:
        settings = fakes.settings(exclude_keys=("*.tmp",))
        made = dry_engine(settings, fakes.clients, included_types(), NO_WAITS, stack) if engine else None
        recovery = Recovery(fakes.index if engine else None, "" if engine else "not asked", made)
        [one] = inspect(dlq_clients(fakes), recovery, [facts_of(dead_letter, included_types())])
    return one.advice


def what_recovery_does(fakes, dead_letter):
    """Its verdict, after it has done it; None if it does not begin, because the index is unavailable."""
    settings = fakes.settings(exclude_keys=("*.tmp",))
    fakes.index.ensure()
    with (
        ThreadPoolExecutor(1) as pool, closing(RetryStore(fakes.state)) as store,
        closing(make_extractor(settings)) as extractor,
    ):  # fmt: skip
        engine = RecoveryEngine(
            settings, fakes.clients, pipeline=Pipeline(settings, fakes.clients.objects, extractor=extractor), retry=store,
            pool=pool, types=included_types(), stopping=NO_WAITS, dry_run=False,
        )  # fmt: skip
        try:
            [verdict] = engine.examine([dead_letter])
        except IndexUnavailableError:
            return None
        return verdict


def agrees(advice, verdict):
    """Whether what was advised is what recovery did."""
    if verdict is None:
        return advice.command == DOCTOR
    if advice.command.startswith("dlq delete"):
        return verdict.disposition in {Disposition.ARCHIVED, Disposition.KEPT} and "malformed" in advice.command
    if bool(advice.first) != (verdict.disposition is Disposition.KEPT and verdict.is_final):
        return False
    if verdict.disposition is Disposition.STORED_FOR_RETRY:
        return "recovery would index it" in advice.why and "goes to retry-index/" in advice.why
    return advice.command == "dlq recover --message-id m1" and advice.why.startswith(sentence(verdict))


@pytest.mark.parametrize("state", S3)
def test_the_advice_on_an_event_is_what_recovery_then_does(state, monkeypatch):
    if state == "bug":
        monkeypatch.setattr(Pipeline, "document", lambda *_, **__: 1 // 0)
    bodies = ("event", "half malformed", "excluded")
    for index, kind, body in itertools.product(INDEX, KINDS, bodies):
        fakes: Any = Fakes()
        in_s3(fakes, state)
        in_index(fakes, index)
        dead_letter = add(fakes, body_of(body, "missing-bucket" if state == "no bucket" else BUCKET), failure(kind))
        advice = advice_on(fakes, dead_letter)
        verdict = what_recovery_does(fakes, dead_letter)
        assert agrees(advice, verdict), (index, kind, body, advice, verdict)
        is_system_error = state in FAULTS_OF_THE_SYSTEM and body != "excluded" and index != "current"
        if verdict is not None and (is_system_error or kind is FailureKind.SYSTEM_ERROR):
            assert verdict.disposition is not Disposition.ARCHIVED, (index, kind, body)


@pytest.mark.parametrize(
    ("state", "first"),
    [
        ("no bucket", "create s3://gone-files again, if it should exist"),
        ("denied", f"grant s3:GetObject on s3://{BUCKET}/* to the worker's role, and kms:Decrypt if it is encrypted"),
        ("unreadable", f"replace s3://{BUCKET}/{KEY} by a file that can be read"),
    ],
)
def test_where_recovery_waits_for_a_correction_the_advice_begins_with_it_and_ends_with_giving_up(state, first):
    fakes: Any = Fakes()
    in_s3(fakes, state)
    bucket = "gone-files" if state == "no bucket" else BUCKET
    record = {**(failure("SYSTEM_ERROR") or {}), "fingerprint": "39269e679fdb"}
    advice = advice_on(fakes, add(fakes, body_of("event", bucket), record))
    assert (advice.first, advice.command) == (first, "dlq recover --message-id m1")
    match, forget = "", list[str]()
    if state == "no bucket":  # others of the group may be of a bucket that comes back
        match, forget = " --match s3://gone-files/", ["s3-index-worker forget s3://gone-files"]
    assert advice.instead == (f"dlq abandon --group 39269e679fdb{match} --reason WHY", *forget)
    assert "delete" not in advice.why


@pytest.mark.parametrize(
    ("bucket", "key", "is_given_up"),
    [
        ("gone-files", "b/日本.pdf", True),
        ("not-gone-files", "a.pdf", False),
        ("other-files", "gone-files/a.pdf", False),
        ("gone-files-2", "a.pdf", False),
    ],
)
def test_giving_up_a_bucket_that_is_gone_selects_its_messages_and_none_of_other_buckets(bucket, key, is_given_up):
    fakes: Any = Fakes()
    record = {**(failure("SYSTEM_ERROR") or {}), "fingerprint": "39269e679fdb"}
    words = shlex.split(advice_on(fakes, add(fakes, body_of("event", "gone-files"), record)).instead[0])
    selected = Filter(group=words[words.index("--group") + 1], match=words[words.index("--match") + 1])
    other = add(Fakes(), s3_event(s3_record(bucket, key)), record)
    assert selected.wants(facts_of(other, included_types())) is is_given_up


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", ["noise", "test event"])
def test_the_advice_on_a_message_without_an_object_is_what_recovery_then_does(body, kind):
    fakes = Fakes()
    dead_letter = add(fakes, body_of(body), failure(kind))
    advice, verdict = advice_on(fakes, dead_letter), what_recovery_does(fakes, dead_letter)
    assert agrees(advice, verdict)
    assert advice.command.startswith("dlq delete" if body == "noise" else "dlq recover")


@pytest.mark.parametrize("redrives", [0, MAX_REDRIVES])
@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize("body", [json.dumps(MAPS), '{"type": "maps"}', "event", "noise"])
def test_what_recovery_cannot_do_is_redriven_if_that_is_allowed_and_else_deleted(body, engine, redrives):
    fakes = Fakes()
    text = body_of(body) if body in {"event", "noise"} else body
    dead_letter = add(fakes, text, failure("UNKNOWN", redrives))
    advice = advice_on(fakes, dead_letter, engine=engine)
    allowed = not isinstance(Rules(fakes.dlq, {}, included_types()).redriven(dead_letter), Refused)
    if engine and body == "event":
        assert advice.command == "dlq recover --message-id m1"
    elif allowed:
        assert advice.command == "dlq redrive --message-id m1"
    else:
        assert advice.command.startswith("dlq delete --message-id m1 --reason ")


STANDINGS: dict[str, dict[str, Any]] = {
    "held": {"hold": Hold("ask the sender first", "ana")},
    "sent": {"state": StoredState.SENT, "sent": Sending(NOW_MS, "ana", "r", "http://q", NOW_MS + 1_000_000)},
    "claimed": {"claim": Claim("ana", "another-run", NOW_MS + 1_000_000)},
    "open": {},
}


@pytest.mark.parametrize("standing", STANDINGS)
def test_what_no_command_may_touch_is_to_be_left_alone(standing):
    fakes = Fakes()
    fakes.dead_letter("m1", KEY)
    stored = write(fakes.state, replace(fakes.store("m1"), **STANDINGS[standing]))
    assert stored is not None
    advice = advice_on(fakes, stored.dead_letter)
    run = Run.new("dlq recover", action="recover", by="me@here")
    clock = fakes.s3.clock
    refused = Claims(fakes.dlq, fakes.state, run, VisibilityExtender(fakes.dlq, visibility_s=60), clock).take(
        [stored.dead_letter]
    )
    assert bool(refused) == advice.command.startswith("dlq inspect")
    assert all(why in advice.why for why in refused.values())
    assert len(fakes.under(DEAD_LETTERS_PREFIX)) == 1


def test_while_the_fleet_is_paused_the_advised_command_runs_nevertheless():
    fakes = Fakes()
    pause_fleet(fakes.state, by="ana", reason="an upgrade", lasting_s=None)
    recovered = advice_on(fakes, add(fakes, body_of("event")))
    assert recovered.command == "dlq recover --message-id m1 --while-paused"
    assert "paused" in recovered.why


def test_an_id_that_a_shell_would_read_otherwise_is_quoted():
    fakes = Fakes()
    dead_letter = replace(add(fakes, body_of("event")), id="a b; rm -rf /")
    assert advice_on(fakes, dead_letter).command == "dlq recover --message-id 'a b; rm -rf /'"

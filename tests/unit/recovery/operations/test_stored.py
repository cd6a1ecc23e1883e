"""Dead letters in `dead-letters/`: every operation finds them beside those of the DLQ, and only one run at a time acts on them."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from recovery.operations.abandon import AbandonRequest, ArchivedAs, abandon
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.find import FindRequest, claiming, find
from recovery.operations.inspect import Recovery, inspect
from recovery.operations.native_move import plan_move
from recovery.operations.purge import PurgeRequest, purge
from recovery.operations.records.operator_file import OperatorFile
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.redrive import Canary, RedriveRequest, plan_redrive, redrive
from recovery.operations.restore import RestoreRequest, plan_restore
from recovery.operations.transfer.claims import CLAIM_S, Claims
from recovery.operations.transfer.targets import dlq_target, redrive_target
from testing.memory import NOW_MS
from tests.support.verbs import AUDIT
from worker.core.audit import Run
from worker.core.base.errors import StoreError
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import read, write
from worker.core.sqs.stored_dead_letter import Retry
from worker.core.sqs.visibility import VisibilityExtender

DENIED = StoreError("denied", code="AccessDenied")
ALL = FindRequest(Filter())
STOP = threading.Event()


@pytest.fixture
def clients(fakes):
    return DlqClients(fakes.dlq, fakes.s3, fakes.state, load_types(None))


def fill(fakes, *, stored=3, in_dlq=2):
    """Stored ones are s0, s1 …, which were m0, m1 … in the DLQ; those in the DLQ are d0, d1 …"""
    for number in range(stored):
        failure = {"source_message_id": f"s{number}", "source_queue": "http://sqs/q/source", "error_type": "OSError"}
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure=failure)
        fakes.store(f"m{number}")
    for number in range(in_dlq):
        fakes.dead_letter(f"d{number}", f"d{number}.txt", failure={"error_type": "OSError"})


def run_of(command="dlq redrive"):
    return Run.new(command, action=command.partition(" ")[2], by="op@host")


def found_ids(clients, which):
    with claiming(clients, run_of("dlq list")) as claims:
        found = find(clients, claims, FindRequest(which), stop=STOP)
    return [one.dead_letter.id for one in found.facts], found


def send_all(fakes, clients, *, force=False, which=ALL, canary=None):
    run = run_of()
    target = redrive_target(clients, fakes.source, is_named=True, force=force)
    with claiming(clients, run) as claims:
        plan = plan_redrive(find(clients, claims, which, stop=STOP), target)
        return redrive(clients, claims, RedriveRequest(run, which, canary=canary), plan, stop=STOP)


def records(fakes):
    return {record["dead_letter_id"]: record for record in fakes.under(DEAD_LETTERS_PREFIX).values()}


def stored_ones(fakes):
    found = (read(fakes.state, key) for key in fakes.under(DEAD_LETTERS_PREFIX))
    return [one.dead_letter for one in found if one]


def audited(fakes):
    return {name: text for event in fakes.under(AUDIT).values() for name, text in event["result"].items()}


# -- find ------------------------------------------------------------------------------------------------------------


def test_both_places_are_seen_as_one(fakes, clients):
    fill(fakes)
    names, found = found_ids(clients, Filter())
    assert names == ["d0", "d1", "s0", "s1", "s2"]
    assert found.scan.coverage == "saw 2 of about 2, and 3 in dead-letters/"
    assert found_ids(clients, Filter(match="d1.txt"))[0] == ["d1"]
    assert found_ids(clients, Filter(match="2.txt"))[0] == ["s2"]


@pytest.mark.parametrize("name", ["s1", "m1"])
def test_a_stored_dead_letter_is_found_by_any_id_it_has_had(fakes, clients, name):
    fill(fakes)
    assert found_ids(clients, Ids(frozenset({name})))[0] == ["s1"]


def test_a_stored_dead_letter_is_fetched_without_reading_the_dlq_or_the_others(fakes, clients):
    fill(fakes)
    fakes.faults.calls.clear()
    assert found_ids(clients, Ids(frozenset({"s1"})))[0] == ["s1"]
    assert "dlq.receive" not in fakes.faults.calls
    assert fakes.faults.calls.count("state.get") == 1


def test_a_message_of_the_dlq_is_found_by_the_id_that_the_worker_logged(fakes, clients):
    fakes.dead_letter("d0", "a.txt", failure={"source_message_id": "s-in-the-journal"})
    assert found_ids(clients, Ids(frozenset({"s-in-the-journal"})))[0] == ["d0"]


def test_an_id_that_another_forged_finds_its_owner_alone(fakes, clients):
    fakes.dead_letter("forger", "a.txt", failure={"source_message_id": "d0"})
    fakes.dead_letter("d0", "b.txt")
    names, found = found_ids(clients, Ids(frozenset({"d0", "nobody"})))
    assert (names, found.missing) == (["d0"], ("nobody",))


def test_a_message_that_is_stored_and_not_yet_deleted_is_one_dead_letter(fakes, clients):
    fill(fakes, stored=1, in_dlq=0)
    fakes.dead_letter("m0", "0.txt", failure={"source_message_id": "s0", "source_queue": "http://sqs/q/source"})
    assert found_ids(clients, Filter())[0] == ["s0"]
    assert fakes.dlq.hidden == set()
    result = send_all(fakes, clients)
    assert (result.report.sent, len(fakes.source.messages), fakes.dlq.messages) == (["s0"], 1, {})


def test_the_dlq_is_read_even_if_the_state_bucket_cannot_be(fakes, clients):
    fill(fakes)
    fakes.faults.add("state.list", DENIED, times=100)
    names, found = found_ids(clients, Filter())
    assert names == ["d0", "d1"]
    assert "dead-letters/ could not be read" in found.scan.coverage


# -- redrive ---------------------------------------------------------------------------------------------------------


def test_what_was_sent_stays_marked_until_its_result_is_known(fakes, clients, monkeypatch):
    fill(fakes)
    result = send_all(fakes, clients)
    assert sorted(result.report.sent) == ["d0", "d1", "s0", "s1", "s2"]
    assert (len(fakes.source.messages), fakes.dlq.messages) == (5, {})
    assert {record["state"] for record in records(fakes).values()} == {"sent"}
    assert {record["claim"] for record in records(fakes).values()} == {None}
    assert found_ids(clients, Filter())[0] == [], "every verb skips what is sent"
    assert found_ids(clients, Ids(frozenset({"s0"})))[0] == ["s0"], "and shows it to who asks for it"
    again = send_all(fakes, clients, which=FindRequest(Ids(frozenset({"s0"}))))
    assert "what came of that is not known yet" in again.report.refused["s0"]
    monkeypatch.setattr(fakes.s3.clock, "now_ms", lambda: NOW_MS + 2 * 900_000 + 1)
    assert len(found_ids(clients, Filter())[0]) == 3, "what has neither been processed nor returned can be sent again"


def test_a_redrive_ends_the_schedule_and_keeps_its_count(fakes, clients):
    fill(fakes, in_dlq=0)
    [key, *_] = sorted(fakes.under(DEAD_LETTERS_PREFIX))
    stored = read(fakes.state, key)
    assert stored is not None
    assert write(fakes.state, replace(stored, retry=Retry(2, NOW_MS + 1)))
    assert send_all(fakes, clients).report.is_complete
    sent = read(fakes.state, key)
    assert sent is not None
    assert (sent.state, sent.retry, sent.is_scheduled) == ("sent", Retry(2, None), False)


def test_a_sending_is_dated_by_its_claim_for_a_worker_may_be_faster_than_sqs_answers(fakes, clients, monkeypatch):
    fill(fakes, in_dlq=0)
    send = fakes.source.send

    def send_slowly(entries):
        monkeypatch.setattr(fakes.s3.clock, "now_ms", lambda: NOW_MS + 5_000)
        return send(entries)

    monkeypatch.setattr(fakes.source, "send", send_slowly)
    assert send_all(fakes, clients).report.is_complete
    assert {one["sent"]["at_ms"] for one in records(fakes).values()} == {NOW_MS}


def test_a_redriven_message_that_fails_again_is_the_same_dead_letter(fakes, clients):
    fill(fakes, in_dlq=0)
    send_all(fakes, clients)
    for number, message in enumerate(list(fakes.source.messages.values())):
        fakes.dlq.messages[f"back-{number}"] = fakes.source.messages.pop(message.id)
        fakes.dlq.add(f"back-{number}", message.body, message.attributes)
        fakes.store(f"back-{number}")
    assert {name: (record["state"], len(record["arrivals"])) for name, record in records(fakes).items()} == {
        "s0": ("open", 2), "s1": ("open", 2), "s2": ("open", 2)
    }  # fmt: skip
    assert {record["failure"]["redrives"] for record in records(fakes).values()} == {1}


def test_one_of_two_runs_acts(fakes, clients):
    fill(fakes, stored=1, in_dlq=0)
    first, second = run_of(), run_of()
    target = redrive_target(clients, fakes.source, is_named=True)
    with claiming(clients, first) as one, claiming(clients, second) as two:
        plans = [plan_redrive(find(clients, claims, ALL, stop=STOP), target) for claims in (one, two)]
        assert one.take([plans[0].prepared[0][0]]) == {}
        late = redrive(clients, two, RedriveRequest(second, ALL), plans[1], stop=STOP)
        assert f"op@host is acting on it ({first.name})" == late.report.refused["s0"]
        done = redrive(clients, one, RedriveRequest(first, ALL), plans[0], stop=STOP)
    assert (done.report.sent, len(fakes.source.messages)) == (["s0"], 1)


def test_claims_end_with_the_run_and_a_killed_run_s_after_a_while(fakes, clients, monkeypatch):
    fill(fakes, stored=2, in_dlq=0)
    with claiming(clients, run_of()) as claims:
        taken = stored_ones(fakes)
        assert claims.take(taken) == {}
        assert {record["claim"]["holder"] for record in records(fakes).values()} == {"op@host"}
    assert {record["claim"] for record in records(fakes).values()} == {None}
    killed = Claims(fakes.dlq, fakes.state, run_of(), VisibilityExtender(fakes.dlq, visibility_s=60), fakes.s3.clock)
    assert killed.take(taken) == {}
    with claiming(clients, run_of()) as claims:
        assert len(claims.take(taken)) == 2
        monkeypatch.setattr(fakes.s3.clock, "now_ms", lambda: NOW_MS + CLAIM_S * 1000)
        assert claims.take(taken) == {}


def test_a_return_that_came_before_it_was_marked_stays_open(fakes, clients, monkeypatch):
    fill(fakes, stored=1, in_dlq=0)
    send = fakes.source.send

    def send_and_fail(entries):
        refused = send(entries)
        fakes.dlq.add("back", entries[0]["MessageBody"], entries[0]["MessageAttributes"])
        fakes.store("back")
        return refused

    monkeypatch.setattr(fakes.source, "send", send_and_fail)
    send_all(fakes, clients)
    assert records(fakes)["s0"]["state"] == "open"
    assert records(fakes)["s0"]["sent"]["by"] == "op@host"


def test_the_canary_is_also_looked_for_where_a_manager_puts_it(fakes, clients, monkeypatch):
    fill(fakes, stored=0, in_dlq=4)
    send = fakes.source.send

    def send_and_fail(entries):
        refused = send(entries)
        for number, entry in enumerate(entries):
            fakes.dlq.add(f"back-{number}", entry["MessageBody"], entry["MessageAttributes"])
            fakes.store(f"back-{number}")
        return refused

    monkeypatch.setattr(fakes.source, "send", send_and_fail)
    result = send_all(fakes, clients, canary=Canary(2, 0))
    assert result.canary is not None
    assert (result.canary.sent, result.canary.came_back) == (2, 2)
    assert (len(result.report.sent), len(result.report.kept)) == (2, 2)


def test_the_canary_s_fate_is_unknown_if_the_state_bucket_cannot_be_read(fakes, clients):
    fill(fakes, stored=0, in_dlq=4)
    fakes.faults.add("state.list", DENIED, after=1, times=100)
    result = send_all(fakes, clients, canary=Canary(2, 0))
    assert result.canary is not None
    assert result.canary.came_back is None
    assert len(result.report.kept) == 2


def test_sqs_cannot_move_what_is_stored(fakes, clients):
    fill(fakes)
    with claiming(clients, run_of()) as claims:
        plan = plan_move(clients, find(clients, claims, ALL, stop=STOP), dlq_target(clients))
    assert (plan.found, plan.stored) == (2, 3)


# -- abandon, restore, purge, recover ----------------------------------------------------------------------------------


def test_abandoned_dead_letters_are_archived_and_audited_before_they_are_deleted(fakes, clients):
    fill(fakes)
    run = run_of("dlq abandon")
    request = AbandonRequest(run, ALL, "why", ArchivedAs.ABANDONED)
    with claiming(clients, run) as claims:
        done = abandon(clients, fakes.state, claims, request, find(clients, claims, ALL, stop=STOP), stop=STOP)
    assert (len(done.report.sent), done.report.is_complete) == (5, True)
    assert (records(fakes), fakes.dlq.messages, len(fakes.under(ARCHIVE_PREFIX))) == ({}, {}, 5)
    assert {name: audited(fakes).get(name) for name in ("s0", "s1", "s2")} == dict.fromkeys(
        ("s0", "s1", "s2"), "abandoned"
    )
    target = dlq_target(clients)
    for name in ("s1", "m1"):
        plan = plan_restore(fakes.state, RestoreRequest(run, ids=(name,)), target)
        assert ([one.dead_letter.id for one in plan.entries], plan.missing) == (["s1"], ())


def test_a_record_stays_if_the_audit_cannot_be_written(fakes, clients):
    fill(fakes, in_dlq=0)
    run = run_of("dlq abandon")
    request = AbandonRequest(run, ALL, "why", ArchivedAs.ABANDONED)
    with claiming(clients, run) as claims:
        found = find(clients, claims, ALL, stop=STOP)
        fakes.faults.add("state.put", DENIED, after=3, times=100)
        done = abandon(clients, fakes.state, claims, request, found, stop=STOP)
    assert sorted(done.report.not_deleted) == ["s0", "s1", "s2"]
    assert {record["state"] for record in records(fakes).values()} == {"open"}


def test_a_purge_deletes_exactly_what_it_exported_from_both_places(fakes, clients, tmp_path):
    fill(fakes)
    run = run_of("dlq purge")
    file = OperatorFile.at(tmp_path / "all.jsonl")
    with claiming(clients, run) as claims:
        found = find(clients, claims, ALL, stop=STOP)
        fakes.dead_letter("late", "late.txt")
        fakes.store("late")
        done = purge(clients, claims, PurgeRequest(run, file), found, stop=STOP)
    assert done.counts() == {"deleted": 5, "not_deleted": 0, "kept": 0}
    assert list(records(fakes)) == ["late"]


def test_recovery_settles_both_and_says_so_in_the_audit(fakes, clients):
    fill(fakes)
    for number in range(3):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
    request = RecoverRequest(run_of("recover_dlq recover"), load_types(None))
    report = recover(fakes.settings(), fakes.clients, request, stop=STOP)
    assert report.counts == {"recovered": 3, "gone": 2}
    assert (records(fakes), fakes.dlq.messages) == ({}, {})
    assert [audited(fakes)[name] for name in ("s0", "s1", "s2")] == ["recovered"] * 3


@pytest.mark.parametrize("name", ["s1", "m1"])
def test_one_stored_dead_letter_is_recovered_by_any_of_its_ids(fakes, clients, name):
    fill(fakes)
    fakes.s3.bodies["1.txt"] = b"x"
    request = RecoverRequest(run_of("dlq recover"), load_types(None), ids=frozenset({name}))
    report = recover(fakes.settings(), fakes.clients, request, stop=STOP)
    assert (report.counts, report.also["not_found"]) == ({"recovered": 1}, 0)
    assert sorted(records(fakes)) == ["s0", "s2"]
    assert len(fakes.dlq.messages) == 2


def test_recovery_leaves_alone_what_another_run_has_claimed(fakes, clients):
    fill(fakes, stored=2, in_dlq=0)
    with claiming(clients, run_of()) as other:
        other.take(stored_ones(fakes))
        request = RecoverRequest(run_of("recover_dlq recover"), load_types(None))
        report = recover(fakes.settings(), fakes.clients, request, stop=STOP)
    assert report.counts == {"kept": 2}
    assert report.is_unfinished
    assert {cause.error_type for cause in report.causes()} == {"Claimed"}
    assert len(records(fakes)) == 2


# -- inspect -----------------------------------------------------------------------------------------------------------


def test_an_inspection_tells_the_life_of_a_stored_dead_letter(fakes, clients):
    fill(fakes, stored=1, in_dlq=0)
    send_all(fakes, clients)
    with claiming(clients, run_of("dlq inspect")) as claims:
        found = find(clients, claims, FindRequest(Ids(frozenset({"m0"}))), stop=STOP)
    [one] = inspect(clients, Recovery(), found.facts)
    shown: Any = one.as_json(retention_s=1)
    assert shown["message_id"] == "s0"
    assert shown["expires_in_s"] is None
    assert shown["record"]["state"] == "sent"
    assert shown["record"]["sent"]["to"] == fakes.source.url
    assert [arrival["message_id"] for arrival in shown["record"]["arrivals"]] == ["m0"]


def test_a_copy_in_the_dlq_of_what_was_settled_here_is_deleted_with_it(fakes, clients):
    fill(fakes, stored=1, in_dlq=0)
    copy = DeadLetter("m0", "x", {}, {}, receipt="r-m0")
    fakes.dlq.add("m0", "x")
    with claiming(clients, run_of("dlq abandon")) as claims:
        [stored] = stored_ones(fakes)
        claims.copies[stored.id] = [copy]
        assert claims.take([stored]) == {}
        assert claims.remove([stored], "abandoned") == {}
    assert fakes.dlq.messages == {}

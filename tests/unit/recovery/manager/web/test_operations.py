"""Plans, operations, holds, notes, owners, the fleet: the routes that change something."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from recovery.ledger import plans
from recovery.ledger.operation_items import Result
from recovery.ledger.operations import OperationState
from recovery.ledger.rows import Outcome, State
from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics, ReplayStatus
from recovery.manager.operations import Operations
from recovery.manager.web.guard import MAX_BODY_BYTES
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.principal import Needs, Principal, Role
from recovery.operations.records.export_file import ExportFileError, export_lines, read_export
from recovery.operations.records.operator_file import OperatorFile, perform
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET
from worker.core.base.errors import StoreError
from worker.core.base.liveness import Liveness
from worker.core.s3.brakes import BrakeRecord, Cause
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, NO_CONDITIONS, PAUSE_KEY
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter

FAST = {"ramp": False}


@pytest.fixture
def three(api):
    """Three dead letters that can be sent again."""
    for name in ("a", "b", EXAMPLE_ID):
        api.add(name, body=s3_event(s3_record(BUCKET, name)))
    return api


def planned(api, status=201, **wanted):
    return api.post("/api/v1/plans", {"verb": "redrive", "options": FAST, **wanted}, status=status)


def execute(api):
    operations = Operations(api.ledger, api.service.verbs, ManagerMetrics(Figures), stop=api.stopping)
    while operations.once("one", Liveness(60)):
        pass


def refused(api, method, path, status, body=None, **headers):
    answer = api.ask(path, method=method, body=body, **headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_a_plan_becomes_an_operation_that_can_be_followed(three):
    plan = planned(three, q="")
    assert (plan["count"], plan["refused"], plan["by"], plan["options"]) == (3, {}, "api@host", FAST)
    assert three.get(f"/api/v1/plans/{plan['id']}") == plan
    sample = three.get(f"/api/v1/plans/{plan['id']}/sample")["items"]
    assert [one["identity"] for one in sample] == ["a", "b", EXAMPLE_ID]
    answer = three.ask("/api/v1/operations", method="POST", body={"plan": plan["id"]})
    assert answer.status_code == 202
    where = answer.headers["location"]
    assert three.get(where)["state"] == "waiting"
    execute(three)
    done = three.get(where)
    assert (done["state"], done["done"], done["left"]) == ("done", 3, 0)
    assert three.get("/api/v1/operations?state=done")["items"] == [done]
    page = three.get(f"{where}/items?limit=2")
    assert [one["identity"] for one in page["items"]] == ["a", "b"]
    assert [one["identity"] for one in three.get(f"{where}/items?after={page['next']}&state=done")["items"]] == [
        EXAMPLE_ID
    ]
    assert three.get(f"/api/v1/plans/{plan['id']}")["operation"] == done["id"]
    assert len(three.fakes.source.messages) == 3
    assert three.get("/api/v1/messages/a/events")["items"][-1]["action"] == "redrive"


def test_a_plan_is_used_once_and_not_when_it_is_too_old(three, monkeypatch):
    plan = planned(three, q="")
    three.post("/api/v1/operations", {"plan": plan["id"]}, status=202)
    again = refused(three, "POST", "/api/v1/operations", 409, {"plan": plan["id"]})
    assert "make another" in again["detail"]
    monkeypatch.setattr(plans, "EXPIRES_MS", 0)
    old = planned(three, q="")
    assert "15 minutes" in refused(three, "POST", "/api/v1/operations", 410, {"plan": old["id"]})["detail"]
    refused(three, "POST", "/api/v1/operations", 404, {"plan": "none"})


def test_what_must_not_be_done_is_counted_by_reason(three):
    three.add("held", hold="legal")
    three.add("often", redrives=3)
    three.add("bad", fault="is not JSON")
    three.add("sent", state=State.SENT)
    plan = planned(three, q="state:any")
    assert plan["count"] == 3
    assert plan["refused"] == {"held": 1, "redriven too often": 1, "at fault": 1, "already sent": 1}
    forced = planned(three, q="state:any", options={"force": True})
    assert (forced["count"], forced["refused"]) == (4, {"held": 1, "at fault": 1, "already sent": 1})
    by_id = planned(three, ids=["a", "m-a", "nobody", "held"])
    assert (by_id["count"], by_id["refused"]) == (1, {"held": 1, "unknown": 1})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verb": "explode", "q": ""}, "verb"),
        ({"verb": "redrive"}, "body"),
        ({"verb": "redrive", "q": "", "ids": ["a"]}, "body"),
        ({"verb": "redrive", "q": "colour:red"}, "colour"),
        ({"verb": "redrive", "q": "", "options": {"rate": 0}}, "options.rate"),
        ({"verb": "redrive", "q": "", "options": {"speed": 1}}, "options.speed"),
        ({"verb": "hold", "q": ""}, "body"),
        ({"verb": "redrive", "ids": []}, "ids"),
    ],
)
def test_a_plan_that_is_asked_for_wrongly_names_what_is_wrong(three, body, field):
    assert refused(three, "POST", "/api/v1/plans", 400, body)["field"] == field


def test_an_idempotency_key_gives_the_same_answer_once(three):
    body = {"verb": "redrive", "q": "", "options": FAST}
    first = three.post("/api/v1/plans", body, status=201, idempotency_key="k1")
    assert three.post("/api/v1/plans", body, status=201, idempotency_key="k1") == first
    refused(three, "POST", "/api/v1/plans", 422, {**body, "verb": "recover"}, idempotency_key="k1")
    one = three.post("/api/v1/operations", {"plan": first["id"]}, status=202, idempotency_key="k2")
    assert three.post("/api/v1/operations", {"plan": first["id"]}, status=202, idempotency_key="k2") == one
    assert len(three.get("/api/v1/operations")["items"]) == 1
    with three.ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE answers SET status = NULL")
    refused(three, "POST", "/api/v1/plans", 409, body, idempotency_key="k1")


def test_a_key_of_a_refused_request_can_be_used_again(three):
    refused(three, "POST", "/api/v1/operations", 404, {"plan": "x"}, idempotency_key="k")
    plan = planned(three, q="")
    operation = three.post("/api/v1/operations", {"plan": plan["id"]}, status=202, idempotency_key="k")
    assert (operation["state"], operation["total"]) == ("waiting", 3)


def test_operations_are_paused_resumed_and_cancelled(three):
    operation = three.post("/api/v1/operations", {"plan": planned(three, q="")["id"]}, status=202)
    path = f"/api/v1/operations/{operation['id']}"
    assert three.post(f"{path}/pause")["state"] == "paused"
    execute(three)
    assert three.get(path)["done"] == 0
    assert "paused" in refused(three, "POST", f"{path}/pause", 409)["detail"]
    assert three.post(f"{path}/resume")["state"] == "waiting"
    assert three.post(f"{path}/cancel")["state"] == "cancelled"
    execute(three)
    ended = three.get(path)
    assert (ended["state"], ended["skips"], ended["left"]) == ("cancelled", {"cancelled": 3}, 0)
    refused(three, "POST", f"{path}/resume", 409)
    refused(three, "POST", "/api/v1/operations/none/cancel", 404)
    refused(three, "POST", f"{path}/stop", 404)
    refused(three, "POST", f"{path}/items", 405)


def test_the_events_of_an_operation_end_with_it(three):
    operation = three.post("/api/v1/operations", {"plan": planned(three, q="")["id"]}, status=202)
    execute(three)
    answer = three.ask(f"/api/v1/operations/{operation['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    [data] = [line for line in answer.text.splitlines() if line.startswith("data:")]
    assert json.loads(data.removeprefix("data:"))["state"] == "done"
    [name] = [line.removeprefix("id:").strip() for line in answer.text.splitlines() if line.startswith("id:")]
    again = three.ask(f"/api/v1/operations/{operation['id']}/events", last_event_id=name)
    assert "data:" not in again.text
    three.refused("/api/v1/operations/none/events", 404)


def test_viewers_share_one_poller_and_see_each_change(three):
    operation = three.post("/api/v1/operations", {"plan": planned(three, q="")["id"]}, status=202)
    watch, read = three.app.state.watch, []
    right = three.ledger.operations.many

    def many(ids):
        read.append(tuple(ids))
        return right(ids)

    three.ledger.operations.many = many

    async def goes_on():
        return True

    async def follow():
        return [one.state async for one in watch.follow(operation["id"], after=None, goes_on=goes_on)]

    async def watched():
        viewers = [asyncio.create_task(follow()) for _ in range(8)]
        await asyncio.sleep(0.1)
        three.ledger.operations.move(operation["id"], OperationState.CANCELLED)
        await asyncio.to_thread(execute, three)
        return await asyncio.gather(*viewers)

    found = asyncio.run(watched())
    assert {(one[0], one[-1]) for one in found} == {(OperationState.WAITING, OperationState.CANCELLED)}
    assert len(read) <= 8
    assert watch._viewers == {}


def test_hold_note_and_owner_need_the_version_that_was_looked_at(three):
    path = "/api/v1/messages/a"
    assert "If-Match" in refused(three, "PUT", f"{path}/note", 428, {"note": "n"})["detail"]
    refused(three, "PUT", f"{path}/note", 412, {"note": "n"}, if_match='"7"')
    answer = three.ask(f"{path}/note", method="PUT", body={"note": "調査中"}, if_match='"1"')
    assert (answer.status_code, answer.json()["note"], answer.headers["etag"]) == (200, "調査中", '"2"')
    held = three.ask(f"{path}/hold", method="PUT", body={"reason": "legal"}, if_match='"2"').json()
    assert held["hold"] == "legal"
    owned = three.ask(f"{path}/owner", method="PUT", body={"owner": "ana"}, if_match="*").json()
    assert (owned["owner"], owned["version"]) == ("ana", 4)
    stored: Any = dead_letter_store.read(three.fakes.state, owned["key"])
    assert (stored.note, stored.owner, stored.hold.reason) == ("調査中", "ana", "legal")
    assert planned(three, ids=["a"])["refused"] == {"held": 1}
    assert three.ask(f"{path}/hold", method="DELETE", if_match="*").json()["hold"] is None
    actions = [one["action"] for one in three.get(f"{path}/events")["items"]]
    assert actions[-4:] == ["note", "hold", "assign", "release"]
    audited = {one["action"] for one in three.fakes.under("s3-index-worker/audit/").values()}
    assert {"note", "hold", "assign", "release"} <= audited
    assert refused(three, "PUT", f"{path}/hold", 400, {"reason": " "}, if_match="*")["field"] == "reason"


def test_one_is_scheduled_and_unscheduled_at_a_time_of_ones_own_choice(three):
    path = "/api/v1/messages/a/schedule"
    assert "If-Match" in refused(three, "PUT", path, 428, {"in_s": 60})["detail"]
    for wrong in (-1, 14 * 86_400 + 1, "soon", 1.5, None):
        assert refused(three, "PUT", path, 400, {"in_s": wrong}, if_match="*")["field"] == "in_s"
    now = three.ask(path, method="PUT", body={"in_s": 3_600}, if_match='"1"')
    assert (now.status_code, now.headers["etag"], now.json()["state"], now.json()["retry_by"]) == (
        200, '"2"', "scheduled", "api@host"
    )  # fmt: skip
    assert now.json()["retry_at"] == "2026-11-18T12:06:40.000Z"
    listed = three.get("/api/v1/messages?sort=retry_at&order=asc")
    assert ([one["identity"] for one in listed["items"]], listed["count"]) == (["a"], 1)
    gone = three.ask(path, method="DELETE", if_match="*").json()
    assert (gone["state"], gone["retry_at"], gone["retry_by"]) == ("open", None, None)
    three.ask("/api/v1/messages/b/hold", method="PUT", body={"reason": "legal"}, if_match="*")
    held = refused(three, "PUT", "/api/v1/messages/b/schedule", 409, {"in_s": 60}, if_match="*")
    assert held["detail"] == "api@host holds it: legal"


def test_a_plan_to_schedule_says_at_which_moment_and_refuses_without_one(three):
    assert "in_s" in refused(three, "POST", "/api/v1/plans", 400, {"verb": "schedule", "q": ""})["detail"]
    plan = planned(three, verb="schedule", q="", options={"in_s": 3_600})
    assert (plan["count"], plan["options"]) == (3, {"at": "2026-11-18T12:06:40.000Z"})
    operation = three.post("/api/v1/operations", {"plan": plan["id"]}, status=202)
    execute(three)
    assert three.get(f"/api/v1/operations/{operation['id']}")["done"] == 3
    items = three.get(f"/api/v1/operations/{operation['id']}/items")["items"]
    assert {one["result"] for one in items} == {"at 2026-11-18T12:06:40.000Z"}
    assert planned(three, verb="unschedule", q="")["count"] == 3


def test_the_fleet_is_paused_with_a_reason_and_nothing_is_sent_meanwhile(three):
    assert three.get("/api/v1/fleet/pause")["paused"] is False
    paused = three.post("/api/v1/fleet/pause", {"reason": "更新", "for_s": 600})
    assert (paused["paused"], paused["reason"], paused["by"]) == (True, "更新", "api@host")
    assert paused["until"]
    assert three.fakes.s3.records[PAUSE_KEY]
    plan = planned(three, q="")
    assert "更新" in refused(three, "POST", "/api/v1/operations", 409, {"plan": plan["id"]})["detail"]
    assert three.post("/api/v1/fleet/resume")["paused"] is False
    three.post("/api/v1/operations", {"plan": plan["id"]}, status=202)
    refused(three, "POST", "/api/v1/fleet/pause", 400, {"reason": ""})


def test_resume_names_the_workers_that_had_stopped_by_themselves_and_what_sends_again_what_failed(three):
    for worker in ("a@0", "b@0"):
        brake = BrakeRecord(worker, "brake: …", "2026-04-01T03:00:00+00:00", 40, {Cause("aaa111", "KeyError", ""): 31})
        three.fakes.s3.records[brake.key] = brake.as_json()
    resumed = three.post("/api/v1/fleet/resume")
    one = {"worker": "a@0", "at": "2026-04-01T03:00:00+00:00", "failed": 31, "of": 40}
    assert resumed["brakes"] == [one, {**one, "worker": "b@0"}]
    assert (resumed["commands"], resumed["problem"]) == (["dlq redrive-all --group aaa111"], "")
    [audited] = three.fakes.under("s3-index-worker/audit/").values()
    assert (audited["was"], audited["brakes"]) == (None, ["a@0", "b@0"])
    again = three.post("/api/v1/fleet/resume")
    assert (again["brakes"], again["commands"]) == ([], [])


@pytest.mark.parametrize("rate", [0, 1e-300, 0.009, 10_001, -1])
def test_a_rate_at_which_an_operation_would_sleep_for_ever_is_refused(three, rate):
    options = {"rate": rate}
    assert refused(three, "POST", "/api/v1/plans", 400, {"verb": "redrive", "q": "", "options": options})["field"] == (
        "options.rate"
    )
    assert planned(three, q="", options={"rate": 0.01})["options"] == {"rate": 0.01}


def test_a_body_that_is_too_long_is_refused(three):
    body = {"verb": "redrive", "q": "x" * MAX_BODY_BYTES}
    assert refused(three, "POST", "/api/v1/plans", 413, body)["status"] == 413


def test_a_replay_sends_one_once(three):
    first = three.post("/dlq/replay/a")
    assert first == {"success": True, "message": "sent to http://sqs/source"}
    again = three.post("/dlq/replay/a", status=409)
    assert again["success"] is False
    assert three.post("/dlq/replay/nobody", status=404)["success"] is False
    assert three.counted == [ReplayStatus.SUCCESS, ReplayStatus.ERROR, ReplayStatus.NOT_FOUND]
    assert len(three.fakes.source.messages) == 1
    assert three.ledger.get("a").state == "sent"


def test_what_was_sent_is_sent_again_once_it_is_unconfirmed_and_its_time_is_over(three):
    three.post("/dlq/replay/a")
    sent = three.ledger.get("a")
    three.ledger.change("a", version=None, by="confirm", action="looked at", outcome=Outcome.UNCONFIRMED)
    early = three.post("/dlq/replay/a", status=409)
    assert "what came of that is not known yet" in early["message"]
    stored: Any = dead_letter_store.read(three.fakes.state, sent.key)
    dead_letter_store.write(three.fakes.state, replace(stored, sent=replace(stored.sent, unconfirmed_ms=0)))
    assert three.post("/dlq/replay/a")["success"] is True
    assert three.post("/dlq/replay/a", status=409)["success"] is False
    assert len(three.fakes.source.messages) == 2


def test_a_batch_of_replays_names_what_was_not_sent(three):
    done = three.post("/dlq/replay/batch", {"message_ids": ["a", "b", "nobody", "a"], "max_retries": 1.0})
    assert (done["success"], done["replayed_count"], done["failed_count"]) == (False, 2, 1)
    assert done["errors"] == [{"message_id": "nobody", "error": "there is no dead letter with this id"}]
    refused(three, "POST", "/dlq/replay/batch", 400, {"message_ids": ["x"] * 1_001})
    refused(three, "POST", "/dlq/replay/batch", 400, {"message_ids": ["x"], "max_retries": True})


def test_only_an_admin_deletes_or_destroys(three):
    assert "for the role admin" in refused(three, "DELETE", "/dlq/message/a", 403)["detail"]
    three.app.dependency_overrides[Needs(Role.ADMIN)] = lambda: Principal("root", Role.ADMIN)
    assert three.ask("/dlq/message/a", method="DELETE").json()["success"] is True
    assert [one["error_type"] for one in three.fakes.under(ARCHIVE_PREFIX).values()] == ["deleted"]
    assert three.ask("/dlq/message/a", method="DELETE").status_code == 409
    for name in ("a", "b"):
        assert three.ask(f"/dlq/message/{name}?purge=true", method="DELETE").json() == {
            "success": True,
            "message": "destroyed",
        }
    assert three.fakes.under(ARCHIVE_PREFIX) == {}
    assert len(three.fakes.under(DEAD_LETTERS_PREFIX)) == 1
    purges = [one for one in three.fakes.under("s3-index-worker/audit/").values() if one["action"] == "purge"]
    assert [(one["by"], one["result"]) for one in purges] == [("root", {"a": "purged"}), ("root", {"b": "purged"})]
    assert three.ledger.get("b").state == "abandoned"
    assert three.ask("/dlq/message/nobody", method="DELETE").status_code == 404


def test_deleting_by_a_plan_is_for_admins_as_well(three):
    refused(three, "POST", "/api/v1/plans", 403, {"verb": "delete", "q": ""})
    three.app.dependency_overrides[Needs(Role.OPERATOR)] = lambda: Principal("root", Role.ADMIN)
    plan = planned(three, verb="delete", q="", options={})
    del three.app.dependency_overrides[Needs(Role.OPERATOR)]
    refused(three, "POST", "/api/v1/operations", 403, {"plan": plan["id"]})
    execute(three)
    assert three.get("/api/v1/messages?q=state:open")["count"] == 3


def test_two_purges_at_once_leave_no_body_in_the_audit(three, monkeypatch):
    three.app.dependency_overrides[Needs(Role.ADMIN)] = lambda: Principal("root", Role.ADMIN)
    assert three.ask("/dlq/message/a", method="DELETE").status_code == 200
    assert three.ask("/dlq/message/b", method="DELETE").status_code == 200
    archived = list(three.fakes.under(ARCHIVE_PREFIX).values())
    audited = "s3-index-worker/audit/2026-12-01/000000000000-recover-0.json"
    three.fakes.s3.records[audited] = json.dumps({"action": "recover", "dead_letters": archived}).encode()
    right, others = type(three.fakes.state).claim, ["b"]

    def claim(state, key, record, *, instead_of):
        if key == audited and others:
            assert three.ask(f"/dlq/message/{others.pop()}?purge=true", method="DELETE").status_code == 200
        return right(state, key, record, instead_of=instead_of)

    monkeypatch.setattr(type(three.fakes.state), "claim", claim)
    assert three.ask("/dlq/message/a?purge=true", method="DELETE").status_code == 200
    assert three.fakes.under("s3-index-worker/audit/")[audited]["dead_letters"] == []


def test_a_purge_destroys_nothing_of_another_dead_letter_that_has_its_name(three):
    three.app.dependency_overrides[Needs(Role.ADMIN)] = lambda: Principal("root", Role.ADMIN)
    assert three.ask("/dlq/message/a", method="DELETE").status_code == 200
    [(key, entry)] = three.fakes.under(ARCHIVE_PREFIX).items()
    forged = f"{ARCHIVE_PREFIX}2026-01-01/k-a.json"
    three.fakes.s3.records[forged] = json.dumps({**entry, "body": "another's"}).encode()
    audited = "s3-index-worker/audit/2026-12-01/000000000000-recover-0.json"
    bodies = [{**entry, "body": "another's"}, entry, {**entry, "message_id": "other"}]
    three.fakes.s3.records[audited] = json.dumps({"action": "recover", "dead_letters": bodies}).encode()
    assert three.ask("/dlq/message/a?purge=true", method="DELETE").status_code == 200
    assert set(three.fakes.under(ARCHIVE_PREFIX)) == {forged}
    left = three.fakes.under("s3-index-worker/audit/")[audited]
    assert [(one["message_id"], one["body"]) for one in left["dead_letters"]] == [
        ("a", "another's"), ("other", entry["body"])
    ]  # fmt: skip
    assert key != forged


@pytest.mark.parametrize("raw", [b"no JSON", b"[1]", b'"text"'])
def test_an_entry_of_the_audit_that_is_not_ours_keeps_nobody_from_purging(three, raw):
    three.app.dependency_overrides[Needs(Role.ADMIN)] = lambda: Principal("root", Role.ADMIN)
    three.fakes.s3.records["s3-index-worker/audit/2026-12-01/000000000000-x-0.json"] = raw
    assert three.ask("/dlq/message/b?purge=true", method="DELETE").status_code == 200
    assert three.fakes.s3.records["s3-index-worker/audit/2026-12-01/000000000000-x-0.json"] == raw


def test_a_purge_does_not_write_the_record_again_where_the_store_has_no_conditional_writes(three, monkeypatch):
    three.app.dependency_overrides[Needs(Role.ADMIN)] = lambda: Principal("root", Role.ADMIN)

    def claim(_self, _key, _record, *, instead_of):
        raise StoreError("no conditions", code="NotImplemented")

    assert "NotImplemented" in NO_CONDITIONS
    monkeypatch.setattr(type(three.fakes.state), "claim", claim)
    assert three.ask("/dlq/message/b?purge=true", method="DELETE").status_code == 200
    assert not [key for key in three.fakes.under(DEAD_LETTERS_PREFIX) if key.endswith("/b.json")]


def test_an_export_can_be_imported_and_is_audited(three, tmp_path):
    answer = three.ask("/api/v1/export?q=state:any")
    file = tmp_path / "export.jsonl"
    file.write_bytes(answer.content)
    seal, dead_letters = read_export(OperatorFile(str(file), lambda action: perform(action, file)))
    assert (seal.messages, seal.by) == (3, "api@host")
    assert {one.id for one in dead_letters} == {"a", "b", EXAMPLE_ID}
    [entry] = [one for one in three.fakes.under("s3-index-worker/audit/").values() if one["action"] == "export"]
    assert (entry["q"], entry["result"]) == ("state:any", {"rows": 3})


def test_a_redacted_export_cannot_be_imported(tmp_path):
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"".join(export_lines([], queue="q", by="ana", redact=DeadLetter.as_json)))
    with pytest.raises(ExportFileError, match="redacted export"):
        read_export(OperatorFile(str(file), lambda action: perform(action, file)))


def test_items_of_an_operation_that_waits_are_waiting(three):
    operation = three.post("/api/v1/operations", {"plan": planned(three, q="")["id"]}, status=202)
    found = three.get(f"/api/v1/operations/{operation['id']}/items")["items"]
    assert {one["state"] for one in found} == {Result.WAITING}

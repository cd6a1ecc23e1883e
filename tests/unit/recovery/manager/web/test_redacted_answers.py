"""Every GET route, asked by a reader and by an operator, with a value that is hidden standing wherever it may: no answer has it."""

import json
import re
from dataclasses import replace
from datetime import UTC

import pytest

from recovery.ledger.operation_items import Result
from recovery.ledger.outbox import About, ToSay
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Arrival
from recovery.manager.acting import removing
from recovery.manager.acting.acts import Acted
from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.notices.wording import Wording
from recovery.manager.operations import Operations
from recovery.manager.redaction import HIDDEN, Redactor
from recovery.manager.roles import Role
from recovery.manager.web.openapi import describe
from recovery.manager.web.sign_in import Mode
from testing.ledgers import NOW_MS
from tests.support.signed_in import bearer, new_token, signed_in
from worker.core.base.classify import FailureKind
from worker.core.base.liveness import Liveness
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import Attribute, DeadLetter
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import Hold

SECRET = 's3cr3t "契約"\n+%/é'
CARD = 4_111_111_111_111_111
MARKS = f"s3cr3t|{CARD}"
PATHS = ["$.secret", "$.card"]
OF_BODY = {"secret": SECRET, "card": CARD}
BODIES = {
    "job": {
        **OF_BODY, "bucket": "documents", "key": f"a/{SECRET}.pdf", "copy": [SECRET, CARD, f"with {SECRET}: {CARD}", "short"],
        SECRET: str(CARD),
    },
    "other": {**OF_BODY, "type": "maps", "lat": SECRET, "correlation_id": SECRET},
    "sns": {"Type": "Notification", "Message": json.dumps({**OF_BODY, "log": json.dumps({"at": SECRET})})},
    "open": {**OF_BODY, "bucket": "documents", "key": "a/b.pdf"},
}  # fmt: skip
IDS: dict[str, str] = {}


def failed(name):
    said = f"{SECRET} and {CARD}"
    record = FailureRecord(
        FailureKind.USER_ERROR, error_type=f"Error {said}", message=f"bad: {said}", stack=f"File x\n{said}\n{SECRET!r}",
        fingerprint=f"f {CARD}", source_queue=f"https://sqs/{SECRET}", worker=said, correlation_id=SECRET,
        source_service=said, routing_key=said, metadata={"secret": SECRET, "more": {SECRET: [said, CARD]}},
        unknown={"secret": SECRET, "x": said},
    )  # fmt: skip
    attributes: dict[str, Attribute] = {
        "failure": {"DataType": "String", "StringValue": record.as_text()},
        "secret": {"DataType": "String", "StringValue": SECRET},
        "json": {"DataType": "String", "StringValue": json.dumps({"a": said, "inner": json.dumps(OF_BODY)})},
        "raw": {"DataType": "Binary", "BinaryValue": said.encode()},
    }
    system = {"SentTimestamp": str(NOW_MS), "MessageGroupId": said}
    return DeadLetter(name, json.dumps(BODIES[name]), system, attributes)


@pytest.fixture
def hiding(ledger):
    api = signed_in(ledger, Mode.TOKEN, redactor=Redactor(PATHS))
    for name in BODIES:
        made, _ = dead_letter_store.take_in(api.fakes.state, failed(name), at_ms=NOW_MS)
        if name != "open":
            hold = Hold(f"because of {SECRET}", "ana")
            made = replace(made, owner=SECRET, note=f"see {SECRET}, {CARD}", hold=hold if name == "other" else None)
        stored = dead_letter_store.write(api.fakes.state, made)
        assert stored is not None
        ledger.take_in([Arrival(f"m-{name}", api.rows.row(stored), NOW_MS, is_news=True)])
    act(api, bearer(new_token(ledger, Role.OPERATOR)))
    return api


def act(api, token):
    """Operations, events and notifications, as far as they take texts from dead letters."""
    for verb, options in (("note", {"note": "x"}), ("redrive", {"ramp": False, "force": True}), ("abandon", {})):
        plan = api.post(
            "/api/v1/plans", {"verb": verb, "ids": ["job", "other"], "options": options}, status=201, **token
        )
        made = api.post("/api/v1/operations", {"plan": plan["id"]}, status=202, **token)
        IDS.update(plan_id=plan["id"], operation_id=made["id"])
        operations = Operations(api.ledger, api.service.verbs, ManagerMetrics(Figures), stop=api.stopping)
        while operations.once("one", Liveness(60)):
            pass
    note = api.ask("/api/v1/messages/sns/note", method="PUT", body={"note": f"{SECRET}!"}, if_match="*", **token)
    assert note.json()["note"] == f"{HIDDEN}!"
    outbox = api.ledger.outbox
    outbox.count_news([(one, "ops") for one in outbox.news(limit=100)])
    topics = outbox.topics()
    assert topics
    words = Wording("en", lambda: "http://x", UTC)
    said = [words.digest(topics), *(words.of_group(one, every_s=1) for one in topics)]
    outbox.say([ToSay(About.DIGEST, "ops", one.subject, one.text) for one in said], topics, now_ms=NOW_MS)


def routes(api):
    for path, found in describe(api.app)["paths"].items():
        if "get" in found:
            for name in BODIES if "{any_id}" in path else [""]:
                yield path.format_map({"any_id": name, **IDS})


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR, Role.ADMIN])
def test_no_answer_has_what_is_hidden(hiding, ledger, role):
    token = bearer(new_token(ledger, role, f"asks-{role}"))
    answered = 0
    for path in routes(hiding):
        for query in ("", "?q=state:any"):
            answer = hiding.ask(path + query, **token)
            answered += answer.status_code == 200
            assert answer.status_code in {200, 400, 403, 404}, (path, answer.text)
            found = [answer.text[max(0, one.start() - 80) : one.end() + 40] for one in re.finditer(MARKS, answer.text)]
            assert found == [], path + query
    assert answered > 25


def test_what_became_of_acting_says_nothing_that_is_hidden(ledger, monkeypatch):
    api = signed_in(ledger, Mode.TOKEN, redactor=Redactor(PATHS))
    made, _ = dead_letter_store.take_in(api.fakes.state, failed("job"), at_ms=NOW_MS)
    ledger.take_in([Arrival("m-job", api.rows.row(made), NOW_MS)])
    verbs = api.service.verbs
    monkeypatch.setattr(removing, "remove", lambda _world, rows, *_args, **_more: [
        Acted(row, Result.SKIPPED, f"refused: {SECRET}") for row in rows
    ])  # fmt: skip
    with verbs.doing(Verb.ABANDON, verbs.run(Verb.ABANDON, name="r", by="me"), {}) as act:
        [acted] = act([ledger.get("job")])
    assert acted.result == f"refused: {HIDDEN}"


def test_what_is_not_hidden_is_shown(hiding, ledger):
    token = bearer(new_token(ledger, Role.OPERATOR, "asks"))
    body = json.loads(hiding.ask("/api/v1/messages/sns/body", **token).json()["body"])
    assert json.loads(body["Message"]) == {"secret": HIDDEN, "card": HIDDEN, "log": f'{{"at":"{HIDDEN}"}}'}
    job = json.loads(hiding.ask("/api/v1/messages/open/body", **token).json()["body"])
    assert job == {"secret": HIDDEN, "card": HIDDEN, "bucket": "documents", "key": "a/b.pdf"}
    row = hiding.ask("/api/v1/messages/open", **token).json()
    assert (row["object_key"], row["message"], row["correlation_id"]) == (
        "a/b.pdf",
        f"bad: {HIDDEN} and {HIDDEN}",
        HIDDEN,
    )
    assert hiding.ask("/api/v1/messages?q=text:s3cr3t", **token).json()["items"] == []

"""What the forms on the page of one dead letter do."""

import contextlib
import json

import pytest

from recovery.ledger.refusals import Verb
from recovery.ledger.rows import State
from recovery.manager.console.message_acts import NotDoneError, say, send_copy, show_body
from recovery.manager.redaction import HIDDEN, Redactor
from recovery.manager.web.principal import Principal, Role
from testing.ledgers import new_ledger
from testing.memory import DOWN, SQS_DOWN
from tests.support.api import STACK, Api
from worker.core.base.errors import StoreError

ANA = Principal("ana", Role.OPERATOR)
MAPS = {"type": "maps", "city": "松江", "correlation_id": "c-1", "lat": 35.4, "lng": 133.0, "radius": 5, "category": "x",
        "enqueued_at": 1}  # fmt: skip


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/l.sqlite")) as ledger:
        made = Api(ledger)
        made.add("a", body=json.dumps({**MAPS, "radius": 0}), type="maps")
        yield made


def row(api):
    found = api.ledger.get("a")
    assert found is not None
    return found


def why(call, *arguments):
    with pytest.raises(NotDoneError) as raised:
        call(*arguments)
    return str(raised.value)


def test_what_is_said_is_in_the_row_under_the_name_of_who_said_it(api):
    say(api.service, ANA, row(api), Verb.NOTE, {"version": "1", "note": " 調査中\r\nticket 4711 "})
    assert row(api).note == "調査中\nticket 4711"
    say(api.service, ANA, row(api), Verb.ASSIGN, {"version": "2", "owner": "ben"})
    say(api.service, ANA, row(api), Verb.HOLD, {"version": "3", "reason": "legal"})
    assert (row(api).owner, row(api).hold) == ("ben", "legal")
    say(api.service, ANA, row(api), Verb.RELEASE, {"version": "4"})
    assert row(api).hold is None
    assert {event.by for event in api.ledger.events("a")} == {"ana"}


def test_what_stood_there_before_is_in_the_audit(api):
    for version, (verb, fields) in enumerate((
        (Verb.NOTE, {"note": "first"}), (Verb.NOTE, {"note": "second"}), (Verb.NOTE, {"note": ""}), (Verb.ASSIGN, {"owner": "ben"}),
        (Verb.ASSIGN, {"owner": ""}), (Verb.HOLD, {"reason": "legal"}), (Verb.RELEASE, {}),
    ), 1):  # fmt: skip
        say(api.service, ANA, row(api), verb, {"version": str(version), **fields})
    entries = api.fakes.under("s3-index-worker/audit/").values()
    assert sorted(one["was"]["a"] for one in entries if "was" in one) == ["ben", "first", "legal", "second"]
    assert len(entries) == 7


def test_what_has_changed_since_and_what_is_wrong_is_not_done(api):
    assert "has changed since" in why(say, api.service, ANA, row(api), Verb.NOTE, {"version": "7", "note": "x"})
    assert "has changed since" in why(say, api.service, ANA, row(api), Verb.NOTE, {"note": "x"})
    assert "reason is empty" in why(say, api.service, ANA, row(api), Verb.HOLD, {"version": "1", "reason": " "})
    assert "control characters" in why(say, api.service, ANA, row(api), Verb.ASSIGN, {"version": "1", "owner": "a\x1b"})
    assert "4,000" in why(say, api.service, ANA, row(api), Verb.NOTE, {"version": "1", "note": "x" * 4_001})
    api.fakes.faults.add("state.get", DOWN)
    assert "down" in why(say, api.service, ANA, row(api), Verb.NOTE, {"version": "1", "note": "x"})
    assert row(api).version == 1
    api.ledger.change("a", version=None, by="me", action="x", state=State.RECOVERED)
    assert "it is recovered" in why(say, api.service, ANA, row(api), Verb.NOTE, {"version": "2", "note": "x"})


def test_a_body_is_shown_once_its_view_is_recorded(api):
    found = show_body(api.service, ANA, row(api))
    assert '"city": "松江"' in found.body.text
    assert found.stack.text == STACK
    assert [(name, kind, one.text) for name, kind, one in found.attributes] == [("raw", "Binary", "AP8=")]
    assert json.loads(found.edited or "")["radius"] == 0
    assert [view["by"] for view in api.views()] == ["ana"]
    api.fakes.faults.add("state.put", DOWN)
    with pytest.raises(StoreError):
        show_body(api.service, ANA, row(api))
    del api.fakes.s3.records[row(api).key]
    assert "is gone" in why(show_body, api.service, ANA, row(api))
    assert len(api.views()) == 1


def test_what_is_hidden_is_not_shown(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/2.sqlite")) as ledger:
        api = Api(ledger, redactor=Redactor(["$.city"]))
        api.add("a", body=json.dumps(MAPS), type="maps")
        found = show_body(api.service, ANA, row(api))
    assert HIDDEN in found.body.text
    assert "松江" not in f"{found.body.text}{found.edited}"


def test_a_copy_is_sent_with_its_lines_as_they_were(api):
    body = json.dumps({**MAPS, "radius": 9}, indent=1)
    made = send_copy(api.service, ANA, row(api), {"version": "1", "body": body.replace("\n", "\r\n")})
    [message] = api.fakes.source.messages.values()
    assert (message.body, made.copy.by) == (body, "ana")
    assert "has changed since" in why(send_copy, api.service, ANA, row(api), {"version": "1", "body": body})
    assert "an edited copy" in why(
        send_copy, api.service, ANA, row(api), {"version": str(row(api).version), "body": body}
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"body": ""}, "of type unknown"),
        ({"body": "x" * 1_048_577}, "at most 1,048,576"),
        ({"body": json.dumps({**MAPS, "radius": 9}), "to": "files"}, "the queue 'files' is not a queue URL"),
    ],
)
def test_a_copy_that_is_wrong_is_not_sent(api, fields, said):
    assert said in why(send_copy, api.service, ANA, row(api), {"version": "1", **fields})
    assert api.fakes.source.messages == {}


def test_a_copy_without_an_answer_says_that_nobody_knows(api):
    api.fakes.faults.add("source.send", SQS_DOWN)
    with pytest.raises(NotDoneError) as raised:
        send_copy(api.service, ANA, row(api), {"version": "1", "body": json.dumps({**MAPS, "radius": 9})})
    assert raised.value.is_unclear

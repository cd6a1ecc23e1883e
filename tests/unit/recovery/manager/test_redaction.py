"""What REDACT_FIELDS hides: in bodies, in what is nested in them, in every text about the same dead letter."""

import json

import pytest

from recovery.manager.redacted import redacted
from recovery.manager.redaction import HIDDEN, NOT_JSON, NOT_SHOWN, Redactor
from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import Attribute, DeadLetter
from worker.core.sqs.failure_record import FailureRecord

BODY = json.dumps({"customer": {"email": "alice@example.com", "id": 7}, "password": "契約-9", "n": 1.10})


@pytest.mark.parametrize(
    ("paths", "shown"),
    [
        (["$.customer.email"], {"customer": {"email": HIDDEN, "id": 7}, "password": "契約-9", "n": 1.1}),
        (["$.customer"], {"customer": HIDDEN, "password": "契約-9", "n": 1.1}),
        (["$..email", "$..password"], {"customer": {"email": HIDDEN, "id": 7}, "password": HIDDEN, "n": 1.1}),
        (["$.customer.*"], {"customer": {"email": HIDDEN, "id": HIDDEN}, "password": "契約-9", "n": 1.1}),
        (["$.email", "$.customer.email.x", "$[0]"], json.loads(BODY)),
        (["$.*"], {"customer": HIDDEN, "password": HIDDEN, "n": HIDDEN}),
    ],
)
def test_a_body_is_shown_without_the_fields_of_the_paths(paths, shown):
    assert json.loads(Redactor(paths).body(BODY)) == shown


def test_without_paths_everything_is_as_it_is():
    redactor = Redactor()
    assert not redactor.is_active
    for body in (BODY, "no json", '{"a": 1, "a": 2}'):
        assert redactor.body(body) == body
        assert redactor.text(body, body) == body


def test_whatever_is_not_hidden_stays_as_it_was_written():
    body = '{"n":1.10,"big":98765432109876543210987,"e":1E+2,"t":"契約","secret":1.50}'
    assert Redactor(["$.secret"]).body(body) == body.replace("1.50", f'"{HIDDEN}"')


def test_json_within_a_text_is_a_document_of_its_own():
    inner = json.dumps({"email": "b@x.example", "deep": json.dumps({"email": "c@x.example"})})
    body = json.dumps({"Type": "Notification", "Message": inner, "email": "[not json"})
    view = Redactor(["$.email"]).view(body)
    found = json.loads(view.body)
    assert found["email"] == HIDDEN
    assert json.loads(found["Message"])["email"] == HIDDEN
    assert json.loads(json.loads(found["Message"])["deep"])["email"] == HIDDEN
    assert view.text("to c@x.example and b@x.example") == f"to {HIDDEN} and {HIDDEN}"
    through = Redactor(["$.Message.deep.email"]).body(body)
    assert "c@x.example" not in through
    assert "b@x.example" in through


@pytest.mark.parametrize(
    "body", ["", "no json", "5", '"text"', "{", "[" * 5_000, '{"a":NaN}', '{"a":1,"a":2}', '{"b":"\\ud800"}', "[1]x"]
)
def test_a_body_that_is_no_json_or_could_mean_two_things_is_not_shown(body):
    assert Redactor(["$.a"]).body(body) == NOT_JSON


def test_a_body_of_any_depth_is_shown_without_its_fields_or_not_at_all():
    for depth in (100, 300, 900):
        body = '{"a":' * depth + '{"secret":"s3cret"}' + "}" * depth
        assert "s3cret" not in Redactor(["$..secret"]).body(body)


@pytest.mark.parametrize(
    "text",
    [
        "cannot send to alice@example.com: refused", "alice%40example.com", "['alice@example.com']", "alice@example.com",
        "it ends with alice@exam", "it ends with alice@exam…", "ce@example.com is where it begins",
    ],
)  # fmt: skip
def test_a_hidden_value_is_hidden_in_texts_however_they_spell_it_or_cut_it(text):
    shown = Redactor(["$.customer.email"]).text(text, BODY)
    assert HIDDEN in shown
    assert "alice" not in shown
    assert "example" not in shown


def test_values_within_quotation_marks_of_json_and_python_are_found():
    body = json.dumps({"secret": 'a "b"\n契約'})
    redactor = Redactor(["$.secret"])
    for text in (body, repr(json.loads(body)), json.dumps(json.loads(body), ensure_ascii=False)):
        assert redactor.text(text, body) == text[: text.index("a ")] + HIDDEN + text[-2:]


def test_a_short_value_is_hidden_where_it_stands_by_itself():
    redactor = Redactor(["$.customer.id"])
    assert redactor.text("id 7: line 77 of x7.py, (7)", BODY) == f"id {HIDDEN}: line 77 of x7.py, ({HIDDEN})"
    truth = Redactor(["$.a", "$.b", "$.c"])
    assert truth.text("true null", '{"a":true,"b":null,"c":""}') == "true null"


def test_of_a_body_that_is_no_json_no_text_repeats_more_than_a_few_characters():
    redactor = Redactor(["$.a"])
    assert redactor.text("bad: name=alice; x", "v=1;name=alice;y=2") == f"bad: {HIDDEN} x"
    assert redactor.text("line 1 column 2", "name=alice") == "line 1 column 2"


def test_everything_that_a_hidden_object_has_is_hidden_in_texts():
    body = json.dumps({"card": {"number": 4111111111111111, "holder": ["Alice B."]}})
    assert Redactor(["$.card"]).text("4111111111111111 of Alice B.", body) == f"{HIDDEN} of {HIDDEN}"


def dead_letter(body=BODY, **failure):
    record = FailureRecord(FailureKind.USER_ERROR, error_type="E", **failure)
    attributes: dict[str, Attribute] = {
        "token": {"DataType": "String", "StringValue": "t0ken"},
        "json": {"DataType": "String", "StringValue": '{"token": "0ther"}'},
        "raw": {"DataType": "Binary", "BinaryValue": b"t0ken"},
    }
    return DeadLetter("m", body, {"SentTimestamp": "1"}, attributes, failure=record)


def test_attributes_failure_record_and_metadata_are_hidden_in_too():
    found = redacted(
        dead_letter(
            message="t0ken of alice@example.com", stack="File x\n0ther\nm3ta", metadata={"token": "m3ta", "a": "0ther"}
        ),
        Redactor(["$.token", "$.customer.email"]),
    )
    assert found.failure is not None
    assert found.attributes["token"]["StringValue"] == HIDDEN
    assert json.loads(found.attributes["json"]["StringValue"]) == {"token": HIDDEN}
    assert found.attributes["raw"] == {"DataType": "Binary", "BinaryValue": NOT_SHOWN}
    assert found.failure["message"] == f"{HIDDEN} of {HIDDEN}"
    assert found.stack == f"File x\n{HIDDEN}\n{HIDDEN}"
    assert found.failure["metadata"] == {"token": HIDDEN, "a": HIDDEN}
    assert (found.failure["kind"], found.system) == ("USER_ERROR", {"SentTimestamp": "1"})


def test_the_form_of_an_answer_does_not_depend_on_the_paths():
    found = redacted(dead_letter(message="m"), Redactor(["$.*", "$..*"]))
    assert found.failure is not None
    assert (found.failure["kind"], found.failure["attempts"]) == ("USER_ERROR", 0)
    assert found.failure["message"] == HIDDEN
    assert found.attributes["token"] == {"DataType": "String", "StringValue": HIDDEN}


def test_without_paths_a_dead_letter_is_as_it_is():
    made = dead_letter(message="m", stack="s")
    found = redacted(made, Redactor())
    assert (found.body, found.attributes, found.stack) == (BODY, made.as_json()["message_attributes"], "s")

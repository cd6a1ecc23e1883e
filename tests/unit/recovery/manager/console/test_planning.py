"""Plans from the fields of forms; what has to be typed before they are carried out."""

import contextlib
from dataclasses import replace

import pytest

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.refusals import Verb
from recovery.manager.acting.scheduling import moment_ms
from recovery.manager.console.confirming import is_typed, to_type
from recovery.manager.console.planning import fields_of, make_plan, plan_again, plan_request
from recovery.manager.roles import Principal, Role
from testing.ledgers import new_ledger
from tests.support.api import Api

ANA = Principal("ana", Role.OPERATOR)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planning")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        made = Api(ledger)
        made.fill()
        yield made


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"verb": "redrive"}, {}),
        ({"verb": "redrive", "rate": " 0.5 ", "ramp": "no", "force": "yes"}, {"rate": 0.5, "force": True}),
        ({"verb": "redrive", "ramp": "no"}, {"ramp": False}),
        ({"verb": "recover", "accept_gone": "yes", "force": ""}, {"accept_gone": True}),
        ({"verb": "note", "note": " one\r\ntwo "}, {"note": "one\ntwo"}),
        ({"verb": "note", "note": " ", "remove": "yes"}, {}),
        ({"verb": "assign", "remove": "yes"}, {}),
        ({"verb": "assign", "owner": "ana", "remove": ""}, {"owner": "ana"}),
        ({"verb": "hold", "reason": "legal", "to": ""}, {"reason": "legal"}),
        ({"verb": "schedule", "in_s": "3600"}, {"in_s": 3600}),
    ],
)
def test_the_fields_of_a_form_are_a_plan(fields, options):
    asked = plan_request({**fields, "q": " key:a "})
    assert (asked.verb.value, asked.q, asked.ids) == (fields["verb"], "key:a", None)
    assert asked.options.model_dump(exclude_defaults=True) == options
    assert plan_request(fields, ["a", "b"]).ids == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "ids", "field"),
    [
        ({"verb": "redrive"}, [], "id"),
        ({"verb": "explode", "q": ""}, [], "verb"),
        ({}, ["a"], "verb"),
        ({"verb": "hold", "reason": " "}, ["a"], "reason"),
        ({"verb": "schedule"}, ["a"], "in_s"),
        ({"verb": "schedule", "in_s": "soon"}, ["a"], "in_s"),
        ({"verb": "schedule", "in_s": "1.5"}, ["a"], "in_s"),
        ({"verb": "redrive", "rate": "fast"}, ["a"], "rate"),
        ({"verb": "redrive", "rate": "nan"}, ["a"], "rate"),
        ({"verb": "redrive", "rate": "0"}, ["a"], "rate"),
        ({"verb": "redrive", "to": "ftp://x"}, ["a"], "to"),
        ({"verb": "note", "note": "\x07"}, ["a"], "note"),
        ({"verb": "note", "note": " "}, ["a"], "note"),
        ({"verb": "assign"}, ["a"], "owner"),
        ({"verb": "assign", "owner": "ana", "remove": "yes"}, ["a"], "owner"),
        ({"verb": "redrive"}, ["x" * 200], "ids"),
    ],
)
def test_the_field_that_is_wrong_is_named(fields, ids, field):
    with pytest.raises(AskedWronglyError) as raised:
        plan_request(fields, ids)
    assert raised.value.field == field


def test_a_plan_is_made_again_of_the_same_query_or_of_the_same_dead_letters(api):
    of_query = make_plan(api.service, ANA, {"verb": "redrive", "q": "key:pdf", "rate": "5", "while_paused": "yes"})
    again = plan_again(api.service, ANA, of_query)
    assert (again.id != of_query.id, again.query, again.options) == (True, "key:pdf", of_query.options)
    of_ids = make_plan(api.service, ANA, {"verb": "hold", "reason": "legal"}, ["second", "third"])
    changed = plan_again(api.service, ANA, of_ids, {"reason": "audit", "verb": "delete", "q": ""})
    assert (changed.verb, changed.count, changed.query, changed.options) == (Verb.HOLD, 2, None, {"reason": "audit"})
    assert api.ledger.operations.identities(changed.id, limit=5) == ["second", "third"]


def test_a_plan_that_removes_a_note_is_made_again_as_one_until_a_text_is_given(api):
    plan = make_plan(api.service, ANA, {"verb": "note", "remove": "yes"}, ["second"])
    assert (plan.options.get("note"), fields_of(plan, 0)) == (None, {"remove": "yes"})
    assert plan_again(api.service, ANA, plan).options == plan.options
    assert plan_again(api.service, ANA, plan, {"note": "see 7"}).options == {"note": "see 7"}
    with pytest.raises(AskedWronglyError, match="empty where it is to be removed"):
        plan_again(api.service, ANA, plan, {"note": "see 7", "remove": "yes"})


def test_a_time_that_has_come_meanwhile_is_now(api):
    plan = make_plan(api.service, ANA, {"verb": "schedule", "q": "", "in_s": "90"})
    again = plan_again(api.service, ANA, plan)
    assert abs(moment_ms(again.options) - moment_ms(plan.options)) < 5_000
    assert fields_of(plan, moment_ms(plan.options) - 30_500) == {"in_s": "30"}
    assert fields_of(plan, moment_ms(plan.options) + 1) == {"in_s": "0"}


@pytest.mark.parametrize(
    ("verb", "count", "wanted", "good", "bad"),
    [
        (Verb.REDRIVE, 1_000, None, [""], []),
        (Verb.ABANDON, 3, None, [""], []),
        (Verb.REDRIVE, 4_812, "4812", ["4812", " 4,812 ", "4.812", "4\u202f812", "４８１２"], ["", "481", "48120", "yes"]),
        (Verb.DELETE, 3, "delete", ["delete", "Delete "], ["", "3", "d,elete"]),
        (Verb.DELETE, 1_001, "1001", ["1,001"], ["delete"]),
    ],
)  # fmt: skip
def test_what_is_about_many_or_cannot_be_undone_is_typed(api, verb, count, wanted, good, bad):
    made = make_plan(api.service, ANA, {"verb": "redrive", "q": ""})
    plan = replace(made, verb=verb, count=count)
    assert to_type(plan) == wanted
    assert all(is_typed(plan, one) for one in good)
    assert not any(is_typed(plan, one) for one in bad)

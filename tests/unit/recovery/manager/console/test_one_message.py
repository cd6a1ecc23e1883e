"""What the page of one dead letter offers: what its state allows, and the command that does the same."""

import contextlib
import shlex

import pytest
import typer

from recovery.cli.main import app
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import State
from recovery.manager.console.commands import dlq_command, inspect_command
from recovery.manager.console.one_message import MAX_EVENTS, one_message
from recovery.manager.web.principal import Principal, Role
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.support.api import Api

IDS = [
    "--all", "; rm -rf ~", "`id`", "!!", "\\", "a…b", "%2F", "*", "~root", "#x", "שלום",
    "5b1f2c7d-90aa-4c3e-8f21-7d1f0c9b2a34", "a", "a b'c\"d", "-rf", "$(reboot)", "契約/1",
]  # fmt: skip
OPERATOR = Principal("ana", Role.OPERATOR)


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/l.sqlite")) as ledger:
        yield Api(ledger)


def understood(line):
    """The verb of a command, and what it is given, as `dlq` itself reads the line."""
    program, verb, *arguments = shlex.split(line)
    assert program == "dlq"
    group = typer.main.get_group(app)
    context = group.make_context("dlq", [verb, *arguments], resilient_parsing=False)
    command = group.get_command(context, verb)
    assert command is not None
    return verb, command.make_context(verb, arguments, parent=context).params


@pytest.mark.parametrize("identity", IDS)
@pytest.mark.parametrize("verb", [Verb.REDRIVE, Verb.RECOVER, Verb.ABANDON, Verb.DELETE, Verb.RESTORE])
def test_dlq_understands_each_command_as_it_is_meant(verb, identity):
    line = dlq_command(verb, identity, force=True, while_paused=True)
    found, given = understood(line)
    assert (found, (given["given"] or given["message_id"])) == (verb.value, [identity])
    assert given.get("force", verb is Verb.REDRIVE) is (verb is Verb.REDRIVE)
    assert given.get("while_paused", True) is True


@pytest.mark.parametrize("identity", IDS)
def test_it_is_shown_by_inspect(identity):
    found, given = understood(inspect_command(identity))
    assert (found, given["given"] or given["message_id"]) == ("inspect", [identity])


@pytest.mark.parametrize("identity", ["a...", "abcdef…", " a", "a "])
def test_what_dlq_would_take_for_a_shortened_id_has_no_command(identity):
    assert dlq_command(Verb.REDRIVE, identity) is None


def test_what_only_the_manager_writes_has_no_command():
    assert dlq_command(Verb.NOTE, "a") is None


def add(api, **fields):
    return api.add("a", body=s3_event(s3_record(BUCKET, "k")), type="s3-event", **fields)


@pytest.mark.parametrize(
    ("fields", "acting"),
    [
        ({}, "redrive recover schedule abandon"),
        ({"redrives": 3}, "redrive! recover schedule abandon"),
        ({"fault": "no JSON"}, "abandon"),
        ({"hold": "legal"}, ""),
        ({"state": State.SCHEDULED, "retry_at_ms": 1}, "redrive recover unschedule schedule abandon"),
        ({"source_queue": "http://sqs/q/orders.fifo"}, "redrive recover abandon"),
        ({"state": State.SENT}, ""),
        ({"state": State.SENT, "outcome": "unconfirmed"}, "redrive recover abandon"),
        ({"state": State.ABANDONED}, "restore"),
        ({"state": State.RECOVERED}, ""),
        ({"state": State.MISSING}, ""),
    ],
)
def test_only_what_its_state_allows_is_offered(api, fields, acting):
    found = one_message(api.service, OPERATOR, add(api, **fields))
    assert " ".join(f"{one.verb}{'!' * one.needs_force}" for one in found.actions) == acting


def test_readers_are_offered_nothing_and_admins_also_to_delete(api):
    row = add(api)
    reader = one_message(api.service, Principal("r", Role.READER), row)
    assert (reader.actions, reader.said) == ((), frozenset())
    admin = one_message(api.service, Principal("d", Role.ADMIN), row)
    assert [one.verb for one in admin.actions][-1] is Verb.DELETE


def test_a_hold_can_be_released_and_nothing_that_has_ended_can_be_spoken_of(api):
    row = add(api, hold="legal")
    assert one_message(api.service, OPERATOR, row).said == {Verb.RELEASE, Verb.NOTE, Verb.ASSIGN}
    api.ledger.change("a", version=None, by="me", action="x", state=State.RECOVERED)
    assert one_message(api.service, OPERATOR, api.ledger.get("a")).said == frozenset()


def test_the_latest_of_a_long_history_are_shown(api):
    row = add(api)
    for number in range(MAX_EVENTS + 5):
        api.ledger.change("a", version=None, by="me", action="note", details={"n": number}, note=str(number))
    found = one_message(api.service, OPERATOR, row)
    assert (len(found.history), found.has_more_events) == (MAX_EVENTS + 1, True)
    latest = found.history[0].event
    assert latest is not None
    assert latest.details == {"n": MAX_EVENTS + 4}

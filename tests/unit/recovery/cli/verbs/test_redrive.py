"""What `dlq redrive` and `dlq redrive-all` send, what they refuse, and what SQS moves by itself."""

import json
from typing import Any

import pytest
import typer

from recovery.cli.verbs.redrive import redrive, redrive_all
from recovery.operations.dead_letters.facts import Filter
from testing.memory import SQS_DOWN
from tests.support.verbs import AUDIT, BINARY, failure_of, fill, ids, said
from worker.core.base.errors import ConfigError, ExitCode, PausedError, StoreError
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs.queue import Refusal


def test_a_message_goes_back_with_its_attributes_and_its_redrive_counted(fakes, context, capsys):
    fakes.dead_letter("m1", "経理/見積 書.txt", failure={"kind": "RECOVERABLE", "first_failed_at": "then"})
    fakes.dlq.messages["m1"].attributes["raw"] = BINARY
    body = fakes.dlq.messages["m1"].body
    assert redrive(context(), ids("m1")) == ExitCode.OK
    assert said(capsys)["sent"] == ["m1"]
    [sent] = fakes.source.messages.values()
    assert (sent.body, sent.attributes["raw"]) == (body, BINARY)
    assert failure_of(sent) == {
        "schema": 1, "kind": "RECOVERABLE", "attempts": 0, "redrives": 1, "first_failed_at": "then",
        "dead_letter_id": "m1",
    }  # fmt: skip
    assert not fakes.dlq.messages
    [record] = fakes.under(AUDIT).values()
    assert (record["action"], record["ids"], record["result"]["sent"]) == ("redrive", ["m1"], 1)


def test_a_message_without_a_record_gets_one_that_counts_its_redrives(fakes, context):
    fakes.dead_letter("m1", "a.txt")
    assert redrive(context(), ids("m1")) == ExitCode.OK
    assert failure_of(next(iter(fakes.source.messages.values())))["redrives"] == 1


def test_a_dry_run_sends_nothing_and_gives_everything_back(fakes, context, capsys):
    fill(fakes, 3)
    assert redrive(context(), ids("m0", "m1"), dry_run=True) == ExitCode.OK
    assert sorted(said(capsys)["would_send"]) == ["m0", "m1"]
    assert (len(fakes.dlq.messages), fakes.dlq.hidden, fakes.source.messages) == (3, set(), {})
    assert not fakes.under(AUDIT)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("noise", "not JSON"),
        ('{"type": "maps", "city": "京都"}', "message missing correlation_id, cannot safely redrive"),
        ('{"hello": 1}', "no known type"),
    ],
)
def test_what_is_not_valid_is_refused_and_stays(fakes, context, capsys, body, why):
    fakes.dlq.add("m1", body)
    assert redrive(context(), ids("m1")) == ExitCode.INCOMPLETE
    assert why in said(capsys)["refused"]["m1"]
    assert (list(fakes.dlq.messages), fakes.dlq.hidden, fakes.source.messages) == (["m1"], set(), {})


def test_the_fourth_redrive_needs_force(fakes, context, capsys):
    fakes.dead_letter("m1", "a.txt", failure={"redrives": 3})
    assert redrive(context(), ids("m1")) == ExitCode.INCOMPLETE
    assert "redriven 3 times" in said(capsys)["refused"]["m1"]
    assert redrive(context(), ids("m1"), force=True) == ExitCode.OK
    assert failure_of(next(iter(fakes.source.messages.values())))["redrives"] == 4


def test_attributes_that_leave_no_room_are_told_before_anything_is_sent(fakes, context, capsys):
    fakes.dead_letter("m1", "a.txt")
    fakes.dlq.messages["m1"].attributes.update({f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(10)})
    assert redrive(context(), ids("m1")) == ExitCode.INCOMPLETE
    assert "10 attributes" in said(capsys)["refused"]["m1"]
    assert redrive(context(), ids("m1"), force=True) == ExitCode.OK
    assert "failure" not in next(iter(fakes.source.messages.values())).attributes


def test_a_long_stack_is_dropped_where_the_queue_takes_no_more(fakes, context, monkeypatch):
    fakes.dead_letter("m1", "a.txt", failure={"stack": "s" * 2_000})
    limit = {"MaximumMessageSize": str(len(fakes.dlq.messages["m1"].body) + 300)}
    monkeypatch.setattr(fakes.source, "attributes", lambda: limit)
    assert redrive(context(), ids("m1")) == ExitCode.OK
    assert failure_of(next(iter(fakes.source.messages.values())))["stack"] == ""


def test_nothing_is_deleted_that_was_not_confirmed(fakes, context, capsys):
    fill(fakes, 2)
    fakes.faults.add("source.send", SQS_DOWN)
    assert redrive(context(), ids("m0"), yes=True) == ExitCode.INCOMPLETE
    assert "ServiceUnavailable" in said(capsys)["kept"]["m0"]
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_a_failed_delete_is_told_and_the_message_is_in_both_places(fakes, context, capsys):
    fill(fakes, 1)
    fakes.faults.add("dlq.delete", SQS_DOWN)
    assert redrive(context(), ids("m0")) == ExitCode.INCOMPLETE
    assert said(capsys)["not_deleted"] == ["m0"]
    assert len(fakes.source.messages) == len(fakes.dlq.messages) == 1


def test_what_is_not_there_is_said_by_the_exit_code(fakes, context):
    fill(fakes, 1)
    assert redrive(context(), ids("m9")) == ExitCode.NOT_FOUND
    assert redrive(context(), ids("m0", "m9")) == ExitCode.INCOMPLETE
    assert not fakes.dlq.messages


def test_a_paused_fleet_is_not_given_work(fakes, context):
    fill(fakes, 1)
    fakes.s3.records[PAUSE_KEY] = json.dumps({"reason": "索引の更新", "by": "me"}).encode()
    with pytest.raises(PausedError, match="索引の更新"):
        redrive(context(), ids("m0"))
    assert redrive(context(), ids("m0"), dry_run=True) == ExitCode.OK
    assert redrive(context(), ids("m0"), while_paused=True) == ExitCode.OK


def test_a_source_that_dead_letters_elsewhere_needs_to(fakes, context, monkeypatch):
    fill(fakes, 1)
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:other"})}
    monkeypatch.setattr(fakes.source, "attributes", lambda: policy)
    made = context()
    with pytest.raises(ConfigError, match="--to"):
        redrive(made, ids("m0"))
    made.queue = lambda _: fakes.source
    assert redrive(made, ids("m0"), to="source") == ExitCode.OK


def test_it_works_without_a_state_bucket_and_audits_to_the_log(fakes, context, capsys):
    fill(fakes, 1)
    assert redrive(context(state=False), ids("m0")) == ExitCode.OK
    assert "recorded in the log alone" in capsys.readouterr().err


def test_an_audit_that_the_bucket_refuses_makes_the_result_incomplete(fakes, context):
    fill(fakes, 1)
    fakes.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert redrive(context(), ids("m0")) == ExitCode.INCOMPLETE
    assert len(fakes.source.messages) == 1


def test_what_fails_again_is_not_taken_again(fakes, context, monkeypatch):
    """A worker that hands everything back at once: each message is sent once."""
    fill(fakes, 25)
    sends = []

    def bounce(entries):
        sends.extend(entries)
        for entry in entries:
            fakes.dlq.add(
                f"again-{len(fakes.dlq.messages)}-{len(sends)}", entry["MessageBody"], entry["MessageAttributes"]
            )
        return {}

    monkeypatch.setattr(fakes.source, "send", bounce)
    assert redrive_all(context("redrive-all"), Filter(), everything=True, yes=True) == ExitCode.OK
    assert len(sends) == 25


def test_everything_must_be_said(fakes, context):
    with pytest.raises(typer.BadParameter, match="every message"):
        redrive_all(context(), Filter(), yes=True)


def test_more_than_one_message_needs_yes_where_there_is_no_terminal(fakes, context):
    fill(fakes, 2)
    with pytest.raises(typer.BadParameter, match="no terminal"):
        redrive_all(context(), Filter(error="OSError"))
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_filters_and_the_cap_choose(fakes, context):
    fill(fakes, 30)
    fakes.dead_letter("other", "帳票.txt", failure={"error_type": "ValueError", "fingerprint": "abc123"})
    assert redrive_all(context(), Filter(match="帳票"), yes=True) == ExitCode.OK
    assert len(fakes.source.messages) == 1
    assert redrive_all(context(), Filter(error="oserror"), max_messages=7, yes=True) == ExitCode.OK
    assert (len(fakes.source.messages), len(fakes.dlq.messages), fakes.dlq.hidden) == (8, 23, set())


def test_a_canary_that_comes_back_keeps_the_rest(fakes, context, capsys, monkeypatch):
    fill(fakes, 12)

    def bounce(entries):
        for entry in entries:
            fakes.dlq.add(f"back-{hash(entry['MessageBody'])}", entry["MessageBody"], entry["MessageAttributes"])
        return {}

    monkeypatch.setattr(fakes.source, "send", bounce)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, yes=True)
    figures = said(capsys)
    assert code == ExitCode.INCOMPLETE
    assert (figures["canary"], len(figures["sent"]), len(figures["kept"])) == ({"sent": 4, "came_back": 4}, 4, 8)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (12, set())


def test_what_a_canary_keeps_is_one_line_and_with_v_one_for_each(fakes, context, capsys, monkeypatch):
    monkeypatch.setattr("recovery.operations.redrive._came_back", lambda *_: 4)

    def lines(**more) -> list[str]:
        fakes.dlq.hidden.clear()
        fill(fakes, 100)
        redrive_all(context(as_json=False), Filter(), everything=True, canary=4, canary_wait=1, yes=True, **more)
        return [line for line in capsys.readouterr().out.splitlines() if " kept " in line]

    [line] = lines()
    assert line.split()[1:3] == ["96", "kept"]
    assert line.rstrip().endswith("4 of 4 of the canary came back within 1 s")
    assert len(lines(each=True)) == 96


def test_a_canary_that_lives_lets_the_rest_go(fakes, context, capsys):
    fill(fakes, 12)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, abort_if_refail=20, yes=True)
    assert (code, said(capsys)["canary"], len(fakes.source.messages)) == (0, {"sent": 4, "came_back": 0}, 12)


def test_a_canary_that_could_not_be_sent_proves_nothing_and_keeps_the_rest(fakes, context, capsys):
    fill(fakes, 12)
    fakes.faults.add("source.send", SQS_DOWN, times=3)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, yes=True)
    figures = said(capsys)
    assert (code, figures["canary"], len(figures["kept"])) == (3, {"sent": 0, "came_back": None}, 12)
    assert set(figures["kept"].values()) == {"ServiceUnavailable: down", "none of the canary could be sent"}


def test_only_what_was_sent_of_a_canary_counts(fakes, context, capsys, monkeypatch):
    fill(fakes, 12)

    def bounce_some(entries):
        for entry in entries[:2]:
            fakes.dlq.add(f"back-{hash(entry['MessageBody'])}", entry["MessageBody"], entry["MessageAttributes"])
        return {at: Refusal("InvalidMessageContents", "no", senders_fault=True) for at in range(2, len(entries))}

    monkeypatch.setattr(fakes.source, "send", bounce_some)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, abort_if_refail=60, yes=True)
    figures = said(capsys)
    assert (code, figures["canary"], len(figures["kept"])) == (3, {"sent": 2, "came_back": 2}, 10)


def test_a_canary_whose_fate_is_unknown_keeps_the_rest_and_says_why(fakes, context, capsys):
    fill(fakes, 12)
    receives = len([call for call in fakes.faults.calls if call == "dlq.receive"])
    found = len(fakes.dlq.messages) // 10 + 2
    fakes.faults.add("dlq.receive", SQS_DOWN, after=receives + found)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, yes=True)
    figures = said(capsys)
    assert (code, figures["canary"], len(figures["sent"])) == (3, {"sent": 4, "came_back": None}, 4)
    assert all("could not be read" in why for why in figures["kept"].values())
    assert len(figures["kept"]) == 8
    assert not fakes.dlq.hidden


def test_a_queue_that_does_not_say_what_waits_in_it_does_not_end_a_redrive(fakes, context, capsys):
    fill(fakes, 12)
    fakes.faults.add("source.attributes", SQS_DOWN, after=1)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, yes=True)
    assert (code, len(said(capsys)["sent"])) == (0, 12)


@pytest.mark.parametrize(
    "options", [{"max_messages": 3}, {"canary": 1}, {"chosen": Filter(match="x")}, {"everything": False}]
)
def test_a_native_move_refuses_what_sqs_cannot_do(context, options):
    asked = {"chosen": Filter(), "everything": True, **options}
    with pytest.raises(typer.BadParameter):
        redrive_all(context(), asked.pop("chosen"), native=True, yes=True, **asked)


class Mover:
    """SQS moving messages, as far as we see it."""

    def __init__(self, fakes, monkeypatch, *states):
        self.asked: list[Any] = []
        self.states = list(states)
        monkeypatch.setattr(fakes.source, "attributes", lambda: {"QueueArn": "arn:source"})
        for name in ("start_move", "move", "cancel_move"):
            monkeypatch.setattr(fakes.dlq, name, getattr(self, name), raising=False)

    def start_move(self, to_arn, *, per_second):
        self.asked.append((to_arn, per_second))
        return "handle"

    def move(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def cancel_move(self, handle):
        self.asked.append(("cancel", handle))


@pytest.fixture
def _quick(monkeypatch):
    from recovery.operations import native_move

    monkeypatch.setattr(native_move, "POLL_INTERVAL_S", 0.01)


@pytest.mark.usefixtures("_quick")
def test_a_native_move_names_its_destination_and_is_watched_to_its_end(fakes, context, capsys, monkeypatch):
    fill(fakes, 3)
    done = {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 3}
    mover = Mover(fakes, monkeypatch, {}, {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 1}, done)
    assert redrive_all(context(), Filter(), native=True, everything=True, rate=50, yes=True) == ExitCode.OK
    assert mover.asked == [("arn:source", 50)]
    assert said(capsys)["moved"] == 3
    assert not fakes.dlq.hidden, "nothing is held while SQS moves it"


@pytest.mark.usefixtures("_quick")
def test_a_signal_cancels_a_native_move(fakes, context, monkeypatch):
    fill(fakes, 3)
    mover = Mover(fakes, monkeypatch, {"Status": "CANCELLED", "ApproximateNumberOfMessagesMoved": 1})
    made = context()
    monkeypatch.setattr(mover, "start_move", lambda *_, **__: made.signals.stop.set() or "handle")
    monkeypatch.setattr(fakes.dlq, "start_move", mover.start_move)
    assert redrive_all(made, Filter(), native=True, everything=True, yes=True) == ExitCode.INCOMPLETE
    assert mover.asked == [("cancel", "handle")]


@pytest.mark.parametrize("body", ["noise", '{"type": "maps", "correlation_id": "c", "city": "x"}'])
def test_a_native_move_is_refused_where_a_message_needs_checking(fakes, context, monkeypatch, body):
    mover = Mover(fakes, monkeypatch, {})
    fakes.dlq.add("m1", body)
    assert redrive_all(context(), Filter(), native=True, everything=True, yes=True) == ExitCode.INCOMPLETE
    assert mover.asked == []

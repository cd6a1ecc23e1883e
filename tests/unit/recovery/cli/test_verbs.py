"""The effect of each verb on queues, archive and files, with in-memory fakes; and what it refuses."""

import contextlib
import json
import signal
import time
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.cli.verbs.abandon import abandon, delete
from recovery.cli.verbs.export import export
from recovery.cli.verbs.groups import groups
from recovery.cli.verbs.import_file import import_file
from recovery.cli.verbs.inspect import inspect
from recovery.cli.verbs.list_messages import list_messages
from recovery.cli.verbs.purge import purge
from recovery.cli.verbs.redrive import redrive, redrive_all
from recovery.cli.verbs.restore import restore
from recovery.cli.verbs.stats import stats
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.records import export_file
from recovery.operations.records.archive import CLAIM_S, read_all
from tests.support.fakes import BUCKET, SQS_DOWN, Fakes
from tests.support.size import sized
from worker.core.base.errors import ConfigError, ExitCode, PausedError, QueueError, StoreError, WorkerError
from worker.core.s3.state import ARCHIVE_PREFIX, PAUSE_KEY

AUDIT = "s3-index-worker/audit/"
BINARY = {"DataType": "Binary", "BinaryValue": b"\x00\xff"}


def ids(*names: str) -> Ids:
    return Ids(frozenset(names))


def printed(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])  # log lines may precede it


def failure_of(message) -> dict:
    return json.loads(message.attributes["failure"]["StringValue"])


def fill(fakes, count, **failure):
    for number in range(count):
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure={"error_type": "OSError", **failure})


# -- redrive -----------------------------------------------------------------------------------------------------


def test_a_redriven_message_keeps_its_attributes_and_counts_the_redrive(fakes, context, capsys):
    fakes.dead_letter("m1", "経理/見積 書.txt", failure={"kind": "RECOVERABLE", "first_failed_at": "then"})
    fakes.dlq.messages["m1"].attributes["raw"] = BINARY
    body = fakes.dlq.messages["m1"].body
    assert redrive(context(), ids("m1")) == ExitCode.OK
    assert printed(capsys)["sent"] == ["m1"]
    [sent] = fakes.source.messages.values()
    assert (sent.body, sent.attributes["raw"]) == (body, BINARY)
    assert failure_of(sent) == {
        "schema": 1, "kind": "RECOVERABLE", "attempts": 0, "redrives": 1, "first_failed_at": "then"
    }  # fmt: skip
    assert not fakes.dlq.messages
    [record] = fakes.under(AUDIT).values()
    assert (record["action"], record["ids"], record["result"]["sent"]) == ("redrive", ["m1"], 1)


def test_a_message_without_a_record_gets_one_that_counts_its_redrives(fakes, context):
    fakes.dead_letter("m1", "a.txt")
    assert redrive(context(), ids("m1")) == ExitCode.OK
    assert failure_of(next(iter(fakes.source.messages.values())))["redrives"] == 1


def test_a_dry_redrive_sends_nothing_and_releases_everything(fakes, context, capsys):
    fill(fakes, 3)
    assert redrive(context(), ids("m0", "m1"), dry_run=True) == ExitCode.OK
    assert sorted(printed(capsys)["would_send"]) == ["m0", "m1"]
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
def test_an_invalid_message_is_refused_and_stays_in_the_dlq(fakes, context, capsys, body, why):
    fakes.dlq.add("m1", body)
    assert redrive(context(), ids("m1")) == ExitCode.INCOMPLETE
    assert why in printed(capsys)["refused"]["m1"]
    assert (list(fakes.dlq.messages), fakes.dlq.hidden, fakes.source.messages) == (["m1"], set(), {})


def test_the_fourth_redrive_needs_force(fakes, context, capsys):
    fakes.dead_letter("m1", "a.txt", failure={"redrives": 3})
    assert redrive(context(), ids("m1")) == ExitCode.INCOMPLETE
    assert "redriven 3 times" in printed(capsys)["refused"]["m1"]
    assert redrive(context(), ids("m1"), force=True) == ExitCode.OK
    assert failure_of(next(iter(fakes.source.messages.values())))["redrives"] == 4


def test_a_message_without_room_for_the_failure_record_is_refused_before_it_is_sent(fakes, context, capsys):
    fakes.dead_letter("m1", "a.txt")
    fakes.dlq.messages["m1"].attributes.update({f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(10)})
    assert redrive(context(), ids("m1")) == ExitCode.INCOMPLETE
    assert "10 attributes" in printed(capsys)["refused"]["m1"]
    assert redrive(context(), ids("m1"), force=True) == ExitCode.OK
    assert "failure" not in next(iter(fakes.source.messages.values())).attributes


def test_a_long_stack_is_dropped_where_the_queue_takes_no_more(fakes, context, monkeypatch):
    fakes.dead_letter("m1", "a.txt", failure={"stack": "s" * 2_000})
    limit = {"MaximumMessageSize": str(len(fakes.dlq.messages["m1"].body) + 300)}
    monkeypatch.setattr(fakes.source, "attributes", lambda: limit)
    assert redrive(context(), ids("m1")) == ExitCode.OK
    assert failure_of(next(iter(fakes.source.messages.values())))["stack"] == ""


def test_a_message_whose_send_was_not_confirmed_is_not_deleted(fakes, context, capsys):
    fill(fakes, 2)
    fakes.faults.add("source.send", SQS_DOWN)
    assert redrive(context(), ids("m0"), yes=True) == ExitCode.INCOMPLETE
    assert "ServiceUnavailable" in printed(capsys)["kept"]["m0"]
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_a_failed_delete_is_reported_and_leaves_the_message_in_both_queues(fakes, context, capsys):
    fill(fakes, 1)
    fakes.faults.add("dlq.delete", SQS_DOWN)
    assert redrive(context(), ids("m0")) == ExitCode.INCOMPLETE
    assert printed(capsys)["not_deleted"] == ["m0"]
    assert len(fakes.source.messages) == len(fakes.dlq.messages) == 1


def test_ids_that_are_not_found_change_the_exit_code(fakes, context):
    fill(fakes, 1)
    assert redrive(context(), ids("m9")) == ExitCode.NOT_FOUND
    assert redrive(context(), ids("m0", "m9")) == ExitCode.INCOMPLETE
    assert not fakes.dlq.messages


def test_a_redrive_is_refused_while_the_fleet_is_paused(fakes, context):
    fill(fakes, 1)
    fakes.s3.records[PAUSE_KEY] = json.dumps({"reason": "索引の更新", "by": "me"}).encode()
    with pytest.raises(PausedError, match="索引の更新"):
        redrive(context(), ids("m0"))
    assert redrive(context(), ids("m0"), dry_run=True) == ExitCode.OK
    assert redrive(context(), ids("m0"), while_paused=True) == ExitCode.OK


def test_a_source_whose_redrive_policy_leads_elsewhere_requires_to(fakes, context, monkeypatch):
    fill(fakes, 1)
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:other"})}
    monkeypatch.setattr(fakes.source, "attributes", lambda: policy)
    made = context()
    with pytest.raises(ConfigError, match="--to"):
        redrive(made, ids("m0"))
    made.queue = lambda _: fakes.source
    assert redrive(made, ids("m0"), to="source") == ExitCode.OK


def test_without_a_state_bucket_the_audit_goes_to_the_log(fakes, context, capsys):
    fill(fakes, 1)
    assert redrive(context(state=False), ids("m0")) == ExitCode.OK
    assert "recorded in the log alone" in capsys.readouterr().err


def test_an_audit_that_cannot_be_stored_makes_the_result_incomplete(fakes, context):
    fill(fakes, 1)
    fakes.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert redrive(context(), ids("m0")) == ExitCode.INCOMPLETE
    assert len(fakes.source.messages) == 1


# -- redrive-all -------------------------------------------------------------------------------------------------


def test_messages_that_fail_again_are_not_sent_twice(fakes, context, monkeypatch):
    """A worker sends everything to the DLQ again at once; each message is redriven only once."""
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


def test_redriving_every_message_requires_all(fakes, context):
    with pytest.raises(typer.BadParameter, match="every message"):
        redrive_all(context(), Filter(), yes=True)


def test_without_a_terminal_several_messages_require_yes(fakes, context):
    fill(fakes, 2)
    with pytest.raises(typer.BadParameter, match="no terminal"):
        redrive_all(context(), Filter(error="OSError"))
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_filters_and_max_messages_select_messages(fakes, context):
    fill(fakes, 30)
    fakes.dead_letter("other", "帳票.txt", failure={"error_type": "ValueError", "fingerprint": "abc123"})
    assert redrive_all(context(), Filter(match="帳票"), yes=True) == ExitCode.OK
    assert len(fakes.source.messages) == 1
    assert redrive_all(context(), Filter(error="oserror"), max_messages=7, yes=True) == ExitCode.OK
    assert (len(fakes.source.messages), len(fakes.dlq.messages), fakes.dlq.hidden) == (8, 23, set())


def test_a_canary_that_comes_back_stops_the_redrive(fakes, context, capsys, monkeypatch):
    fill(fakes, 12)

    def bounce(entries):
        for entry in entries:
            fakes.dlq.add(f"back-{hash(entry['MessageBody'])}", entry["MessageBody"], entry["MessageAttributes"])
        return {}

    monkeypatch.setattr(fakes.source, "send", bounce)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, yes=True)
    figures = printed(capsys)
    assert code == ExitCode.INCOMPLETE
    assert (figures["canary"], len(figures["sent"]), len(figures["kept"])) == ({"sent": 4, "came_back": 4}, 4, 8)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (12, set())


def test_a_canary_that_does_not_come_back_is_followed_by_the_rest(fakes, context, capsys):
    fill(fakes, 12)
    code = redrive_all(context(), Filter(), everything=True, canary=4, canary_wait=1, abort_if_refail=20, yes=True)
    assert (code, printed(capsys)["canary"], len(fakes.source.messages)) == (0, {"sent": 4, "came_back": 0}, 12)


@pytest.mark.parametrize(
    "options", [{"max_messages": 3}, {"canary": 1}, {"chosen": Filter(match="x")}, {"everything": False}]
)
def test_a_native_move_refuses_options_that_sqs_does_not_support(context, options):
    asked = {"chosen": Filter(), "everything": True, **options}
    with pytest.raises(typer.BadParameter):
        redrive_all(context(), asked.pop("chosen"), native=True, yes=True, **asked)


class Mover:
    """A move task of SQS, as its API shows it."""

    def __init__(self, fakes, monkeypatch, *states):
        self.asked: list = []
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
def test_a_native_move_has_an_explicit_destination_and_is_watched_until_it_ends(fakes, context, capsys, monkeypatch):
    fill(fakes, 3)
    done = {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 3}
    mover = Mover(fakes, monkeypatch, {}, {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 1}, done)
    assert redrive_all(context(), Filter(), native=True, everything=True, rate=50, yes=True) == ExitCode.OK
    assert mover.asked == [("arn:source", 50)]
    assert printed(capsys)["moved"] == 3
    assert not fakes.dlq.hidden, "nothing is kept invisible while SQS moves it"


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
def test_a_native_move_is_refused_if_a_message_must_be_checked(fakes, context, monkeypatch, body):
    mover = Mover(fakes, monkeypatch, {})
    fakes.dlq.add("m1", body)
    assert redrive_all(context(), Filter(), native=True, everything=True, yes=True) == ExitCode.INCOMPLETE
    assert mover.asked == []


# -- archive -----------------------------------------------------------------------------------------------------


def test_a_deleted_message_is_archived_and_can_be_restored_once(fakes, context, capsys):
    fakes.dead_letter("m1", "契約.pdf", failure={"kind": "USER_ERROR"})
    fakes.dlq.messages["m1"].attributes["raw"] = BINARY
    body = fakes.dlq.messages["m1"].body
    assert delete(context("delete"), ids("m1"), reason="重複") == ExitCode.OK
    assert not fakes.dlq.messages
    [entry] = read_all(fakes.state, fakes.state.keys(ARCHIVE_PREFIX))
    assert (entry.reason, entry.error_type, entry.dead_letter.attributes["raw"]["BinaryValue"]) == (
        "重複",
        "deleted",
        b"\x00\xff",
    )
    assert restore(context("restore"), message_id=["m1"]) == ExitCode.OK
    [back] = fakes.dlq.messages.values()
    assert (back.body, back.attributes["raw"], failure_of(back)) == (body, BINARY, {"kind": "USER_ERROR"})
    capsys.readouterr()
    assert restore(context("restore"), message_id=["m1"]) == ExitCode.INCOMPLETE
    assert "already restored" in printed(capsys)["refused"]["m1"]
    assert len(fakes.dlq.messages) == 1


def test_ids_that_are_not_in_the_archive_are_named_and_the_others_restored(fakes, context, capsys):
    fakes.dead_letter("m1", "a.txt", failure={"kind": "USER_ERROR"})
    delete(context("delete"), ids("m1"), reason="x")
    assert restore(context("restore"), message_id=["m1", "nobody"]) == ExitCode.INCOMPLETE
    assert "nobody: not in dlq-archive/" in capsys.readouterr().err
    assert list(fakes.dlq.messages)
    assert restore(context("restore"), run="nobody") == ExitCode.NOT_FOUND
    assert "run nobody: not in dlq-archive/" in capsys.readouterr().err


def test_nothing_is_deleted_if_archiving_fails(fakes, context):
    fill(fakes, 2)
    fakes.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert delete(context("delete"), ids("m0"), reason="x") == ExitCode.INCOMPLETE
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_everything_that_a_run_archived_can_be_restored(fakes, context, capsys):
    fill(fakes, 15)
    assert abandon(context("abandon"), Filter(error="OSError"), reason="x", yes=True) == ExitCode.OK
    run = printed(capsys)["run"]
    assert (len(fakes.dlq.messages), len(fakes.under(ARCHIVE_PREFIX))) == (0, 15)
    assert restore(context("restore"), run=run, to="source", yes=True) == ExitCode.OK
    assert len(fakes.source.messages) == 15
    assert all(failure_of(one)["redrives"] == 1 for one in fakes.source.messages.values())


def test_an_interrupted_restore_can_be_taken_over_after_the_claim_expires(fakes, context, monkeypatch):
    fill(fakes, 1)
    delete(context("delete"), ids("m0"), reason="x")
    fakes.faults.add("dlq.send", KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        restore(context("restore"), message_id=["m0"])
    fakes.faults.plan.clear()
    assert restore(context("restore"), message_id=["m0"]) == ExitCode.INCOMPLETE, "another restore may be running"
    now = time.time
    monkeypatch.setattr("recovery.operations.records.archive.time.time", lambda: now() + CLAIM_S + 1)
    assert restore(context("restore"), message_id=["m0"]) == ExitCode.OK
    assert len(fakes.dlq.messages) == 1


def test_a_restore_whose_send_failed_can_be_repeated(fakes, context):
    fill(fakes, 1)
    delete(context("delete"), ids("m0"), reason="x")
    fakes.faults.add("dlq.send", QueueError("no", code="AccessDenied"))
    assert restore(context("restore"), message_id=["m0"]) == ExitCode.INCOMPLETE
    fakes.faults.plan.clear()
    assert restore(context("restore"), message_id=["m0"]) == ExitCode.OK


@pytest.mark.parametrize("verb", [delete, abandon, restore])
def test_verbs_that_need_a_state_bucket_name_the_missing_setting(context, verb):
    asked = {
        delete: {"ids": ids("m"), "reason": "x"},
        abandon: {"chosen": Filter(match="x"), "reason": "x"},
        restore: {"run": "x"},
    }[verb]
    with pytest.raises(ConfigError, match="STATE_BUCKET is missing"):
        verb(context(verb.__name__, state=False), **asked)


# -- files -------------------------------------------------------------------------------------------------------


def test_an_export_deletes_nothing_and_an_import_loses_nothing(fakes, context, tmp_path):
    fill(fakes, 3)
    fakes.dlq.messages["m0"].attributes["raw"] = BINARY
    bodies = {message.body for message in fakes.dlq.messages.values()}
    file = tmp_path / "out.jsonl"
    assert export(context("export"), file, Filter()) == ExitCode.OK
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (3, set())
    fakes.dlq.messages.clear()
    assert import_file(context("import"), file, yes=True) == ExitCode.OK
    assert {message.body for message in fakes.dlq.messages.values()} == bodies
    assert BINARY in [message.attributes.get("raw") for message in fakes.dlq.messages.values()]


def test_an_existing_file_is_never_replaced(fakes, context, tmp_path):
    fill(fakes, 1)
    file = tmp_path / "out.jsonl"
    file.write_text("precious")
    for act in (
        lambda: export(context("export"), file, Filter()),
        lambda: purge(context("purge"), file, confirm="dlq"),
    ):
        with pytest.raises(typer.BadParameter, match="there already"):
            act()
    assert (file.read_text(), len(fakes.dlq.messages), fakes.dlq.hidden) == ("precious", 1, set())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: [lines[0].replace(b"0.txt", b"9.txt"), *lines[1:]],
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[0][:40]],
        lambda lines: [b'{"hello": 1}\n'],
        lambda lines: [],
    ],
)
def test_a_file_that_is_cut_short_or_altered_is_refused_before_anything_is_sent(fakes, context, tmp_path, spoil):
    fill(fakes, 2)
    file = tmp_path / "out.jsonl"
    export(context("export"), file, Filter())
    file.write_bytes(b"".join(spoil(file.read_bytes().splitlines(keepends=True))))
    before = len(fakes.dlq.messages)
    with pytest.raises(typer.BadParameter):
        import_file(context("import"), file, yes=True)
    assert len(fakes.dlq.messages) == before


def test_a_purge_deletes_only_the_messages_in_its_file(fakes, context, capsys, tmp_path, monkeypatch):
    fill(fakes, 12)
    original = export_file.write_export

    def and_one_more_arrives(*args, **options):
        seal = original(*args, **options)
        fakes.dead_letter("late", "late.txt")
        return seal

    monkeypatch.setattr(export_file, "write_export", and_one_more_arrives)
    file = tmp_path / "all.jsonl"
    assert purge(context("purge"), file, confirm="dlq") == ExitCode.INCOMPLETE
    figures = printed(capsys)
    assert (figures["deleted"], figures["left_in_queue"]) == (12, 1)
    assert list(fakes.dlq.messages) == ["late"]
    assert len(file.read_text().splitlines()) == 13


def test_a_file_that_cannot_be_created_is_reported_before_the_queue_is_read(fakes, context, tmp_path):
    fill(fakes, 1)
    fakes.faults.add("dlq.receive", SQS_DOWN)
    for file in (tmp_path, tmp_path / "nowhere" / "x.jsonl"):
        with pytest.raises(typer.BadParameter) as refused:
            purge(context("purge"), file, confirm="dlq")
        assert refused.value.param_hint == "--backup"
        with pytest.raises(typer.BadParameter):
            export(context("export"), file, Filter())


@pytest.mark.parametrize("confirm", [None, "other", "DLQ"])
def test_a_purge_requires_the_name_of_the_queue(fakes, context, tmp_path, confirm):
    fill(fakes, 2)
    with pytest.raises(typer.BadParameter):
        purge(context("purge"), tmp_path / "all.jsonl", confirm=confirm)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden, list(tmp_path.iterdir())) == (2, set(), [])


def test_a_backup_that_fails_verification_ends_a_purge_before_the_first_delete(fakes, context, tmp_path, monkeypatch):
    fill(fakes, 2)
    original = export_file.write_export

    def torn(path: Path, *args, **options):
        seal = original(path, *args, **options)
        path.write_bytes(path.read_bytes()[:-10])
        return seal

    monkeypatch.setattr(export_file, "write_export", torn)
    with pytest.raises(typer.BadParameter):
        purge(context("purge"), tmp_path / "all.jsonl", confirm="dlq")
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


# -- listing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "show",
    [
        lambda context: stats(context("stats")),
        lambda context: list_messages(context("list"), Filter()),
        lambda context: groups(context("groups"), Filter()),
        lambda context: inspect(context("inspect"), ids("m1")),
    ],
)
def test_showing_messages_consumes_none(fakes, context, show):
    fill(fakes, 30)
    assert show(context) == ExitCode.OK
    assert (len(fakes.dlq.messages), fakes.dlq.hidden, fakes.under("s3-index-worker/holders/")) == (30, set(), {})


@pytest.mark.parametrize("fault", ["dlq.receive", "dlq.attributes"])
def test_received_messages_are_released_after_an_error(fakes, context, fault):
    fill(fakes, 200)
    made = context("list")
    fakes.faults.add(fault, QueueError("no", code="AccessDenied"), after=3 if fault == "dlq.receive" else 0)
    with pytest.raises(QueueError):
        groups(made, Filter())
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (200, set())


def test_coverage_counts_messages_in_flight_elsewhere(fakes, context, capsys):
    fill(fakes, 25)
    fakes.dlq.hidden |= {"m0", "m1", "m2"}  # someone else holds them
    assert list_messages(context("list"), Filter()) == ExitCode.OK
    assert "saw 22 of about 25; the rest is in flight elsewhere" in capsys.readouterr().err


def test_a_signal_ends_a_list_and_releases_its_messages(fakes, context):
    fill(fakes, 25)
    made = context("list")
    made.signals._heed(signal.SIGTERM, None)
    with pytest.raises(typer.Exit) as ended:
        list_messages(made, Filter())
    assert ended.value.exit_code == ExitCode.TERMINATED
    assert not fakes.dlq.hidden


def test_stats_shows_counts_groups_holders_and_the_state_bucket(fakes, context, capsys):
    fill(fakes, 3, kind="RECOVERABLE", fingerprint="abc", source_queue="http://sqs/q/source")
    fakes.dead_letter("native", "b.txt")
    fakes.s3.records |= {"retry-index/2026-01-01/x": b"{}", "retry-index/parked/y": b"{}", "dead-letters/z": b"{}"}
    fakes.s3.records["s3-index-worker/holders/h-1.json"] = json.dumps({"command": "recover_dlq", "host": "h"}).encode()
    assert stats(context("stats")) == ExitCode.OK
    figures = printed(capsys)
    assert figures["by_kind"] == {"RECOVERABLE": 3, "UNKNOWN": 1}
    assert figures["by_error"] == {"OSError": 3, "no record (redrive policy)": 1}
    assert figures["groups"][0]["group"] == "abc"
    counted = figures["state_bucket"]
    assert [counted[name] for name in ("retry-index/", "retry-index/parked/", "dead-letters/", "dlq-archive/")] == [
        1,
        1,
        1,
        0,
    ]
    assert figures["holders"] == [{"command": "recover_dlq", "host": "h"}]
    assert stats(context("stats", as_json=False)) == ExitCode.OK


def test_an_empty_dlq_exits_with_not_found(fakes, context):
    assert list_messages(context("list"), Filter()) == ExitCode.NOT_FOUND
    assert groups(context("groups"), Filter()) == ExitCode.NOT_FOUND
    assert stats(context("stats")) == ExitCode.OK


@pytest.mark.parametrize("as_json", [True, False])
def test_control_characters_in_keys_and_bodies_are_escaped(fakes, context, capsys, as_json):
    evil = "\x1b[2J\x1b]0;owned\x07\r\n[red]x[/red]\u202e"
    fakes.dead_letter(
        "m1", f"経理/{evil}.txt", failure={"error_type": evil, "message": evil, "stack": evil, "fingerprint": evil}
    )
    fakes.dlq.add("m2", evil, {evil: {"DataType": "String", "StringValue": evil}})
    stats(context("stats", as_json=as_json))
    list_messages(context("list", as_json=as_json), Filter())
    groups(context("groups", as_json=as_json), Filter())
    inspect(context("inspect", as_json=as_json), ids("m1", "m2"))
    delete(context("delete", as_json=as_json), ids("m1"), reason=evil)
    list_messages(context("list", as_json=as_json), Filter(), archive=True)
    heard = capsys.readouterr()
    shown = heard.out + heard.err if not as_json else heard.out
    assert not [c for c in shown if c != "\n" and not c.isprintable() and not (as_json and c == "\u202e")]
    assert as_json or "[red]x[/red]" in shown


# -- nothing lost ------------------------------------------------------------------------------------------------

CALLS = (
    "dlq.receive", "dlq.delete", "dlq.hide", "dlq.attributes", "source.send", "source.attributes", "state.put",
    "state.claim", "state.get",
)  # fmt: skip
VERBS = ("redrive", "delete", "restore", "purge", "canary")


@pytest.mark.timeout(sized(900, usual=180))
@settings(
    max_examples=sized(500, usual=40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    verb=st.sampled_from(VERBS),
    count=st.integers(1, 25),
    call=st.sampled_from(CALLS),
    after=st.integers(0, 4),
    times=st.sampled_from([1, 3, 1_000_000]),
    transient=st.booleans(),
)
def test_no_verb_loses_a_message_whichever_call_fails(tmp_path_factory, verb, count, call, after, times, transient):
    folder = tmp_path_factory.mktemp("files")
    fakes = Fakes()
    fill(fakes, count)
    bodies = {message.body for message in fakes.dlq.messages.values()}
    with pytest.MonkeyPatch.context() as patch:
        made = _context(fakes, patch, verb)
        if verb == "restore":
            abandon(made, Filter(), reason="x", everything=True, yes=True)
        code = "ServiceUnavailable" if transient else "AccessDenied"
        kind = QueueError if call.startswith(("dlq", "source")) else StoreError
        fakes.faults.add(call, kind("x", code=code), after=after, times=times)
        with contextlib.suppress(WorkerError, typer.BadParameter):
            _act(made, verb, folder)
    stored = {message.body for queue in (fakes.dlq, fakes.source) for message in queue.messages.values()}
    stored |= {record["body"] for record in fakes.under(ARCHIVE_PREFIX).values()}
    stored |= {json.loads(line).get("body") for file in folder.iterdir() for line in file.read_text().splitlines()}
    assert bodies <= stored
    assert fakes.s3.holds == {}, "verbs never change objects"


def _context(fakes, patch, verb):
    patch.setenv("DLQ_URL", "http://sqs/q/dlq")
    patch.setenv("S3_BUCKET", BUCKET)
    from recovery.cli.context import CommandContext
    from recovery.cli.settings import ToolOptions, load_tool
    from worker.terminal import Signals

    settings, aws = load_tool(ToolOptions())
    made = CommandContext(settings, aws, verb, Signals(), as_json=True)
    made.dlq, made.source, made.objects, made.state = fakes.dlq, lambda: fakes.source, fakes.s3, fakes.state  # type: ignore[assignment,method-assign]
    made.check_dlq()
    return made


def _act(made, verb, folder):
    if verb == "redrive":
        redrive_all(made, Filter(), everything=True, yes=True)
    elif verb == "canary":
        redrive_all(made, Filter(), everything=True, canary=3, canary_wait=0, yes=True)
    elif verb == "delete":
        abandon(made, Filter(), reason="x", everything=True, yes=True)
    elif verb == "restore":
        restore(made, run=made.run.name, yes=True)
    else:
        purge(made, folder / "all.jsonl", confirm="dlq")

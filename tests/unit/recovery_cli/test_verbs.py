"""What each verb does to queues, archive and files, on a world in memory; and what it refuses."""

import contextlib
import json
import signal
import time
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.archive import CLAIM_S, read_all
from recovery.cli import archiving, files, inspecting, looking, sending
from recovery.cli.options import Ids
from recovery.grouping import Filter
from tests.support.size import sized
from tests.support.world import BUCKET, SQS_DOWN, World
from worker.core.errors import ConfigError, ExitCode, PausedError, QueueError, StoreError, WorkerError
from worker.core.state import ARCHIVE_PREFIX, PAUSE_KEY

AUDIT = "s3-index-worker/audit/"
BINARY = {"DataType": "Binary", "BinaryValue": b"\x00\xff"}


def ids(*names: str) -> Ids:
    return Ids(frozenset(names))


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])  # log lines may stand before it


def failure_of(message) -> dict:
    return json.loads(message.attributes["failure"]["StringValue"])


def fill(world, count, **failure):
    for number in range(count):
        world.letter(f"m{number}", f"{number}.txt", failure={"error_type": "OSError", **failure})


# -- redrive -----------------------------------------------------------------------------------------------------


def test_a_message_goes_back_with_its_attributes_and_its_redrive_counted(world, desk, capsys):
    world.letter("m1", "経理/見積 書.txt", failure={"kind": "RECOVERABLE", "first_failed_at": "then"})
    world.dlq.messages["m1"].attributes["raw"] = BINARY
    body = world.dlq.messages["m1"].body
    assert sending.redrive(desk(), ids("m1")) == ExitCode.OK
    assert said(capsys)["sent"] == ["m1"]
    [sent] = world.source.messages.values()
    assert (sent.body, sent.attributes["raw"]) == (body, BINARY)
    assert failure_of(sent) == {"schema": 1, "kind": "RECOVERABLE", "first_failed_at": "then", "redrives": 1}
    assert not world.dlq.messages
    [record] = world.under(AUDIT).values()
    assert (record["action"], record["ids"], record["result"]["sent"]) == ("redrive", ["m1"], 1)


def test_a_message_without_a_record_gets_one_that_counts_its_redrives(world, desk):
    world.letter("m1", "a.txt")
    assert sending.redrive(desk(), ids("m1")) == ExitCode.OK
    assert failure_of(next(iter(world.source.messages.values())))["redrives"] == 1


def test_a_dry_run_sends_nothing_and_gives_everything_back(world, desk, capsys):
    fill(world, 3)
    assert sending.redrive(desk(), ids("m0", "m1"), dry_run=True) == ExitCode.OK
    assert sorted(said(capsys)["would_send"]) == ["m0", "m1"]
    assert (len(world.dlq.messages), world.dlq.hidden, world.source.messages) == (3, set(), {})
    assert not world.under(AUDIT)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("noise", "not JSON"),
        ('{"type": "maps", "city": "京都"}', "message missing correlation_id, cannot safely redrive"),
        ('{"hello": 1}', "no known type"),
    ],
)
def test_what_is_not_valid_is_refused_and_stays(world, desk, capsys, body, why):
    world.dlq.add("m1", body)
    assert sending.redrive(desk(), ids("m1")) == ExitCode.INCOMPLETE
    assert why in said(capsys)["refused"]["m1"]
    assert (list(world.dlq.messages), world.dlq.hidden, world.source.messages) == (["m1"], set(), {})


def test_the_fourth_redrive_needs_force(world, desk, capsys):
    world.letter("m1", "a.txt", failure={"redrives": 3})
    assert sending.redrive(desk(), ids("m1")) == ExitCode.INCOMPLETE
    assert "redriven 3 times" in said(capsys)["refused"]["m1"]
    assert sending.redrive(desk(), ids("m1"), force=True) == ExitCode.OK
    assert failure_of(next(iter(world.source.messages.values())))["redrives"] == 4


def test_attributes_that_leave_no_room_are_told_before_anything_is_sent(world, desk, capsys):
    world.letter("m1", "a.txt")
    world.dlq.messages["m1"].attributes.update({f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(10)})
    assert sending.redrive(desk(), ids("m1")) == ExitCode.INCOMPLETE
    assert "10 attributes" in said(capsys)["refused"]["m1"]
    assert sending.redrive(desk(), ids("m1"), force=True) == ExitCode.OK
    assert "failure" not in next(iter(world.source.messages.values())).attributes


def test_a_long_stack_is_dropped_where_the_queue_takes_no_more(world, desk, monkeypatch):
    world.letter("m1", "a.txt", failure={"stack": "s" * 2_000})
    limit = {"MaximumMessageSize": str(len(world.dlq.messages["m1"].body) + 300)}
    monkeypatch.setattr(world.source, "attributes", lambda: limit)
    assert sending.redrive(desk(), ids("m1")) == ExitCode.OK
    assert failure_of(next(iter(world.source.messages.values())))["stack"] == ""


def test_nothing_is_deleted_that_was_not_confirmed(world, desk, capsys):
    fill(world, 2)
    world.faults.add("source.send", SQS_DOWN)
    assert sending.redrive(desk(), ids("m0"), yes=True) == ExitCode.INCOMPLETE
    assert "ServiceUnavailable" in said(capsys)["kept"]["m0"]
    assert (len(world.dlq.messages), world.dlq.hidden) == (2, set())


def test_a_failed_delete_is_told_and_the_message_is_in_both_places(world, desk, capsys):
    fill(world, 1)
    world.faults.add("dlq.delete", SQS_DOWN)
    assert sending.redrive(desk(), ids("m0")) == ExitCode.INCOMPLETE
    assert said(capsys)["not_deleted"] == ["m0"]
    assert len(world.source.messages) == len(world.dlq.messages) == 1


def test_what_is_not_there_is_said_by_the_exit_code(world, desk):
    fill(world, 1)
    assert sending.redrive(desk(), ids("m9")) == ExitCode.NOT_FOUND
    assert sending.redrive(desk(), ids("m0", "m9")) == ExitCode.INCOMPLETE
    assert not world.dlq.messages


def test_a_paused_fleet_is_not_given_work(world, desk):
    fill(world, 1)
    world.s3.records[PAUSE_KEY] = json.dumps({"reason": "索引の更新", "by": "me"}).encode()
    with pytest.raises(PausedError, match="索引の更新"):
        sending.redrive(desk(), ids("m0"))
    assert sending.redrive(desk(), ids("m0"), dry_run=True) == ExitCode.OK
    assert sending.redrive(desk(), ids("m0"), while_paused=True) == ExitCode.OK


def test_a_source_that_dead_letters_elsewhere_needs_to(world, desk, monkeypatch):
    fill(world, 1)
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:other"})}
    monkeypatch.setattr(world.source, "attributes", lambda: policy)
    made = desk()
    with pytest.raises(ConfigError, match="--to"):
        sending.redrive(made, ids("m0"))
    made.queue = lambda _: world.source
    assert sending.redrive(made, ids("m0"), to="source") == ExitCode.OK


def test_it_works_without_a_state_bucket_and_audits_to_the_log(world, desk, capsys):
    fill(world, 1)
    assert sending.redrive(desk(state=False), ids("m0")) == ExitCode.OK
    assert "recorded in the log alone" in capsys.readouterr().err


def test_an_audit_that_the_bucket_refuses_makes_the_result_incomplete(world, desk):
    fill(world, 1)
    world.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert sending.redrive(desk(), ids("m0")) == ExitCode.INCOMPLETE
    assert len(world.source.messages) == 1


# -- redrive-all -------------------------------------------------------------------------------------------------


def test_what_fails_again_is_not_taken_again(world, desk, monkeypatch):
    """A worker that hands everything back at once: each message is sent once."""
    fill(world, 25)
    sends = []

    def bounce(entries):
        sends.extend(entries)
        for entry in entries:
            world.dlq.add(
                f"again-{len(world.dlq.messages)}-{len(sends)}", entry["MessageBody"], entry["MessageAttributes"]
            )
        return {}

    monkeypatch.setattr(world.source, "send", bounce)
    assert sending.redrive_all(desk("redrive-all"), Filter(), everything=True, yes=True) == ExitCode.OK
    assert len(sends) == 25


def test_everything_must_be_said(world, desk):
    with pytest.raises(typer.BadParameter, match="every message"):
        sending.redrive_all(desk(), Filter(), yes=True)


def test_more_than_one_message_needs_yes_where_there_is_no_terminal(world, desk):
    fill(world, 2)
    with pytest.raises(typer.BadParameter, match="no terminal"):
        sending.redrive_all(desk(), Filter(error="OSError"))
    assert (len(world.dlq.messages), world.dlq.hidden) == (2, set())


def test_filters_and_the_cap_choose(world, desk):
    fill(world, 30)
    world.letter("other", "帳票.txt", failure={"error_type": "ValueError", "fingerprint": "abc123"})
    assert sending.redrive_all(desk(), Filter(match="帳票"), yes=True) == ExitCode.OK
    assert len(world.source.messages) == 1
    assert sending.redrive_all(desk(), Filter(error="oserror"), max_messages=7, yes=True) == ExitCode.OK
    assert (len(world.source.messages), len(world.dlq.messages), world.dlq.hidden) == (8, 23, set())


def test_a_canary_that_comes_back_keeps_the_rest(world, desk, capsys, monkeypatch):
    fill(world, 12)

    def bounce(entries):
        for entry in entries:
            world.dlq.add(f"back-{hash(entry['MessageBody'])}", entry["MessageBody"], entry["MessageAttributes"])
        return {}

    monkeypatch.setattr(world.source, "send", bounce)
    code = sending.redrive_all(desk(), Filter(), everything=True, canary=4, canary_wait=1, yes=True)
    figures = said(capsys)
    assert code == ExitCode.INCOMPLETE
    assert (figures["canary"], len(figures["sent"]), len(figures["kept"])) == ({"sent": 4, "came_back": 4}, 4, 8)
    assert (len(world.dlq.messages), world.dlq.hidden) == (12, set())


def test_a_canary_that_lives_lets_the_rest_go(world, desk, capsys):
    fill(world, 12)
    code = sending.redrive_all(desk(), Filter(), everything=True, canary=4, canary_wait=1, abort_if_refail=20, yes=True)
    assert (code, said(capsys)["canary"], len(world.source.messages)) == (0, {"sent": 4, "came_back": 0}, 12)


@pytest.mark.parametrize(
    "options", [{"max_messages": 3}, {"canary": 1}, {"chosen": Filter(match="x")}, {"everything": False}]
)
def test_a_native_move_refuses_what_sqs_cannot_do(desk, options):
    asked = {"chosen": Filter(), "everything": True, **options}
    with pytest.raises(typer.BadParameter):
        sending.redrive_all(desk(), asked.pop("chosen"), native=True, yes=True, **asked)


class Mover:
    """SQS moving messages, as far as we see it."""

    def __init__(self, world, monkeypatch, *states):
        self.asked: list = []
        self.states = list(states)
        monkeypatch.setattr(world.source, "attributes", lambda: {"QueueArn": "arn:source"})
        for name in ("start_move", "move", "cancel_move"):
            monkeypatch.setattr(world.dlq, name, getattr(self, name), raising=False)

    def start_move(self, to_arn, *, per_second):
        self.asked.append((to_arn, per_second))
        return "handle"

    def move(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def cancel_move(self, handle):
        self.asked.append(("cancel", handle))


@pytest.fixture
def _quick(monkeypatch):
    from recovery.cli import native

    monkeypatch.setattr(native, "LOOK_EVERY_S", 0.01)


@pytest.mark.usefixtures("_quick")
def test_a_native_move_names_its_destination_and_is_watched_to_its_end(world, desk, capsys, monkeypatch):
    fill(world, 3)
    done = {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 3}
    mover = Mover(world, monkeypatch, {}, {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 1}, done)
    assert sending.redrive_all(desk(), Filter(), native=True, everything=True, rate=50, yes=True) == ExitCode.OK
    assert mover.asked == [("arn:source", 50)]
    assert said(capsys)["moved"] == 3
    assert not world.dlq.hidden, "nothing is held while SQS moves it"


@pytest.mark.usefixtures("_quick")
def test_a_signal_cancels_a_native_move(world, desk, monkeypatch):
    fill(world, 3)
    mover = Mover(world, monkeypatch, {"Status": "CANCELLED", "ApproximateNumberOfMessagesMoved": 1})
    made = desk()
    monkeypatch.setattr(mover, "start_move", lambda *_, **__: made.signals.stop.set() or "handle")
    monkeypatch.setattr(world.dlq, "start_move", mover.start_move)
    assert sending.redrive_all(made, Filter(), native=True, everything=True, yes=True) == ExitCode.INCOMPLETE
    assert mover.asked == [("cancel", "handle")]


@pytest.mark.parametrize("body", ["noise", '{"type": "maps", "correlation_id": "c", "city": "x"}'])
def test_a_native_move_is_refused_where_a_message_needs_checking(world, desk, monkeypatch, body):
    mover = Mover(world, monkeypatch, {})
    world.dlq.add("m1", body)
    assert sending.redrive_all(desk(), Filter(), native=True, everything=True, yes=True) == ExitCode.INCOMPLETE
    assert mover.asked == []


# -- archive -----------------------------------------------------------------------------------------------------


def test_delete_archives_first_and_restore_brings_it_back_once(world, desk, capsys):
    world.letter("m1", "契約.pdf", failure={"kind": "USER_ERROR"})
    world.dlq.messages["m1"].attributes["raw"] = BINARY
    body = world.dlq.messages["m1"].body
    assert archiving.delete(desk("delete"), ids("m1"), reason="重複") == ExitCode.OK
    assert not world.dlq.messages
    [entry] = read_all(world.state, world.state.keys(ARCHIVE_PREFIX))
    assert (entry.reason, entry.error_type, entry.letter.attributes["raw"]["BinaryValue"]) == (
        "重複",
        "deleted",
        b"\x00\xff",
    )
    assert archiving.restore(desk("restore"), message_id=["m1"]) == ExitCode.OK
    [back] = world.dlq.messages.values()
    assert (back.body, back.attributes["raw"], failure_of(back)) == (body, BINARY, {"kind": "USER_ERROR"})
    capsys.readouterr()
    assert archiving.restore(desk("restore"), message_id=["m1"]) == ExitCode.INCOMPLETE
    assert "restored already" in said(capsys)["refused"]["m1"]
    assert len(world.dlq.messages) == 1


def test_what_is_not_in_the_archive_is_named_and_the_rest_restored(world, desk, capsys):
    world.letter("m1", "a.txt", failure={"kind": "USER_ERROR"})
    archiving.delete(desk("delete"), ids("m1"), reason="x")
    assert archiving.restore(desk("restore"), message_id=["m1", "nobody"]) == ExitCode.INCOMPLETE
    assert "nobody: not in dlq-archive/" in capsys.readouterr().err
    assert list(world.dlq.messages)
    assert archiving.restore(desk("restore"), run="nobody") == ExitCode.NOT_FOUND
    assert "run nobody: not in dlq-archive/" in capsys.readouterr().err


def test_an_archive_that_refuses_deletes_nothing(world, desk):
    fill(world, 2)
    world.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert archiving.delete(desk("delete"), ids("m0"), reason="x") == ExitCode.INCOMPLETE
    assert (len(world.dlq.messages), world.dlq.hidden) == (2, set())


def test_a_whole_run_is_abandoned_and_restored(world, desk, capsys):
    fill(world, 15)
    assert archiving.abandon(desk("abandon"), Filter(error="OSError"), reason="x", yes=True) == ExitCode.OK
    run = said(capsys)["run"]
    assert (len(world.dlq.messages), len(world.under(ARCHIVE_PREFIX))) == (0, 15)
    assert archiving.restore(desk("restore"), run=run, to="source", yes=True) == ExitCode.OK
    assert len(world.source.messages) == 15
    assert all(failure_of(one)["redrives"] == 1 for one in world.source.messages.values())


def test_a_restore_that_was_cut_off_is_taken_over_after_a_while(world, desk, monkeypatch):
    fill(world, 1)
    archiving.delete(desk("delete"), ids("m0"), reason="x")
    world.faults.add("dlq.send", KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        archiving.restore(desk("restore"), message_id=["m0"])
    world.faults.plan.clear()
    assert archiving.restore(desk("restore"), message_id=["m0"]) == ExitCode.INCOMPLETE, "someone may be at it"
    now = time.time
    monkeypatch.setattr("recovery.archive.time.time", lambda: now() + CLAIM_S + 1)
    assert archiving.restore(desk("restore"), message_id=["m0"]) == ExitCode.OK
    assert len(world.dlq.messages) == 1


def test_a_restore_that_the_queue_refuses_can_be_tried_again(world, desk):
    fill(world, 1)
    archiving.delete(desk("delete"), ids("m0"), reason="x")
    world.faults.add("dlq.send", QueueError("no", code="AccessDenied"))
    assert archiving.restore(desk("restore"), message_id=["m0"]) == ExitCode.INCOMPLETE
    world.faults.plan.clear()
    assert archiving.restore(desk("restore"), message_id=["m0"]) == ExitCode.OK


@pytest.mark.parametrize("verb", [archiving.delete, archiving.abandon, archiving.restore])
def test_a_verb_that_needs_a_state_bucket_says_so(desk, verb):
    asked = {
        archiving.delete: {"ids": ids("m"), "reason": "x"},
        archiving.abandon: {"chosen": Filter(match="x"), "reason": "x"},
        archiving.restore: {"run": "x"},
    }[verb]
    with pytest.raises(ConfigError, match="STATE_BUCKET is missing"):
        verb(desk(verb.__name__, state=False), **asked)


# -- files -------------------------------------------------------------------------------------------------------


def test_an_export_deletes_nothing_and_an_import_loses_nothing(world, desk, tmp_path):
    fill(world, 3)
    world.dlq.messages["m0"].attributes["raw"] = BINARY
    bodies = {message.body for message in world.dlq.messages.values()}
    file = tmp_path / "out.jsonl"
    assert files.export(desk("export"), file, Filter()) == ExitCode.OK
    assert (len(world.dlq.messages), world.dlq.hidden) == (3, set())
    world.dlq.messages.clear()
    assert files.import_(desk("import"), file, yes=True) == ExitCode.OK
    assert {message.body for message in world.dlq.messages.values()} == bodies
    assert BINARY in [message.attributes.get("raw") for message in world.dlq.messages.values()]


def test_an_existing_file_is_never_replaced(world, desk, tmp_path):
    fill(world, 1)
    file = tmp_path / "out.jsonl"
    file.write_text("precious")
    for act in (
        lambda: files.export(desk("export"), file, Filter()),
        lambda: files.purge(desk("purge"), file, confirm="dlq"),
    ):
        with pytest.raises(typer.BadParameter, match="there already"):
            act()
    assert (file.read_text(), len(world.dlq.messages), world.dlq.hidden) == ("precious", 1, set())


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
def test_a_file_that_is_cut_short_or_altered_is_refused_before_anything_is_sent(world, desk, tmp_path, spoil):
    fill(world, 2)
    file = tmp_path / "out.jsonl"
    files.export(desk("export"), file, Filter())
    file.write_bytes(b"".join(spoil(file.read_bytes().splitlines(keepends=True))))
    before = len(world.dlq.messages)
    with pytest.raises(typer.BadParameter):
        files.import_(desk("import"), file, yes=True)
    assert len(world.dlq.messages) == before


def test_a_purge_deletes_just_what_is_in_its_file(world, desk, capsys, tmp_path, monkeypatch):
    fill(world, 12)
    original = files.write_export

    def and_one_more_arrives(*args, **options):
        seal = original(*args, **options)
        world.letter("late", "late.txt")
        return seal

    monkeypatch.setattr(files, "write_export", and_one_more_arrives)
    file = tmp_path / "all.jsonl"
    assert files.purge(desk("purge"), file, confirm="dlq") == ExitCode.INCOMPLETE
    figures = said(capsys)
    assert (figures["deleted"], figures["left_in_queue"]) == (12, 1)
    assert list(world.dlq.messages) == ["late"]
    assert len(file.read_text().splitlines()) == 13


def test_a_file_that_cannot_be_is_told_before_the_queue_is_looked_through(world, desk, tmp_path):
    fill(world, 1)
    world.faults.add("dlq.receive", SQS_DOWN)
    for file in (tmp_path, tmp_path / "nowhere" / "x.jsonl"):
        with pytest.raises(typer.BadParameter) as refused:
            files.purge(desk("purge"), file, confirm="dlq")
        assert refused.value.param_hint == "--backup"
        with pytest.raises(typer.BadParameter):
            files.export(desk("export"), file, Filter())


@pytest.mark.parametrize("confirm", [None, "other", "DLQ"])
def test_a_purge_needs_the_queues_name(world, desk, tmp_path, confirm):
    fill(world, 2)
    with pytest.raises(typer.BadParameter):
        files.purge(desk("purge"), tmp_path / "all.jsonl", confirm=confirm)
    assert (len(world.dlq.messages), world.dlq.hidden, list(tmp_path.iterdir())) == (2, set(), [])


def test_a_disk_that_lies_ends_a_purge_before_the_first_delete(world, desk, tmp_path, monkeypatch):
    fill(world, 2)
    original = files.write_export

    def torn(path: Path, *args, **options):
        seal = original(path, *args, **options)
        path.write_bytes(path.read_bytes()[:-10])
        return seal

    monkeypatch.setattr(files, "write_export", torn)
    with pytest.raises(typer.BadParameter):
        files.purge(desk("purge"), tmp_path / "all.jsonl", confirm="dlq")
    assert (len(world.dlq.messages), world.dlq.hidden) == (2, set())


# -- looking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [
        lambda desk: looking.stats(desk("stats")),
        lambda desk: looking.list_(desk("list"), Filter()),
        lambda desk: looking.groups(desk("groups"), Filter()),
        lambda desk: inspecting.inspect(desk("inspect"), ids("m1")),
    ],
)
def test_looking_never_eats(world, desk, look):
    fill(world, 30)
    assert look(desk) == ExitCode.OK
    assert (len(world.dlq.messages), world.dlq.hidden, world.under("s3-index-worker/holders/")) == (30, set(), {})


@pytest.mark.parametrize("fault", ["dlq.receive", "dlq.attributes"])
def test_what_was_received_is_given_back_on_an_error_too(world, desk, fault):
    fill(world, 200)
    made = desk("list")
    world.faults.add(fault, QueueError("no", code="AccessDenied"), after=3 if fault == "dlq.receive" else 0)
    with pytest.raises(QueueError):
        looking.groups(made, Filter())
    assert (len(world.dlq.messages), world.dlq.hidden) == (200, set())


def test_coverage_is_told_honestly(world, desk, capsys):
    fill(world, 25)
    world.dlq.hidden |= {"m0", "m1", "m2"}  # someone else holds them
    assert looking.list_(desk("list"), Filter()) == ExitCode.OK
    assert "saw 22 of about 25; the rest is in flight elsewhere" in capsys.readouterr().err


def test_a_signal_ends_a_look_and_gives_back(world, desk):
    fill(world, 25)
    made = desk("list")
    made.signals._heed(signal.SIGTERM, None)
    with pytest.raises(typer.Exit) as ended:
        looking.list_(made, Filter())
    assert ended.value.exit_code == ExitCode.TERMINATED
    assert not world.dlq.hidden


def test_stats_says_what_there_is(world, desk, capsys):
    fill(world, 3, kind="RECOVERABLE", fingerprint="abc", source_queue="http://sqs/q/source")
    world.letter("native", "b.txt")
    world.s3.records |= {"retry-index/2026-01-01/x": b"{}", "retry-index/parked/y": b"{}", "dlq-spill/z": b"{}"}
    world.s3.records["s3-index-worker/holders/h-1.json"] = json.dumps({"command": "recover_dlq", "host": "h"}).encode()
    assert looking.stats(desk("stats")) == ExitCode.OK
    figures = said(capsys)
    assert figures["by_kind"] == {"RECOVERABLE": 3, "UNKNOWN": 1}
    assert figures["by_error"] == {"OSError": 3, "no record (redrive policy)": 1}
    assert figures["groups"][0]["group"] == "abc"
    counted = figures["state_bucket"]
    assert [counted[name] for name in ("retry-index/", "retry-index/parked/", "dlq-spill/", "dlq-archive/")] == [
        1,
        1,
        1,
        0,
    ]
    assert figures["holders"] == [{"command": "recover_dlq", "host": "h"}]
    assert looking.stats(desk("stats", as_json=False)) == ExitCode.OK


def test_an_empty_dlq_is_nothing_found(world, desk):
    assert looking.list_(desk("list"), Filter()) == ExitCode.NOT_FOUND
    assert looking.groups(desk("groups"), Filter()) == ExitCode.NOT_FOUND
    assert looking.stats(desk("stats")) == ExitCode.OK


@pytest.mark.parametrize("as_json", [True, False])
def test_hostile_keys_and_bodies_move_no_cursor(world, desk, capsys, as_json):
    evil = "\x1b[2J\x1b]0;owned\x07\r\n[red]x[/red]\u202e"
    world.letter(
        "m1", f"経理/{evil}.txt", failure={"error_type": evil, "message": evil, "stack": evil, "fingerprint": evil}
    )
    world.dlq.add("m2", evil, {evil: {"DataType": "String", "StringValue": evil}})
    looking.stats(desk("stats", as_json=as_json))
    looking.list_(desk("list", as_json=as_json), Filter())
    looking.groups(desk("groups", as_json=as_json), Filter())
    inspecting.inspect(desk("inspect", as_json=as_json), ids("m1", "m2"))
    archiving.delete(desk("delete", as_json=as_json), ids("m1"), reason=evil)
    looking.list_(desk("list", as_json=as_json), Filter(), archive=True)
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
    passing=st.booleans(),
)
def test_any_verb_and_any_single_failing_call_loses_nothing(tmp_path_factory, verb, count, call, after, times, passing):
    folder = tmp_path_factory.mktemp("files")
    world = World()
    fill(world, count)
    bodies = {message.body for message in world.dlq.messages.values()}
    with pytest.MonkeyPatch.context() as patch:
        made = _desk(world, patch, verb)
        if verb == "restore":
            archiving.abandon(made, Filter(), reason="x", everything=True, yes=True)
        code = "ServiceUnavailable" if passing else "AccessDenied"
        kind = QueueError if call.startswith(("dlq", "source")) else StoreError
        world.faults.add(call, kind("x", code=code), after=after, times=times)
        with contextlib.suppress(WorkerError, typer.BadParameter):
            _act(made, verb, folder)
    held = {message.body for queue in (world.dlq, world.source) for message in queue.messages.values()}
    held |= {record["body"] for record in world.under(ARCHIVE_PREFIX).values()}
    held |= {json.loads(line).get("body") for file in folder.iterdir() for line in file.read_text().splitlines()}
    assert bodies <= held
    assert world.s3.holds == {}, "objects are none of its business"


def _desk(world, patch, verb):
    patch.setenv("DLQ_URL", "http://sqs/q/dlq")
    patch.setenv("S3_BUCKET", BUCKET)
    from recovery.cli.context import Desk
    from recovery.cli.settings import load_tool
    from worker.core.console import Signals

    made = Desk(load_tool({}), verb, Signals(), as_json=True)
    made.dlq, made.source, made.objects, made.state = world.dlq, lambda: world.source, world.s3, world.state  # type: ignore[assignment,method-assign]
    made.check_dlq()
    return made


def _act(made, verb, folder):
    if verb == "redrive":
        sending.redrive_all(made, Filter(), everything=True, yes=True)
    elif verb == "canary":
        sending.redrive_all(made, Filter(), everything=True, canary=3, canary_wait=0, yes=True)
    elif verb == "delete":
        archiving.abandon(made, Filter(), reason="x", everything=True, yes=True)
    elif verb == "restore":
        archiving.restore(made, run=made.run, yes=True)
    else:
        files.purge(made, folder / "all.jsonl", confirm="dlq")

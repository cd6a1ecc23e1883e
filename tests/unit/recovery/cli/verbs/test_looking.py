"""What `dlq stats`, `list`, `groups` and `inspect` show, and that they use nothing up."""

import io
import json
import re
import signal
from dataclasses import replace
from typing import Any

import pytest
import typer
from rich.console import Console

from recovery.cli.verbs.abandon import delete
from recovery.cli.verbs.groups import groups
from recovery.cli.verbs.inspect import inspect
from recovery.cli.verbs.list_messages import list_messages, print_list
from recovery.cli.verbs.stats import stats
from recovery.operations.dead_letters.facts import Filter, facts_of
from recovery.operations.dead_letters.grouping import By
from recovery.operations.dead_letters.message_types import load_types
from testing.memory import BUCKET, NOW_MS
from tests.support.verbs import fill, ids, said
from worker.core.base.errors import ExitCode, QueueError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.s3.workers import WORKERS_PREFIX, WorkerRecord, write_worker
from worker.core.sqs.dead_letter import NEVER_MS
from worker.core.sqs.dead_letter_store import read, write
from worker.core.sqs.stored_dead_letter import Hold, Retry

ID = "20d30dbf-3078-46a8-8975-14309c74244"


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


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        (Filter(error="Nope"), "--error Nope"),
        (Filter(match="no such key", older_than_s=90_000), "--match 'no such key' --older-than 25h"),
    ],
)
def test_a_filter_that_matches_nothing_is_named_as_it_is_typed(fakes, context, capsys, chosen, typed):
    fill(fakes, 3)
    for show in (list_messages, groups):
        assert show(context("list"), chosen) == ExitCode.NOT_FOUND
        assert f"no message matches {typed}" in capsys.readouterr().err
    assert list_messages(context("list"), chosen, archive=True) == ExitCode.NOT_FOUND
    assert f"no message matches {typed}" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["dlq.receive", "dlq.attributes"])
def test_what_was_received_is_given_back_on_an_error_too(fakes, context, fault):
    fill(fakes, 200)
    made = context("list")
    fakes.faults.add(fault, QueueError("no", code="AccessDenied"), after=3 if fault == "dlq.receive" else 0)
    with pytest.raises(QueueError):
        groups(made, Filter())
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (200, set())


def test_coverage_is_told_honestly(fakes, context, capsys):
    fill(fakes, 25)
    fakes.dlq.hidden |= {"m0", "m1", "m2"}  # someone else holds them
    assert list_messages(context("list"), Filter()) == ExitCode.OK
    assert "saw 22 of about 25; the rest is in flight elsewhere" in capsys.readouterr().err


def test_a_signal_ends_a_look_and_gives_back(fakes, context):
    fill(fakes, 25)
    made = context("list")
    made.signals._heed(signal.SIGTERM, None)
    with pytest.raises(typer.Exit) as ended:
        list_messages(made, Filter())
    assert ended.value.exit_code == ExitCode.TERMINATED
    assert not fakes.dlq.hidden


def test_stats_says_what_there_is(fakes, context, capsys):
    fill(fakes, 3, kind="RECOVERABLE", fingerprint="abc", source_queue="http://sqs/q/source")
    fakes.dead_letter("native", "b.txt")
    fakes.s3.records |= {"retry-index/2026-01-01/x": b"{}", "retry-index/parked/y": b"{}", "dead-letters/z": b"{}"}
    fakes.s3.records |= {f"retry-index/held/p/{number}": b"{}" for number in range(2)}
    fakes.s3.records["s3-index-worker/holders/h-1.json"] = json.dumps({"command": "recover_dlq", "host": "h"}).encode()
    assert stats(context("stats")) == ExitCode.OK
    figures = said(capsys)
    assert figures["by_kind"] == {"RECOVERABLE": 3, "UNKNOWN": 1}
    assert figures["by_error"] == {"OSError": 3, "no record (redrive policy)": 1}
    assert figures["groups"][0]["group"] == "abc"
    counted = figures["state_bucket"]
    assert {name: counted[name] for name in counted if name.endswith("/")} == {
        "retry-index/": 1, "retry-index/parked/": 1, "retry-index/held/": 2, "dead-letters/": 1, "dlq-archive/": 0
    }  # fmt: skip
    assert figures["holders"] == [{"command": "recover_dlq", "host": "h"}]
    assert stats(context("stats", as_json=False)) == ExitCode.OK


def test_stats_shows_the_workers_that_run_and_those_lost_within_a_day(fakes, context, capsys):
    day_ms = 86_400_000
    for record in (
        WorkerRecord("alive", "serving", written_at_ms=NOW_MS - 3_000, in_flight=12, version="1.2"),
        WorkerRecord("paused", "paused", written_at_ms=NOW_MS, held_back={"paused": "paused by me: 更新"}),
        WorkerRecord("resting", "resting", written_at_ms=NOW_MS, breakers={"index": "down"}),
        WorkerRecord("lost", "serving", written_at_ms=NOW_MS - day_ms, version="1.1"),
        WorkerRecord("long lost", "serving", written_at_ms=NOW_MS - day_ms - 1),
        WorkerRecord("stopped", "stopped", written_at_ms=NOW_MS - 60_000),
        WorkerRecord("stopped long ago", "stopped", written_at_ms=NOW_MS - day_ms),
    ):
        write_worker(fakes.state, record)
    fakes.s3.records[f"{WORKERS_PREFIX}bad.json"] = b"{"
    assert stats(context("stats")) == ExitCode.OK
    workers = {one["name"]: one for one in said(capsys)["workers"]}
    assert workers.keys() == {"alive", "paused", "resting", "lost", "stopped", "bad"}
    assert (workers["alive"]["alive"], workers["alive"]["age_s"], workers["alive"]["in_flight"]) == (True, 3, 12)
    assert (workers["lost"]["alive"], workers["lost"]["lost"]) == (False, True)
    assert workers["bad"] == {"name": "bad", "problem": "it is not JSON"}
    assert stats(context("stats", as_json=False)) == ExitCode.OK
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "alive: serving, 12 in flight, as of 3s ago, version 1.2", "paused by me: 更新", "index: down",
        "lost: LOST, was serving 1d 0h ago", "bad: its record cannot be read",
    ):  # fmt: skip
        assert text in shown


def test_an_empty_dlq_is_nothing_found(fakes, context):
    assert list_messages(context("list"), Filter()) == ExitCode.NOT_FOUND
    assert groups(context("groups"), Filter()) == ExitCode.NOT_FOUND
    assert stats(context("stats")) == ExitCode.OK


@pytest.mark.parametrize("as_json", [True, False])
def test_hostile_keys_and_bodies_move_no_cursor(fakes, context, capsys, as_json):
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


def test_schedule_hold_and_owner_are_shown_by_list_and_stats_on_a_narrow_terminal_too(fakes, context, capsys):
    fill(fakes, 3)
    changes: dict[str, dict[str, Any]] = {
        "m0": {"retry": Retry(1, NEVER_MS - 1)}, "m1": {"hold": Hold("until Monday", "op@h"), "owner": "経理"}, "m2": {},
    }  # fmt: skip
    for name, said_of_it in changes.items():
        write(fakes.state, replace(fakes.store(name), **said_of_it))
    assert list_messages(context("list", as_json=True), Filter()) == ExitCode.OK
    found = {one["status"] for one in json.loads(capsys.readouterr().out)}
    assert {text.partition(" in ")[0] for text in found} == {
        "retry 2",
        "held by op@h: until Monday; owner 経理",
        "open",
    }
    assert stats(context("stats", as_json=True)) == ExitCode.OK
    counts = {"open": 1, "scheduled": 1, "held": 1, "owned": 1}
    assert json.loads(capsys.readouterr().out)["stored_by_status"] == counts
    stored = [read(fakes.state, key) for key in fakes.under(DEAD_LETTERS_PREFIX)]
    types = load_types(default_bucket=BUCKET)
    facts = [replace(facts_of(one.dead_letter, types), stored=one) for one in stored if one]
    out = io.StringIO()
    print_list(Console(width=80, file=out, force_terminal=True, color_system=None), facts, 1_209_600)
    text = out.getvalue()
    assert re.search(r"held by op@h: until\b.*\n.*Monday; owner 経理\n", text), "beside the others, on two lines"
    assert all(one.dead_letter.id in text for one in facts)


def test_in_a_pipe_each_message_is_one_line_with_its_complete_id_first(fakes, context, capsys):
    for number, key in enumerate(("経理/" + "漢" * 300 + ".txt", "a\nb  c.txt")):
        fakes.dead_letter(f"{ID}{number}", key, failure={"error_type": "OSError"})
    assert list_messages(context("list", as_json=False), Filter()) == ExitCode.OK
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["id", "key", "error", "age"]
    assert [line.split()[0] for line in lines] == [f"{ID}0", f"{ID}1"]
    assert f"{BUCKET}/経理/{'漢' * 300}.txt " in lines[0]
    assert rf"{BUCKET}/a\nb  c.txt " in lines[1]
    assert list_messages(context("list", as_json=False), Filter(), columns="says,key") == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[0].split() == ["says", "key"]


def test_groups_name_what_they_have_in_common_once(fakes, context, capsys):
    fill(fakes, 2, fingerprint="abc", kind="RECOVERABLE")
    for by, names in {
        By.FINGERPRINT: ["error", "count", "first", "last", "kind", "group", "says", "ids"],
        By.KIND: ["kind", "error", "count", "first", "last", "says", "ids"],
        By.SOURCE: ["source", "error", "count", "first", "last", "kind", "says", "ids"],
    }.items():
        assert groups(context("groups", as_json=False), Filter(), by) == ExitCode.OK
        heading, line = capsys.readouterr().out.splitlines()
        assert heading.split() == names
        assert line.endswith("m0 m1"), "complete ids in a pipe"


def test_the_reason_code_is_shown_with_the_error_and_a_message_as_an_example(fakes, context, capsys):
    for number, (reason, fingerprint) in enumerate(
        [("corrupt-pdf", "a" * 12), ("corrupt-pdf", "a" * 12), ("broken-zip", "b" * 12)]
    ):
        record = {
            "error_type": "UnreadableFileError",
            "reason": reason,
            "fingerprint": fingerprint,
            "message": f"s3://b/new\nline{number}",
        }
        fakes.dead_letter(f"m{number}", f"new\nline{number}", failure=record)
    groups(context("groups", as_json=False), Filter())
    listed = capsys.readouterr().out
    assert re.search(r"UnreadableFileError corrupt-pdf .*for example: s3://b/new\\nline\d", listed)
    assert re.search(r"UnreadableFileError broken-zip .* s3://b/new\\nline2", listed)
    assert listed.count("for example") == 1, "of a group of one, it is the message"
    groups(context("groups", as_json=False), Filter(), By.ERROR)
    assert "corrupt-pdf" not in capsys.readouterr().out.splitlines()[1].partition("for example")[0], (
        "they have two reasons"
    )
    stats(context("stats", as_json=False))
    assert "UnreadableFileError corrupt-pdf 2, UnreadableFileError broken-zip 1" in capsys.readouterr().out
    list_messages(context("list", as_json=False), Filter())
    listed = capsys.readouterr().out
    assert "new\\nline2" in listed
    assert "UnreadableFileError broken-zip" in listed
    assert "receives" not in listed


def test_inspect_says_what_to_correct_and_whose_looks_it_counts(fakes, context, capsys):
    fakes.dead_letter("m0", "new\nline")
    inspect(context("inspect", as_json=False), ids("m0"))
    assert "(your own looks included)" in capsys.readouterr().out


def test_stats_counts_the_groups_that_it_does_not_show(fakes, context, capsys):
    for number in range(7):
        fakes.dead_letter(f"m{number}", "a.txt", failure={"error_type": "E", "fingerprint": f"f{number}"})
    assert stats(context("stats")) == ExitCode.OK
    assert (len(said(capsys)["groups"]), stats(context("stats", as_json=False))) == (5, ExitCode.OK)
    assert " and 2 more groups: see `dlq groups`" in capsys.readouterr().out.splitlines()

"""What `dlq stats`, `list`, `groups` and `inspect` show, and that they use nothing up."""

import json
import signal

import pytest
import typer

from recovery.cli.verbs.abandon import delete
from recovery.cli.verbs.groups import groups
from recovery.cli.verbs.inspect import inspect
from recovery.cli.verbs.list_messages import list_messages
from recovery.cli.verbs.stats import stats
from recovery.operations.dead_letters.facts import Filter
from tests.support.verbs import fill, ids, said
from worker.core.base.errors import ExitCode, QueueError


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
    fakes.s3.records["s3-index-worker/holders/h-1.json"] = json.dumps({"command": "recover_dlq", "host": "h"}).encode()
    assert stats(context("stats")) == ExitCode.OK
    figures = said(capsys)
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

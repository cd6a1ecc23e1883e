"""What `dlq delete` and `dlq abandon` put into the archive, and what `dlq restore` brings back."""

import time
from typing import Any

import pytest

from recovery.cli.verbs.abandon import abandon, delete
from recovery.cli.verbs.restore import restore
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.records.archive import CLAIM_S, read_all
from tests.support.verbs import BINARY, failure_of, fill, ids, said
from worker.core.base.errors import ConfigError, ExitCode, QueueError, StoreError
from worker.core.s3.state import ARCHIVE_PREFIX


def test_delete_archives_first_and_restore_brings_it_back_once(fakes, context, capsys):
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
    assert restore(context("restore"), ids=ids("m1")) == ExitCode.OK
    [back] = fakes.dlq.messages.values()
    assert (back.body, back.attributes["raw"], failure_of(back)) == (body, BINARY, {"kind": "USER_ERROR"})
    capsys.readouterr()
    assert restore(context("restore"), ids=ids("m1")) == ExitCode.INCOMPLETE
    assert "already restored" in said(capsys)["refused"]["m1"]
    assert len(fakes.dlq.messages) == 1


def test_what_is_not_in_the_archive_is_named_and_the_rest_restored(fakes, context, capsys):
    fakes.dead_letter("m1", "a.txt", failure={"kind": "USER_ERROR"})
    delete(context("delete"), ids("m1"), reason="x")
    assert restore(context("restore"), ids=ids("m1", "nobody")) == ExitCode.INCOMPLETE
    assert "nobody: not in dlq-archive/" in capsys.readouterr().err
    assert list(fakes.dlq.messages)
    assert restore(context("restore"), run="nobody") == ExitCode.NOT_FOUND
    assert "run nobody: not in dlq-archive/" in capsys.readouterr().err


def test_an_archive_that_refuses_deletes_nothing(fakes, context):
    fill(fakes, 2)
    fakes.faults.add("state.put", StoreError("denied", code="AccessDenied"))
    assert delete(context("delete"), ids("m0"), reason="x") == ExitCode.INCOMPLETE
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_a_whole_run_is_abandoned_and_restored(fakes, context, capsys):
    fill(fakes, 15)
    assert abandon(context("abandon"), Filter(error="OSError"), reason="x", yes=True) == ExitCode.OK
    run = said(capsys)["run"]
    assert (len(fakes.dlq.messages), len(fakes.under(ARCHIVE_PREFIX))) == (0, 15)
    assert restore(context("restore"), run=run, to="source", yes=True) == ExitCode.OK
    assert len(fakes.source.messages) == 15
    assert all(failure_of(one)["redrives"] == 1 for one in fakes.source.messages.values())


def test_a_restore_that_was_cut_off_is_taken_over_after_a_while(fakes, context, monkeypatch):
    fill(fakes, 1)
    delete(context("delete"), ids("m0"), reason="x")
    fakes.faults.add("dlq.send", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        restore(context("restore"), ids=ids("m0"))
    fakes.faults.plan.clear()
    assert restore(context("restore"), ids=ids("m0")) == ExitCode.INCOMPLETE, "someone may be at it"
    now = time.time
    monkeypatch.setattr("recovery.operations.records.archive.time.time", lambda: now() + CLAIM_S + 1)
    assert restore(context("restore"), ids=ids("m0")) == ExitCode.OK
    assert len(fakes.dlq.messages) == 1


def test_a_restore_that_the_queue_refuses_can_be_tried_again(fakes, context):
    fill(fakes, 1)
    delete(context("delete"), ids("m0"), reason="x")
    fakes.faults.add("dlq.send", QueueError("no", code="AccessDenied"))
    assert restore(context("restore"), ids=ids("m0")) == ExitCode.INCOMPLETE
    fakes.faults.plan.clear()
    assert restore(context("restore"), ids=ids("m0")) == ExitCode.OK


@pytest.mark.parametrize("verb", [delete, abandon, restore])
def test_a_verb_that_needs_a_state_bucket_says_so(context, verb):
    asked: Any = {
        delete: {"ids": ids("m"), "reason": "x"},
        abandon: {"which": Filter(match="x"), "reason": "x"},
        restore: {"run": "x"},
    }[verb]
    with pytest.raises(ConfigError, match="STATE_BUCKET is missing"):
        verb(context(verb.__name__, state=False), **asked)

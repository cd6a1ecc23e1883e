"""What `dlq export`, `dlq import` and `dlq purge` do with files, and which files they refuse."""

from pathlib import Path

import pytest
import typer

from recovery.cli.verbs.export import export
from recovery.cli.verbs.import_file import import_file
from recovery.cli.verbs.purge import purge
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.records import export_file
from testing.memory import SQS_DOWN
from tests.support.verbs import BINARY, fill, said
from worker.core.base.errors import ExitCode


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


def test_a_name_that_the_system_refuses_is_told_with_its_reason(fakes, context, tmp_path):
    fill(fakes, 1)
    with pytest.raises(typer.BadParameter, match="cannot be written: File name too long"):
        export(context("export"), tmp_path / ("n" * 300), Filter())
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (1, set())


def test_an_empty_queue_is_told_in_json_too(fakes, context, capsys, tmp_path):
    assert export(context("export"), tmp_path / "out.jsonl", Filter()) == ExitCode.NOT_FOUND
    assert said(capsys)["messages"] == 0
    assert purge(context("purge"), tmp_path / "out.jsonl", confirm="dlq") == ExitCode.NOT_FOUND
    assert said(capsys)["would_delete"] == 0


def test_a_dry_run_of_a_purge_says_what_it_would_delete(fakes, context, capsys, tmp_path):
    fill(fakes, 2)
    assert purge(context("purge"), tmp_path / "out.jsonl", dry_run=True) == ExitCode.OK
    assert said(capsys)["would_delete"] == len(fakes.dlq.messages) == 2


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


def test_a_purge_deletes_just_what_is_in_its_file(fakes, context, capsys, tmp_path, monkeypatch):
    fill(fakes, 12)
    original = export_file.write_export

    def and_one_more_arrives(*args, **options):
        seal = original(*args, **options)
        fakes.dead_letter("late", "late.txt")
        return seal

    monkeypatch.setattr(export_file, "write_export", and_one_more_arrives)
    file = tmp_path / "all.jsonl"
    assert purge(context("purge"), file, confirm="dlq") == ExitCode.INCOMPLETE
    figures = said(capsys)
    assert (figures["deleted"], figures["left_in_queue"]) == (12, 1)
    assert list(fakes.dlq.messages) == ["late"]
    assert len(file.read_text().splitlines()) == 13


def test_a_file_that_cannot_be_is_told_before_the_queue_is_looked_through(fakes, context, tmp_path):
    fill(fakes, 1)
    fakes.faults.add("dlq.receive", SQS_DOWN)
    for file in (tmp_path, tmp_path / "nowhere" / "x.jsonl"):
        with pytest.raises(typer.BadParameter) as refused:
            purge(context("purge"), file, confirm="dlq")
        assert refused.value.param_hint == "--backup"
        with pytest.raises(typer.BadParameter):
            export(context("export"), file, Filter())


@pytest.mark.parametrize("confirm", [None, "other", "DLQ"])
def test_a_purge_needs_the_queues_name(fakes, context, tmp_path, confirm):
    fill(fakes, 2)
    with pytest.raises(typer.BadParameter):
        purge(context("purge"), tmp_path / "all.jsonl", confirm=confirm)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden, list(tmp_path.iterdir())) == (2, set(), [])


def test_a_disk_that_lies_ends_a_purge_before_the_first_delete(fakes, context, tmp_path, monkeypatch):
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

"""What `dlq export`, `dlq import` and `dlq purge` do with files, and which files they refuse."""

import io
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

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
    assert export(context("export"), str(file), Filter()) == ExitCode.OK
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (3, set())
    fakes.dlq.messages.clear()
    assert import_file(context("import"), str(file), yes=True) == ExitCode.OK
    assert {message.body for message in fakes.dlq.messages.values()} == bodies
    assert BINARY in [message.attributes.get("raw") for message in fakes.dlq.messages.values()]


def test_an_existing_file_is_never_replaced(fakes, context, tmp_path):
    fill(fakes, 1)
    file = tmp_path / "out.jsonl"
    file.write_text("precious")
    for act in (
        lambda: export(context("export"), str(file), Filter()),
        lambda: purge(context("purge"), str(file), confirm="dlq"),
    ):
        with pytest.raises(typer.BadParameter, match="already exists"):
            act()
    assert (file.read_text(), len(fakes.dlq.messages), fakes.dlq.hidden) == ("precious", 1, set())


def test_a_name_that_the_system_refuses_is_told_with_its_reason(fakes, context, tmp_path):
    fill(fakes, 1)
    with pytest.raises(typer.BadParameter, match="cannot be written: File name too long"):
        export(context("export"), str(tmp_path / ("n" * 300)), Filter())
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (1, set())


def test_an_empty_queue_is_told_in_json_too(fakes, context, capsys, tmp_path):
    assert export(context("export"), str(tmp_path / "out.jsonl"), Filter()) == ExitCode.NOT_FOUND
    assert said(capsys)["messages"] == 0
    assert purge(context("purge"), str(tmp_path / "out.jsonl"), confirm="dlq") == ExitCode.NOT_FOUND
    assert said(capsys)["would_delete"] == 0


def test_a_dry_run_of_a_purge_says_what_it_would_delete(fakes, context, capsys, tmp_path):
    fill(fakes, 2)
    assert purge(context("purge"), str(tmp_path / "out.jsonl"), dry_run=True) == ExitCode.OK
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
    export(context("export"), str(file), Filter())
    file.write_bytes(b"".join(spoil(file.read_bytes().splitlines(keepends=True))))
    before = len(fakes.dlq.messages)
    with pytest.raises(typer.BadParameter):
        import_file(context("import"), str(file), yes=True)
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
    assert purge(context("purge"), str(file), confirm="dlq") == ExitCode.INCOMPLETE
    figures = said(capsys)
    assert (figures["deleted"], figures["left_in_queue"]) == (12, 1)
    assert list(fakes.dlq.messages) == ["late"]
    assert len(file.read_text().splitlines()) == 13


def test_a_file_that_cannot_be_is_told_before_the_queue_is_looked_through(fakes, context, tmp_path):
    fill(fakes, 1)
    fakes.faults.add("dlq.receive", SQS_DOWN)
    for file in (tmp_path, tmp_path / "nowhere" / "x.jsonl"):
        with pytest.raises(typer.BadParameter) as refused:
            purge(context("purge"), str(file), confirm="dlq")
        assert refused.value.param_hint == "--backup"
        with pytest.raises(typer.BadParameter):
            export(context("export"), str(file), Filter())


@pytest.mark.parametrize("confirm", [None, "other", "DLQ"])
def test_a_purge_needs_the_queues_name(fakes, context, tmp_path, confirm):
    fill(fakes, 2)
    with pytest.raises(typer.BadParameter):
        purge(context("purge"), str(tmp_path / "all.jsonl"), confirm=confirm)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden, list(tmp_path.iterdir())) == (2, set(), [])


def test_a_disk_that_lies_ends_a_purge_before_the_first_delete(fakes, context, tmp_path, monkeypatch):
    fill(fakes, 2)
    original = export_file.write_export

    def torn(file, *args, **options):
        seal = original(file, *args, **options)
        path = Path(file.name)
        path.write_bytes(path.read_bytes()[:-10])
        return seal

    monkeypatch.setattr(export_file, "write_export", torn)
    with pytest.raises(typer.BadParameter):
        purge(context("purge"), str(tmp_path / "all.jsonl"), confirm="dlq")
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (2, set())


def test_stdout_takes_an_export_alone_and_stdin_gives_it_to_an_import(
    fakes, context, capfdbinary, monkeypatch, tmp_path
):
    fill(fakes, 3)
    assert export(context("export"), "-", Filter()) == ExitCode.OK
    written = capfdbinary.readouterr()
    assert len(written.out.splitlines()) == 4, "three messages and the checksum"
    assert json.loads(written.err.splitlines()[-1])["file"] == "stdout"
    fakes.dlq.messages.clear()
    (tmp_path / "piped").write_bytes(written.out)
    with (tmp_path / "piped").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert import_file(context("import"), "-", yes=True) == ExitCode.OK
    assert len(fakes.dlq.messages) == 3
    assert said(capfdbinary)["file"] == "stdin"


@pytest.mark.parametrize("mode", ["xb", "ab"])
def test_a_purge_to_stdout_deletes_what_the_file_behind_it_contains(fakes, context, stdout_to, tmp_path, mode):
    fill(fakes, 3)
    file = tmp_path / "all.jsonl"
    if mode == "ab":
        file.write_text("something before\n")
    with file.open(mode) as stdout, stdout_to(stdout):
        assert purge(context("purge"), "-", confirm="dlq") == ExitCode.OK
    assert len(file.read_bytes().splitlines()) == (5 if mode == "ab" else 4)
    assert fakes.dlq.messages == {}


def test_a_purge_to_a_pipe_deletes_once_its_reader_has_taken_everything(fakes, context, stdout_to):
    fill(fakes, 3)
    reader, writer = os.pipe()
    with ThreadPoolExecutor(1) as pool, os.fdopen(writer, "wb") as stdout, stdout_to(stdout):
        purged = pool.submit(purge, context("purge"), "-", confirm="dlq")
        time.sleep(0.3)
        assert (purged.done(), len(fakes.dlq.messages)) == (False, 3), "nobody has read it"
        assert len(os.read(reader, 1 << 20).splitlines()) == 4
        assert purged.result(10) == ExitCode.OK
    os.close(reader)
    assert fakes.dlq.messages == {}


def test_a_purge_to_a_pipe_whose_reader_ends_early_deletes_nothing(fakes, context, stdout_to):
    fill(fakes, 3)
    reader, writer = os.pipe()
    with ThreadPoolExecutor(1) as pool, os.fdopen(writer, "wb") as stdout, stdout_to(stdout):
        purged = pool.submit(purge, context("purge"), "-", confirm="dlq")
        time.sleep(0.3)
        os.close(reader)
        with pytest.raises(typer.BadParameter, match="ended before it had taken everything"):
            purged.result(10)
    assert len(fakes.dlq.messages) == 3


def test_a_purge_to_a_full_disk_or_a_terminal_is_refused(fakes, context, stdout_to):
    fill(fakes, 3)
    with Path("/dev/full").open("wb") as stdout, stdout_to(stdout), pytest.raises(typer.BadParameter, match="No space"):
        export(context("export"), "-", Filter())
    with (
        Path(os.devnull).open("wb") as stdout,
        stdout_to(stdout),
        pytest.raises(typer.BadParameter, match="keeps noth"),
    ):
        purge(context("purge"), "-", confirm="dlq")
    own, terminal = os.openpty()
    with (
        os.fdopen(terminal, "wb") as stdout,
        stdout_to(stdout),
        pytest.raises(typer.BadParameter, match="keeps nothing"),
    ):
        purge(context("purge"), "-", confirm="dlq")
    os.close(own)
    assert len(fakes.dlq.messages) == 3


@pytest.fixture
def stdout_to(monkeypatch) -> Callable[[BinaryIO], AbstractContextManager[None]]:
    """Within the context, stdout is this open file."""

    @contextmanager
    def to(stdout):
        with monkeypatch.context() as patched:
            text = io.TextIOWrapper(stdout, write_through=True)
            patched.setattr("sys.stdout", text)
            yield
            text.detach()

    return to

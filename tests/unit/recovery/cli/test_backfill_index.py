"""`backfill_index`: what it prints and refuses, and its exit codes."""

import json
import os
import threading
from unittest.mock import Mock

import pytest
import typer
from typer.testing import CliRunner

from recovery.cli import backfill_index as command
from recovery.cli.backfill_index import _log, app, main
from recovery.operations.progress import Progress
from testing.memory import BUCKET, SQS_DOWN
from tests.support.backfilled import Bucket, put_inventory, row
from tests.support.in_process import run_in_process
from worker.core.base import logs
from worker.core.base.cloudwatch import FIGURES
from worker.core.base.errors import ConfigError, QueueError, StoreError
from worker.core.base.events import LogEvent
from worker.terminal import operator

PLACE = f"s3://{BUCKET}"
MANIFEST = f"{PLACE}/lists/manifest.json"


@pytest.fixture
def bucket(fakes, monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())
    monkeypatch.setattr(command, "load_for_command", fakes.settings)
    monkeypatch.setattr(command, "connect", lambda _: fakes.clients)
    monkeypatch.setattr(command, "open_objects", lambda *_, **__: fakes.s3)
    return Bucket(fakes, 12)


def run(*options, stdin=None):
    wide = {"COLUMNS": "400", "TERMINAL_WIDTH": "400"}
    return CliRunner().invoke(app, [*options], env=wide, input=stdin)


def test_a_run_prints_a_line_for_each_result_and_where_it_is_recorded(bucket):
    bucket.fakes.indexed("0000")
    done = run(PLACE, "--rate", "1000")
    assert done.exit_code == 0, done.output
    for line in ("11  sent ", " 1  current ", "12 handled in"):
        assert line in done.stdout
    assert " failed " not in done.stdout, "only results that occurred have a line"
    assert "done before" not in done.stdout
    assert "recorded in s3-index-worker/audit/" in done.stderr
    assert len(bucket.jobs()) == 11


def test_the_json_has_every_number(bucket):
    done = run(f"{PLACE}/", "--json", "--direct")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["source"], found["dry_run"], found["stopped_by"]) == (0, f"{PLACE}/", False, "")
    names = ("sent", "indexed", "stored_for_retry", "current", "skipped", "failed", "before", "elsewhere", "handled")
    assert [found[name] for name in names] == [0, 12, 0, 0, 0, 0, 0, 0, 12]


def test_a_dry_run_says_what_a_run_would_take_and_changes_nothing(bucket):
    done = run(PLACE, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "dry run: nothing was sent or indexed" in done.stdout
    assert (
        "12 objects, 144 bytes: about 0s (0.00 hours) with 1 worker like this one and --rate 100, and $0.00"
        in done.stdout
    )
    assert "measured: 12 objects read and extracted in" in done.stdout
    assert "writing to the index is not measured" in done.stdout
    assert (bucket.jobs(), bucket.fakes.s3.records) == ([], {})


def test_the_json_of_a_dry_run_has_the_estimate(bucket):
    found = json.loads(run(PLACE, "--dry-run", "--json", "--sample", "5", "--direct").stdout)
    estimate = found["estimate"]
    assert (found["dry_run"], found["indexed"], estimate["objects"], estimate["bytes"]) == (True, 12, 12, 144)
    assert (estimate["workers"], estimate["sample"]["objects"], estimate["sample"]["failures"]) == (1, 5, 0)
    assert estimate["hours"] >= 0
    assert estimate["dollars"] >= 0


def test_a_dry_run_with_nothing_to_do_or_nothing_to_read_says_so(bucket):
    bucket.fakes.s3.denied |= set(bucket.fakes.s3.bodies)
    assert "12 objects, 144 bytes; none of the 12 of the sample could be read" in run(PLACE, "--dry-run").stdout
    for key in bucket.fakes.s3.bodies:
        bucket.fakes.indexed(key)
    assert "there is nothing to do" in run(PLACE, "--dry-run").stdout


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--direct",)])
def test_a_place_without_objects_exits_with_1(bucket, options):
    done = run(f"{PLACE}/nothing/", *options)
    assert (done.exit_code, "there is no object in s3://files/nothing/" in done.stderr) == (1, True)


def test_keys_come_from_a_file_or_from_stdin(bucket, tmp_path):
    file = tmp_path / "keys.txt"
    file.write_text("0001\n0002\n")
    assert run(PLACE, "--keys", str(file)).exit_code == 0
    assert run(PLACE, "--keys", "-", stdin="0003\n").exit_code == 0
    assert bucket.jobs() == ["0001", "0002", "0003"]


def test_keys_come_from_a_pipe(bucket, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("0001\n0002\n",))
    writer.start()
    assert run(PLACE, "--keys", str(path)).exit_code == 0
    writer.join()
    assert bucket.jobs() == ["0001", "0002"]


def test_keys_come_from_an_inventory(bucket):
    put_inventory(bucket.fakes.s3.bodies, [row("0001"), row("0002")])
    assert run(PLACE, "--inventory", MANIFEST).exit_code == 0
    assert bucket.jobs() == ["0001", "0002"]


def test_what_an_inventory_lists_elsewhere_is_shown_and_a_dry_run_shows_it_too(bucket):
    bucket.put("a/1")
    put_inventory(bucket.fakes.s3.bodies, [row("a/1"), row("0001"), row("0002")])
    for options in (("--dry-run",), ()):
        done = run(f"{PLACE}/a/", "--inventory", MANIFEST, *options)
        assert (done.exit_code, "2  elsewhere " in done.stdout, " 1  sent " in done.stdout) == (0, True, True), (
            done.stdout
        )


def test_what_failed_exits_with_3_and_names_no_key_in_a_way_that_controls_the_terminal(bucket):
    bucket.put("a\x1b[31m")
    bucket.fakes.s3.denied.add("a\x1b[31m")
    done = run(PLACE, "--direct")
    assert done.exit_code == 3
    assert "1 failed: StoreError: AccessDenied in s3://files (such as a\\x1b[31m)" in done.stdout


def test_an_interrupted_run_is_continued_and_the_table_says_so(bucket):
    bucket.put(*(f"b{number:04}" for number in range(1_000)))
    bucket.fakes.faults.add("source.send", SQS_DOWN, after=101)
    done = run(PLACE, "--rate", "100000", "--max-depth", "5000")
    assert isinstance(done.exception, QueueError)
    bucket.fakes.faults.plan.clear()
    done = run(PLACE, "--max-depth", "5000")
    assert done.exit_code == 0, done.output
    by = f"of 2026-11-18 by {operator()}"
    assert f"continuing after 1,000 objects, where a run {by} was interrupted; --restart starts over" in done.stderr
    assert "1,000  done before " in done.stdout
    assert "12  sent" in done.stdout


def test_a_continued_run_with_nothing_left_exits_with_0(bucket):
    bucket.put(*(f"b{number:04}" for number in range(988)))
    bucket.fakes.faults.add("state.delete", StoreError("no", code="AccessDenied"), times=1)
    assert isinstance(run(PLACE, "--rate", "100000", "--max-depth", "5000").exception, StoreError)
    done = run(PLACE)
    assert (done.exit_code, "1,000  done before" in done.stdout) == (0, True)


def test_what_is_sent_to_cloudwatch_is_among_its_metrics():
    assert command.BACKFILL.figures.keys() <= FIGURES.keys()


def test_progress_is_logged_with_the_time_that_is_left(monkeypatch):
    emit = Mock()
    monkeypatch.setattr(command, "emit", emit)
    _log(Progress(500, 1_500, {"sent": 500}), 100.0)
    _log(Progress(500, None, {"sent": 500}), 100.0)
    assert [call.kwargs["eta_s"] for call in emit.call_args_list] == [10, None]
    emit.assert_called_with(
        LogEvent.BACKFILL_PROGRESS, done=500, per_second=100.0, counts={"sent": 500}, eta_s=None
    )  # fmt: skip


# -- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Missing argument 'S3-URL'"),
        (("files",), "should be s3://BUCKET or s3://BUCKET/PREFIX"),
        (("s3://",), "cannot be a bucket's name"),
        ((PLACE, f"{PLACE}/a"), "overlap"),
        ((PLACE, "--rate", "0"), "Invalid value for '--rate'"),
        ((PLACE, "--rate", "-1"), "Invalid value for '--rate'"),
        ((PLACE, "--rate", "nan"), "Invalid value for '--rate'"),
        ((PLACE, "--max-depth", "-1"), "Invalid value for '--max-depth'"),
        ((PLACE, "--direct", "--max-depth", "5"), "has no meaning with --direct"),
        ((PLACE, "--sample", "5"), "is required for --sample"),
        ((PLACE, "--dry-run", "--sample", "0"), "Invalid value for '--sample'"),
        ((PLACE, "--keys", "x", "--inventory", MANIFEST), "cannot be used together with --inventory"),
        ((f"{PLACE}/a/", f"{PLACE}/b/", "--keys", "x"), "must be one place with --inventory or --keys"),
        ((PLACE, "--inventory", "manifest.json"), "should be s3://BUCKET or s3://BUCKET/PREFIX"),
        ((PLACE, "--inventory", PLACE), "is a folder; name its manifest.json"),
        ((PLACE, "--inventory", f"{PLACE}/lists/"), "is a folder; name its manifest.json"),
        ((PLACE, "--keys", "/nowhere/keys.txt"), "/nowhere/keys.txt: No such file or directory"),
        ((PLACE, "--keys", "/"), "Is a directory"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(bucket, options, said):
    done = run(*options)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert bucket.fakes.faults.calls == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("契約\n".encode("cp932"), "line 1 of"),
        (b"0001\ns3://files/0002\n", "must be a key alone"),
        (b"\xff\xfea", "is UTF-16"),
    ],
)
def test_a_file_that_is_no_file_of_keys_is_a_usage_error_and_nothing_is_sent(bucket, tmp_path, raw, said):
    file = tmp_path / "keys.txt"
    file.write_bytes(raw)
    done = run(PLACE, "--keys", str(file))
    assert (done.exit_code, said in done.stderr, "'--keys'" in done.stderr.replace("--keys:", "'--keys'")) == (
        2,
        True,
        True,
    )
    assert bucket.jobs() == []


def test_an_inventory_that_is_none_or_of_another_bucket_is_a_usage_error(bucket):
    bucket.fakes.s3.bodies["lists/manifest.json"] = b"{}"
    assert "it is not the manifest of an S3 Inventory" in run(PLACE, "--inventory", MANIFEST).stderr
    put_inventory(bucket.fakes.s3.bodies, [row("0001")], source="other-files")
    done = run(PLACE, "--inventory", MANIFEST)
    assert (done.exit_code, "is an inventory of other-files, not of files" in done.stderr) == (2, True)


def test_a_file_of_an_inventory_that_is_damaged_is_a_usage_error_after_the_report(bucket):
    put_inventory(bucket.fakes.s3.bodies, [row(f"{number:04}") for number in range(20)], files=2)
    bucket.fakes.s3.bodies["lists/data/1.csv.gz"] = b"x"
    done = run(PLACE, "--inventory", MANIFEST)
    assert (done.exit_code, "lists/data/1.csv.gz is damaged" in done.stderr, len(bucket.jobs())) == (2, True, 10)
    assert "10  sent" in done.stdout


def test_an_unknown_bucket_is_a_wrong_setting(bucket):
    bucket.fakes.faults.add("s3.check_bucket", StoreError("no such bucket", code="NoSuchBucket"), after=1)
    done = run("s3://no-such-bucket")
    assert isinstance(done.exception, ConfigError)
    assert "the bucket no-such-bucket cannot be listed" in str(done.exception)


def test_the_program_shows_errors_of_usage_as_64():
    done = run_in_process(main, {}, "files")
    assert (done.returncode, "should be s3://BUCKET" in " ".join(done.stderr.split())) == (64, True)


def test_help_names_the_sources_and_ends_with_examples():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).stdout
    assert shown.index("--inventory") < shown.index("Examples: backfill_index s3://our-files --dry-run")
    assert isinstance(app, typer.Typer)

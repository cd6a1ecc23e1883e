"""`reconcile_index`: what it prints, asks and refuses, and its exit codes."""

import json
import signal
from unittest.mock import Mock

import pytest
import typer
from typer.testing import CliRunner

from recovery.cli import reconcile_index as command
from recovery.cli.places import default_places
from recovery.cli.reconcile_index import app
from testing.memory import BUCKET, NOW_MS
from tests.support.reconciled import Scene
from worker.core.base import logs
from worker.core.base.errors import ExitCode, StoreError
from worker.core.s3.objects import Place
from worker.core.s3.state import PAUSE_KEY

PLACE = f"s3://{BUCKET}"


@pytest.fixture
def place(fakes, tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())
    monkeypatch.setattr(command, "load_for_command", fakes.settings)
    monkeypatch.setattr(command, "connect", lambda _: fakes.clients)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return Scene(fakes, tmp_path)


def run(*options):
    wide = {"COLUMNS": "400", "TERMINAL_WIDTH": "400"}
    return CliRunner().invoke(app, [*options], env=wide)


def test_everything_accounted_for_exits_with_0_and_prints_a_line_for_each_state(place):
    place.put("a.txt")
    place.indexed("a.txt")
    done = run(PLACE)
    assert done.exit_code == 0, done.output
    for line in ("1  current", "0  missing", "0  orphans", "1 objects, 1 bytes, 1 documents in"):
        assert line in done.stdout


def test_what_is_lost_exits_with_3_and_is_named_without_controlling_the_terminal(place):
    place.put("a\x1b[31m.txt")
    done = run(PLACE)
    assert done.exit_code == 3
    assert "missing, such as a\\x1b[31m.txt" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_json_is_one_object_of_all_places_and_each(place):
    for key in ("a/1", "b/1", "b/2"):
        place.put(key)
    place.indexed("a/1")
    done = run(f"{PLACE}/a/", f"{PLACE}/b/", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["objects"], found["bytes"], found["orphans"]) == (3, 3, 3, 0)
    assert (found["accounted"], found["states"]["current"], found["states"]["missing"]) == (False, 1, 2)
    assert [(one["place"], one["objects"], one["accounted"]) for one in found["places"]] == [
        (f"{PLACE}/a/", 1, True), (f"{PLACE}/b/", 2, False),
    ]  # fmt: skip
    assert "fixed" not in found


def test_a_fix_that_is_complete_exits_with_0_and_says_where_it_is_recorded(place):
    place.put("a.txt")
    done = run(PLACE, "--fix", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fixed"][0]["sent"] == 1
    assert "recorded in s3-index-worker/audit/" in done.stderr
    assert len(place.fakes.source.messages) == 1


def test_a_fix_with_nothing_to_fix_changes_nothing_and_is_not_recorded(place):
    place.put("a.txt")
    place.indexed("a.txt")
    assert run(PLACE, "--fix", "--yes").exit_code == 0
    assert not place.fakes.under("s3-index-worker/audit/")


def test_without_a_terminal_a_fix_needs_yes(place):
    place.put("a.txt")
    done = run(PLACE, "--fix")
    assert (done.exit_code, "is required, because there is no terminal" in done.stderr) == (2, True)
    assert not place.fakes.source.messages


@pytest.mark.parametrize(("answer", "sent"), [(True, 1), (False, 0)])
def test_on_a_terminal_it_asks_with_the_numbers(place, monkeypatch, answer, sent):
    place.put("a.txt")
    place.fakes.index.documents[BUCKET, "orphan"] = NOW_MS - 1000, {"etag": "e"}
    agreed = Mock(return_value=answer)
    monkeypatch.setattr(command, "agreed", agreed)
    monkeypatch.setattr(command, "check_can_ask", lambda: None)
    done = run(PLACE, "--fix")
    assert (done.exit_code, len(place.fakes.source.messages)) == (0 if answer else 3, sent)
    agreed.assert_called_once_with(f"{PLACE}/: index 1 objects, and remove 1 documents whose objects are gone?")


def test_a_mistyped_bucket_is_refused_even_with_yes_until_it_is_forced(place):
    for number in range(30):
        place.fakes.index.documents[BUCKET, f"{number}"] = NOW_MS - 1000, {"etag": "e"}
    done = run(PLACE, "--fix", "--yes")
    assert (done.exit_code, "the listing of s3://files/ is empty" in done.stderr) == (3, True)
    assert len(place.fakes.index.documents) == 30
    assert run(PLACE, "--fix", "--yes", "--force").exit_code == 0
    assert not place.fakes.index.documents


def test_messages_that_wait_are_said(place):
    place.put("a.txt")
    place.fakes.source.add("m1", "{}")
    assert "1 messages were waiting or in flight" in run(PLACE).stdout


def test_a_csv_file_has_every_object_and_orphan_with_the_state_after_the_second_look(place, tmp_path):
    for key in ("b,\"'\n", "a"):
        place.put(key)
    place.indexed("a")
    place.fakes.index.documents[BUCKET, "orphan"] = NOW_MS - 1000, {"etag": "e"}
    file = tmp_path / "all.csv"
    assert run(PLACE, "--csv", str(file)).exit_code == 3
    etag = place.fakes.s3.etag("a")
    text = file.read_bytes().decode()
    modified = "2026-11-17T11:06:40+00:00"
    assert text.split("\r\n")[:2] == [
        "bucket,key,state,etag,bytes,last_modified",
        f"files,a,current,{etag},1,{modified}",
    ]
    assert f'files,"b,""\'\n",missing,{etag},1,{modified}\r\nfiles,orphan,orphan,,,\r\n' in text


def test_a_page_is_written_for_all_places_together(place, tmp_path):
    for key in ("a/1", "b/1"):
        place.put(key)
    file = tmp_path / "report.html"
    assert run(f"{PLACE}/a/", f"{PLACE}/b/", "--html", str(file)).exit_code == 3
    text = file.read_text()
    assert text.startswith("<!doctype html>")
    assert [text.count(f"<h2>s3://files/{prefix}/</h2>") for prefix in ("a", "b")] == [1, 1]


def test_an_existing_file_is_never_replaced(place, tmp_path):
    file = tmp_path / "all.csv"
    file.write_text("mine")
    done = run(PLACE, "--csv", str(file))
    assert (done.exit_code, "already exists" in done.stderr, file.read_text()) == (2, True, "mine")


def test_a_run_that_fails_leaves_no_csv_file(place, tmp_path):
    place.fakes.faults.add("s3.list", RuntimeError("bug"))
    file = tmp_path / "all.csv"
    assert run(PLACE, "--csv", str(file)).exit_code == 1
    assert not file.exists()


def test_a_signal_ends_it_without_a_verdict_and_without_files(place, tmp_path, monkeypatch):
    place.put("a.txt")
    pages = place.fakes.s3.list_page

    def list_page(*asked):
        signal.raise_signal(signal.SIGTERM)
        return pages(*asked)

    monkeypatch.setattr(place.fakes.s3, "list_page", list_page)
    file = tmp_path / "all.csv"
    done = run(PLACE, f"{PLACE}-2", "--json", "--csv", str(file))
    found = json.loads(done.stdout)
    assert (done.exit_code, found["stopped"], found["accounted"], found["places"]) == (143, True, False, [])
    assert "the next run goes on from there" in done.stderr
    assert not file.exists()


def test_while_the_fleet_is_paused_a_run_compares_and_a_fix_is_refused(place):
    place.put("a.txt")
    place.fakes.s3.records[PAUSE_KEY] = json.dumps({"by": "ann", "reason": "upgrade"}).encode()
    assert run(PLACE).exit_code == 3
    place.fakes.faults.calls.clear()
    done = run(PLACE, "--fix", "--yes")
    assert type(done.exception).__name__ == "PausedError"
    assert "s3.list" not in place.fakes.faults.calls
    assert run(PLACE, "--fix", "--yes", "--while-paused").exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("files",), "should be s3://BUCKET or s3://BUCKET/PREFIX"),
        (("s3://",), "cannot be a bucket's name"),
        ((PLACE, PLACE), "overlap"),
        ((PLACE, f"{PLACE}/a"), "overlap"),
        ((f"{PLACE}/a", f"{PLACE}/a/b"), "overlap"),
        ((PLACE, "--direct"), "is required for --direct, --force and --rate"),
        ((PLACE, "--rate", "5"), "is required for --direct, --force and --rate"),
        ((PLACE, "--since", "a week"), "it should be a number and s, m, h or d"),
        ((PLACE, "--csv", "-", "--html", "-"), "can be stdout only for one"),
        ((PLACE, "--sample", "0"), "greater than or equal to 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(place, options, said):
    done = run(*options)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert place.fakes.faults.calls == []


# -- the places without arguments ------------------------------------------------------------------------------------------


def policy(*buckets):
    condition = {"ArnEquals": {"aws:SourceArn": [f"arn:aws:s3:::{bucket}" for bucket in buckets]}}
    return json.dumps({"Statement": [{"Effect": "Allow", "Condition": condition}]})


def test_without_places_the_buckets_of_the_queues_policy_are_compared(place):
    place.fakes.source.also["Policy"] = policy("our-files", "our-mail")
    found = default_places(place.settings, place.fakes.clients)
    assert found == [Place("our-files", ""), Place("our-mail", "")]


def test_or_the_default_bucket_or_it_is_said_that_there_is_none(place):
    assert default_places(place.settings, place.fakes.clients) == [Place(BUCKET, "")]
    without = place.settings.model_copy(update={"s3_bucket": None})
    with pytest.raises(typer.BadParameter, match="the queue's policy names no bucket"):
        default_places(without, place.fakes.clients)


def test_one_place_that_cannot_be_read_keeps_no_other_from_being_reconciled(place):
    place.put("b/a.txt")
    place.indexed("b/a.txt")
    place.fakes.faults.add("s3.list", StoreError("denied", code="AccessDenied"), times=1)
    done = run(f"{PLACE}/a/", f"{PLACE}/b/", "--json")
    assert done.exit_code in {ExitCode.DEPENDENCY, ExitCode.CONFIG}, done.output
    assert f"{PLACE}/a/: " in done.stderr
    assert json.loads(done.stdout)["states"]["current"] == 1

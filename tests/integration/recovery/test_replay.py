"""`replay_retry_index` as an operator runs it, on the real servers: its results and exit codes."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from recovery.cli.replay_retry_index import main
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import base_env
from tests.support.in_process import run_in_process
from tests.support.retry_records import fill_retry, kept_keys, put_record, record_of, result_of
from tests.support.signals import ENDINGS
from tests.support.size import sized
from worker.core.s3.state import PARKED_PREFIX, RETRY_PREFIX

MODULE = "recovery.cli.replay_retry_index"
HOSTILE = ["a\x1b[31m赤\n改行.txt", "100%+ &.txt", "~ 経理/..a/é.txt"]
"""Hostile keys that SeaweedFS accepts; the others are in the unit tests."""
FLAT_KB = 60_000


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def replay(site: Site, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return run_in_process(main, {**site.env, **env}, *options)


def started(site: Site, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *options], env={**base_env(), **site.env}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def waiting(site: Site) -> list[str]:
    return site.state_keys(RETRY_PREFIX)


def test_a_replay_empties_retry_index_and_its_summary_matches_the_servers(site):
    keys = fill_retry(site, 300)
    done = replay(site, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    wanted = Counter(result_of(number) for number in range(300))
    assert {name: summary[name] for name in wanted} == wanted
    assert (summary["handled"], summary["causes"], summary["stopped_by"]) == (300, [], "")
    assert site.documents().keys() == kept_keys(keys)
    assert waiting(site) == []
    again = replay(site)
    assert (again.returncode, "0 handled" in again.stdout) == (0, True)


def test_objects_that_changed_during_an_outage_are_indexed_in_their_current_state(site):
    old = {key: site.put(key, "old") for key in ("same.txt", "overwritten.txt", "removed.txt")}
    for key, etag in old.items():
        put_record(site, record_of(site, key, etag))
    new = site.put("overwritten.txt", "new")
    site.s3.delete_object(Bucket=site.bucket, Key="removed.txt")
    assert replay(site).returncode == 0
    assert {key: document["etag"] for key, document in site.documents().items()} == {
        "same.txt": old["same.txt"], "overwritten.txt": new,
    }  # fmt: skip


def test_hostile_keys_and_bare_documents_of_the_earlier_system_are_replayed(site):
    site.put("経理/旧 a.txt", "text of now")
    site.s3.put_object(
        Bucket=site.state_bucket, Key=f"{RETRY_PREFIX}2025-12-31/経理/旧 a.txt.json", Body=b'{"content": ""}'
    )
    for key in HOSTILE:
        put_record(site, record_of(site, key, "of an object that nobody has"))
    put_record(site, record_of(site, "b.txt", site.put("b.txt")))
    done = replay(site, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["removed"], summary["rebuilt"], summary["replayed"]) == (len(HOSTILE), 1, 1)
    assert site.documents().keys() == {"経理/旧 a.txt", "b.txt"}
    assert waiting(site) == []


def test_a_dry_replay_leaves_everything_unchanged(site):
    fill_retry(site, 40)
    before = waiting(site)
    done = replay(site, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "dry run: nothing was written or deleted" in done.stdout
    assert "40 handled" in done.stdout
    assert (waiting(site), site.documents()) == (before, {})


def test_a_rejected_document_is_parked_after_five_attempts_and_replayed_once_the_mapping_is_corrected(site):
    refuse_everything(site)
    put_record(site, record_of(site, "経理/a.txt", site.put("経理/a.txt")))
    for attempt in range(1, 6):
        done = replay(site, "--json")
        assert done.returncode == 3, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["rejected"], summary["parked"]) == ((1, 0) if attempt < 5 else (0, 1))
        assert "parsing_exception" in summary["causes"][0]["reason"]
    [parked] = waiting(site)
    record = site.state_record(parked)
    assert parked.startswith(PARKED_PREFIX)
    assert record["attempts"] == len(record["history"]) == 5
    assert replay(site, "--json").stdout.count('"handled":0,') == 1
    site.ask("DELETE", f"/{site.index}-000001")
    done = replay(site, "--parked")
    assert done.returncode == 0, done.stderr
    assert site.documents().keys() == {"経理/a.txt"}
    assert waiting(site) == []


def refuse_everything(site: Site) -> None:
    site.ask("PUT", f"/{site.index}-000001", {
        "mappings": {"properties": {"content": {"type": "date"}}}, "aliases": {site.index: {"is_write_index": True}},
    })  # fmt: skip


def test_an_invalid_record_is_parked_and_its_control_characters_are_escaped(site):
    raw = json.dumps({"schema": 1, "bucket": "b", "key": "壊れた", "observed_at_ms": "\x1b]0;title\x07"}).encode()
    site.s3.put_object(Bucket=site.state_bucket, Key=f"{RETRY_PREFIX}2026-01-01/壊れた.json", Body=raw)
    done = replay(site)
    assert done.returncode == 3, done.stderr
    assert "壊れた.json" in done.stdout
    assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)
    assert waiting(site) == [f"{PARKED_PREFIX}2026-01-01/壊れた.json"]
    kept = site.s3.get_object(Bucket=site.state_bucket, Key=waiting(site)[0])["Body"].read()
    assert kept == raw


def test_two_replays_at_once_do_no_harm(site):
    keys = fill_retry(site, 400)
    runs = [started(site, "--json") for _ in range(2)]
    outcomes = [(*run.communicate(timeout=120), run.returncode) for run in runs]
    assert [(code, errors) for _, errors, code in outcomes if code] == []
    assert sum(json.loads(out)["handled"] for out, _, _ in outcomes) >= 400
    assert site.documents().keys() == kept_keys(keys)
    assert waiting(site) == []


def test_a_replay_changes_nothing_if_the_index_is_unavailable_at_the_start(site, opensearch):
    fill_retry(site, 20)
    before = waiting(site)
    opensearch.pause()
    try:
        done = replay(site, INDEX_TIMEOUT_S="2")
    finally:
        opensearch.resume()
    assert done.returncode == 69, done.stderr
    assert "Nothing was touched" in done.stderr
    assert "Traceback" not in done.stderr
    assert waiting(site) == before


@pytest.mark.slow("enough records that the index dies in the middle; then it starts again")
def test_a_killed_index_ends_the_replay_and_unconfirmed_records_stay(site, opensearch):
    keys = fill_retry(site, sized(3_000, usual=900))
    process = started(site, "--json")
    try:
        wait_until(lambda: site.count() > 200, 60, "two hundred documents")
        opensearch.kill()
        out, errors = process.communicate(timeout=120)
    finally:
        opensearch.restart()
    assert process.returncode == 69, errors
    assert "Traceback" not in errors
    summary = json.loads(out)
    assert (summary["rejected"], summary["parked"]) == (0, 0)
    assert summary["stopped_by"]
    # Not as many as were seen before: a refresh shows those of a request that was never confirmed, too.
    wait_until(lambda: site.count() > 0, 60, "the documents that were confirmed")
    waits = {record["key"] for record in site.state_records(RETRY_PREFIX)}
    assert set(keys) == waits | set(site.documents()) | (set(keys) - kept_keys(keys))
    done = replay(site)
    assert done.returncode == 0, done.stderr
    assert site.documents().keys() == kept_keys(keys)
    assert waiting(site) == []


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_lets_the_replay_finish_its_batch_and_the_next_run_continues(site, number, code):
    keys = fill_retry(site, 1_000)
    process = started(site, "--json")
    wait_until(lambda: site.count() > 50, 30, "some work done")
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert len(waiting(site)) == 1_000 - json.loads(out)["handled"]
    assert replay(site).returncode == 0
    assert site.documents().keys() == kept_keys(keys)


@pytest.mark.extended
@pytest.mark.slow("two whole runs, one of them with five times the records")
def test_memory_does_not_grow_with_the_number_of_records(site):
    few, many = 200, sized(4_000, usual=1_000)
    small, large = [(fill_retry(site, count, content="長い本文 " * 1_000), peak_kb(site))[1] for count in (few, many)]
    print(f"\npeak: {small / 1024:.0f} MB with {few} records, {large / 1024:.0f} MB with {many:,}")
    assert large - small < FLAT_KB
    assert waiting(site) == []


def peak_kb(site: Site) -> int:
    """The peak memory of one run in kB."""
    process = started(site)
    out, errors = process.stdout, process.stderr
    assert out is not None
    assert errors is not None
    with out, errors:
        text = errors.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, text
    return usage.ru_maxrss


@pytest.mark.parametrize(
    ("options", "env", "code", "message"),
    [
        (["--limit", "0"], {}, 64, "--limit"),
        (["--limit", "many"], {}, 64, "--limit"),
        (["--prefix", "dlq-archive/"], {}, 64, "--prefix"),
        (["--frobnicate"], {}, 64, "--frobnicate"),
        ([], {"INDEX_URL": "nonsense"}, 78, "INDEX_URL"),
        ([], {"STATE_BUCKET": "no-such-bucket-here"}, 78, "no-such-bucket-here"),
    ],
)
def test_mistyped_options_of_replay_retry_index_are_named_without_a_stack_trace(site, options, env, code, message):
    done = replay(site, *options, **env)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_limit_and_prefix_select_records(site):
    fill_retry(site, 30)
    assert "4 handled" in replay(site, "--limit", "4").stdout
    day = waiting(site)[-1].split("/")[1]
    assert replay(site, "--prefix", f"{RETRY_PREFIX}{day}/").returncode == 0
    left = waiting(site)
    assert left
    assert not any(f"/{day}/" in name for name in left)

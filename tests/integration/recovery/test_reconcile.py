"""`reconcile_index` as an operator runs it, on the real servers: its tables equal the truth, and what it fixes is fixed."""

import csv
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from recovery.cli.reconcile_index import main
from recovery.operations.reconciling.fixing import FUTURE
from testing.aws import s3_client, s3_event, s3_record, sqs_client
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, base_env
from tests.support.in_process import run_in_process
from tests.support.moto_server import moto_endpoint
from tests.support.nasty_keys import LONGEST_BYTES, NASTY, NOT_IN_XML
from tests.support.retry_records import put_record, record_of
from tests.support.size import sized
from worker.core.base.settings import load
from worker.core.index.document import Write, encode
from worker.core.index.open import open_index
from worker.core.s3.lease import LEASE_S
from worker.core.s3.state import PARKED_PREFIX
from worker.selfheal import LEASE_KEY

MODULE = "recovery.cli.reconcile_index"
DAY_MS = 86_400_000
ORPHANS = sized(200, usual=10)
LIVE = "live/"
FULL_S = sized(1_800, usual=180)
"""How long a test may take that makes two hundred thousand objects at full size."""
FLAT_MB = 15


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture
def env(site, tmp_path):
    """All objects are old enough at once."""
    return {**site.env, "RECONCILE_YOUNG_S": "0", "STATE_DIRECTORY": str(tmp_path)}


def reconciled(env, *options: str) -> tuple[int, dict[str, Any]]:
    done = run_in_process(main, env, *options, "--json")
    assert done.returncode in {0, 3}, done.stderr
    return done.returncode, json.loads(done.stdout)


def states(found: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in found["states"].items() if count}


def fill_index(env, bucket: str, etags: dict[str, str], *, version: int | None = None) -> None:
    """Documents as a worker writes them."""
    settings = {name.lower(): value for name, value in env.items() if not name.startswith(("AWS_", "STATE_DIR"))}
    now_ms = version or int(time.time() * 1000)
    with closing(open_index(load(**settings))) as index:
        index.ensure()
        items = list(etags.items())
        for start in range(0, len(items), 500):
            index.write([
                Write(bucket, key, now_ms, etag, encode({
                    "bucket": bucket, "file_key": key, "etag": etag, "last_modified": "2026-01-01T00:00:00+00:00",
                    "content": "text",
                }))
                for key, etag in items[start : start + 500]
            ])  # fmt: skip
        index.refresh()


def dead_letter(site: Site, key: str, *, etag: str) -> None:
    site.sqs.send_message(
        QueueUrl=site.queues.dlq, MessageBody=s3_event(s3_record(site.bucket, key, etag=etag))
    )  # fmt: skip


def scene(site: Site, env, count: int) -> dict[str, int]:
    """Objects of which some are lost or held in each other place, and documents without an object; the truth."""
    etags = site.put_all({f"帳票/{number % 7}/{number:06}.txt": f"{number}" for number in range(count)})
    etags |= site.put_all({f"report {number}.txt": "x" for number in range(20)})
    etags |= site.put_all({f"report/{number}.txt": "x" for number in range(20)})
    keys = sorted(etags)
    random.Random(1).shuffle(keys)
    take = iter(keys)
    truth = {
        "missing": sized(1_000, usual=100), "stale": sized(500, usual=50),
        "waiting": 7, "parked": 5, "dead": 6, "archived": 4, "skipped": 3,
    }  # fmt: skip
    of = {name: [next(take) for _ in range(number)] for name, number in truth.items()}
    away = {key for name in truth if name not in {"stale", "skipped"} for key in of[name]}
    stale = set(of["stale"])
    fill_index(env, site.bucket, {k: "old" if k in stale else v for k, v in etags.items() if k not in away})
    fill_index(env, site.bucket, {f"gone/{number}.txt": "e" for number in range(ORPHANS)})
    for key in of["waiting"]:
        put_record(site, record_of(site, key, etags[key]))
    for key in of["parked"]:
        record = record_of(site, key, etags[key]).tried("why")
        name = PARKED_PREFIX + record.name.removeprefix("retry-index/")
        site.s3.put_object(Bucket=site.state_bucket, Key=name, Body=record.as_json())
    for key in of["dead"]:
        dead_letter(site, key, etag=etags[key])
    for number, key in enumerate(of["archived"]):
        record_json = {
            "message_id": f"m{number}", "body": s3_event(s3_record(site.bucket, key, etag=etags[key])), "queue": "q",
            "system_attributes": {"SentTimestamp": "1"}, "message_attributes": {}, "reason": "r", "error_type": "e",
            "archived_at": "2026-01-01T00:00:00+00:00", "by": "b", "run": "r",
        }  # fmt: skip
        site.s3.put_object(
            Bucket=site.state_bucket,
            Key=f"dlq-archive/2026-01-01/m{number}.json",
            Body=json.dumps(record_json).encode(),
        )
    env["EXCLUDE_KEYS"] = ",".join(of["skipped"])
    truth["current"] = len(etags) - sum(truth.values())
    return truth


@pytest.mark.timeout(FULL_S)
@pytest.mark.slow("makes two thousand objects, and indexes a part of them again")
def test_the_tables_equal_the_truth_while_others_change_and_after_a_fix_everything_is_accounted_for(
    site, env, tmp_path
):
    count = sized(200_000, usual=2_000)
    truth = scene(site, env, count)
    file = tmp_path / "all.csv"
    with live_changes(site, {**env, "LOG_LEVEL": "info"}, tmp_path):
        code, found = reconciled(env, "--csv", str(file))
    with file.open(newline="") as stream:
        rows = [(row["key"].startswith(LIVE), row["state"]) for row in csv.DictReader(stream)]
    assert (code, found["accounted"]) == (3, False)
    assert Counter(state for is_live, state in rows if not is_live) == {**truth, "orphan": ORPHANS}
    live = {state for is_live, state in rows if is_live}
    assert live
    assert live <= {"current", "young"} or found["places"][0]["unsettled"], live
    assert found["objects"] == sum(found["states"].values()) == len(rows) - found["orphans"]
    code, found = reconciled(env, "--fix", "--direct", "--yes")
    [fixed] = found["fixed"]
    assert (code, fixed["kept"]) == (0, {})
    assert (fixed["indexed"], fixed["removed"]) == (truth["missing"] + truth["stale"], ORPHANS)
    [place] = found["places"]
    left = place["objects"] - count - 40  # of what others have changed
    assert (place["skipped_indexed"], place["unsettled"], place["documents"]) == (
        3, 0, truth["current"] + truth["stale"] + 3 + ORPHANS + left,
    )  # fmt: skip
    site.ask("POST", f"/{site.index}/_refresh")
    code, found = reconciled(env)
    truth["current"] += truth.pop("missing") + truth.pop("stale") + left
    assert (code, states(found), found["orphans"], found["accounted"]) == (0, truth, 0, True)
    record = site.state_record(f"s3-index-worker/reconcile/{site.bucket}.json")
    assert (record["unaccounted"], record["repeated"], record["objects"]) == (0, 0, count + 40 + left)


@contextmanager
def live_changes(site: Site, env: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Within this context, objects under LIVE change and a worker indexes them; after it, the queue is empty.

    The worker replays nothing: others have the lease for it.
    """
    over = threading.Event()
    keep_from_replaying(site)
    worker = WorkerProcess(env, folder).start()
    try:
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(change_until, over, site)
            try:
                yield
            finally:
                over.set()
            assert changing.result() > 20
        site.wait_empty(60)
    finally:
        assert worker.stop() == 0


def keep_from_replaying(site: Site) -> None:
    """Take or renew the lease for it."""
    until_ms = int((time.time() + LEASE_S) * 1000)
    body = json.dumps({"holder": "another host", "until_ms": until_ms}).encode()
    site.s3.put_object(Bucket=site.state_bucket, Key=LEASE_KEY, Body=body)


def test_what_a_fix_sends_is_indexed_by_a_worker_while_others_change(site, env, tmp_path):
    keys = [f"{number}.txt" for number in range(60)]
    etags = site.put_all(dict.fromkeys(keys, "text"))
    fill_index(env, site.bucket, {key: "old" if key < "3" else etags[key] for key in keys if key > "2"})
    fill_index(env, site.bucket, {"9.txt": etags["9.txt"]}, version=int(time.time() * 1000) + DAY_MS)
    code, found = reconciled(env)
    assert (code, found["places"][0]["future"]) == (3, 1)
    code, found = reconciled(env, "--fix", "--yes", "--rate", "500")
    [fixed] = found["fixed"]
    lost = [key for key in keys if key < "3"]
    assert (code, fixed["sent"], fixed["kept"]) == (3, len(lost), {FUTURE: 1})
    assert fixed["examples"][FUTURE].startswith("9.txt, until ")
    code, found = reconciled(env)
    assert found["places"][0]["unsettled"] == len(lost)
    worker = WorkerProcess({**site.env, "LOG_LEVEL": "info"}, tmp_path).start()
    try:
        site.put("new.txt", "text")
        site.send("new.txt")
        wait_until(lambda: site.depth()[:2] == (0, 0), 30, "an empty source queue")
    finally:
        assert worker.stop() == 0
    code, found = reconciled(env)
    assert (code, states(found), found["places"][0]["future"]) == (3, {"current": len(keys) + 1}, 1)


def test_a_document_from_the_future_that_was_removed_by_hand_comes_back_once_its_version_is_forgotten(site, env):
    """As the runbook has it; index.gc_deletes is a second here, instead of an hour."""
    etags = site.put_all({"a.txt": "text", "b.txt": "text"})
    fill_index(env, site.bucket, etags, version=int(time.time() * 1000) + DAY_MS)
    site.ask("PUT", f"/{site.index}/_settings", {"index.gc_deletes": "1s"})
    terms = [{"term": {"bucket": site.bucket}}, {"term": {"file_key": "a.txt"}}]
    query = {"query": {"bool": {"filter": terms}}}
    assert site.ask("POST", f"/{site.index}/_delete_by_query?refresh=true", query)["deleted"] == 1
    time.sleep(3)
    site.ask("POST", f"/{site.index}/_refresh")
    code, found = reconciled(env, "--fix", "--direct", "--yes")
    assert (code, found["fixed"][0]["indexed"], found["fixed"][0]["kept"]) == (3, 1, {FUTURE: 1})
    site.ask("POST", f"/{site.index}/_refresh")
    code, found = reconciled(env)
    assert (states(found), found["places"][0]["future"]) == ({"current": 2}, 1)


def test_while_objects_change_nothing_is_called_lost_unless_messages_are_waiting(site, env, tmp_path):
    with live_changes(site, {**site.env, "LOG_LEVEL": "info"}, tmp_path):
        for _ in range(3):
            _, found = reconciled(env)
            assert found["objects"] == sum(found["states"].values())
            assert found["accounted"] or found["places"][0]["unsettled"], found
    site.ask("POST", f"/{site.index}/_refresh")
    code, found = reconciled(env)
    assert (code, set(states(found)), found["orphans"]) == (0, {"current"}, 0)


def change_until(over: threading.Event, site: Site) -> int:
    """Create, overwrite and remove objects, and send the events; the number of changes."""
    chance, changes = random.Random(3), 0
    while not over.is_set():
        keep_from_replaying(site)
        key = f"{LIVE}{chance.randrange(40)}.txt"
        changes += 1
        if chance.random() < 0.3:
            site.s3.delete_object(Bucket=site.bucket, Key=key)
            site.send(key, "ObjectRemoved:Delete")
        else:
            site.put(key, f"text {changes}")
            site.send(key)
    return changes


@pytest.mark.slow("moto takes in two hundred objects, one after another")
def test_keys_of_every_kind_are_accounted_for_on_a_store_that_keeps_them(elasticmq, tmp_path):
    """SeaweedFS changes or refuses some of these; moto does not. The index is in SQLite."""
    with moto_endpoint() as endpoint, closing(s3_client(endpoint)) as s3, closing(sqs_client(endpoint)) as sqs:
        for name in ("data-bucket", "state-bucket"):
            s3.create_bucket(Bucket=name)
        env = {
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint,
            "SQS_QUEUE_URL": sqs.create_queue(QueueName="q")["QueueUrl"], "STATE_BUCKET": "state-bucket",
            "DLQ_QUEUE_URL": sqs.create_queue(QueueName="d")["QueueUrl"], "RECONCILE_YOUNG_S": "0",
            "INDEX_URL": f"sqlite:///{tmp_path}/index.db", "TEMP_DIR": str(tmp_path), "LOG_FORMAT": "json",
        }  # fmt: skip
        bodies = {key: b"" if key.endswith("/") else key.encode() for key in NASTY}
        etags = {
            key: s3.put_object(Bucket="data-bucket", Key=key, Body=body)["ETag"].strip('"')
            for key, body in bodies.items()
        }
        half = {key: etag for number, (key, etag) in enumerate(etags.items()) if number % 2 and not key.endswith("/")}
        fill_index(env, "data-bucket", half)
        gone = [
            name for key in half if len((name := f"{key}.gone").encode()) <= LONGEST_BYTES and not NOT_IN_XML & set(key)
        ]
        fill_index(env, "data-bucket", dict.fromkeys(gone, "e"))
        folders = sum(key.endswith("/") for key in NASTY)
        code, found = reconciled(env, "s3://data-bucket")
        truth = {"skipped": folders, "current": len(half), "missing": len(NASTY) - folders - len(half)}
        assert (len(NASTY), code, states(found), found["orphans"]) == (200, 3, truth, len(gone))
        code, found = reconciled(env, "s3://data-bucket", "--fix", "--direct", "--yes", "--force")  # to remove so many
        [fixed] = found["fixed"]
        assert (code, fixed["kept"], fixed["indexed"], fixed["removed"]) == (0, {}, truth["missing"], len(gone))
        code, found = reconciled(env, "s3://data-bucket")
        assert (code, states(found), found["orphans"]) == (
            0, {"skipped": folders, "current": len(NASTY) - folders}, 0,
        )  # fmt: skip


@pytest.mark.timeout(FULL_S)
@pytest.mark.slow("starts the command six times")
def test_a_run_that_is_killed_again_and_again_is_continued(site, env, tmp_path):
    count = sized(200_000, usual=6_000)
    etags = site.put_all({f"{number:06}": "x" for number in range(count)})
    fill_index(env, site.bucket, {key: etag for key, etag in etags.items() if key != "000042"})
    seen = [0]
    for _ in range(5):
        process = started(env, "--json")
        more = seen[-1] + count // 8
        wait_until(lambda: has_more(process, tmp_path, more), 60, "some pages more")  # noqa: B023
        process.kill()
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            break  # it was faster
        seen.append(listed(tmp_path))
    code, found = reconciled(env)
    assert (code, states(found)) == (3, {"current": count - 1, "missing": 1})
    print(f"\nlisted when it was killed: {seen[1:]}, of {count:,}")
    assert seen == sorted(set(seen))
    assert len(seen) > 2
    assert list(tmp_path.rglob("reconcile-*.sqlite*")) == []


def started(env, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *options], env={**base_env(), **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def has_more(process: "subprocess.Popen[str]", folder: Path, than: int) -> bool:
    """Whether the process has listed more objects, or has ended."""
    return listed(folder) > than or process.poll() is not None


def listed(folder: Path) -> int:
    """How many objects the work file has."""
    for path in folder.rglob("reconcile-*.sqlite"):
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                row = db.execute("SELECT value FROM facts WHERE name='listed'").fetchone()
                return int(row[0]) if row else 0
        except sqlite3.Error:
            return 0
    return 0


@pytest.mark.extended
@pytest.mark.timeout(FULL_S)
@pytest.mark.slow("two whole runs, one of them over two hundred thousand objects")
def test_memory_does_not_grow_with_the_number_of_objects():
    few, many = sized(200_000, usual=20_000), sized(2_000_000, usual=200_000)
    small, large = peak_mb(few), peak_mb(many)
    print(f"\npeak: {small} MB with {few:,} objects, {large} MB with {many:,}")
    assert large - small < FLAT_MB


def peak_mb(count: int) -> int:
    """The peak memory of a run over so many objects, which are made up while they are listed."""
    command = [sys.executable, "-m", "benchmarks.reconcile", "--made-up", str(count)]
    done = subprocess.run(command, env=base_env(), capture_output=True, text=True, check=True)
    [number] = re.findall(r"(\d+) MB at most", done.stdout)
    return int(number)


def test_a_signal_ends_it_between_two_pages_and_the_next_run_goes_on(site, env, tmp_path):
    etags = site.put_all({f"{number:06}": "x" for number in range(4_000)})
    fill_index(env, site.bucket, etags)
    process = started(env)
    wait_until(lambda: listed(tmp_path) > 0, 60, "a page")
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it was faster than the signal")
    assert (process.returncode, out) == (130, "")
    assert "the next run goes on from there" in err
    assert reconciled(env)[0] == 0


def test_bad_input_is_refused_with_a_sentence(site, env):
    for options, code, said in (
        (("files",), 64, "should be s3://BUCKET or s3://BUCKET/PREFIX"),
        (("s3://two words",), 64, "cannot be a bucket's name"),
        (("s3://our-files", "s3://our-files/a/"), 64, "overlap: objects would be counted twice"),
        (("--direct",), 64, "is required for --direct"),
        (("--since", "x"), 64, "it should be a number and s, m, h or d"),
        (("--sample", "0"), 64, "--sample='0': it should be a whole number from 1"),
        (("s3://no-such-bucket-here",), 78, "the bucket no-such-bucket-here cannot be listed"),
        (("--csv", "/nowhere/x.csv"), 64, "is not a folder"),
    ):
        done = run_in_process(main, {**env, "COLUMNS": "300", "TERMINAL_WIDTH": "300"}, *options)
        assert done.returncode == code, (options, done.stderr)
        assert said in " ".join(done.stderr.split()), (options, done.stderr)
        assert done.stdout == ""


def test_without_a_terminal_a_fix_needs_yes_and_an_empty_listing_needs_force(site, env):
    fill_index(env, site.bucket, {f"{number}": "e" for number in range(5)})
    done = run_in_process(main, env, "--fix", "--yes")
    assert done.returncode == 3, done.stderr
    assert "is empty, and 5 documents would be removed; if that is right, use --force" in " ".join(done.stderr.split())
    done = run_in_process(main, env, "--fix", "--force")
    assert (done.returncode, "because there is no terminal to ask on" in " ".join(done.stderr.split())) == (64, True)
    assert len(site.documents()) == 5
    done = run_in_process(main, env, "--fix", "--force", "--yes")
    assert (done.returncode, site.documents()) == (0, {}), done.stderr
    assert "5 documents removed" in done.stdout

"""`backfill_index` as an operator runs it, on the real servers: from an empty index to a clean reconciliation."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote_plus

import pytest

from recovery.cli.backfill_index import main
from recovery.cli.reconcile_index import main as reconcile_main
from recovery.operations.backfilling.checkpoint import BACKFILL_PREFIX
from testing.aws import drain
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, base_env
from tests.support.backfilled import put_inventory
from tests.support.in_process import run_in_process
from tests.support.size import sized

MODULE = "recovery.cli.backfill_index"
COLUMNS = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker"


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture
def env(site, tmp_path):
    return {**site.env, "RECONCILE_YOUNG_S": "0", "STATE_DIRECTORY": str(tmp_path), "TEMP_DIR": str(tmp_path)}


@pytest.fixture
def sqlite_env(env, tmp_path):
    """The same with an index in a file, which needs no worker."""
    return {**env, "INDEX_URL": f"sqlite:///{tmp_path}/index.db"}


def backfilled(env, *options: str, code: int = 0) -> dict[str, Any]:
    done = run_in_process(main, env, *options, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def states(env) -> dict[str, int]:
    """The number of objects in each state, as reconcile_index finds them."""
    done = run_in_process(reconcile_main, env, "--json")
    found = json.loads(done.stdout)
    assert found["orphans"] == 0
    return {name: count for name, count in found["states"].items() if count}


def place(site: Site, prefix: str = "") -> str:
    return f"s3://{site.bucket}/{prefix}"


def fill(site: Site, count: int) -> list[str]:
    """A bucket as it was before the worker came: its objects, and a folder."""
    keys = [f"帳票/{number % 7}/{number:06} +%.txt" for number in range(count)]
    site.put_all({key: f"契約 {key}" for key in keys})
    site.put("帳票/", b"")
    return keys


def started(env, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *options], env={**base_env(), **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def done_before(site: Site) -> int:
    """How many objects the checkpoint counts; 0 where there is none."""
    return sum(record["done"] for record in site.state_records(BACKFILL_PREFIX))


def killed_after(process: "subprocess.Popen[str]", site: Site, than: int) -> int:
    """Kill the process once it has stored a position after so many objects; where it came to."""
    wait_until(lambda: done_before(site) > than or process.poll() is not None, 60, "a checkpoint")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was faster than the test"
    return done_before(site)


def test_from_empty_with_three_workers_and_killed_twice_everything_is_indexed(site, env, tmp_path):
    count = sized(10_000, usual=4_000)
    keys = fill(site, count)
    dry = backfilled(env, place(site), "--dry-run", "--rate", "100000")
    assert (dry["sent"], dry["skipped"], dry["estimate"]["sample"]["failures"]) == (count, 1, 0)
    assert not site.state_keys("")
    options = (place(site), "--rate", "1000", "--max-depth", str(count), "--json")
    with ExitStack() as stack:
        for number in range(3):
            worker = WorkerProcess({**site.env, "WORKER_NAME": f"w{number}"}, tmp_path, name=f"w{number}").start()
            stack.callback(worker.kill)
        began = time.monotonic()
        first = killed_after(started(env, *options), site, 0)
        second = killed_after(started(env, *options), site, first)
        found = backfilled(env, *options[:-1])
        assert (found["before"], found["before"] + found["handled"]) == (second, count + 1)
        wait_until(lambda: site.depth()[:2] == (0, 0), 120, "an empty source queue")
        took_s = time.monotonic() - began
    estimated_s = dry["estimate"]["hours"] * 3600
    print(f"{count} objects: estimated {estimated_s:.1f} s, with two deaths it took {took_s:.1f} s")
    assert states(env) == {"current": count, "skipped": 1}
    assert site.documents().keys() == set(keys)
    assert done_before(site) == 0
    again = backfilled(env, place(site), "--rate", "100000")
    assert (again["sent"], again["current"], again["skipped"]) == (0, count, 1)


def test_killed_while_it_indexes_here_it_goes_on(site, sqlite_env, tmp_path):
    count = sized(20_000, usual=3_000)
    fill(site, count)
    process = started(sqlite_env, place(site), "--direct", "--rate", "1000")
    before = killed_after(process, site, 0)
    found = backfilled(sqlite_env, place(site), "--direct")
    assert found["before"] == before
    assert found["indexed"] + found["current"] + found["skipped"] == count + 1 - before
    assert states(sqlite_env) == {"current": count, "skipped": 1}


def test_the_estimate_of_the_work_done_here_is_near_to_what_it_takes(site, sqlite_env):
    count = sized(20_000, usual=2_000)
    fill(site, count)
    dry = backfilled(sqlite_env, place(site), "--direct", "--dry-run")
    estimate = dry["estimate"]
    assert (dry["indexed"], estimate["objects"], estimate["sample"]["with_index"]) == (count, count, True)
    assert estimate["bytes"] == sum(len(f"契約 帳票/{n % 7}/{n:06} +%.txt".encode()) for n in range(count))
    found = backfilled(sqlite_env, place(site), "--direct")
    print(f"{count} objects: estimated {estimate['hours'] * 3600:.1f} s, took {found['seconds']} s")
    assert found["indexed"] == count
    assert found["seconds"] / 5 < estimate["hours"] * 3600 < found["seconds"] * 5


def test_the_estimate_of_a_rate_that_the_workers_keep_up_with_is_what_it_takes(site, env, tmp_path):
    fill(site, 1_000)
    worker = WorkerProcess(site.env, tmp_path).start()
    try:
        began = time.monotonic()
        estimate = backfilled(env, place(site), "--rate", "100", "--dry-run")["estimate"]
        backfilled(env, place(site), "--rate", "100")
        wait_until(lambda: site.depth()[:2] == (0, 0), 60, "an empty source queue")
    finally:
        worker.kill()
    took_s = time.monotonic() - began
    print(f"1000 objects at 100/s: estimated {estimate['hours'] * 3600:.1f} s, with the dry run it took {took_s:.1f} s")
    assert estimate["hours"] * 3600 == pytest.approx(10, rel=0.05)
    assert 9 < took_s < 30
    assert 0 < estimate["dollars"] < 0.01


def test_without_workers_it_waits_below_the_depth_and_ctrl_c_leaves_it(site, env):
    fill(site, 300)
    process = started(env, place(site), "--max-depth", "100", "--rate", "1000", "--json")
    wait_until(lambda: site.depth()[0] > 100, 60, "a full queue")
    time.sleep(3)
    assert site.depth()[0] == 110
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["sent"]) == (130, 110)
    assert "messages wait in the queue, and 110 were sent in the last minute; sending goes on at 100" in err
    assert "stopped; the next run goes on from there" in err


def test_an_inventory_brings_what_it_lists_and_is_continued_in_the_middle_of_a_file(site, env):
    keys = fill(site, 2_600)
    files: dict[str, bytes] = {}
    rows = [(site.bucket, quote_plus(key), "v", "true", "false") for key in keys]
    gone = [(site.bucket, "gone", "v", "true", "true"), (site.bucket, quote_plus(keys[0]), "old", "false", "false")]
    manifest = put_inventory(
        files, rows + gone, source=site.bucket, columns=COLUMNS, destinationBucket=f"arn:aws:s3:::{site.state_bucket}"
    )  # fmt: skip
    site.put_all(files, bucket=site.state_bucket)
    url = f"s3://{site.state_bucket}/{manifest}"
    process = started(env, place(site), "--inventory", url, "--rate", "1000", "--max-depth", "100000")
    before = killed_after(process, site, 0)
    found = backfilled(env, place(site), "--inventory", url, "--rate", "100000", "--max-depth", "100000")
    assert (found["before"], found["sent"]) == (before, 2_600 - before)
    sent = {json.loads(message["Body"])["key"] for message in drain(site.sqs, site.queues.source)}
    assert sent == set(keys)


def test_a_file_of_keys_brings_what_it_names(site, sqlite_env, tmp_path):
    keys = fill(site, 30)
    file = tmp_path / "keys.txt"
    file.write_text("\n".join([*keys[:20], "never/was"]) + "\n")
    found = backfilled(sqlite_env, place(site), "--keys", str(file), "--direct")
    assert (found["indexed"], found["failed"]) == (21, 0)
    file.write_text("\n".join(keys))
    site.put(keys[0], "changed")
    found = backfilled(sqlite_env, place(site), "--keys", str(file), "--direct")
    assert (found["indexed"], found["current"]) == (11, 19)
    assert states(sqlite_env) == {"current": 30, "skipped": 1}


def test_bad_input_is_refused_with_a_sentence_and_nothing_is_sent(site, env, tmp_path):
    fill(site, 3)
    wrong = tmp_path / "wrong.txt"
    wrong.write_bytes("契約\n".encode("cp932"))
    site.put("manifest.json", "{}")
    files: dict[str, bytes] = {}
    put_inventory(files, [], source="other-files", columns=COLUMNS)
    site.put_all(files)
    here = place(site)
    for options, code, said in (
        (("files",), 64, "should be s3://BUCKET or s3://BUCKET/PREFIX"),
        ((here, "--rate", "0"), 64, "--rate='0': it should be a number from 0.1 on"),
        ((f"{here}nothing/",), 1, f"there is no object in s3://{site.bucket}/nothing/"),
        (("s3://no-such-bucket-here",), 78, "the bucket no-such-bucket-here cannot be listed"),
        ((here, "--keys", "/nowhere/keys.txt"), 64, "/nowhere/keys.txt: No such file or directory"),
        ((here, "--keys", str(wrong)), 64, "is not UTF-8: byte 1 is 0x8c"),
        ((here, "--inventory", f"{here}no.json"), 64, "no.json does not exist"),
        ((here, "--inventory", f"{here}manifest.json"), 64, "it is not the manifest of an S3 Inventory"),
        ((here, "--inventory", f"{here}lists/manifest.json"), 64, "is an inventory of other-files"),
        ((here, "--inventory", "s3://no-such-bucket-here/manifest.json"), 64, "cannot be read"),
    ):
        done = run_in_process(main, {**env, "COLUMNS": "300", "TERMINAL_WIDTH": "300"}, *options)
        assert done.returncode == code, (options, done.stderr)
        assert said in " ".join(done.stderr.split()), (options, done.stderr)
    assert site.depth() == (0, 0, 0)


def test_without_its_queue_or_index_it_does_not_start(site, env):
    fill(site, 3)
    gone = site.env["SQS_QUEUE_URL"] + "-gone"
    done = run_in_process(main, {**env, "SQS_QUEUE_URL": gone}, place(site))
    assert (done.returncode, "SQS_QUEUE_URL=" in done.stderr) == (78, True), done.stderr
    done = run_in_process(main, {**env, "INDEX_URL": "http://127.0.0.1:9"}, place(site))
    assert (done.returncode, "Nothing was touched" in " ".join(done.stderr.split())) == (69, True), done.stderr
    assert not site.state_keys("s3-index-worker/backfill/")

"""`s3-index-worker demo`: what a newcomer sees first, complete, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from testing.servers import OpenSearchServer
from testing.waiting import wait_until
from testing.worker import base_env

WITHIN_S = 60
HOSTILE = {
    "AWS_PROFILE": "of-the-user",
    "AWS_ACCESS_KEY_ID": "key-of-the-user",
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "S3_BUCKET": "bucket-of-the-user",
    "INDEX_URL": "http://127.0.0.1:9",
    "MAX_OBJECT_BYTES": "not a number",
}
"""Variables that a user's shell may have set and the demo must ignore."""


def demo(folder: Path, *args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker", "demo", *args],
        env={**base_env(), **env, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[int]:
    """Living processes whose environment names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def assert_nothing_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []
    wait_until(lambda: not processes_of(folder), 5, "the end of every process of the demo")


def test_the_demo_shows_every_sample_three_searches_and_the_dead_letter_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    started = time.monotonic()
    process = demo(tmp_path, **HOSTILE)
    out, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, err
    assert time.monotonic() - started < WITHIN_S

    samples = [path for path in Path("samples").rglob("*") if path.is_file() and path != Path("samples/README.md")]
    assert f"All {len(samples)} messages settled within" in out
    assert f"The index has {len(samples)} documents; 1 message went to the dead-letter queue." in out
    rows = out.partition("result")[2].partition("All ")[0]
    assert rows.count("indexed") >= 25
    assert rows.count("corrupt; dead letter") == 1

    searches = out.split("$ s3-index-worker search ")[1:]
    assert len(searches) == 4
    assert searches[0].startswith("'京都'")
    assert all(" found" in found and "s3://demo-files/" in found for found in searches)
    assert "quarterly forecast" in searches[2].lower()

    dead = out.partition("The dead-letter queue has")[2]
    assert "legal/契約書 (破損).pdf  USER_ERROR · UnreadableFileError" in dead
    assert "attempts 1" in dead
    assert "2 documents went to retry-index/" in out
    assert "s3://demo-files/障害中/深夜の入荷報告.txt" in searches[3]
    assert re.search(r"1  recovered .*\n +0  already_indexed", out.partition("$ recover_dlq")[2])
    assert "of-the-user" not in out + err
    assert_nothing_left(tmp_path)


def test_the_demo_takes_any_folder(tmp_path: Path) -> None:
    mine, temp = tmp_path / "mine", tmp_path / "temp"
    (mine / "sub folder").mkdir(parents=True)
    temp.mkdir()
    (mine / "sub folder" / "report [draft] 100%+.txt").write_text("figures of the year")
    (mine / ".hidden").write_text("not to be shown")
    (mine / os.fsdecode(b"no utf-8 \xff.txt")).write_text("its name cannot be a key")

    process = demo(temp, str(mine))
    out, err = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 0, err
    assert "sub folder/report [draft] 100%+.txt" in out
    assert "All 1 message settled within" in out
    assert "The dead-letter queue is empty" in out
    assert ".hidden" not in out
    assert_nothing_left(temp)


def test_a_folder_without_files_is_said_to_be_empty(tmp_path: Path) -> None:
    process = demo(tmp_path, str(tmp_path))
    _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 78
    assert "contains no readable file" in err


def test_with_an_opensearch_named_the_documents_go_to_an_index_of_the_demos_own(
    tmp_path: Path, opensearch: OpenSearchServer
) -> None:
    process = demo(tmp_path, OPENSEARCH_ENDPOINT=opensearch.url, OPENSEARCH_INDEX="of-the-user")
    out, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, err
    assert "The documents remain in the index s3-index-worker-demo" in out
    assert "s3://demo-files/sales/京都支店 提案.ppt" in out
    with urllib.request.urlopen(f"{opensearch.url}/_cat/indices?h=index,docs.count") as answer:
        indices = answer.read().decode()
    assert re.search(r"s3-index-worker-demo\S*\s+35", indices)
    assert "of-the-user" not in indices
    assert_nothing_left(tmp_path)


def test_an_opensearch_that_does_not_answer_is_named(tmp_path: Path) -> None:
    process = demo(tmp_path, OPENSEARCH_ENDPOINT="http://127.0.0.1:9")
    _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 69
    assert "http://127.0.0.1:9 cannot be reached" in err
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_cut_short_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    process = demo(tmp_path)
    try:
        wait_until(lambda: list(tmp_path.glob("*/worker.log")), WITHIN_S, "the worker's start")
        process.send_signal(number)
        process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert_nothing_left(tmp_path)

"""A worker in which everything takes long: what waits at its deadline goes back to the queue, and nothing counts as stuck."""

import time

import pytest

from testing.waiting import wait_until
from testing.worker import running
from worker.core.extract import Extracted

FILES = 24
SLOW = """
from worker.core.base import retry, settings
from worker.core.extract import children
from worker.core.s3.store import S3ObjectStore

retry.SHORTEST_RELEASE_S, retry.LONGEST_RELEASE_S = 1, 2
settings.Settings.model_fields["message_deadline_s"].metadata = []
settings.Settings.model_rebuild(force=True)
children.PARSER = "tests.integration.life.test_deadlines:parse_slowly"
"""
SLOW_GETS = """
import time

read_fast = S3ObjectStore._read_fast

def read_slowly(self, *args):
    time.sleep(0.5)
    return read_fast(self, *args)

S3ObjectStore._read_fast = read_slowly
"""
"""A sitecustomize: files, or GETs, take half a second; a message may wait three."""


def parse_slowly(_body, kind, _max_chars):
    time.sleep(0.5)
    return Extracted("ok", kind.mime_type, "text")


@pytest.mark.slow("more work than fits before a deadline of three seconds, released and received again")
@pytest.mark.parametrize(
    ("slow", "ending", "body"),
    [(SLOW, "pdf", b"%PDF-1.7 text"), (SLOW + SLOW_GETS, "txt", b"text")],
    ids=["files", "gets"],
)
def test_more_slow_work_than_fits_before_the_deadline_is_all_done_and_nothing_is_stuck(
    site, tmp_path, slow, ending, body
):
    (tmp_path / "sitecustomize.py").write_text(slow)
    keys = [f"資料/{number:02}.{ending}" for number in range(FILES)]
    site.put_all(dict.fromkeys(keys, body))
    env = {
        **site.env, "PYTHONPATH": f"{tmp_path}:.", "MESSAGE_DEADLINE_S": "3", "EXTRACT_PROCESSES": "1",
        "WORKER_CONCURRENCY": "1" if ending == "txt" else "16", "LOG_LEVEL": "debug",
    }  # fmt: skip
    with running(env, tmp_path) as worker:
        site.send_all(keys)
        wait_until(lambda: set(site.documents()) == set(keys), 120, "every file")
        waited = [one for one in worker.events("message.settled") if "held back" in str(one.get("note"))]
        assert waited, "some had to wait beyond their deadline, or this test shows nothing"
        site.wait_empty(30)
        assert worker.stop() == 0
        assert worker.events("message.stuck") == []

"""The command line of `reindex_index`: what it refuses, asks and says."""

import json
from dataclasses import replace

import pytest

from recovery.cli import reindex_index
from recovery.cli.view.reindexed import question, result_sentences, situation_sentences
from recovery.operations.reindex import Plan
from recovery.operations.reindexing.ending import Situation
from recovery.operations.reindexing.request import Reindexed, ReindexRequest
from tests.support.in_process import run_in_process
from worker.core.audit import Run
from worker.core.s3.objects import Place
from worker.core.s3.reindexing import Phase, Reindex, Source

ENV = {
    "SQS_QUEUE_URL": "http://127.0.0.1:9/1/q", "DLQ_QUEUE_URL": "http://127.0.0.1:9/1/d", "STATE_BUCKET": "state",
    "INDEX_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
}  # fmt: skip
FOUND = Reindex(
    "reindex_index-1", "ann@host", "files", "files-000001", "files-000002", Source.S3, False, True, Phase.FILLING,
    begun_ms=1_795_000_000_000, written_ms=1_795_000_000_000, grace_s=604_800,
)  # fmt: skip
REQUEST = ReindexRequest(Run("r", "reindex_index", "reindex", "ann@host"), Source.S3, (Place("our-files", ""),))


def refused(*options: str) -> str:
    done = run_in_process(reindex_index.main, ENV, *options)
    assert (done.returncode, done.stdout) == (64, "")
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(("options", "why"), [
    ((), "exactly one is required, not none"),
    (("--from-s3", "--abort"), "exactly one is required, not --from-s3 and --abort"),
    (("s3://our-files", "--status"), "cannot be given with --status"),
    (("s3://our-files/legal/", "--from-s3"), "'s3://our-files/legal/' should be a whole bucket: s3://our-files"),
    (("our-files", "--from-s3"), "'our-files' should be s3://BUCKET"),
    (("--from-s3", "--grace", "soon"), "'soon': it should be a number and s, m, h or d"),
    (("--from-s3", "--grace", "999999999999999999999d"), "should be a number and s, m, h or d"),
    (("--from-s3", "--rate", "0"), "--rate='0': it should be a number from 0.1 on"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(options, why):
    assert why in refused(*options)


def test_before_it_begins_it_says_what_happens_and_whether_there_is_a_way_back():
    kept = question(Plan(FOUND, 120_000, frozenset(), 0, is_begun=False), REQUEST)
    assert kept == (
        "replace files-000001 (120,000 documents) by files-000002, filled from S3, for s3://our-files/? The old one is kept for 7 "
        "days after the switch, and --rollback moves back to it"
    )
    concrete = Reindex("r", "b", "files", "files", "files-000001", Source.INDEX, True, False)
    lost = question(Plan(concrete, 1, frozenset(), 0, is_begun=True), REQUEST)
    assert lost.startswith("go on to replace files (1 documents) by files-000001, filled from the old index")
    assert "the switch DELETES it, and there is no way back" in lost


@pytest.mark.parametrize(("phase", "says"), [
    (Phase.PREPARING, "only the old one is written to"),
    (Phase.FILLING, "searches read files-000001; 2 of 3 workers write to both"),
    (Phase.SWITCHED, "searches read files-000002 since 2026-11-18T11:06:40+00:00; 2 of 3 workers"),
    (Phase.ENDING, "`--finish` completes that, and deletes files-000001"),
])  # fmt: skip
def test_the_situation_says_what_to_type_next(phase, says):
    left = "files-000001" if phase is Phase.ENDING else ""
    found = replace(FOUND, phase=phase, left_over=left)
    said = "\n".join(situation_sentences(Situation(found, FOUND.written_ms + 3_600_000, 2, 3)))
    assert says in said
    assert phase is not Phase.SWITCHED or "is kept for another 167.0 hours" in said
    json.dumps(Situation(found, 0, 2, 3).as_json())


def test_the_result_says_why_it_has_not_switched():
    result = Reindexed("files-000001", "files-000002", filled=10, lacking=2, rounds=5, examples=["s3://b/k: denied"])
    said = list(result_sentences(result))
    assert said[1] == "s3://b/k: denied"
    assert said[2].startswith("not switched: 2 objects or documents are not as they should be in files-000002")

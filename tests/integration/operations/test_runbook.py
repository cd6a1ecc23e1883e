"""docs/runbook.md and docs/logs.md: every line is typed, works, and does what its section says."""

import json
import re

import pytest

from tests.integration.operations.conftest import ELSEWHERE, Night
from tests.support.pages import typed

ALSO = {
    "s3-index-worker doctor": {0, 1},
    "s3-index-worker doctor our-files": {0, 1},
    "s3-index-worker status": {0, 1},
    "s3-index-worker status --json | jq -r '.workers[] | select(.lost) | .name'": {0, 1},
    "dlq list --older-than 10d": {1},
    "s3-index-worker budget": {1},
    "s3-index-worker budget --raise objects=20000": {1},
    "dlq list --older-than 1d": {1},
    "dlq export expiring.jsonl --older-than 10d": {1},
    "dlq list --match 'KEY'": {1},
    "s3-index-worker forget s3://our-files/PREFIX --dry-run": {0, 1},
    "reconcile_index": {0, 3},
    "reconcile_index s3://our-files --since 7d": {0, 3},
    "reconcile_index s3://our-files --csv states.csv": {0, 3},
}
"""Exit codes other than 0 that a line may have here: nothing is days old in a test, and there are no caps."""

pytestmark = pytest.mark.timeout(600)  # the first test has the whole night in its set-up


@pytest.fixture(scope="module")
def saw(runbook: Night):
    """What was observed after the first line of a section that begins with `start`."""

    def find(section: str, start: str):
        keys = [key for key in runbook.after if key.startswith(f"{section}: {start}")]
        assert keys, f"{section} has no line {start}"
        return runbook.after[keys[0]]

    return find


def test_every_line_was_typed_here_or_is_typed_under_systemd(runbook):
    here = {answer.line.line for answer in runbook.answers}
    elsewhere = [one for one in typed("runbook.md") + typed("logs.md") if one.line not in here]
    assert all(one.program in ELSEWHERE or one.line.startswith("journalctl -k") for one in elsewhere)
    assert len(here) > 60


def test_every_line_works(runbook):
    wrong = [
        f"{one.line.section}: {one.line.line} → {one.code}\n{one.err[-600:]}"
        for one in runbook.answers
        if one.code not in ALSO.get(one.line.line, {0})
    ]
    assert wrong == []


def test_no_line_ends_in_a_stack_trace(runbook):
    assert [one.line.line for one in runbook.answers if "Traceback" in one.err] == []


def test_every_query_of_the_log_finds_something(runbook):
    silent = [
        one.line.line
        for one in runbook.answers
        if one.line.program == "journalctl" and not one.out.strip() and not re.search(NOT_THAT_NIGHT, one.line.line)
    ]
    assert silent == []


NOT_THAT_NIGHT = (
    r"delete_failed|message\.stuck|SlowDown|\"release\"|gate\.shut|brake\.applied|breaker\.closed|note == \"removed\""
)
"""Queries for what did not happen to this worker, as S3 and SQS worked. tests/systemd covers them."""


# -- sections ----------------------------------------------------------------------------------------------------------


def test_dlq_depth_ends_with_an_empty_queue(saw):
    assert saw("dlq-depth", "recover_dlq --dry-run")["depth"] == 4
    assert saw("dlq-depth", "recover_dlq --batch-size")["depth"] == 0


def test_the_messages_of_a_bucket_that_is_gone_are_given_up(saw):
    giving_up = "dlq abandon --group GROUP --match s3://our-files/ --reason 'their bucket is gone for good'"
    staged = 3  # before each of the two lines
    assert saw("braked", f"{giving_up} --yes")["depth"] == saw("braked", f"{giving_up} --dry-run")["depth"] - staged


def test_archived_dead_letters_are_restored(saw):
    assert saw("spilled", "s3-index-worker doctor")["depth"] == saw("archived", "dlq list --archive")["depth"] + 1


def test_the_poison_file_is_archived(runbook, saw):
    assert saw("Poison file", "dlq abandon")["depth"] == saw("Poison file", "dlq groups")["depth"] - 1
    *_, last = [one for one in runbook.answers if one.line.line == "dlq list --match 'KEY'"]
    assert last.code == 1


def test_pause_and_resume_do_what_they_say(saw):
    for section in ("error-rate", "Budget", "Emergency stop"):
        assert saw(section, "s3-index-worker pause")["paused"]
        assert not saw(section, "s3-index-worker resume")["paused"]


def test_a_purge_empties_and_its_file_brings_everything_back(runbook, saw):
    assert saw("Purge", "dlq purge --backup purged.jsonl --dry-run")["depth"] >= 3
    assert saw("Purge", "dlq purge --backup purged.jsonl --confirm")["depth"] == 0
    *_, seal = (runbook.folder / "purged.jsonl").read_text().splitlines()
    assert saw("Purge", "dlq import purged.jsonl --yes")["depth"] == json.loads(seal)["messages"]


def test_the_documents_of_removed_objects_are_removed(runbook):
    said = [one for one in runbook.answers if "forget" in one.line.line]
    assert [one.out.split()[0] for one in said] == ["5", "5", "0"]
    assert [one.code for one in said] == [0, 0, 1]


def test_what_was_parked_is_in_the_index_again(runbook):
    assert runbook.site.state_keys("retry-index/parked/") == []

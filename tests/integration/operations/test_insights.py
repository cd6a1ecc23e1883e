"""docs/logs.md: the queries for CloudWatch Logs find in a real worker's lines what the lines with jq find there."""

import json

import pytest

from tests.integration.operations.conftest import UNREADABLE, Night
from tests.support.insights import Row, columns, queries, selected

QUERIES = queries("logs.md")
PRIORITIES = {"critical": "2", "error": "3", "warning": "4", "info": "6", "debug": "7"}
FROM_SYSTEMD: Row = {"body.MESSAGE": "Main process exited, code=killed, status=9/KILL", "body.PRIORITY": "5"}

pytestmark = pytest.mark.timeout(600)  # the first test has the whole night in its set-up


@pytest.fixture(scope="module")
def rows(night: Night) -> list[Row]:
    """The worker's lines as the agent sends them, without those that it leaves out, and one of systemd's."""
    lines = [line.partition(">")[2] if line.startswith("<") else line for line in night.logs.splitlines()]
    found = [(line, json.loads(line)) for line in lines if line.startswith("{")]
    made = [{"body.MESSAGE": line, "body.PRIORITY": PRIORITIES[one["level"]]} for line, one in found]
    return [*(row for row in made if row["body.PRIORITY"] != "7"), FROM_SYSTEMD]


def test_each_of_the_ten_questions_has_its_query():
    assert [name.partition(".")[0] for name in QUERIES] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_what_it_is_about_and_takes_its_fields_out(name, rows, night):
    settled = night.worker.events("message.settled")[0]
    query = QUERIES[name].replace("MESSAGE-ID", settled["message_id"]).replace('"KEY"', f'"{UNREADABLE}"')
    found = selected(query, rows)
    assert found
    assert len(found) < len(rows)
    for row in found:
        assert columns(query) <= row.keys(), row


def test_a_query_takes_out_what_the_line_says(rows, night):
    settled = {
        (one["key"], one["outcome"]) for one in night.lines if one.get("event") == "message.settled" and "key" in one
    }
    query = QUERIES["2. What happened to this object?"].replace('"KEY"', f'"{UNREADABLE}"')
    assert {(one["key"], one["outcome"]) for one in selected(query, rows) if "outcome" in one} <= settled
    slow = selected(QUERIES["4. Which files are slow?"], rows)
    assert all(float(one["milliseconds"]) >= 0 for one in slow)
    failed = selected(QUERIES["3. What failed, and why?"], rows)
    assert {one["errorType"] for one in failed} >= {"UnreadableFileError", "MalformedEventError"}
    assert FROM_SYSTEMD in selected(QUERIES["9. Did a worker restart, and why?"], rows)

"""What docs/reference/api.md asks its reader to type, at a service that has the dead letter of its examples."""

import json
import subprocess

import pytest

from recovery.ledger.selection import FILTERS
from recovery.manager.web.openapi import describe
from tests.support.pages import DOCS, typed
from tools.api import ADDRESS

LINES = [one.line for one in typed("reference/api.md") if one.program == "curl"]

REFUSED = {
    "-X DELETE http://127.0.0.1:8024/dlq/message/": b"403",  # without sign-in, nobody is an admin
    "-X POST http://127.0.0.1:8024/dlq/replay/5b1f": b"409",  # what is sent here is of a type that must not be
    "/copies -H": b"409",  # the dead letter of the examples is an S3 event, which is not edited
}
EVENTS = "/operations/7c1d2e3f-1a2b-4c3d-8e9f-0a1b2c3d4e5f/events"


def test_every_route_has_a_line(api):
    assert len(LINES) == sum(map(len, describe(api.app)["paths"].values())) + 1


def test_every_filter_is_explained():
    explained = (DOCS / "reference/api.md").read_text().partition("## Filters")[2].partition("<!-- begin")[0]
    assert [name for name in FILTERS if f"`{name}`" not in explained] == []


@pytest.fixture
def answers(api, served):
    """What comes back for each line. The events of an operation end with it; here, nobody executes it."""
    found = {}
    for line in LINES:
        if line.endswith(EVENTS):
            with api.ledger._database.writing() as connection:
                connection.exec_driver_sql("UPDATE operations SET ended_ms = 1")
        found[line] = _typed_in(line.replace(ADDRESS, f"http://127.0.0.1:{served.port}"))
    return found


def _typed_in(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=30, check=False)


def test_every_line_works(answers):
    for line, done in answers.items():
        if status := next((status for part, status in REFUSED.items() if part in line), None):
            assert status in done.stderr, line
            continue
        assert (done.returncode, done.stderr) == (0, b""), (line, done.stderr)
        if not line.endswith(("/metrics", "/events")):
            assert [json.loads(one) for one in done.stdout.splitlines()], line

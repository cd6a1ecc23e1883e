"""What docs/reference/api.md asks its reader to type, at a service that has the dead letter of its examples."""

import json
import subprocess

import pytest

from recovery.ledger.selection import FILTERS
from recovery.manager.web.openapi import describe
from tests.support.pages import DOCS, typed
from tools.api import ADDRESS

LINES = [one.line for one in typed("reference/api.md") if one.program == "curl"]


def test_every_route_has_a_line(api):
    assert len(LINES) == len(describe(api.app)["paths"]) + 1


def test_every_filter_is_explained():
    explained = (DOCS / "reference/api.md").read_text().partition("## Filters")[2].partition("<!-- begin")[0]
    assert [name for name in FILTERS if f"`{name}`" not in explained] == []


@pytest.fixture
def answers(served):
    """What comes back for each line."""
    return {line: _typed_in(line.replace(ADDRESS, f"http://127.0.0.1:{served.port}")) for line in LINES}


def _typed_in(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=30, check=False)


def test_every_line_works(answers):
    for line, done in answers.items():
        assert (done.returncode, done.stderr) == (0, b""), line
        if not line.endswith("/metrics"):
            assert json.loads(done.stdout), line

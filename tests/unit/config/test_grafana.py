"""config/grafana: what the dashboards show, and that they are what the code makes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dashboards import NAMES, dashboard, queries
from tools import dashboards
from tools.metrics import all_metrics
from tools.prometheus_rules import rules

ROOT = Path(__file__).resolve().parents[3]
LIMIT = {one.name: one.limit for one in rules()}


def panel(name: str, title: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in dashboard(name)["panels"] if one["title"] == title]
    assert len(found) == 1
    return found[0]


def asked(name: str) -> Iterator[str]:
    """Every expression: of panels and of the lists above them."""
    yield from (query.expression for query in queries(name))
    for variable in dashboard(name)["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


def test_the_files_are_what_the_code_makes():
    assert dashboards.check(dashboards.FOLDER) == []


def test_a_changed_a_missing_and_a_strange_file_are_found_and_written_anew(tmp_path):
    dashboards.write(tmp_path)
    assert dashboards.check(tmp_path) == []
    (tmp_path / "dlq-monitoring.json").write_text("{}")
    (tmp_path / "s3-index-worker.json").unlink()
    (tmp_path / "strange.json").write_text("{}")
    assert [fault.split()[0].rpartition("/")[2] for fault in dashboards.check(tmp_path)] == [
        "dlq-monitoring.json", "s3-index-worker.json", "strange.json",
    ]  # fmt: skip
    dashboards.write(tmp_path)
    assert dashboards.check(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_is_found_by_the_name_of_its_file(name):
    assert dashboard(name)["uid"] == name


@pytest.mark.parametrize("name", NAMES)
def test_only_metrics_that_exist_are_asked_for(name):
    exist = frozenset().union(*(one.series for one in all_metrics()))
    for expression in asked(name):
        found = set(re.findall(r"\b(?:worker|dlq|reconcile)_[a-z0-9_]+", expression))
        assert found
        assert found <= exist


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows_and_asks_the_chosen_prometheus_for_the_chosen_job(name):
    numbers = [one["id"] for one in dashboard(name)["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for one in dashboard(name)["panels"]:
        assert one["description"].endswith(".")
        assert one["options"]
        letters = [target["refId"] for target in one["targets"]]
        assert letters == ["A", "B", "C"][: len(letters)]
        for target in one["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert 'job=~"$job"' in target["expr"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_overlap(name):
    taken: set[tuple[int, int]] = set()
    for one in dashboard(name)["panels"]:
        at = one["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_depth_changes_colour_where_the_alerts_begin():
    depth = panel("dlq-monitoring", "Depth")
    assert depth["type"] == "gauge"
    steps = depth["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [one["value"] for one in steps] == [None, LIMIT["DlqDepth"], LIMIT["DlqDepthHigh"]] == [None, 10, 100]


def test_a_click_on_an_error_type_filters_the_table_by_it():
    [link] = panel("dlq-monitoring", "By error type")["fieldConfig"]["defaults"]["links"]
    assert link["url"].startswith("/d/dlq-monitoring?var-error_type=${__field.labels.error_type}&")
    [target] = panel("dlq-monitoring", "Error types")["targets"]
    assert 'error_type=~"$error_type"' in target["expr"]
    assert target["format"] == "table"


def test_a_list_includes_what_appears_later():
    for name in NAMES:
        for variable in dashboard(name)["templating"]["list"]:
            if variable["type"] == "query":
                assert variable["allValue"] == ".*"
                assert variable["includeAll"] is True


def test_nothing_in_a_dashboard_depends_on_where_it_was_made():
    for name in NAMES:
        text = json.dumps(dashboard(name))
        assert str(ROOT) not in text
        assert "http" not in text

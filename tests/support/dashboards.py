"""The dashboards in config/grafana as Grafana reads them: panels and the queries that it would send."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "config/grafana"
NAMES = ("dlq-monitoring", "s3-index-worker")


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    panel: str
    expression: str


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def queries(name: str, variables: dict[str, str] | None = None) -> list[Query]:
    """Every query; `variables` are what Grafana would put in for `$name`."""
    found = []
    for panel in dashboard(name)["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in (variables or {}).items():
                expression = expression.replace(f"${variable}", value)
            found.append(Query(panel["title"], expression))
    return found

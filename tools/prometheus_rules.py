"""The alerts in config/prometheus/rules.yml: a table for the pages, data for tables of metrics and for the tests."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from tools.reference import row

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "config/prometheus/rules.yml"
_OUR_METRIC = re.compile(r"\b(?:worker|dlq|reconcile)_[a-z0-9_]+\b|\bup\b")
_CONDITION = re.compile(r"(?P<sign>[<>]|==)\s*(?P<limit>[\d.]+)\s*$")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert."""

    name: str
    expression: str
    waits: str
    """How long the condition must hold, as Prometheus writes it: `5m`."""
    severity: str
    annotations: dict[str, str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that its expression reads."""
        return tuple(dict.fromkeys(_OUR_METRIC.findall(self.expression)))

    @property
    def section(self) -> str:
        """Its section in docs/runbook.md, as an anchor."""
        return self.annotations["runbook_url"].partition("#")[2]

    @property
    def condition(self) -> str:
        """Sign and limit for a reader: `> 10`, `> 50%`, `< 2 d`."""
        return f"{self._comparison['sign']} {self._amount(self.limit)}"

    @property
    def limit(self) -> float:
        """The number with which its expression ends."""
        return float(self._comparison["limit"])

    @property
    def _comparison(self) -> re.Match[str]:
        found = _CONDITION.search(self.expression)
        if found is None:
            raise ValueError(f"{self.name}: its expression does not end in a comparison: {self.expression}")
        return found

    def _amount(self, limit: float) -> str:
        if "/" in self.expression:
            return f"{100 * limit:g}%"
        if any(metric.endswith("_seconds") for metric in self.metrics):
            return next((f"{limit / unit:g} {name}" for unit, name in _UNITS if limit >= unit), f"{limit:g} s")
        return f"{limit:g}"


def rules() -> list[Rule]:
    """All alerts, in the order of the file."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [
        Rule(one["alert"], one["expr"], one["for"], one["labels"]["severity"], one["annotations"])
        for group in groups
        for one in group["rules"]
    ]


def alerts_table() -> list[str]:
    """All alerts, with their conditions."""
    lines = ["| alert | severity | meaning | condition | for |", "|---|---|---|---|---|"]
    for one in rules():
        name = f"[`{one.name}`](../runbook.md#{one.section})"
        lines.append(row(name, one.severity, one.annotations["summary"], one.condition, one.waits))
    return lines

"""Every metric of the worker and of the manager, as the code makes them, and the alerts on each: tables for the pages."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric

from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics
from tools.prometheus_rules import Rule, rules
from tools.reference import row
from worker.metrics import Metrics

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, order=True)
class Described:
    """One metric."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def unit(self) -> str:
        """The base unit, which the name tells; a yes or no is 0 or 1."""
        if self.text.startswith("Whether "):
            return "0 or 1"
        return next((unit for unit in ("seconds", "bytes") if f"_{unit}" in self.name), "number")

    @property
    def series(self) -> frozenset[str]:
        """The names of its series."""
        parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
        return frozenset(self.name + part for part in parts.get(self.kind, ("",)))


def all_metrics() -> list[Described]:
    """All metrics of worker and manager."""
    return worker_metrics() + manager_metrics()


def worker_metrics() -> list[Described]:
    """All metrics of the worker, including those that the daemon adds."""
    named = (
        call
        for module in ("worker/metrics.py", "worker/reconciled.py")
        for call in _calls_with_text(module, {"_counter", "_gauge"})
    )
    labels = {name: more for name, _, more in named}
    found = [_described(family, labels.get(family.name, ())) for family in Metrics().registry.collect()]
    gauges = _calls_with_text("worker/gauges.py", {"gauge"})
    return sorted([*found, *(Described(name, "gauge", (), text) for name, text, _ in gauges)])


def manager_metrics() -> list[Described]:
    """All metrics of the manager."""
    families = ManagerMetrics(lambda: Figures(soonest_expiry_s=0.0)).registry.collect()
    return sorted(
        _described(family, tuple(dict.fromkeys(label for sample in family.samples for label in sample.labels)))
        for family in families
    )


def worker_table() -> list[str]:
    """All metrics of the worker's /metrics, and the alerts on them."""
    return _table(worker_metrics())


def manager_table() -> list[str]:
    """All metrics of the manager's /metrics, and the alerts on them."""
    return _table(manager_metrics())


def _described(family: Metric, labels: tuple[str, ...]) -> Described:
    name = family.name + ("_total" if family.type == "counter" else "")
    return Described(name, family.type, labels, family.documentation)


def _table(metrics: list[Described]) -> list[str]:
    alerts = rules()
    lines = ["| metric | type | unit | labels | meaning | alerts |", "|---|---|---|---|---|---|"]
    for one in metrics:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        on_it = ", ".join(_alert(rule) for rule in alerts if one.series & set(rule.metrics))
        lines.append(row(f"`{one.name}`", one.kind, one.unit, labels, one.text, on_it))
    return lines


def _alert(rule: Rule) -> str:
    return f"`{rule.name}`: {rule.condition} for {rule.waits}"


def _calls_with_text(module: str, called: set[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(name, text, further strings) of every call of these methods whose first two arguments are strings."""
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in called:
            given = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(given) >= 2:
                yield str(given[0]), str(given[1]), tuple(str(label) for label in given[2:])

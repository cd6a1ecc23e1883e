"""The alarms in config/cloudformation.yaml and their metrics: tables for the pages, data for the tests."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from worker.core.base.cloudwatch import FIGURES

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "config/cloudformation.yaml"
SQS_NAMESPACE = "AWS/SQS"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of the template."""

    name: str
    """The name after the queue's name and a hyphen, which is also the heading of its section in the runbook."""
    says: str
    condition: str
    """The condition of the template under which it exists; empty: it always does."""
    metrics: tuple[tuple[Any, str], ...]
    """(namespace, metric) of each metric."""
    properties: dict[str, Any]
    """Its own, or of an alarm that combines others, those of the part on whose state it depends."""

    @property
    def is_own(self) -> bool:
        """Whether it uses metrics that we send, so that it exists only if these are switched on."""
        return self.condition == "SendsFigures"


def template() -> dict[str, Any]:
    """The parsed template, in which `!Sub x` becomes {"Sub": x}."""
    return template_of(TEMPLATE)


def template_of(path: Path | str) -> dict[str, Any]:
    """The same for another template, by its path or its name in this repository."""
    loaded: dict[str, Any] = yaml.load((ROOT / path).read_text(), Loader=_Loader)  # noqa: S506 (a safe loader with tags)
    return loaded


def alarms() -> list[Alarm]:
    """All alarms that notify, in the order of the template."""
    resources = template()["Resources"]
    found = []
    for resource in resources.values():
        one = resource["Properties"]
        if resource["Type"].startswith("AWS::CloudWatch::") and "AlarmActions" in one:
            name = one["AlarmName"]["Sub"].removeprefix("${QueueName}-")
            says = one["AlarmDescription"].rpartition(" ")[0]
            part = _part(one, resources)
            found.append(
                Alarm(name, says, resource.get("Condition", ""), _metrics(part), {**one, **part, **_says(one)})
            )
    return found


def metrics_in_alarms() -> int:
    """How many metrics AWS counts where figures are sent: those of all metric alarms, of parts too."""
    resources = template()["Resources"].values()
    single = [one for one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]
    return sum(len(_metrics(one["Properties"])) for one in single if one.get("Condition") != "SendsNoFigures")


def _part(properties: dict[str, Any], resources: dict[str, Any]) -> dict[str, Any]:
    """The properties of the alarm whose state a composite alarm passes on; of others, their own."""
    found = re.match(r'ALARM\("\$\{(\w+)\}"\)', properties.get("AlarmRule", {}).get("Sub", ""))
    part: dict[str, Any] = properties if found is None else resources[found[1]]["Properties"]
    return part


def _says(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: properties[name] for name in ("AlarmName", "AlarmDescription")}


def alarms_table() -> list[str]:
    """All alarms, with their conditions and the origin of their metrics."""
    rows = [f"| [`{one.name}`](runbook.md#{one.name}) | {one.says} | {_origin(one)} |" for one in alarms()]
    return ["| alarm | condition | metrics |", "|---|---|---|", *rows]


def figures_table() -> list[str]:
    """All metrics that are sent to CloudWatch."""
    rows = [f"| `{name}` | {unit} | {meaning} |" for name, (unit, meaning) in FIGURES.items()]
    return ["| metric | unit | meaning |", "|---|---|---|", *rows]


def _origin(one: Alarm) -> str:
    namespaces = {namespace for namespace, _ in one.metrics}
    if one.condition == "SendsNoFigures":
        return "SQS; only if none are sent"
    return "own" if one.is_own else "SQS" if namespaces == {SQS_NAMESPACE} else "SQS, and own if they are sent"


def _metrics(properties: dict[str, Any]) -> tuple[tuple[Any, str], ...]:
    if "MetricName" in properties:
        return ((_namespace(properties), properties["MetricName"]),)
    parts = [part["MetricStat"]["Metric"] for part in map(chosen, properties["Metrics"]) if "MetricStat" in part]
    return tuple((_namespace(part), part["MetricName"]) for part in parts)


def chosen(value: Any) -> Any:
    """What a value is where figures are sent: the first choice of an `!If`."""
    return value["If"][1] if isinstance(value, dict) and set(value) == {"If"} else value


def _namespace(part: dict[str, Any]) -> Any:
    given = part["Namespace"]
    return given["Ref"] if isinstance(given, dict) else given


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's tags."""


def _tagged(loader: Any, tag: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    return {tag: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _tagged)

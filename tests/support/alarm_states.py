"""CloudWatch's evaluation of alarms, as far as config/cloudformation.yaml uses it, minute by minute over recorded figures.

Sources, in the CloudWatch User Guide: "Alarm evaluation" (periods, data points, states), "Configuring how CloudWatch alarms treat
missing data" (more data points are retrieved than the evaluation periods: 5 for 3 in its tables; the latest that exist decide,
and what is missing is filled in only where fewer exist), "Using math expressions with CloudWatch metrics" (FILL, IF; an
operator has a value only where both sides have one), "Combining alarms" (composite alarms). An IF of two parts has no value
where it is not true: AWS Cloud Operations Blog, "Enhance CloudWatch metrics with metric math functions".

What FILL makes of a series without any data point is not documented: `fills_nothing` chooses.
"""

import ast
import functools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OK, ALARM, NO_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
RETRIEVED_MORE = 2
"""How many data points are retrieved beyond the evaluation periods, as in the tables of the User Guide."""
STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": lambda values: float(len(values)),
    "Average": lambda values: sum(values) / len(values),
}  # fmt: skip
COMPARED: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "LessThanThreshold": lambda value, limit: value < limit,
}
Points = list[float | None]
"""One value for each period, the oldest first; None where it is missing."""
SeriesKey = tuple[str, str, str]
"""Namespace, metric, and queue; the last is empty where there are no dimensions."""


@dataclass
class Recorded:
    """Figures as they were sent: for each series, (second, value), in order."""

    samples: dict[SeriesKey, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, namespace: str, metric: str, at_s: float, value: float, *, queue: str = "") -> None:
        """One sample."""
        self.samples[namespace, metric, queue].append((at_s, value))

    def points(self, key: SeriesKey, statistic: str, period_s: int, now_s: float, count: int) -> Points:
        """The statistic of each of the last `count` periods before now."""
        found: list[list[float]] = [[] for _ in range(count)]
        begins_s, samples = now_s - count * period_s, self.samples.get(key, [])
        for at_s, value in samples[bisect_left(samples, (begins_s,)) : bisect_left(samples, (now_s,))]:
            found[int((at_s - begins_s) // period_s)].append(value)
        return [STATISTICS[statistic](values) if values else None for values in found]


def _key(metric: Mapping[str, Any]) -> SeriesKey:
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
    return metric["Namespace"], metric["MetricName"], dimensions.get("QueueName", "")


class Alarms:
    """The alarms of a template whose functions are filled in, by the resource's name, and their states."""

    def __init__(self, resources: Mapping[str, Mapping[str, Any]], recorded: Recorded, *, fills_nothing: bool) -> None:
        """`resources`: the properties of each; a composite alarm refers to others by these names."""
        self._resources = resources
        self._recorded = recorded
        self._fills_nothing = fills_nothing
        self.states = dict.fromkeys(resources, NO_DATA)

    def evaluate(self, now_s: float) -> dict[str, str]:
        """The states now, given those before."""
        for name, one in self._resources.items():
            if "AlarmRule" not in one:
                self.states[name] = self._state(one, now_s, self.states[name])
        for name, one in self._resources.items():
            if "AlarmRule" in one:
                self.states[name] = ALARM if _rule(one["AlarmRule"], self.states) else OK
        return dict(self.states)

    def _state(self, one: Mapping[str, Any], now_s: float, before: str) -> str:
        needed = one["EvaluationPeriods"]
        points = self._points(one, now_s, needed + RETRIEVED_MORE)
        there = [value for value in points if value is not None][-needed:]
        bad = sum(COMPARED[one["ComparisonOperator"]](value, one["Threshold"]) for value in there)
        lacking, enough = needed - len(there), one.get("DatapointsToAlarm", needed)
        missing = one["TreatMissingData"]
        if missing == "ignore" and bad < enough <= bad + lacking:
            return before  # what is missing would decide
        return ALARM if bad + (lacking if missing == "breaching" else 0) >= enough else OK

    def _points(self, one: Mapping[str, Any], now_s: float, count: int) -> Points:
        if "MetricName" in one:
            return self._recorded.points(_key(one), one["Statistic"], one["Period"], now_s, count)
        parts: dict[str, Points] = {}
        asked = ""
        for part in one["Metrics"]:
            if "MetricStat" in part:
                stat = part["MetricStat"]
                parts[part["Id"]] = self._recorded.points(
                    _key(stat["Metric"]), stat["Stat"], stat["Period"], now_s, count
                )
            else:
                asked = part["Expression"]
        return Maths(parts, count, fills_nothing=self._fills_nothing)(asked)


OPERATORS: dict[type[ast.AST], Callable[[float, float], float | None]] = {
    ast.Add: lambda one, other: one + other,
    ast.Mult: lambda one, other: one * other,
    ast.Div: lambda one, other: one / other if other else None,
    ast.Gt: lambda one, other: float(one > other),
    ast.GtE: lambda one, other: float(one >= other),
}


class Maths:
    """An expression of metric math; what the template does not use is a KeyError or AttributeError."""

    def __init__(self, parts: Mapping[str, Points], count: int, *, fills_nothing: bool) -> None:
        self._parts = parts
        self._count = count
        self._fills_nothing = fills_nothing

    def __call__(self, expression: str) -> Points:
        """Its value in each period."""
        return self._of(_parsed(expression))

    def _of(self, node: ast.AST) -> Points:
        found: Points = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return found

    def _constant(self, node: ast.Constant) -> Points:
        return [float(str(node.value))] * self._count

    def _name(self, node: ast.Name) -> Points:
        return self._parts[node.id]

    def _binop(self, node: ast.BinOp) -> Points:
        return _both(OPERATORS[type(node.op)], self._of(node.left), self._of(node.right))

    def _compare(self, node: ast.Compare) -> Points:
        return _both(OPERATORS[type(node.ops[0])], self._of(node.left), self._of(node.comparators[0]))

    def _call(self, node: ast.Call) -> Points:
        assert isinstance(node.func, ast.Name)
        assert node.func.id in {"FILL", "IF_"}, node.func.id
        given = [self._of(one) for one in node.args]
        return self._fill(*given) if node.func.id == "FILL" else self._if(*given)

    def _fill(self, series: Points, value: Points) -> Points:
        if not self._fills_nothing and all(one is None for one in series):
            return series
        return [other if one is None else one for one, other in zip(series, value, strict=True)]

    def _if(self, condition: Points, then: Points, otherwise: Points | None = None) -> Points:
        either = otherwise or [None] * self._count
        return [
            None if holds is None else yes if holds else no
            for holds, yes, no in zip(condition, then, either, strict=True)
        ]


@functools.cache
def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression.replace("IF(", "IF_("), mode="eval").body


def _both(operator: Callable[[float, float], float | None], left: Points, right: Points) -> Points:
    return [
        None if one is None or other is None else operator(one, other) for one, other in zip(left, right, strict=True)
    ]


def _rule(rule: str, states: Mapping[str, str]) -> bool:
    """The rule of a composite alarm: states of alarms, joined by AND, each with or without NOT."""
    return all(_term(term, states) for term in rule.split(" AND "))


def _term(term: str, states: Mapping[str, str]) -> bool:
    found = re.fullmatch(r'(NOT )?(\w+)\("([^"]+)"\)', term)
    assert found is not None, term
    return (states[found[3]] == found[2]) != bool(found[1])

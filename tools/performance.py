"""Generate the tables of docs/performance.md from docs/performance.json, which `python -m benchmarks.publish` writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

RESULTS = Path(__file__).resolve().parents[1] / "docs/performance.json"


class Bar(NamedTuple):
    """The limit that a figure must meet."""

    figure: str
    where: tuple[str, ...]
    """The path of the figure in the results."""
    limit: float
    kind: Literal["at most", "at least"]
    style: str


BARS = (
    Bar("4 KB texts, `local`: CPU per message", ("throughput", "worker local", "cpu_ms_per_message"), 0.70, "at most", "{:.2f} ms"),
    Bar("… over the floor", ("throughput", "cpu_over_floor"), 1.6, "at most", "{:.2f} ×"),
    Bar("… rate (messages/s) over the floor", ("throughput", "rate_over_floor"), 0.75, "at least", "{:.2f} ×"),
    Bar("4 KB texts, `aws`: rate over sequential loop", ("throughput", "rate_over_sequential"), 50, "at least", "{:.0f} ×"),
    Bar("… SQS requests per message", ("throughput", "worker aws", "sqs_requests_per_message"), 0.25, "at most", "{:.3f}"),
    Bar("two processes, `aws`: rate over one process", ("second process", "two_over_one"), 1.8, "at least", "{:.2f} ×"),
    Bar("… CPU of the machine that one process uses", ("second process", "one_process_share_of_machine"), 0.4, "at most", "{:.0%}"),
    Bar("send to indexed, above the injected 65 ms: p50", ("latency", "p50_ms_over_injected"), 150, "at most", "{:.0f} ms"),
    Bar("… p99", ("latency", "p99_ms_over_injected"), 500, "at most", "{:.0f} ms"),
    Bar("a small office file: CPU above the parser alone", ("small office", "ms_over_parser"), 1, "at most", "{:.2f} ms"),
    Bar("20 MB texts: peak resident memory", ("large", "worker local", "peak_rss_mb"), 400, "at most", "{:.0f} MB"),
    Bar("200,000 messages: peak resident memory", ("endurance", "peak_rss_mb"), 250, "at most", "{:.0f} MB"),
    Bar("… growth from the second quarter to the last", ("endurance", "growth"), 0.05, "at most", "{:+.1%}"),
    Bar("`recover_dlq`, `aws`: rate over sequential loop", ("recovery", "rate_over_sequential"), 40, "at least", "{:.0f} ×"),
    Bar("idle: share of a core", ("idle", "share_of_a_core"), 0.005, "at most", "{:.2%}"),
    Bar("idle: requests per hour", ("idle", "requests_per_hour"), 720, "at most", "{:.0f}"),
)  # fmt: skip


def figures_table() -> list[str]:
    """All figures with limit, median, minimum and maximum."""
    found = _results()["experiments"]
    lines = ["| figure | limit | median | minimum – maximum | runs | |", "|---|---|---|---|---|---|"]
    for bar in BARS:
        value = found
        for name in bar.where:
            value = value[name]
        spread = value if isinstance(value, dict) else {"median": value, "min": value, "max": value, "runs": 1}
        reached = spread["median"] <= bar.limit if bar.kind == "at most" else spread["median"] >= bar.limit
        sign = "≤" if bar.kind == "at most" else "≥"
        shown = [bar.style.format(spread[name]) for name in ("median", "min", "max")]
        limit = bar.style.format(bar.limit).lstrip("+")
        between = f"{shown[1]} – {shown[2]}" if spread["runs"] > 1 else ""
        lines.append(
            f"| {bar.figure} | {sign} {limit} | {shown[0]} | {between} | {spread['runs']} | {'✓' if reached else '✗'} |"
        )
    return lines


def contenders_table() -> list[str]:
    """Throughput and cost of each contender (medians)."""
    lines = [
        "| workload | messages/s | CPU ms per message | peak MB | requests per message: SQS, S3, index | $ per million |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in _drains(_results()["experiments"]):
        requests = ", ".join(
            f"{figures[key]['median']:.2f}"
            for key in ("sqs_requests_per_message", "s3_requests_per_message", "index_requests_per_message")
            if key in figures
        )
        dollars = figures["dollars_per_million"]["median"] if "dollars_per_million" in figures else None
        lines.append(
            f"| {name} | {figures['messages_per_second']['median']:,.0f} | {figures['cpu_ms_per_message']['median']:.2f} "
            f"| {figures['peak_rss_mb']['median']:.0f} | {requests} | {'' if dollars is None else f'{dollars:.2f}'} |"
        )
    return lines


def delays_table() -> list[str]:
    """The histogram of workload b: which share of each sort of files was indexed within which time."""
    delays = _results()["experiments"]["mixed"]["delay_ms"]
    bounds = list(delays["text"]["at_most"])
    lines = [
        "| | messages | p50 | p99 | longest | " + " | ".join(f"≤ {int(bound):,} ms" for bound in bounds) + " |",
        "|---" * (5 + len(bounds)) + "|",
    ]
    for sort in ("text", "file", "slow"):
        each = delays[sort]
        counts = " | ".join(f"{count / each['messages']:.1%}" for count in each["at_most"].values())
        lines.append(
            f"| {sort} | {each['messages']:,} | {each['p50']:,} | {each['p99']:,} | {each['max']:,} | {counts} |"
        )
    return lines


def machine_list() -> list[str]:
    """The machine, date and versions of the measurement."""
    results = _results()
    machine, commits = results["machine"], {name: each["commit"] for name, each in results["experiments"].items()}
    versions = ", ".join(f"{name} {version}" for name, version in {**machine["versions"], **machine["servers"]}.items())
    of_commits = "; ".join(
        f"{', '.join(name for name, each in commits.items() if each == commit)} at `{commit}`"
        for commit in dict.fromkeys(commits.values())
    )
    text = (
        f"{results['when'][:10]}, {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, Linux "
        f"{machine['kernel']}, Python {machine['python']}, {versions}. The worker, the servers and the measurement share "
        f"this machine. Measured: {of_commits}."
    )
    return [text]


def _drains(experiments: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for experiment, label in (
        ("throughput", "4 KB texts: {}"), ("second process", "4 KB texts, 4 handlers: {}"), ("mixed", "mix: {}"),
        ("large", "20 MB texts: {}"),
    ):  # fmt: skip
        for name, figures in experiments[experiment].items():
            if isinstance(figures, dict) and "cpu_ms_per_message" in figures:
                yield label.format(name), figures


def _results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads(RESULTS.read_text())
    return results

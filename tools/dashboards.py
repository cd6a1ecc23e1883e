"""The Grafana dashboards: `python -m tools.dashboards --write` makes config/grafana/, `--check` compares it with this code.

Limits that colour a panel are those of the alerts in config/prometheus/rules.yml. Figures of the manager are the same on
each manager of a ledger, so their maximum is shown, never their sum.
"""

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from tools.panels import GREEN, RED, SOURCE, YELLOW, Builder, Look, dial, number, over_time, pie, rows
from tools.prometheus_rules import rules

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "config/grafana"
ON = 'job=~"$job"'
"""Chooses the deployments that the reader has chosen."""
HERE = 'job=~"$job", instance=~"$instance"'
TYPE_LINK = "/d/dlq-monitoring?var-error_type=${__field.labels.error_type}&${job:queryparam}&${__url_time_range}"
"""Shows the same dashboard for one error type."""
DAY_S = 24 * 60 * 60
QUANTILES = ((0.5, "median"), (0.9, "90%"), (0.99, "99%"))
_LIMIT = {one.name: one.limit for one in rules()}


def main() -> int:
    """Write or check the files. Print each fault on stderr; return their number."""
    if "--write" in sys.argv[1:]:
        write(FOLDER)
    faults = check(FOLDER)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return len(faults)


def write(folder: Path) -> None:
    """Make all dashboards, and remove what is none."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _made()
    for path in folder.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


def check(folder: Path) -> list[str]:
    """The dashboards that differ from the code, one sentence each."""
    made = _made()
    found = {path.name: path.read_text() for path in folder.glob("*.json")}
    return [
        f"config/grafana/{name} differs from the code; run python -m tools.dashboards --write"
        for name in sorted(made.keys() | found.keys())
        if made.get(name) != found.get(name)
    ]


def _made() -> dict[str, str]:
    encoder = JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False)
    return {f"{one.uid}.json": f"{encoder.encode(one)}\n" for one in (dead_letters(), worker())}


def dead_letters() -> models.Dashboard:
    """The manager's: how many dead letters, why, how old, and what is done about them."""
    page = _page("dlq-monitoring", "Dead letters").with_variable(_choice("job", "dlq_messages_total", "job"))
    page.with_variable(_choice("error_type", "dlq_messages_by_error_type", "error_type"))
    return _complete(page, [*_depth_panels(), *_age_panels(), *_recovery_panels()])


def _depth_panels() -> list[Builder]:
    depth = _figure("dlq_messages_total")
    by_type = f"sum by (error_type) ({_figure('dlq_messages_by_error_type')})"
    chosen = by_type.replace(ON, f'{ON}, error_type=~"$error_type"')
    steps = ((_LIMIT["DlqDepth"], YELLOW), (_LIMIT["DlqDepthHigh"], RED))
    return [
        dial(Look("Depth", "Dead letters that wait, wherever they are.", width=6, steps=steps), f"sum({depth})"),
        over_time(
            Look("Depth over time", "main: in the queue or open; retry: scheduled; analysis: for review.", width=18),
            (f"sum by (queue) ({depth})", "{{queue}}"),
        ),
        pie(
            Look(
                "By error type", "A click on a part shows only this type in the table; All in the list above ends that."
            ),
            by_type,
            "{{error_type}}",
            link=TYPE_LINK,
            link_title="Show only ${__field.labels.error_type}",
        ),
        rows(
            Look("Error types", "What waits of the chosen error types."),
            f"sort_desc({chosen})",
            names={"error_type": "error type", "Value": "dead letters"},
        ),
        over_time(Look("Error types over time", "What waits of the chosen error types."), (chosen, "{{error_type}}")),
    ]


def _age_panels() -> list[Builder]:
    age = f'max(max_over_time(dlq_message_age_seconds{{{ON}, quantile="0.99"}}[%s]))'
    old = ((DAY_S, YELLOW), (_LIMIT["DlqOldMessages"], RED))
    last_hour = Look("Oldest, 1 h", "Age that 1% of the dead letters exceeded in the last hour.", "s", 6, 5, old)
    last_day = Look("Oldest, 1 d", "Age that 1% of the dead letters exceeded in the last day.", "s", 6, 5, old)
    soon = ((_LIMIT["DlqExpiry"], GREEN),)
    expiry = Look("Soonest expiry", "Until SQS drops the first dead letter.", "s", 6, 5, soon, below=RED)
    quiet = ((_LIMIT["DlqIntakeStopped"], RED),)
    receive = Look("Last receive", "Since intake last got an answer from the queue.", "s", 6, 5, quiet)
    return [
        number(last_hour, age % "1h"),
        number(last_day, age % "1d"),
        number(expiry, f"min(dlq_soonest_expiry_seconds{{{ON}}})"),
        number(receive, f"time() - max(dlq_intake_last_receive_timestamp_seconds{{{ON}}})"),
    ]


def _recovery_panels() -> list[Builder]:
    seconds = Look("Intake lag", "From sending to intake, of the latest dead letter.", "s")
    rate = "sum by (%s) (rate(%s{%s}[$__rate_interval]))"
    replays = Look("Replays in 24 h", "What became of them.", width=8)
    by_state = f"sum by (state) ({_figure('dlq_operations')})"
    return [
        over_time(
            Look("Replay rate", "Replays a second.", "ops"), (rate % ("status", "dlq_replay_total", ON), "{{status}}")
        ),
        number(replays, f"sum by (status) (increase(dlq_replay_total{{{ON}}}[24h]))", "{{status}}"),
        over_time(
            Look("Arrivals", "New dead letters, returns included."),
            (f"sum({_figure('dlq_arrivals_last_hour')})", "last hour"),
            (f"sum({_figure('dlq_arrivals_last_day')})", "last 24 h"),
        ),
        over_time(seconds, (f"max(dlq_intake_lag_seconds{{{ON}}})", "lag")),
        over_time(
            Look("Intake", "Messages received from the dead-letter queue a second.", "ops"),
            (rate % ("result", "dlq_intake_messages_total", ON), "{{result}}"),
        ),
        over_time(Look("Operations", "By state."), (by_state, "{{state}}")),
        over_time(
            Look("Retries", "Scheduled retries a second.", "ops"),
            (rate % ("result", "dlq_retries_total", ON), "{{result}}"),
        ),
        over_time(
            Look("Notifications", "Attempts a second.", "ops"),
            (rate % ("status", "dlq_notifications_total", ON), "{{status}}"),
        ),
        over_time(
            Look("Attention", "What waits for somebody or something."),
            (f"sum({_figure('dlq_recovery_pending')})", "sent, not confirmed"),
            (f"sum({_figure('dlq_repeating_correlations')})", "failing again and again"),
            (f"max(dlq_average_retries{{{ON}}})", "retries on average"),
        ),
    ]


def _figure(name: str) -> str:
    """A figure of each deployment: the same on all managers that share its ledger."""
    return f"max without (instance) ({name}{{{ON}}})"


def worker() -> models.Dashboard:
    """The worker's: what becomes of messages, how fast, and what is unavailable."""
    page = _page("s3-index-worker", "S3 index worker").with_variable(_choice("job", "worker_in_flight", "job"))
    page.with_variable(_choice("instance", f"worker_in_flight{{{ON}}}", "instance"))
    return _complete(page, [*_state_panels(), *_flow_panels(), *_failure_panels()])


def _state_panels() -> list[Builder]:
    quiet = ((_LIMIT["WorkerNotPolling"], RED),)
    bad = ((1, RED),)
    states = (
        ("Index breaker", "1: documents go to retry-index/.", "worker_index_breaker_open", bad),
        ("S3 unavailable", "1: no bucket can be read, polling has stopped.", "worker_s3_unavailable", bad),
        ("Brake", "1: nearly everything failed, polling has stopped.", "worker_brake_on", bad),
        ("Paused", "1: an operator has paused the fleet.", "worker_paused", ((1, YELLOW),)),
    )
    last = Look("Last poll", "Since each worker's last poll of the queue.", "s", 8, 5, quiet)
    return [
        number(last, f"time() - worker_last_poll_timestamp_seconds{{{HERE}}}", "{{instance}}"),
        *(
            number(Look(title, says, "short", 4, 5, steps), f"max({name}{{{HERE}}})")
            for title, says, name, steps in states
        ),
    ]


def _flow_panels() -> list[Builder]:
    def quantiles(name: str) -> list[tuple[str, str]]:
        buckets = f"sum by (le) (rate({name}_bucket{{{HERE}}}[$__rate_interval]))"
        return [(f"histogram_quantile({share}, {buckets})", legend) for share, legend in QUANTILES]

    failed = f'sum(rate(worker_messages_total{{{HERE}, outcome="failed"}}[5m]))'
    settled = f'sum(rate(worker_messages_total{{{HERE}, outcome=~"done|failed"}}[5m]))'
    budgets = ((_LIMIT["WorkerBudgetNearlySpent"], YELLOW), (1, RED))
    ratio = Look(
        "Error rate", "Failed, of all but released messages.", "percentunit", steps=((_LIMIT["WorkerErrorRate"], RED),)
    )
    return [
        over_time(
            Look("Messages", "Settled a second.", "ops"), (_rate("outcome", "worker_messages_total"), "{{outcome}}")
        ),
        over_time(ratio, (f"{failed} / ({settled} > 0)", "failed")),
        over_time(Look("In flight", "Messages."), (f"sum by (instance) (worker_in_flight{{{HERE}}})", "{{instance}}")),
        over_time(Look("Lag", "From sending to the first receive.", "s"), *quantiles("worker_lag_seconds")),
        over_time(Look("Processing time", "From receive to settlement.", "s"), *quantiles("worker_processing_seconds")),
        over_time(
            Look("Bytes in flight", "Bodies in memory.", "bytes"),
            (f"sum by (instance) (worker_bytes_in_flight{{{HERE}}})", "{{instance}}"),
        ),
        over_time(
            Look("Budgets", "Part of each cap that the fleet has used today.", "percentunit", steps=budgets),
            (f"max by (cap) (worker_budget_used_ratio{{{HERE}}})", "{{cap}}"),
        ),
    ]


def _failure_panels() -> list[Builder]:
    panels = (
        ("Stored for retry", "rejected: by the index, for the document itself.", "worker_stored_for_retry_total", "rejected"),
        ("Dead letters", "Messages handed off, by kind.", "worker_dead_letters_total", "kind"),
        ("Settle failures", "Calls refused: their messages come back.", "worker_settle_failures_total", "what"),
        ("Heartbeat failures", "Extensions of the visibility refused.", "worker_heartbeat_failures_total", "instance"),
        ("Receive failures", "Receives that failed.", "worker_receive_failures_total", "instance"),
        ("Stuck", "Messages let go without progress.", "worker_stuck_total", "instance"),
    )  # fmt: skip
    lost = Look("Not accounted for", "Objects and documents that two runs of reconcile_index in a row did not find.")
    states = Look("Objects by state", "At the last reconcile_index of each bucket.")
    return [
        *(
            over_time(Look(title, says, "ops"), (_rate(label, name), f"{{{{{label}}}}}"))
            for title, says, name, label in panels
        ),
        over_time(lost, (f"max by (bucket) (reconcile_unaccounted{{{HERE}}})", "{{bucket}}")),
        over_time(states, (f"max by (bucket, state) (reconcile_objects{{{HERE}}})", "{{bucket}} {{state}}")),
    ]


def _rate(label: str, name: str) -> str:
    return f"sum by ({label}) (rate({name}{{{HERE}}}[$__rate_interval]))"


def _page(uid: str, title: str) -> dashboard.Dashboard:
    page = dashboard.Dashboard(title).uid(uid).tags(["s3-index-worker"]).readonly().time("now-6h", "now").refresh("1m")
    return page.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))


def _choice(name: str, series: str, label: str) -> dashboard.QueryVariable:
    """A list above the dashboard; All includes what appears later."""
    variable = dashboard.QueryVariable(name).datasource(SOURCE).query(f"label_values({series}, {label})")
    everything = models.VariableOption(text="All", value="$__all", selected=True)
    variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(everything)
    return variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)


def _complete(page: dashboard.Dashboard, panels: list[Builder]) -> models.Dashboard:
    """The dashboard with its panels, which Grafana identifies by numbers."""
    for panel in panels:
        page.with_panel(panel)
    made = page.build()
    for place, panel_made in enumerate(made.panels or [], start=1):
        panel_made.id_val = place
    return made


if __name__ == "__main__":
    sys.exit(main())

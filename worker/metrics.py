"""Metrics for `/metrics` and, if switched on, CloudWatch. They observe log events and nothing else."""

import itertools
import json
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from worker.core.base.breaker import INDEX_BREAKER
from worker.core.base.classify import FailureKind
from worker.core.base.cloudwatch import tell_cloudwatch
from worker.core.base.events import LogEvent
from worker.core.base.jsontypes import JsonObject
from worker.core.base.logs import Fields
from worker.core.s3.workers import BRAKE
from worker.levels import Levels
from worker.reconciled import ReconciledMetrics

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
LAG_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400)
CLOUDWATCH_INTERVAL_S = 60
CLOUDWATCH_SUMS = (
    "MessagesSettled", "MessagesFailed", "MessageDeleteFailed", "StoredForRetry", "Spilled", "Parked"
)  # fmt: skip
"""Sent every minute, zeros included: an alarm can then tell calm from silence."""

OUTCOMES = ("done", "failed", "release")
TOTALS = ("stored_for_retry", "spilled", "delete_failures", "receive_failures")
"""What a worker's record counts since its start, besides the messages by outcome."""


class Metrics:
    """Counts events. No ids and no keys in labels."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = self._counter("worker_messages", "Messages settled.", "outcome")
        self._skipped = self._counter("worker_skipped", "Messages that required no action.", "reason")
        self._processing = self._histogram("worker_processing_seconds", "From receive to settlement.", SECONDS_BUCKETS)
        self._lag = self._histogram("worker_lag_seconds", "From send to first receive.", LAG_BUCKETS)
        self._retry = self._counter("worker_stored_for_retry", "Documents stored in retry-index/.", "rejected")
        self._replayed = self._counter("worker_replayed", "Records of retry-index/ replayed by this worker.", "result")
        self._dead = self._counter("worker_dead_letters", "Messages handed off, by kind.", "kind", "to")
        self._settle_failures = self._counter("worker_settle_failures", "Deletes, hand-offs, releases refused.", "what")
        self._heartbeat_failures = self._counter("worker_heartbeat_failures", "Visibility extensions refused.")
        self._receive_failures = self._counter("worker_receive_failures", "Receives that failed.")
        self._stuck = self._counter("worker_stuck", "Messages let go because the work on them made no progress.")
        self._polled = Gauge(
            "worker_last_poll_timestamp_seconds", "When a receive last answered.", registry=self.registry
        )
        self._budget_used = self._gauge(
            "worker_budget_used_ratio", "Fraction of a budget that the fleet has used today.", "cap"
        )
        self._held = self._counter(
            "worker_held", "Objects held in retry-index/ because the cap of their prefix is used up."
        )
        self._lag_ratio = self._gauge(
            "worker_lag_of_retention_ratio",
            "While a budget stops polling: the oldest message's age, as a fraction of its retention.",
        )
        self.reconciled = ReconciledMetrics(self.registry)
        self._show_from_the_start()
        self.sums: Tally[str] = Tally()
        """Sums for CloudWatch since the last were sent."""
        self.settled: Tally[str] = Tally()
        """Messages settled since start, by outcome."""
        self.last_poll: float | None = None
        """When a receive last answered, in monotonic seconds."""
        self.is_braked = False
        """Whether the brake is on (worker/brake.py)."""
        self.is_index_unavailable = False
        self._totals: Tally[str] = Tally()
        self._lag_s = 0.0
        self._handlers: dict[str, Callable[[Fields], None]] = {
            LogEvent.MESSAGE_SETTLED: self._on_settled,
            LogEvent.QUEUE_RECEIVED: self._on_received,
            LogEvent.QUEUE_RECEIVE_FAILED: self._on_receive_failed,
            LogEvent.INDEX_STORED_FOR_RETRY: self._on_stored,
            LogEvent.REPLAY_RECORD: self._on_replayed,
            LogEvent.DLQ_HANDED_OFF: lambda f: self._dead.labels(f["kind"], "dlq").inc(),
            LogEvent.DLQ_SPILLED: self._on_spilled,
            LogEvent.DLQ_UNREACHABLE: lambda _: self._settle_failures.labels("dlq").inc(),
            LogEvent.MESSAGE_DELETE_FAILED: self._on_delete_failed,
            LogEvent.MESSAGE_RELEASE_FAILED: lambda _: self._settle_failures.labels("release").inc(),
            LogEvent.MESSAGE_STUCK: lambda _: self._stuck.inc(),
            LogEvent.BUDGET_COUNTED: self._on_budget,
            LogEvent.BUDGET_HELD: lambda _: self._held.inc(),
            LogEvent.BUDGET_LAG: lambda f: self._lag_ratio.set(f["lag_s"] / f["retention_s"]),
            LogEvent.GATE_SHUT: lambda f: self._on_gate(f, is_shut=True),
            LogEvent.GATE_CLEARED: lambda f: self._on_gate(f, is_shut=False),
            LogEvent.BREAKER_OPENED: lambda f: self._on_breaker(f, is_open=True),
            LogEvent.BREAKER_CLOSED: lambda f: self._on_breaker(f, is_open=False),
            LogEvent.HEARTBEAT_FAILED: lambda _: self._heartbeat_failures.inc(),
        }

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def observe(self, event: LogEvent, fields: Fields) -> None:
        """Count one event."""
        handler = self._handlers.get(event)
        if handler is not None:
            handler(fields)

    def backlog_s(self) -> float:
        """How long the oldest message has waited, about, if nothing was received since the last receive."""
        return self._lag_s + (0.0 if self.last_poll is None else time.monotonic() - self.last_poll)

    def figures(self) -> dict[str, float]:
        """What a worker's record says of its work since start; `lag_s`: the longest wait among the last messages received."""
        settled = {outcome: float(self.settled[outcome]) for outcome in OUTCOMES}
        return {**settled, **{name: float(self._totals[name]) for name in TOTALS}, "lag_s": round(self._lag_s, 3)}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def _show_from_the_start(self) -> None:
        """Zeros for what alerts and dashboards ask for: no increase is seen of a series that begins with its first event."""
        for outcome in ("done", "failed", "release"):
            self._messages.labels(outcome)
        for what in ("delete", "dlq", "release"):
            self._settle_failures.labels(what)
        for rejected in ("true", "false"):
            self._retry.labels(rejected)
        for kind, to in itertools.product(FailureKind, ("dlq", "spill")):
            self._dead.labels(kind.value, to)

    def _on_settled(self, fields: Fields) -> None:
        self._messages.labels(fields["outcome"]).inc()
        self.settled[fields["outcome"]] += 1
        self._processing.observe(fields["duration_ms"] / 1000)
        if fields["outcome"] != "release":
            self.sums["MessagesSettled"] += 1
        if fields["outcome"] == "failed":
            self.sums["MessagesFailed"] += 1
        elif fields["note"].startswith("skipped: "):
            self._skipped.labels(fields["note"].removeprefix("skipped: ")).inc()

    def _on_received(self, fields: Fields) -> None:
        self._polled.set_to_current_time()
        self.last_poll = time.monotonic()
        if fields["lags_s"] or not fields["count"]:  # what is received again does not show how far behind the fleet is
            self._lag_s = max(fields["lags_s"], default=0.0)
        for lag_s in fields["lags_s"]:
            self._lag.observe(lag_s)
            self.sums["Lag"] += lag_s
            self.sums["LagCount"] += 1

    def _on_budget(self, fields: Fields) -> None:
        used = fields["used"] / fields["limit"] if fields["limit"] else 1.0
        self._budget_used.labels(fields["cap"]).set(used)

    def _on_gate(self, fields: Fields, *, is_shut: bool) -> None:
        if fields["name"] == BRAKE:
            self.is_braked = is_shut
        if not is_shut:
            self._lag_ratio.set(0)

    def _on_breaker(self, fields: Fields, *, is_open: bool) -> None:
        if fields["breaker"] == INDEX_BREAKER:
            self.is_index_unavailable = is_open

    def _on_receive_failed(self, _: Fields) -> None:
        self._receive_failures.inc()
        self._totals["receive_failures"] += 1

    def _on_stored(self, fields: Fields) -> None:
        self._retry.labels(str(fields["rejected"]).lower()).inc()
        self.sums["StoredForRetry"] += 1
        self._totals["stored_for_retry"] += 1

    def _on_replayed(self, fields: Fields) -> None:
        self._replayed.labels(fields["result"]).inc()
        if fields["result"] == "parked":
            self.sums["Parked"] += 1

    def _on_spilled(self, fields: Fields) -> None:
        self._dead.labels(fields["kind"], "spill").inc()
        self.sums["Spilled"] += 1
        self._totals["spilled"] += 1

    def _on_delete_failed(self, _: Fields) -> None:
        self._settle_failures.labels("delete").inc()
        self.sums["MessageDeleteFailed"] += 1
        self._totals["delete_failures"] += 1


def serve(
    metrics: Metrics, health: Callable[[], tuple[bool, JsonObject]], *, host: str, port: int
) -> ThreadingHTTPServer:
    """Answer `/metrics` and `/healthz` on a thread of its own. Raises OSError where the address cannot be used."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._send(200, generate_latest(metrics.registry), CONTENT_TYPE_LATEST)
            elif self.path == "/healthz":
                well, facts = health()
                self._send(200 if well else 503, json.dumps(facts).encode(), "application/json")
            else:
                self._send(404, b"/metrics and /healthz are here\n", "text/plain")

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not logged."""

    server = ThreadingHTTPServer((host, port), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def figures_of(metrics: Metrics, levels: Levels) -> dict[str, float]:
    """What CloudWatch is sent now. The sums begin again."""
    sums, metrics.sums = metrics.sums, Tally()
    figures = {name: float(sums[name]) for name in CLOUDWATCH_SUMS}
    figures |= {"Braked": float(metrics.is_braked), "IndexUnavailable": float(metrics.is_index_unavailable)}
    if sums["LagCount"]:
        figures["Lag"] = sums["Lag"] / sums["LagCount"]
    return figures | levels.figures()


def send_to_cloudwatch(
    metrics: Metrics, levels: Levels, client: "CloudWatchClient", namespace: str, stop: threading.Event
) -> None:
    """Send sums and levels once a minute in one call until `stop` is set, and then once more."""
    while True:
        stopping = stop.wait(CLOUDWATCH_INTERVAL_S)
        tell_cloudwatch(client, namespace, figures_of(metrics, levels))
        if stopping:
            return

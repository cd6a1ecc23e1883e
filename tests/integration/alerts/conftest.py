"""A worker that has processed good and bad messages and a manager in trouble, seen by a real Prometheus and Alertmanager."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import yaml  # type: ignore[import-untyped]

from recovery.manager.figures import Depth, Figures, IntakeFigures
from recovery.manager.metrics import IntakeResult, ManagerMetrics, NotificationStatus, ReplayStatus, RetryResult
from testing.binaries import do_without
from testing.ledgers import ages_of
from testing.ports import free_ports
from testing.process import LOOPBACK, UnavailableError
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import running
from tests.support.monitoring import AlertmanagerServer, PrometheusServer
from tools.prometheus_rules import RULES
from worker.core.s3.budget_ledger import BUDGETS_PREFIX, SCHEMA
from worker.core.s3.reconciled import ReconciledBucket
from worker.core.s3.state import dated

CONFIG = RULES.parent
STAYS_PENDING = "DlqOldMessages"
"""Its hour is not shortened."""
TROUBLE = Figures(
    depth=Depth(main=480, retry=30, analysis=12),
    by_error_type={"ConnectTimeoutError": 400, "UnreadableFileError": 110, "KeyError": 12},
    ages=ages_of([60.0, 86_400.0, 700_000.0]),
    soonest_expiry_s=3_600.0,
    arrivals_last_day=522,
    arrivals_last_hour=30,
    average_retries=2.75,
    pending=9,
    oldest_unhandled_s=1_000.0,
    operations={"running": 1, "waiting": 2},
    repeating_correlations=2,
    unconfirmed=3,
    retries_waiting=7,
    intake=IntakeFigures(lag_s=45.0, last_receive_timestamp_s=time.time() - 900, is_resting=True),
)


def calm() -> Figures:
    """Nothing waits, and intake has just received."""
    return Figures(intake=IntakeFigures(last_receive_timestamp_s=time.time()))


@dataclass
class Scene:
    """What there is to see."""

    prometheus: PrometheusServer
    alertmanager: AlertmanagerServer
    manager: ManagerMetrics
    figures: Figures = TROUBLE
    told: list[dict[str, Any]] = field(default_factory=list)
    """What Alertmanager has sent to people, one for each alert."""

    def states(self) -> dict[str, str]:
        """The alerts in Prometheus: pending or firing."""
        alerts = self.prometheus.ask("/api/v1/alerts")["data"]["alerts"]
        return {one["labels"]["alertname"]: one["state"] for one in alerts}

    def received(self) -> dict[str, dict[str, Any]]:
        """The alerts that have arrived at Alertmanager and have not ended."""
        return {one["labels"]["alertname"]: one for one in self.alertmanager.ask("/api/v2/alerts")}


@pytest.fixture(scope="module")
def scene(seaweedfs, elasticmq, opensearch, tmp_path_factory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("alerts")
    worker_port, manager_port, hook_port, dead_port = free_ports(4)
    with contextlib.ExitStack() as stack:
        site = make_site(seaweedfs, elasticmq, opensearch)
        stack.callback(site.close)
        try:
            alertmanager = AlertmanagerServer(folder / "alertmanager", alertmanager_config(folder, hook_port))
            config = prometheus_config(folder, [worker_port, dead_port], manager_port, alertmanager.port)
            prometheus = PrometheusServer(folder / "prometheus", config)
        except UnavailableError as reason:
            do_without("alerts", reason)
        made: Scene
        manager = ManagerMetrics(lambda: made.figures)
        made = Scene(prometheus, alertmanager, manager)
        stack.enter_context(_manager(manager, manager_port))
        stack.enter_context(_hook(made, hook_port))
        _lost_objects(site)
        _nearly_spent(site)
        env = {**site.env, "METRICS_PORT": str(worker_port), "BUDGET_CAPS": "objects=1000"}
        worker = stack.enter_context(running(env, folder))
        stack.enter_context(alertmanager)
        stack.enter_context(prometheus)
        wait_until(lambda: len(prometheus.query("worker_in_flight or dlq_figures_readable")) == 2, 20, "first scrapes")
        _work(manager)
        for number in range(6):
            site.put(f"{number}.txt", "text")
        site.send_all([f"{number}.txt" for number in range(6)])
        for _ in range(3):
            site.send_body("noise")
        worker.wait_for(lambda: len(worker.events("message.settled")) >= 9, timeout_s=20, what="nine messages")
        yield made


def _lost_objects(site: Site) -> None:
    """The last reconciliation was nine days ago, and found what the one before had found, too."""
    nine_days_ago_ms = int((time.time() - 9 * 86_400) * 1000)
    found = ReconciledBucket(site.bucket, nine_days_ago_ms, 10, 100, {"current": 7, "missing": 3}, repeated=3)
    site.s3.put_object(Bucket=site.state_bucket, Key=found.key, Body=json.dumps(asdict(found)).encode())


def _nearly_spent(site: Site) -> None:
    """Another worker has used 950 of today's 1,000 objects."""
    used = {"schema": SCHEMA, "raised": {}, "caps": {"objects": {"leased": {"another": 950}, "last": ""}}}
    key = f"{BUDGETS_PREFIX}{dated(time.time_ns() // 1_000_000)}.json"
    site.s3.put_object(Bucket=site.state_bucket, Key=key, Body=json.dumps(used).encode())


def _work(manager: ManagerMetrics) -> None:
    manager.count(ReplayStatus.ERROR, 8)
    manager.count(ReplayStatus.SUCCESS, 2)
    manager.count(ReplayStatus.NOT_FOUND)
    manager.count(IntakeResult.TAKEN_IN, 20)
    manager.count(NotificationStatus.SENT)
    manager.count(NotificationStatus.FAILED, 5)
    manager.count(RetryResult.FAILED)


# -- what is seen, and those who see it ------------------------------------------------------------------------------


@contextlib.contextmanager
def _manager(metrics: ManagerMetrics, port: int) -> Iterator[None]:
    server, thread = prometheus_client.start_http_server(port, LOOPBACK, metrics.registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _hook(scene: Scene, port: int) -> Iterator[None]:
    """Who is told by Alertmanager."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scene.told += [{**one, "receiver": sent["receiver"]} for one in sent["alerts"]]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer((LOOPBACK, port), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- our files, hurried ----------------------------------------------------------------------------------------------


def prometheus_config(folder: Path, workers: list[int], manager: int, alertmanager: int) -> Path:
    """config/prometheus/prometheus.yml with these ports and short intervals, and rules that hardly wait."""
    rules = yaml.safe_load((CONFIG / "rules.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if rule["alert"] != STAYS_PENDING:
            rule["for"] = "0s"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    ports = {"s3-index-worker": workers, "dlq-manager": [manager]}
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"{LOOPBACK}:{port}" for port in ports[job["job_name"]]]}]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"{LOOPBACK}:{alertmanager}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def alertmanager_config(folder: Path, hook: int) -> Path:
    """config/prometheus/alertmanager.yml with one address for all who are told, at once."""
    config = yaml.safe_load((CONFIG / "alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route.update(group_wait="1s", group_interval="1s")
    config["receivers"] = [
        {"name": one["name"], "webhook_configs": [{"url": f"http://{LOOPBACK}:{hook}/"}]} for one in config["receivers"]
    ]
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path

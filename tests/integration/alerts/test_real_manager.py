"""A real manager takes dead letters in; Prometheus scrapes it by our configuration, and Alertmanager hears of what that means."""

import contextlib
from types import SimpleNamespace

from testing import failures
from testing.binaries import do_without
from testing.ports import free_ports
from testing.process import UnavailableError
from testing.site import make_site
from testing.waiting import wait_until
from tests.integration.alerts.conftest import alertmanager_config, prometheus_config
from tests.integration.manager_process.conftest import SERVE, ManagerProcess
from tests.support.monitoring import AlertmanagerServer, PrometheusServer

COUNT = 15
FIRING = {"DlqDepth", "DlqArrivalsLastDay", "DlqArrivalsLastHour"}
"""What 15 new dead letters mean."""


def test_what_a_real_manager_takes_in_is_scraped_and_alerts_arrive(seaweedfs, elasticmq, tmp_path):
    manager_port, hook_port = free_ports(2)
    nobody = SimpleNamespace(url="http://127.0.0.1:9")
    with contextlib.ExitStack() as stack:
        site = make_site(seaweedfs, elasticmq, nobody)  # type: ignore[arg-type]
        stack.callback(site.close)
        env = {**site.env, "LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite", "MANAGER_PORT": str(manager_port)}
        manager = ManagerProcess(env, tmp_path, name="manager", module=SERVE, started="manager.started")
        stack.callback(manager.kill)
        try:
            alertmanager = AlertmanagerServer(tmp_path / "alertmanager", alertmanager_config(tmp_path, hook_port))
            config = prometheus_config(tmp_path, [], manager_port, alertmanager.port)
            prometheus = PrometheusServer(tmp_path / "prometheus", config)
        except UnavailableError as reason:
            do_without("alerts", reason)
        failures.fill(elasticmq.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=COUNT)
        manager.start()
        wait_until(lambda: manager.count() == COUNT, 60, "all are taken in")
        stack.enter_context(alertmanager)
        stack.enter_context(prometheus)
        depth = 'sum(dlq_messages_total{job="dlq-manager"})'
        # A look at the queue just before it is empty counts what is being taken in twice, until the next look.
        wait_until(
            lambda: [one["value"][1] for one in prometheus.query(depth)] == [str(COUNT)], 60, "a scrape of them all"
        )
        wait_until(lambda: _names(alertmanager) >= FIRING, 30, f"{FIRING} at Alertmanager")
        assert manager.stop() == 0


def _names(alertmanager: AlertmanagerServer) -> set[str]:
    return {one["labels"]["alertname"] for one in alertmanager.ask("/api/v2/alerts")}

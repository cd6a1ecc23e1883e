"""A worker that has stopped because nearly everything failed is seen by Prometheus, until the fleet is resumed."""

import contextlib
import platform

from testing.binaries import do_without
from testing.ports import free_ports
from testing.process import UnavailableError
from testing.site import make_site
from testing.waiting import wait_until
from testing.worker import running
from tests.integration.alerts.conftest import prometheus_config
from tests.support.in_process import run_in_process
from tests.support.monitoring import PrometheusServer
from worker.cli import main
from worker.core.s3.brakes import BrakeRecord, Cause


def test_the_alert_fires_while_the_brake_is_on_and_ends_with_resume(seaweedfs, elasticmq, opensearch, tmp_path):
    port, nobody = free_ports(2)
    with contextlib.ExitStack() as stack:
        site = make_site(seaweedfs, elasticmq, opensearch)
        stack.callback(site.close)
        try:
            prometheus = PrometheusServer(tmp_path / "prometheus", prometheus_config(tmp_path, [port], nobody, nobody))
        except UnavailableError as reason:
            do_without("alerts", reason)
        causes = {Cause("3d2572ea9916", "KeyError: 'title'", ""): 31}
        brake = BrakeRecord(f"{platform.node()}@0", "brake: 31 of 31", "2026-04-01T00:00:00+00:00", 31, causes)
        site.s3.put_object(Bucket=site.state_bucket, Key=brake.key, Body=brake.as_json())
        env = {**site.env, "METRICS_PORT": str(port), "PAUSE_POLL_S": "1"}
        worker = stack.enter_context(running(env, tmp_path))
        stack.enter_context(prometheus)

        def is_firing() -> bool:
            alerts = prometheus.ask("/api/v1/alerts")["data"]["alerts"]
            return any(one["labels"]["alertname"] == "WorkerBraked" and one["state"] == "firing" for one in alerts)

        wait_until(is_firing, 20, "the alert")
        assert run_in_process(main, site.env, "resume").returncode == 0
        wait_until(lambda: not is_firing(), 20, "the end of the alert")
        assert worker.stop() == 0

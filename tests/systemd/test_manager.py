"""The life of dlq-manager.service under a real systemd, and that it is only there where it was asked for."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from testing import failures
from testing.aws import s3_event, s3_record
from testing.site import Site
from testing.waiting import wait_until
from tests.support.installation import LEDGER_CREDENTIAL, MANAGER_UNIT, UNIT, Installation

pytestmark = pytest.mark.timeout(600)  # the first test has two installations in its set-up

WORD = Path(__file__).resolve().parents[2] / "samples/legal/NDA draft (v2+final).docx"
COUNT = 15
FAST = "[Service]\nRestartSec=1\nWatchdogSec=4\n"
WATCHDOG_PERIODS_S = 9
TIMEOUT_STOP_S = 40


def ask(site: Site, path: str, body: Any = None) -> Any:
    """What the manager answers on this machine's loopback; to a POST, if there is a body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.env['MANAGER_PORT']}{path}", headers={"Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def events(managed: Installation, name: str) -> list[dict[str, Any]]:
    """What the manager has logged under this event name."""
    lines = managed.machine.journal("-u", MANAGER_UNIT, "-o", "cat").splitlines()
    return [one for one in (json.loads(line) for line in lines if line.startswith("{")) if one["event"] == name]


def wait_restarts(managed: Installation, number: int) -> None:
    """Until systemd has started it again so many times."""
    wait_until(lambda: managed.restarts(MANAGER_UNIT) == number, 60, f"restart number {number}")


def test_where_it_was_not_asked_for_there_is_neither_unit_nor_command(managed: Installation) -> None:
    """The version before was installed without the manager."""
    managed.machine.run("systemctl", "enable", "--now", MANAGER_UNIT)
    done = managed.make("rollback")
    assert "dlq-manager was stopped and removed" in done.stderr
    assert not managed.has_manager()
    assert managed.machine.show(MANAGER_UNIT, "LoadState") == "not-found"
    assert managed.machine.run("pgrep", "-f", "dlq-manager serve", check=False).stdout == ""
    done = managed.make("rollback")
    assert "sudo systemctl enable --now dlq-manager" in done.stderr
    assert managed.has_manager()
    assert managed.machine.show(MANAGER_UNIT, "UnitFileState") == "disabled"


def test_it_takes_dead_letters_in_answers_on_loopback_and_stops_in_time(
    managed: Installation, site: Site, elasticmq
) -> None:
    failures.fill(elasticmq.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=COUNT)
    managed.start(MANAGER_UNIT)  # returns at READY
    assert ask(site, "/health")["status"] == "healthy"
    wait_until(lambda: ask(site, "/api/v1/messages")["count"] == COUNT, 60, "every dead letter")
    assert len(site.state_keys("dead-letters/")) == COUNT
    managed.wait_status(
        r"^serving \| port \d+ \| ledger sqlite:////var/lib/s3-index-worker/ledger.sqlite", MANAGER_UNIT
    )
    done = managed.machine.run("dlq-manager", "doctor", "--json")
    assert '"level":"error"' not in done.stdout
    began = time.monotonic()
    managed.machine.run("systemctl", "stop", MANAGER_UNIT)
    assert time.monotonic() - began < TIMEOUT_STOP_S
    assert managed.machine.show(MANAGER_UNIT, "Result") == "success"
    assert events(managed, "manager.stopped")[-1]["complete"]


def test_the_watchdog_is_fed_and_a_hang_and_a_kill_are_followed_by_a_restart(managed: Installation, site: Site) -> None:
    managed.drop_in(MANAGER_UNIT, FAST)
    managed.start(MANAGER_UNIT)
    time.sleep(WATCHDOG_PERIODS_S)
    assert managed.restarts(MANAGER_UNIT) == 0
    for number, signal in enumerate(("STOP", "KILL"), 1):
        managed.machine.run("systemctl", "kill", "--kill-who=main", "-s", signal, MANAGER_UNIT)
        wait_restarts(managed, number)
        managed.machine.wait_active(MANAGER_UNIT)
    assert "Watchdog timeout" in managed.machine.journal("-u", MANAGER_UNIT)
    assert ask(site, "/health")["status"] == "healthy"


def test_the_ledgers_address_comes_from_the_credential_store_for_the_command_too(
    managed: Installation, site: Site
) -> None:
    other = "/var/lib/s3-index-worker/other.sqlite"
    managed.configure(site.env, ledger_url="sqlite:////nowhere/ledger.sqlite")
    managed.machine.write(LEDGER_CREDENTIAL, f"sqlite:///{other}\n", 0o600)
    managed.start(MANAGER_UNIT)
    managed.machine.run("test", "-s", other)
    assert other in managed.machine.run("dlq-manager", "doctor", "--json").stdout


def test_a_wrong_setting_ends_in_78_with_its_reason_and_no_restart(managed: Installation, site: Site) -> None:
    managed.configure(site.env, manager_host="0.0.0.0")
    managed.drop_in(MANAGER_UNIT, "[Service]\nRestartSec=100ms\n")
    assert managed.machine.run("systemctl", "start", MANAGER_UNIT, check=False).returncode != 0
    assert "MANAGER_HOST='0.0.0.0'" in managed.machine.journal("-u", MANAGER_UNIT, "-o", "cat")
    time.sleep(0.5)  # a restart would have come
    assert managed.machine.show(MANAGER_UNIT, "ExecMainStatus") == "78"
    assert managed.restarts(MANAGER_UNIT) == 0


def test_worker_and_manager_run_beside_each_other(managed: Installation, site: Site) -> None:
    for unit in (UNIT, MANAGER_UNIT):
        managed.start(unit)
    site.send_body("noise")
    wait_until(lambda: ask(site, "/api/v1/messages")["count"] == 1, 60, "the dead letter")
    site.wait_empty()
    assert ask(site, "/api/v1/messages")["items"][0]["kind"] == "USER_ERROR"


def test_it_recovers_a_file_with_the_parsers_of_the_sandbox(managed: Installation, site: Site) -> None:
    site.put("契約.docx", WORD.read_bytes())
    body = s3_event(s3_record(site.bucket, "契約.docx"))
    site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=body)
    managed.start(MANAGER_UNIT)
    wait_until(lambda: ask(site, "/api/v1/messages")["count"] == 1, 60, "the dead letter")
    plan = ask(site, "/api/v1/plans", {"verb": "recover", "q": "key:契約"})
    name = ask(site, "/api/v1/operations", {"plan": plan["id"]})["id"]
    done = wait_until(lambda: (one := ask(site, f"/api/v1/operations/{name}"))["ended_at"] and one, 60, "its end")
    assert (done["state"], done["done"]) == ("done", 1), done
    assert site.documents()["契約.docx"]["extraction"]["status"] == "ok"

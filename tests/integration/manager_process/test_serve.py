"""The real manager: takes in while commands run alongside, is killed, stops, and answers."""

import json
import signal
import sqlite3

from recovery.ledger.schema import VERSION_TABLE
from testing import failures
from testing.aws import queue_depth
from testing.waiting import wait_until
from testing.worker import run_module
from tests.integration.dlq.verbs import ask, dlq
from tests.integration.manager_process.conftest import SERVE, ManagerProcess
from tests.support.faults import refusal
from tests.support.identity_provider import IdentityProvider
from tests.support.in_process import run_in_process
from worker.core.s3.state import DEAD_LETTERS_PREFIX

COUNT = 150


def ready(env: dict[str, str], site) -> None:
    """PostgreSQL is migrated by command; SQLite needs nothing, and the command does no harm."""
    done = run_module("recovery.manager.cli", {**site.env, **env}, "migrate")
    assert done.returncode == 0, done.stderr


def fill(site, elasticmq, count=COUNT):
    failures.fill(elasticmq.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=count)


def all_in(manager: ManagerProcess, site, count=COUNT) -> bool:
    return queue_depth(site.sqs, site.queues.dlq)[:2] == (0, 0) and manager.count("state:any") == count


def test_every_dead_letter_is_taken_in_once_however_often_the_manager_is_killed(
    site, elasticmq, manager_of, ledger_env
):
    ready(ledger_env, site)
    fill(site, elasticmq)
    for _ in range(3):
        killed = manager_of(**ledger_env).start()
        wait_until(lambda: len(site.state_keys(DEAD_LETTERS_PREFIX)) > 0, timeout_s=20, what="a record")
        killed.send(signal.SIGKILL)
        killed.wait()
    manager = manager_of(**ledger_env).start()
    wait_until(lambda: all_in(manager, site), timeout_s=150, what="everything is taken in")
    assert len(site.state_keys(DEAD_LETTERS_PREFIX)) == COUNT
    items = manager.ask("/api/v1/messages?limit=1000")["items"]
    assert {item["attempts"] for item in items} == {1}
    assert manager.ask("/health")["status"] == "healthy"
    figures = manager.ask("/metrics")
    assert f'dlq_messages_by_error_type{{error_type="TimeoutError"}} {COUNT * 2 // 15}.0' in figures
    assert manager.stop() == 0
    assert manager.events("manager.stopped", complete=True)
    assert not manager.events("thread.died")


def test_commands_and_manager_see_the_same_dead_letters(site, elasticmq, manager_of, ledger_env):
    ready(ledger_env, site)
    fill(site, elasticmq, 12)
    manager = manager_of(**ledger_env).start()
    wait_until(lambda: all_in(manager, site, 12), timeout_s=60, what="all are taken in")
    listed = {row["message_id"] for row in ask(site, "list")}
    assert listed == {item["identity"] for item in manager.ask("/api/v1/messages")["items"]}
    some = sorted(row["message_id"] for row in ask(site, "list") if row["error_type"] != "QueueError")[:2]
    assert sorted(ask(site, "redrive", "--message-id", *some, "--yes")["sent"]) == some
    assert dlq(site, "abandon", "--error", "QueueError", "--reason", "試験", "--yes").returncode == 0
    manager.stop()
    again = manager_of(**ledger_env).start()  # it follows what was done meanwhile at once
    wait_until(lambda: again.count("state:sent") == 2, timeout_s=30, what="two are sent")
    wait_until(lambda: again.count("state:abandoned") == 1, timeout_s=30, what="the only QueueError is abandoned")
    assert again.count() == 12 - 2 - 1


def test_a_second_ledger_for_one_state_bucket_is_refused_until_it_is_rebuilt(site, elasticmq, manager_of, tmp_path):
    first, second = (
        {"LEDGER_URL": f"sqlite:///{tmp_path}/{name}.sqlite", "MANAGER_PORT": "0"} for name in ("first", "second")
    )
    fill(site, elasticmq, 10)
    manager = manager_of(**first).start()
    wait_until(lambda: all_in(manager, site, 10), timeout_s=60, what="all are taken in")
    manager.stop()
    refused = run_module(SERVE[0], {**site.env, **second}, "serve")
    assert refused.returncode == 78
    assert "first.sqlite" in refused.stderr
    assert "dlq-manager rebuild" in refused.stderr
    rebuilt = run_in_process(_main, {**site.env, **second}, "rebuild", "--yes", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert '"stored":10' in rebuilt.stdout.replace(" ", "")
    again = manager_of(**second).start()
    assert again.count() == 10


def test_while_the_state_bucket_refuses_the_dlq_keeps_its_messages_and_health_says_so(
    site, seaweedfs, elasticmq, manager_of, ledger_env, fault_proxy
):
    ready(ledger_env, site)
    manager = manager_of(**ledger_env, AWS_ENDPOINT_URL_S3=fault_proxy.urls["s3"]).start()
    fault_proxy.rules = [lambda call: refusal("s3", 403) if call.action == "PutObject" else None]
    fill(site, elasticmq, 5)
    health = wait_until(lambda: _degraded(manager), timeout_s=60, what="health is degraded")
    assert "intake is on hold" in health["problems"][0]
    assert health["intake"]["resting"] is True
    assert sum(queue_depth(site.sqs, site.queues.dlq)[:2]) == 5
    assert "dlq_intake_resting 1.0" in manager.ask("/metrics")
    fault_proxy.clear()
    wait_until(lambda: all_in(manager, site, 5), timeout_s=150, what="all are taken in")
    assert manager.ask("/health")["status"] == "healthy"


def _degraded(manager: ManagerProcess):
    health = manager.ask("/health")
    return health if health["status"] == "degraded" else None


def test_a_database_that_cannot_be_used_is_one_sentence_and_the_right_exit_code(site, tmp_path):
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as made:
        made.execute(f"CREATE TABLE {VERSION_TABLE} (version_num TEXT)")
        made.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('ffffffffffff')")
    (tmp_path / "file").write_text("")
    for url, code, said in (
        ("sqlite:///relative.sqlite", 78, "LEDGER_URL"),
        ("mysql://x/y", 78, "LEDGER_URL"),
        (f"sqlite:///{tmp_path}/file/ledger.sqlite", 69, "the ledger"),
        (f"sqlite:///{newer}", 69, "newer version"),
        ("postgresql+psycopg://user:secret@127.0.0.1:9/ledger", 69, "***"),
    ):
        done = run_module(SERVE[0], {**site.env, "LEDGER_URL": url, "MANAGER_PORT": "0"}, "serve")
        assert done.returncode == code, (url, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr


def test_an_address_that_others_can_reach_or_that_is_taken_is_refused(site, tmp_path, manager_of):
    env = {"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite", "MANAGER_PORT": "0"}
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.com"):
        done = run_module(SERVE[0], {**site.env, **env, "MANAGER_HOST": host}, "serve")
        assert done.returncode == 78, done.stderr
        assert f"MANAGER_HOST='{host}'" in done.stderr
        assert "ssh -L" in done.stderr
    manager = manager_of(**env).start()
    taken = run_module(SERVE[0], {**site.env, **env, "MANAGER_PORT": str(manager.port)}, "serve")
    assert taken.returncode == 78
    assert f"MANAGER_PORT={manager.port}" in taken.stderr
    assert "Traceback" not in taken.stderr


def test_doctor_says_what_is_well_and_what_is_not(site, tmp_path):
    env = {**site.env, "LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite"}
    well = run_in_process(_main, env, "doctor")
    assert well.returncode == 0, well.stderr
    assert "`serve` makes it" in well.stdout
    assert not (tmp_path / "ledger.sqlite").exists(), "it changes nothing"
    ill = run_in_process(_main, {**env, "DLQ_QUEUE_URL": f"{site.queues.dlq}-no"}, "doctor")
    assert ill.returncode == 1
    assert "DLQ_QUEUE_URL" in ill.stdout


def test_doctor_says_who_can_sign_in(site, tmp_path):
    env = {**site.env, "LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite", "MANAGER_AUTH": "token"}

    def said(**more: str) -> str:
        shown = run_in_process(_main, {**env, **more}, "doctor", "--json").stdout
        return next(str(one) for one in json.loads(shown) if one["name"] == "sign-in")

    assert "nobody can ask" in said()
    assert run_in_process(_main, env, "token", "create", "--role", "reader", "--name", "a").returncode == 0
    assert "1 tokens are valid" in said()
    oidc = {
        "OIDC_CLIENT_ID": "m",
        "OIDC_CLIENT_SECRET": "s" * 40,
        "MANAGER_URL": "http://127.0.0.1:8024",
        "MANAGER_READERS": "all",
    }
    away = said(MANAGER_AUTH="oidc", OIDC_ISSUER="http://127.0.0.1:9", **oidc)
    assert "the OpenID provider http://127.0.0.1:9 cannot be used" in away
    with IdentityProvider() as provider:
        assert f"{provider.issuer} answers" in said(MANAGER_AUTH="oidc", OIDC_ISSUER=provider.issuer, **oidc)


def _main() -> None:
    from recovery.manager.cli import main

    main()

"""The daemon's life as systemd and operators see it: notifications, health, metrics, signals, exit codes."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest

from testing.ports import free_ports
from testing.waiting import wait_until
from testing.worker import WorkerProcess, running
from tests.support.in_process import run_in_process
from worker.cli import main


@pytest.fixture
def systemd(tmp_path):
    """What systemd would hear."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(0.2)
        yield path, sock


def heard(sock):
    said = []
    while True:
        try:
            said += sock.recv(8_192).decode().splitlines()
        except TimeoutError:
            return said


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_systemd_hears_ready_status_watchdog_and_stopping_in_this_order(site, systemd, tmp_path):
    path, sock = systemd
    # WATCHDOG_PID is left out, as it is where a unit's ExecStart is a wrapper.
    with running({**site.env, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}, tmp_path) as worker:
        time.sleep(2)
        said = heard(sock)
        assert said[0] == "READY=1"
        assert said.count("WATCHDOG=1") >= 2
        assert any(line.startswith("STATUS=serving | in flight 0 | done 0") for line in said)
        assert worker.stop() == 0
        assert heard(sock)[:2] == ["STOPPING=1", "STATUS=stopping: draining"]


INSTEAD_OF_ITS_HEARTBEAT = """
import time
from worker.supervisor import Supervisor
start = Supervisor.start
def otherwise(self, name, loop, *, max_silence_s):
    if name == "heartbeat":
        loop, max_silence_s = {loop}, 0.5
    return start(self, name, loop, max_silence_s=max_silence_s)
Supervisor.start = otherwise
"""
"""A sitecustomize: one thread of the worker does something else than its loop."""


def test_a_worker_with_a_stuck_thread_feeds_no_watchdog(site, systemd, tmp_path):
    path, sock = systemd
    (tmp_path / "sitecustomize.py").write_text(INSTEAD_OF_ITS_HEARTBEAT.format(loop="lambda _: time.sleep(600)"))
    env = {**site.env, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000", "PYTHONPATH": f"{tmp_path}:."}
    with running(env, tmp_path):
        time.sleep(1.5)
        heard(sock)
        time.sleep(2)
        assert "WATCHDOG=1" not in heard(sock)


def test_a_thread_that_dies_ends_the_worker_with_70(site, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(INSTEAD_OF_ITS_HEARTBEAT.format(loop="lambda _: 1 / 0"))
    with running({**site.env, "PYTHONPATH": f"{tmp_path}:."}, tmp_path) as worker:
        assert worker.wait(30) == 70
        assert worker.events("thread.died", thread="heartbeat")


def test_metrics_and_health_are_answered_on_loopback(site, tmp_path):
    [port] = free_ports(1)
    site.put("a.txt")
    with running({**site.env, "METRICS_PORT": str(port)}, tmp_path) as worker:
        site.send("a.txt")
        site.send_body("noise")
        handed_off = 'worker_dead_letters_total{kind="USER_ERROR",to="dlq"} 1.0'
        wait_until(lambda: handed_off in get(port, "/metrics")[1], 15, "the bad one's hand-off")
        wait_until(lambda: len(worker.events("message.settled")) == 2, 15, "two messages")
        status, text = get(port, "/metrics")
        assert status == 200
        assert 'worker_messages_total{outcome="done"} 1.0' in text
        assert 'worker_messages_total{outcome="failed"} 1.0' in text
        assert handed_off in text
        assert "worker_index_breaker_open 0.0" in text
        status, text = get(port, "/healthz")
        assert (status, json.loads(text)["status"]) == (200, "serving")
        assert get(port, "/other")[0] == 404


def test_a_pause_is_shown_in_status_and_metrics_and_ends_by_itself(site, systemd, tmp_path):
    (path, sock), [port] = systemd, free_ports(1)
    env = {**site.env, "PAUSE_POLL_S": "1", "METRICS_PORT": str(port), "NOTIFY_SOCKET": path}
    with running(env, tmp_path) as worker:
        assert run_in_process(main, site.env, "pause", "--reason", "索引の更新", "--for", "8s").returncode == 0
        worker.wait_for(lambda: worker.events("gate.shut", name="paused"), timeout_s=10, what="the pause")
        assert "worker_paused 1.0" in get(port, "/metrics")[1]
        wait_until(lambda: any("索引の更新" in line for line in heard(sock)), 8, "a status that says why")
        worker.wait_for(lambda: worker.events("gate.cleared", name="paused"), timeout_s=15, what="its end")
        assert "worker_paused 0.0" in get(port, "/metrics")[1]


def test_a_second_signal_exits_at_once(site, tmp_path):
    """The first waits for the open poll of 10 s."""
    with running({**site.env, "LONG_POLL_S": "10"}, tmp_path) as worker:
        time.sleep(0.5)
        worker.send(signal.SIGTERM)
        time.sleep(0.5)
        began = time.monotonic()
        worker.send(signal.SIGINT)
        assert worker.wait(5) == 0
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_drains_and_exits_0(site, tmp_path, number):
    with running(site.env, tmp_path) as worker:
        worker.send(number)
        assert worker.wait(15) == 0
        assert worker.events("worker.stopped", left=0)


def test_an_unavailable_queue_is_a_dependency_and_exits_69(site, tmp_path):
    worker = WorkerProcess({**site.env, "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}, tmp_path)
    with pytest.raises(AssertionError, match="no answer"):
        worker.start()
    assert worker.wait() == 69


def test_a_metrics_port_in_use_stops_nothing(site, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {**site.env, "METRICS_PORT": str(taken.getsockname()[1])}
        with running(env, tmp_path) as worker:
            assert worker.events("metrics.unavailable")
            assert worker.stop() == 0


def test_leftovers_of_a_killed_worker_are_removed_at_start_and_others_are_not(site, tmp_path):
    left_by_a_dead_worker, of_another_process = tmp_path / "s3iw-999999-abc", tmp_path / f"s3iw-{os.getpid()}-abc"
    for each in (left_by_a_dead_worker, of_another_process):
        each.write_bytes(b"x")
    with running(site.env, tmp_path) as worker:
        assert not left_by_a_dead_worker.exists()
        assert of_another_process.exists()
        assert worker.stop() == 0


def test_logs_under_systemd_have_priorities_and_no_line_is_forged(site, tmp_path):
    with running({**site.env, "JOURNAL_STREAM": "8:1", "LOG_FORMAT": "json"}, tmp_path) as worker:
        # base_env drops the test's own; the worker's is set
        site.send('evil\n<0>{"event": "forged"}\x1b[2J.txt')
        site.wait_empty()
        raw = worker.log_tail(1_000)
    lines = raw.splitlines()
    assert all(line[:1] == "<" and line[2] == ">" for line in lines)
    assert not any(line.startswith("<0>") for line in lines)
    assert "\x1b" not in raw

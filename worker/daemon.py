"""The daemon: start → serve → drain → stop. A signal handler only sets a flag; the order of shutdown stands in `_stop`."""

import os
import signal
import threading
import time
from contextlib import ExitStack
from types import FrameType
from typing import Any

from worker import batcher, consumer, handler, heartbeat, selfheal, settlement
from worker.assembly import assemble, open_the_index, tidy_temp_dir
from worker.core.errors import ExitCode, StoreError
from worker.core.logs import emit, observe
from worker.core.outside import Outside
from worker.core.retry import release_delay_s
from worker.core.settings import Settings
from worker.crew import Crew, Pulse, join_all
from worker.inhand import InHand
from worker.metrics import Metrics, send_to_cloudwatch, serve
from worker.outcome import Release
from worker.sdnotify import notify, watchdog_interval_s

LOOK_INTERVAL_S = 0.5
STATUS_INTERVAL_S = 5.0
EXTRACTION_GRACE_S = 5.0
"""So long before the end of a shutdown, files still being parsed are given up."""
LAST_CALL_S = 2.0
"""Even a shutdown that is out of time waits so long for calls under way."""
LAST_FIGURES_S = 5.0
"""How long the last figures may take to reach CloudWatch."""
CLOSING_S = 5.0
"""How long connections and children may take to close."""
CONTROL_SILENCE_S = 120


def stop_timeout_s(settings: Settings) -> float:
    """Seconds from SIGTERM to exit at most: what TimeoutStopSec= in systemd/s3-index-worker.service has to exceed."""
    return LOOK_INTERVAL_S + settings.shutdown_timeout_s + LAST_CALL_S + LAST_FIGURES_S + CLOSING_S


class Daemon:
    """One worker process, from READY to its exit code."""

    def __init__(self, settings: Settings, outside: Outside, *, dlq_max_bytes: int) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._crew = Crew()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._exit = ExitCode.OK
        self._parts = assemble(settings, outside, dlq_max_bytes=dlq_max_bytes, stuck=self._on_stuck)
        self._receivers: list[threading.Thread] = []

    def run(self) -> ExitCode:
        """Serve until a signal, a stuck message or a dead thread ends it; the exit code."""
        with ExitStack() as stack:
            self._start(stack)
            self._serve()
            self._stop()
        return self._exit

    # -- start ---------------------------------------------------------------------------------------------------

    def _start(self, stack: ExitStack) -> None:
        stack.callback(self._parts.close)
        stack.callback(observe(self._metrics.observe))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        tidy_temp_dir(self._settings)
        open_the_index(self._parts)
        self._start_metrics(stack)
        self._start_threads()
        outside = self._parts.outside
        emit("worker.started", pid=os.getpid(), queue=outside.source.url, index=outside.index.description)
        notify(READY="1", STATUS=self._status())

    def _start_threads(self) -> None:
        crew, parts, settings = self._crew, self._parts, self._settings
        crew.start("heartbeat", parts.heartbeat.run, max_silence_s=heartbeat.MAX_SILENCE_S)
        for name, loop in parts.settlement.loops():
            crew.start(name, loop, max_silence_s=settlement.MAX_SILENCE_S)
        for number in range(settings.bulk_requests):
            crew.start(f"bulk-{number}", parts.batcher.run, max_silence_s=batcher.MAX_SILENCE_S)
        for number in range(settings.worker_concurrency):
            crew.start(f"handler-{number}", parts.handler.run, max_silence_s=handler.MAX_SILENCE_S)
        for number in range(parts.handler.slow_threads):
            crew.start(f"slow-file-{number}", parts.handler.run_slow, max_silence_s=float("inf"))
        self._look_for_pause()
        crew.start("self-heal", parts.selfheal.run, max_silence_s=selfheal.MAX_SILENCE_S)
        crew.start("control", self._watch_control, max_silence_s=CONTROL_SILENCE_S)
        for number in range(settings.receivers):
            loop = parts.consumer.run_helper if number else parts.consumer.run_first
            self._receivers.append(crew.start(f"receive-{number}", loop, max_silence_s=consumer.MAX_SILENCE_S))

    def _start_metrics(self, stack: ExitStack) -> None:
        metrics, settings, parts = self._metrics, self._settings, self._parts
        metrics.gauge("worker_in_flight", "Messages in hand.", lambda: len(parts.heartbeat))
        metrics.gauge("worker_bytes_in_hand", "Bytes of bodies in memory.", lambda: parts.budget.used)
        metrics.gauge(
            "worker_paused", "Whether an operator has paused the fleet.", lambda: "paused" in parts.gate.reasons
        )
        clock = parts.outside.objects.clock
        metrics.gauge(
            "worker_s3_clock_uncertainty_seconds", "How well S3's clock is known.", lambda: clock.uncertainty_s
        )
        if settings.metrics_port:
            port = settings.metrics_port + settings.worker_instance
            try:
                server = serve(metrics, self._health, host=settings.metrics_host, port=port)
            except OSError as error:
                where = f"{settings.metrics_host}:{port}"
                emit("metrics.unavailable", "error", address=where, error=str(error), hint="set METRICS_PORT, or 0")
            else:
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
        if settings.cloudwatch_namespace:
            client = parts.outside.aws.cloudwatch()
            args = (metrics, client, settings.cloudwatch_namespace, self._ended)
            sender = threading.Thread(target=send_to_cloudwatch, args=args, name="cloudwatch", daemon=True)
            sender.start()
            stack.callback(sender.join, LAST_FIGURES_S)
            stack.callback(self._ended.set)

    # -- serve ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        watchdog_s = watchdog_interval_s()
        next_ping = next_status = 0.0
        while not self._stopping.wait(min(LOOK_INTERVAL_S, watchdog_s or LOOK_INTERVAL_S)):
            ailing = self._crew.ailing()
            if self._crew.has_dead:
                self._end(ExitCode.INTERNAL)
                return
            now = time.monotonic()
            if watchdog_s and now >= next_ping and not ailing:  # fed by progress: silence means a restart
                notify(WATCHDOG="1")
                next_ping = now + watchdog_s
            if now >= next_status:
                notify(STATUS=self._status())
                next_status = now + STATUS_INTERVAL_S
                if ailing:
                    emit("thread.silent", "critical", threads=ailing)

    def _watch_control(self, pulse: Pulse) -> None:
        """Look for the pause record, at moments that also tell S3's clock more exactly."""
        clock = self._parts.outside.objects.clock
        while not self._ended.wait(self._settings.pause_poll_s - 1 + clock.best_moment_s()):
            pulse.beat()
            self._look_for_pause()

    def _look_for_pause(self) -> None:
        try:
            record = self._parts.outside.state.pause_record()
        except StoreError as error:
            emit("pause.unreadable", "warning", error=str(error))  # as it was: S3's own breaker deals with outages
            return
        if record is None:
            self._parts.gate.clear("paused")
        else:
            self._parts.gate.shut("paused", f"paused by {record.get('by', '?')}: {record['reason']}")

    # -- drain, stop ---------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """The order matters. Heartbeats go on to the last, or what is drained would reappear meanwhile.

        1. Receive no more; open polls are awaited, and what they bring is given back.
        2. Give back what no handler has begun.
        3. Let handlers, bulk requests and settlements finish what is begun.
        4. Shortly before time is up, stop extraction; its messages are given back.
        5. What is left then reappears by itself, when its visibility ends.
        """
        within_us = int(stop_timeout_s(self._settings) * 1_000_000)  # SHUTDOWN_TIMEOUT_S may outgrow the unit's limit
        notify(STOPPING="1", STATUS="stopping: draining", EXTEND_TIMEOUT_USEC=str(within_us))
        emit("worker.stopping", in_hand=len(self._parts.heartbeat))
        parts = self._parts
        end = time.monotonic() + self._settings.shutdown_timeout_s
        parts.consumer.stop()
        parts.selfheal.stop()
        parts.handler.stop()
        self._drain(end - EXTRACTION_GRACE_S)
        parts.extractor.stop()
        self._drain(end)
        parts.handler.close()
        parts.batcher.stop()
        parts.settlement.stop()
        parts.heartbeat.stop()
        self._ended.set()
        self._crew.join(max(end, time.monotonic() + LAST_CALL_S))  # the last releases are on their way
        emit("worker.stopped", left=len(parts.heartbeat), exit=int(self._exit))

    def _drain(self, until: float) -> None:
        """Wait until nothing is in hand and no poll is open, giving back what no handler has begun."""
        parts = self._parts
        while time.monotonic() < until:
            for item in parts.heartbeat.unstarted():
                if item.start():
                    delay_s = 0 if parts.gate.is_open else release_delay_s(item.message.receives)
                    item.finish(Release(delay_s, "the worker stops"))
            received_all = join_all(self._receivers, min(until, time.monotonic() + 0.05))
            if parts.heartbeat.wait_empty(min(until, time.monotonic() + 0.05)) and received_all:
                return

    # -- events --------------------------------------------------------------------------------------------------

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set():
            os._exit(ExitCode.OK)  # a second signal: the operator cannot wait; what is in hand reappears
        self._stopping.set()

    def _on_stuck(self, _item: InHand) -> None:
        self._end(ExitCode.INTERNAL)

    def _end(self, code: ExitCode) -> None:
        self._exit = code
        self._stopping.set()

    def _health(self) -> tuple[bool, dict[str, Any]]:
        ailing = self._crew.ailing()
        facts = {
            "status": "stopping" if self._stopping.is_set() else "ailing" if ailing else "serving",
            "ailing_threads": ailing,
            "held_back": self._parts.gate.reasons,
            "index_breaker_open": self._parts.index_breaker.is_open,
            "in_hand": len(self._parts.heartbeat),
        }
        return not ailing, facts

    def _status(self) -> str:
        """One line for `systemctl status`."""
        parts, held = self._parts, "; ".join(self._parts.gate.reasons.values())
        index = "away, documents go to retry-index/" if parts.index_breaker.is_open else "in reach"
        settled = self._metrics.settled
        return (
            f"{held or 'serving'} | in hand {len(parts.heartbeat)} | done {settled['done']}, failed {settled['failed']}, "
            f"released {settled['release']} | index {index}"
        )

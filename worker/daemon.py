"""The daemon: start → serve → drain → stop. A signal handler only sets a flag; the order of shutdown stands in `_stop`."""

import os
import signal
import threading
import time
from contextlib import ExitStack
from functools import partial
from types import FrameType

from worker import batcher, budgets, consumer, selfheal, settlement
from worker.announcer import Announcer
from worker.assembly import assemble, open_the_index, tidy_temp_dir, unstarted
from worker.core.base.errors import ExitCode, IndexUnavailableError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit, observe
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.sqs import in_flight
from worker.core.sqs.in_flight import InFlightMessage
from worker.gauges import show
from worker.health import Health
from worker.interruption import say_stopping
from worker.levels import Levels
from worker.metrics import Metrics, send_to_cloudwatch, serve
from worker.refreshed import keep_fresh
from worker.sdnotify import notify, watchdog_interval_s
from worker.supervisor import Supervisor, join_all

CHECK_INTERVAL_S = 0.5
STATUS_INTERVAL_S = 5.0
EXTRACTION_GRACE_S = 5.0
"""Files still being parsed so long before the end of a shutdown are given up."""
LAST_CALL_S = 2.0
"""A shutdown that is out of time still waits so long for calls under way."""
LAST_FIGURES_S = 5.0
"""How long the last figures may take to reach CloudWatch."""
LAST_RECORD_S = 2.0
"""How long the last records of the worker and of its brake may take to reach the state bucket."""
CLOSING_S = 5.0
"""How long connections and children may take to close."""
CONTROL_SILENCE_S = 120


def stop_timeout_s(settings: Settings) -> float:
    """The most seconds from SIGTERM to exit: TimeoutStopSec= in systemd/s3-index-worker.service has to exceed it."""
    return CHECK_INTERVAL_S + settings.shutdown_timeout_s + LAST_CALL_S + LAST_RECORD_S + LAST_FIGURES_S + CLOSING_S


class Daemon:
    """One worker process, from READY to its exit code."""

    def __init__(self, settings: Settings, clients: Clients, *, dlq_max_bytes: int) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._supervisor = Supervisor()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._exit = ExitCode.OK
        self._was_signalled = False
        self._knows_pause = False
        self._components = assemble(settings, clients, dlq_max_bytes=dlq_max_bytes, stuck=self._on_stuck)
        self._health = Health(settings, self._components, self._supervisor, self._metrics)
        self._announcer = Announcer(clients.state, self._health.record)
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
        stack.callback(self._components.close)
        stack.callback(observe(self._metrics.observe))
        stack.callback(observe(self._announcer.observe))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        tidy_temp_dir(self._settings)
        open_the_index(self._components)
        self._start_metrics(stack)
        self._start_threads()
        clients = self._components.clients
        emit(LogEvent.WORKER_STARTED, pid=os.getpid(), queue=clients.source.url, index=clients.index.description)
        self._announcer.start()
        notify(READY="1", STATUS=self._health.status_line())

    def _start_threads(self) -> None:
        supervisor, components, settings = self._supervisor, self._components, self._settings
        supervisor.start("heartbeat", components.in_flight.run, max_silence_s=in_flight.MAX_SILENCE_S)
        for name, loop in components.settlement.loops():
            supervisor.start(name, loop, max_silence_s=settlement.MAX_SILENCE_S)
        for number in range(settings.bulk_requests):
            supervisor.start(f"bulk-{number}", components.batcher.run, max_silence_s=batcher.MAX_SILENCE_S)
        for number in range(settings.worker_concurrency):
            supervisor.start(f"handler-{number}", components.handler.run, max_silence_s=float("inf"))
        for number in range(components.handler.slow_threads):
            supervisor.start(f"slow-file-{number}", components.handler.run_slow, max_silence_s=float("inf"))
        if components.budgets is not None:
            loop = partial(components.budgets.run, lag_s=self._metrics.backlog_s)
            supervisor.start("budgets", loop, max_silence_s=budgets.MAX_SILENCE_S)
        self._check_pause()
        supervisor.start("self-heal", components.selfheal.run, max_silence_s=selfheal.MAX_SILENCE_S)
        supervisor.start("control", self._watch_control, max_silence_s=CONTROL_SILENCE_S)
        for number in range(settings.receivers):
            loop = components.consumer.run_helper if number else components.consumer.run_first
            self._receivers.append(supervisor.start(f"receive-{number}", loop, max_silence_s=consumer.MAX_SILENCE_S))

    def _start_metrics(self, stack: ExitStack) -> None:
        metrics, settings, components = self._metrics, self._settings, self._components
        levels = Levels(components.clients.state)
        show(metrics, components, levels, failing_calls=lambda: len(self._health.failing_calls()))
        if settings.metrics_port or settings.cloudwatch_namespace:
            keep_fresh("levels", levels.count, self._ended)
        if settings.metrics_port:
            port = settings.metrics_port + settings.worker_instance
            try:
                server = serve(metrics, self._health.answer, host=settings.metrics_host, port=port)
            except OSError as error:
                where = f"{settings.metrics_host}:{port}"
                emit(
                    LogEvent.METRICS_UNAVAILABLE,
                    "error",
                    address=where,
                    error=str(error),
                    hint="set METRICS_PORT, or 0",
                )
            else:
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
                keep_fresh("reconciled", partial(metrics.reconciled.read, components.clients.state), self._ended)
        if settings.cloudwatch_namespace:
            client = components.clients.aws.cloudwatch()
            args = (metrics, levels, client, settings.cloudwatch_namespace, self._ended)
            sender = threading.Thread(target=send_to_cloudwatch, args=args, name="cloudwatch", daemon=True)
            sender.start()
            stack.callback(sender.join, LAST_FIGURES_S)
            stack.callback(self._ended.set)

    # -- serve ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        watchdog_s = watchdog_interval_s()
        next_ping = next_status = 0.0
        while not self._stopping.wait(min(CHECK_INTERVAL_S, watchdog_s or CHECK_INTERVAL_S)):
            unhealthy = self._supervisor.unhealthy()
            if self._supervisor.has_dead:
                self._end(ExitCode.INTERNAL)
                return
            now = time.monotonic()
            if (
                watchdog_s and now >= next_ping and not unhealthy
            ):  # progress alone feeds the watchdog: silence means a restart
                notify(WATCHDOG="1")
                next_ping = now + watchdog_s
            if now >= next_status:
                notify(STATUS=self._health.status_line())
                next_status = now + STATUS_INTERVAL_S
                if unhealthy:
                    emit(LogEvent.THREAD_SILENT, "critical", threads=unhealthy)

    def _watch_control(self, liveness: Liveness) -> None:
        """Read the pause record, at moments that also determine S3's clock more exactly."""
        clock = self._components.clients.objects.clock
        while not self._ended.wait(self._settings.pause_poll_s - 1 + clock.best_moment_s()):
            liveness.beat()
            self._check_pause()
            self._follow_reindex()

    def _follow_reindex(self) -> None:
        """Learn of a reindex also while there is nothing to write: it begins once every worker knows of it.

        While that is not known, nothing may be written: the messages are left to other workers.
        """
        try:
            self._components.clients.reindex.look()
        except IndexUnavailableError as error:
            self._components.gate.shut("reindex unknown", str(error))
        else:
            self._components.gate.clear("reindex unknown")

    def _check_pause(self) -> None:
        self._read_pause()
        self._look_at_brake()

    def _read_pause(self) -> None:
        try:
            record = self._components.clients.state.pause_record()
        except StoreError as error:
            emit(LogEvent.PAUSE_UNREADABLE, "warning", error=str(error))
            if not self._knows_pause:  # later it stays as it was: S3's breaker deals with outages
                self._components.gate.shut("pause unknown", f"whether the fleet is paused is not known yet: {error}")
            return
        self._knows_pause = True
        self._components.gate.clear("pause unknown")
        if record is None:
            self._components.gate.clear("paused")
        else:
            self._components.gate.shut("paused", f"paused by {record.get('by', '?')}: {record['reason']}")

    def _look_at_brake(self) -> None:
        gate, brake = self._components.gate, self._components.brake
        try:
            brake.look()
        except StoreError as error:
            emit(LogEvent.BRAKE_RECORD_FAILED, "warning", error=str(error))
            if not brake.is_known:
                gate.shut("brake unknown", f"whether the brake was on before the start is not known yet: {error}")
        if brake.is_known:
            gate.clear("brake unknown")

    # -- drain, stop ---------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """The order matters. Heartbeats go on to the end, or what is being drained would reappear meanwhile.

        1. Receive no more; open polls are awaited, and their messages are released.
        2. Release what no handler has begun.
        3. Let handlers, bulk requests and settlements finish what they have begun.
        4. Shortly before time is up, stop extraction; its messages are released.
        5. What is left then reappears by itself, when its visibility timeout ends.
        """
        within_us = int(stop_timeout_s(self._settings) * 1_000_000)  # SHUTDOWN_TIMEOUT_S may exceed the unit's limit
        notify(STOPPING="1", STATUS="stopping: draining", EXTEND_TIMEOUT_USEC=str(within_us))
        self._health.draining()
        emit(LogEvent.WORKER_STOPPING, in_flight=len(self._components.in_flight))
        components = self._components
        end = time.monotonic() + self._settings.shutdown_timeout_s
        components.consumer.stop()
        components.selfheal.stop()
        components.handler.stop()
        if components.budgets is not None:
            components.budgets.drain()
        self._drain(end - EXTRACTION_GRACE_S)
        components.extractor.stop()
        self._drain(end)
        components.handler.close()
        components.batcher.stop()
        components.settlement.stop()
        components.in_flight.stop()
        if components.budgets is not None:
            components.budgets.stop()
        self._ended.set()
        self._supervisor.join(max(end, time.monotonic() + LAST_CALL_S))  # the last releases are under way
        self._health.stopped(int(self._exit))
        storing, until = components.brake.store_soon(), time.monotonic() + LAST_RECORD_S
        self._announcer.close(LAST_RECORD_S)
        join_all(storing, until)
        emit(LogEvent.WORKER_STOPPED, left=len(components.in_flight), exit=int(self._exit))

    def _drain(self, until: float) -> None:
        """Wait until nothing is in flight and no poll is open, releasing what no handler has begun."""
        components = self._components
        while time.monotonic() < until:
            for item in components.in_flight.unstarted():
                if item.start():
                    item.release(unstarted(item, components.gate, "the worker stops"))
            received_all = join_all(self._receivers, min(until, time.monotonic() + 0.05))
            if components.in_flight.wait_empty(min(until, time.monotonic() + 0.05)) and received_all:
                return

    # -- events --------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._was_signalled:
            os._exit(self._exit)  # a second signal: the operator cannot wait; what is in flight reappears
        self._was_signalled = True
        say_stopping(number, only_terminal=True)  # elsewhere, `worker.stopping` says it
        self._stopping.set()

    def _on_stuck(self, _item: InFlightMessage) -> None:
        self._end(ExitCode.INTERNAL)

    def _end(self, code: ExitCode) -> None:
        self._exit = code
        self._stopping.set()

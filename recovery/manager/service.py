"""The manager: start → serve → stop. A signal handler only sets a flag; the order of shutdown stands in `_stop`."""

import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import FrameType

from recovery.ledger.ledger import Ledger
from recovery.manager import group_commit, intake, leases, operations, upkeep
from recovery.manager.arrivals import Arrivals
from recovery.manager.assembly import Parts, make_searching, make_sources, make_verbs
from recovery.manager.audit_reader import AuditReader
from recovery.manager.automation import Automation
from recovery.manager.figures import Figures
from recovery.manager.figures_source import FiguresSource
from recovery.manager.follow import Follower
from recovery.manager.group_commit import GroupCommit
from recovery.manager.intake import Intake
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.notices.assembly import make_notices, open_parts
from recovery.manager.operations import Operations
from recovery.manager.present import Looker
from recovery.manager.redaction import Redactor
from recovery.manager.remask import why_others_differ
from recovery.manager.schedule import Scheduler
from recovery.manager.settings import ManagerSettings
from recovery.manager.settings_facts import SettingsReader
from recovery.manager.system_facts import SystemFacts
from recovery.manager.upkeep import Upkeep
from recovery.manager.web.app import Health, Service, Status, make_app
from recovery.manager.web.server import WebServer
from recovery.manager.who import sign_in_of
from worker.core.base.cloudwatch import tell_cloudwatch
from worker.core.base.errors import ExitCode, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.interruption import say_stopping
from worker.refreshed import keep_fresh
from worker.sdnotify import notify, watchdog_interval_s
from worker.supervisor import Supervisor

CHECK_INTERVAL_S = 0.5
STATUS_INTERVAL_S = 5.0
CLOUDWATCH_INTERVAL_S = 60.0
SENDER_SILENCE_S = 300.0
WEB_STOP_S = 5.0
LANES_STOP_S = intake.WAIT_S + 15.0
"""An open receive is awaited: an aborted one would hide messages until their visibility timeout ends."""
COMMIT_STOP_S = 5.0
STOP_S = CHECK_INTERVAL_S + WEB_STOP_S + LANES_STOP_S + COMMIT_STOP_S
"""The most seconds from SIGTERM to exit: TimeoutStopSec= in systemd/dlq-manager.service has to exceed it."""


class Manager:
    """One manager process, from READY to its exit code."""

    def __init__(self, settings: ManagerSettings, parts: Parts, ledger: Ledger, *, by: str) -> None:
        """`by` names who views and acts through this manager, for the audit. Raises ConfigError."""
        clients, state = parts.clients, parts.state
        self._settings = settings
        self._aws = parts.aws
        self._bucket = state
        self._ledger = ledger
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._was_signalled = False
        self._exit = ExitCode.OK
        self._supervisor = Supervisor()
        clock = clients.objects.clock
        parts = replace(parts, rows=replace(parts.rows, redactor=Redactor(settings.redact_fields)))
        self._redactor = parts.rows.redactor
        self._commit = GroupCommit(ledger)
        self._metrics = ManagerMetrics(self._figures)
        notifying = open_parts(settings, lambda: self.port)
        scheduler = Scheduler(settings.retry_rules, clients.types, clock.now_ms)
        arrivals = Arrivals(parts.rows, scheduler, self._metrics, notifying.notifies)
        host = os.uname().nodename
        holder = f"{host}:{os.getpid()}"
        self._notices = make_notices(
            settings, notifying, ledger, state, parts.aws, self._metrics, now_ms=clock.now_ms, stop=self._stopping
        )  # fmt: skip
        self._intake = Intake(clients.dlq, state, clock, ledger, self._commit, arrivals)
        follower = Follower(ledger, state, clock, arrivals, self._stopping)
        self._automation = Automation(
            settings, parts, ledger, self._metrics, holder=holder, by=f"manager@{host}",
            notices=self._notices if notifying.notifies else None, refresh=follower.refresh, stop=self._stopping,
        )  # fmt: skip
        self._source = FiguresSource(
            ledger, clients.dlq, self._intake, retries_waiting=lambda: self._automation.retries.waiting
        )
        self._upkeep = Upkeep(
            ledger, follower, holder=holder, keep_days=settings.ledger_keep_days, stop=self._stopping,
            in_sqs=lambda: self._source.dlq().depth,
        )  # fmt: skip
        verbs = make_verbs(settings, parts, self._stopping)
        self._operations = Operations(ledger, verbs, self._metrics, stop=self._stopping)
        sources = make_sources(settings, parts, self._automation.index, self._automation.engine)
        service = Service(
            ledger=ledger,
            sources=sources,
            looker=Looker(sources),
            state=state,
            verbs=verbs,
            count=self._metrics.count,
            metrics=self._metrics.text,
            health=self._health,
            dlq_depth=lambda: self._source.dlq().depth,
            facts=SystemFacts(ledger, state, self._source, now_ms=clock.now_ms),
            audit=AuditReader(state),
            settings=SettingsReader(settings, ledger, problems=self._problems),
            sign_in=sign_in_of(settings, ledger, by=by),
            allowed_hosts=settings.hosts,
            redactor=self._redactor,
            searching=make_searching(settings, parts, sources),
        )
        self._web = WebServer(make_app(service))

    @property
    def port(self) -> int:
        """The port at which it answers."""
        return self._web.port

    def run(self) -> ExitCode:
        """Serve until a signal or a dead thread ends it; the exit code. Raises ConfigError if it cannot listen."""
        with ExitStack() as stack:
            stack.callback(self._automation.close)
            self._start(stack)
            self._serve()
            self._stop()
        return self._exit

    def stop(self) -> None:
        """Begin to end, as a signal does."""
        self._stopping.set()

    # -- start ---------------------------------------------------------------------------------------------------

    def _start(self, stack: ExitStack) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            stack.callback(signal.signal, one, signal.signal(one, self._on_signal))
        self._web.start(self._settings.manager_host, self._settings.manager_port)
        start = self._supervisor.start
        start("commit", self._commit.run, max_silence_s=group_commit.MAX_SILENCE_S)
        for number in range(intake.LANES):
            start(f"intake-{number}", partial(self._intake.lane, number), max_silence_s=intake.MAX_SILENCE_S)
        start("leases", self._operations.leases.run, max_silence_s=leases.MAX_SILENCE_S)
        for number in range(operations.LANES):
            start(
                f"operations-{number}", partial(self._operations.lane, number), max_silence_s=operations.MAX_SILENCE_S
            )
        start("upkeep", self._upkeep.run, max_silence_s=upkeep.MAX_SILENCE_S)
        self._automation.start(start)
        keep_fresh("reconciled", partial(self._metrics.reconciled.read, self._bucket), self._stopping)
        if self._settings.cloudwatch_namespace:
            start("cloudwatch", self._send_figures, max_silence_s=SENDER_SILENCE_S)
        emit(LogEvent.MANAGER_STARTED, pid=os.getpid(), ledger=self._ledger.shown, port=self._web.port)
        notify(READY="1", STATUS=self._status())

    def _send_figures(self, liveness: Liveness) -> None:
        """Send how many dead letters are stored, and how old they are, every minute."""
        client, namespace = self._aws.cloudwatch(), self._settings.cloudwatch_namespace or ""
        while not self._stopping.wait(CLOUDWATCH_INTERVAL_S):
            liveness.beat()
            try:
                figures = self._source.for_cloudwatch()
            except WorkerError as error:
                emit(LogEvent.CLOUDWATCH_FAILED, "warning", error=str(error))
            else:
                tell_cloudwatch(client, namespace, figures)

    # -- serve ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        watchdog_s = watchdog_interval_s()
        next_ping = next_status = 0.0
        while not self._stopping.wait(min(CHECK_INTERVAL_S, watchdog_s or CHECK_INTERVAL_S)):
            unhealthy = self._unhealthy()
            if self._supervisor.has_dead or not self._web.is_serving:
                self._exit = ExitCode.INTERNAL
                return
            now = time.monotonic()
            if watchdog_s and now >= next_ping and not unhealthy:  # progress alone feeds the watchdog
                notify(WATCHDOG="1")
                next_ping = now + watchdog_s
            if now >= next_status:
                notify(STATUS=self._status())
                next_status = now + STATUS_INTERVAL_S
                if unhealthy:
                    emit(LogEvent.THREAD_SILENT, "critical", threads=unhealthy)

    def _unhealthy(self) -> list[str]:
        return self._supervisor.unhealthy() + ([] if self._web.is_serving else ["web"])

    def _stop(self) -> None:
        """What is received is still taken in: first the web server ends, then the lanes, then what they write with."""
        notify(STOPPING="1", STATUS="stopping", EXTEND_TIMEOUT_USEC=str(int(STOP_S * 1_000_000)))
        emit(LogEvent.MANAGER_STOPPING)
        self._stopping.set()
        self._intake.stop()
        self._web.stop(WEB_STOP_S)
        self._supervisor.join(time.monotonic() + LANES_STOP_S, but="commit")
        self._commit.stop()
        has_ended = self._supervisor.join(time.monotonic() + COMMIT_STOP_S)
        emit(LogEvent.MANAGER_STOPPED, complete=has_ended, exit=int(self._exit))

    # -- what is asked -------------------------------------------------------------------------------------------

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._was_signalled:
            os._exit(self._exit)  # a second signal: the operator cannot wait; what was received comes again
        self._was_signalled = True
        say_stopping(number, only_terminal=True)
        self._stopping.set()

    def _figures(self) -> Figures:
        return self._source.figures()

    def _problems(self) -> list[str]:
        """What keeps the manager from its work, in sentences."""
        threads = [f"the thread {name} makes no progress" for name in self._unhealthy()]
        found = [self._intake.rest.reason and f"intake is on hold: {self._intake.rest.reason}"]
        found.append(self._operations.problem and f"operations: {self._operations.problem}")
        found.append(self._upkeep.problem and f"upkeep: {self._upkeep.problem}")
        found.append(self._notices.problem())
        return threads + [text for text in found if text] + self._automation.problems

    def _health(self) -> Health:
        problems, reading = self._problems(), self._source.dlq()
        if reading.depth is None:
            problems.append(f"the dead-letter queue: {reading.error}")
        try:
            self._ledger.stats()
            problems += filter(None, [why_others_differ(self._ledger, self._redactor)])
        except WorkerError as error:
            problems.append(str(error))
        figures = self._source.intake()
        facts = {
            "problems": problems,
            "ledger": self._ledger.shown,
            "dlq_depth": reading.depth,
            "intake": {
                "resting": figures.is_resting,
                "lag_s": round(figures.lag_s, 3),
                "last_receive_s": figures.last_receive_timestamp_s,
            },
            **self._automation.facts(),
        }
        return Health(Status.DEGRADED if problems else Status.HEALTHY, reading.depth is not None, facts)

    def _status(self) -> str:
        """One line for `systemctl status`."""
        retries = self._automation.retries
        waits = f" | {retries.waiting:,} retries wait: {retries.waiting_for}" if retries.waiting_for else ""
        said = "; ".join(self._problems()) or "serving"
        return f"{said} | port {self._web.port} | ledger {self._ledger.shown}{waits}"

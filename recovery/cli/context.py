"""The context of a `dlq` verb: its clients, its prompts, and how it reports the audit and metrics."""

import select
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from recovery.cli.settings import ToolOptions, ToolSettings, queue_url
from recovery.cli.view.progress import ProgressBar
from recovery.operations.clients import DlqClients, attributes_of, retention_of
from recovery.operations.dead_letters.message_types import MessageTypes, load_types
from recovery.operations.find import claiming
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.targets import Target, dlq_target, redrive_target
from worker.core.audit import Run
from worker.core.base.aws import Aws
from worker.core.base.cloudwatch import put, tell_cloudwatch
from worker.core.base.errors import ConfigError, ExitCode
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import KIB, Settings, load
from worker.core.base.text import one_line
from worker.core.clients import Clients
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import Queue, SqsQueue
from worker.interruption import say_stopping
from worker.terminal import Signals, err, operator, tell

DLQ, SOURCE = "dlq", "source"
"""Values of --to besides the URL or name of a queue."""


class CommandContext:
    """One run of one verb."""

    def __init__(
        self,
        settings: ToolSettings,
        aws: Aws,
        verb: str,
        signals: Signals,
        *,
        as_json: bool,
        options: ToolOptions | None = None,
    ) -> None:
        self.settings = settings
        self.aws = aws
        self.verb = verb
        self.signals = signals
        self.as_json = as_json
        self.options = options or ToolOptions()
        self.run = Run.new(f"dlq {verb}", action=verb, by=operator())
        # created first, so that a configuration error cannot occur between a change and its audit
        self._cloudwatch = aws.cloudwatch() if settings.cloudwatch_namespace else None
        self.dlq: Queue = self._queue(settings.dlq_queue_url)
        self.attributes: Mapping[str, str] = {}
        """The attributes of the DLQ, after `check_dlq`."""

    # -- clients --------------------------------------------------------------------------------------

    @cached_property
    def clients(self) -> DlqClients:
        """The clients of every operation except `recover`. Raises ConfigError if the message types cannot be read."""
        return DlqClients(self.dlq, self.objects, self.state, self.types)

    @cached_property
    def types(self) -> MessageTypes:
        """The declared message types. Raises ConfigError."""
        return load_types(self.settings.message_types_dir, default_bucket=self.settings.s3_bucket)

    @cached_property
    def objects(self) -> S3ObjectStore:
        """The object store. It reads no content of objects."""
        return self._object_store(spool_bytes=64 * KIB, max_object_bytes=0, temp_dir=Path(tempfile.gettempdir()))

    @cached_property
    def state(self) -> State | None:
        """The state bucket; None if none is set."""
        bucket = self.settings.state
        return S3State(self.objects, bucket) if bucket else None

    def need_state(self, why: str) -> State:
        """Return the state bucket. Raises ConfigError if it is not set (`why` states what it is needed for) or unusable."""
        return self.clients.need_state(self.run.command, why)

    def worker_settings(self) -> Settings:
        """Load the worker's settings; this command's options take precedence. Raises ConfigError."""
        own = self.settings
        given = {"dlq_queue_url": own.dlq_queue_url, "sqs_queue_url": own.sqs_queue_url, "aws_region": own.aws_region}
        return load(**{name: value for name, value in given.items() if value is not None})

    def indexing_clients(self, settings: Settings) -> Clients:
        """Create the clients of `recover`, which read complete objects within the worker's limits. Raises ConfigError."""
        self.objects = self._object_store(
            spool_bytes=settings.spool_bytes, max_object_bytes=settings.max_object_bytes, temp_dir=settings.temp_dir
        )
        self.state = S3State(self.objects, settings.state)
        source = self._queue(settings.sqs_queue_url)
        return Clients.of(settings, self.aws, source=source, dlq=self.dlq, objects=self.objects, state=self.state)

    def check_dlq(self) -> None:
        """Read the attributes of the DLQ. Raises ConfigError or DependencyError that names the setting."""
        self.attributes = attributes_of(self.dlq, called="DLQ_QUEUE_URL")

    @property
    def retention_s(self) -> int:
        """Retention period of the DLQ in seconds, counted from when a message was first sent."""
        return retention_of(self.attributes)

    def queue(self, named: str) -> Queue:
        """Return a queue by its URL or name. Raises ConfigError."""
        return self._queue(named if "://" in named else queue_url(self.aws, named))

    def source(self) -> Queue:
        """Return the source queue. Raises ConfigError if none is set, or if it is the DLQ itself."""
        url = self.settings.sqs_queue_url
        if url is None:
            raise ConfigError("SQS_QUEUE_URL (or --queue, or FRONTIER_URL) is missing: the queue to send to")
        if url == self.dlq.url:
            raise ConfigError(f"SQS_QUEUE_URL and DLQ_QUEUE_URL are the same queue, {url}")
        return self._queue(url)

    def _queue(self, url: str) -> Queue:
        return SqsQueue(self.aws.sqs(url), url)

    def redrive_target(self, to: str | None, *, force: bool, while_paused: bool) -> Target:
        """Return the queue given by --to, or else the source queue. Raises ConfigError, DependencyError or PausedError."""
        queue = self.source() if to is None else self.queue(to)
        return redrive_target(self.clients, queue, is_named=to is not None, force=force, while_paused=while_paused)

    def place(self, to: str, *, force: bool, while_paused: bool) -> Target:
        """Return the target for `dlq`, `source`, or a URL or name. Raises ConfigError, DependencyError or PausedError."""
        if to == DLQ:
            return dlq_target(self.clients)
        return self.redrive_target(None if to == SOURCE else to, force=force, while_paused=while_paused)

    @contextmanager
    def claiming(self) -> Iterator[Claims]:
        """Within this context, this run can claim dead letters; on exit, also after an error, its claims end."""
        with claiming(self.clients, self.run) as claims:
            yield claims

    def progress(self, total: int | None) -> ProgressBar:
        """Show the progress of sending."""
        return ProgressBar(
            total,
            lambda now, per_second: emit(LogEvent.REDRIVE_PROGRESS, done=now.done, total=now.total, per_second=per_second),
        )  # fmt: skip

    def _object_store(self, *, spool_bytes: int, max_object_bytes: int, temp_dir: Path) -> S3ObjectStore:
        return S3ObjectStore(self.aws, spool_bytes=spool_bytes, max_object_bytes=max_object_bytes, temp_dir=temp_dir)

    # -- prompts --------------------------------------------------------------------------------------------

    def confirm(self, what: str, *, yes: bool) -> None:
        """Ask for confirmation of a change to more than one message. Without a terminal, requires --yes."""
        tell(what)
        if yes:
            return
        if not sys.stdin.isatty():
            raise typer.BadParameter("is required, because there is no terminal to ask on", param_hint="--yes")
        if self.ask("Go on? [y/N]").strip().lower() not in {"y", "yes"}:
            err.print("nothing was done")
            raise typer.Exit(ExitCode.INCOMPLETE)

    def confirm_name(self, what: str, given: str | None) -> None:
        """Ask for the name of the DLQ before everything in it is deleted. Without a terminal, requires --confirm."""
        tell(what)
        if given is None and not sys.stdin.isatty():
            raise typer.BadParameter(f"is required: --confirm {self.dlq.name}", param_hint="--confirm")
        typed = self.ask(f"Type the queue's name ({one_line(self.dlq.name)}) to go on:") if given is None else given
        if typed.strip() != self.dlq.name:
            raise typer.BadParameter(f"{one_line(typed)!r} is not {self.dlq.name}", param_hint="--confirm")

    @staticmethod
    def ask(question: str) -> str:
        """Read a line from the terminal. A signal ends the command at once; its messages are released."""
        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, _end_now),
            signal.SIGTERM: signal.signal(signal.SIGTERM, _end_now),
        }
        err.print(f"{question} ", end="", markup=False, highlight=False, soft_wrap=True)
        try:
            _wait_for_line()
            line = sys.stdin.readline()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if not line:  # Ctrl-D
            raise typer.Exit(ExitCode.INTERRUPTED)
        return line

    # -- reporting --------------------------------------------------------------------------------------------

    def count(self, state: str, calls: int = 1) -> None:
        """Count calls in CloudWatch, if this is switched on."""
        namespace = self.settings.cloudwatch_namespace
        if self._cloudwatch is None or not namespace or not calls:
            return
        dimensions = [{"Name": "Service", "Value": "dlq_redrive"}, {"Name": "State", "Value": state}]
        data = [{"MetricName": "Calls", "Dimensions": dimensions, "Value": float(calls), "Unit": "Count"}]
        put(self._cloudwatch, namespace, data)

    def send_metrics(self, figures: Mapping[str, float]) -> None:
        """Send metrics to CloudWatch, if this is switched on."""
        if self._cloudwatch is not None and self.settings.cloudwatch_namespace:
            tell_cloudwatch(self._cloudwatch, self.settings.cloudwatch_namespace, figures)


def _wait_for_line() -> None:
    """Return once stdin can be read. A signal is heeded at once.

    Without this, a signal that comes just before the read begins would be heeded only once a line was typed.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno())
        try:
            select.select([sys.stdin, reader], [], [])
        finally:
            signal.set_wakeup_fd(before)


def _end_now(number: int, _frame: FrameType | None) -> NoReturn:
    say_stopping(number, "stopping: messages are given back")
    raise typer.Exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)

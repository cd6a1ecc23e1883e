"""What every verb of `dlq` works with: its clients, what it asks, and what it says of a result."""

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from recovery.cli.operator import operator
from recovery.cli.settings import ToolOptions, ToolSettings, queue_url
from recovery.cli.view.progress import ProgressBar
from recovery.operations.clients import DlqClients, attributes_of, retention_of
from recovery.operations.dead_letters.message_types import MessageTypes, load_types
from recovery.operations.find import keep_invisible
from recovery.operations.records.audit import Recorded
from recovery.operations.run import Run
from recovery.operations.transfer.targets import Target, dlq_target, redrive_target
from worker.core.base.aws import Aws
from worker.core.base.cloudwatch import put, tell_cloudwatch
from worker.core.base.errors import ConfigError, ExitCode
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import KIB, Settings, load
from worker.core.base.text import one_line
from worker.core.clients import Clients
from worker.core.index.open import open_index
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import Queue, SqsQueue
from worker.core.sqs.visibility import VisibilityExtender
from worker.terminal import Signals, err, say

DLQ, SOURCE = "dlq", "source"
"""What --to may say instead of a queue's name."""


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
        self._sqs = aws.sqs()
        # made first: what is wrong with it must not come out between a change and its audit
        self._cloudwatch = aws.cloudwatch() if settings.cloudwatch_namespace else None
        self.dlq: Queue = SqsQueue(self._sqs, settings.dlq_queue_url)
        self.attributes: Mapping[str, str] = {}
        """The DLQ's, once it was checked."""

    # -- what it works with --------------------------------------------------------------------------------------

    @cached_property
    def clients(self) -> DlqClients:
        """The clients of every operation but `recover`. Raises ConfigError where the message types cannot be read."""
        return DlqClients(self.dlq, self.objects, self.state, self.types, self.settings.s3_bucket)

    @cached_property
    def types(self) -> MessageTypes:
        """The declared message types. Raises ConfigError."""
        return load_types(self.settings.message_types_dir, default_bucket=self.settings.s3_bucket)

    @cached_property
    def objects(self) -> S3ObjectStore:
        """S3; of objects, no byte is read."""
        return self._object_store(spool_bytes=64 * KIB, max_object_bytes=0, temp_dir=Path(tempfile.gettempdir()))

    @cached_property
    def state(self) -> State | None:
        """The state bucket, where one is set."""
        bucket = self.settings.state_bucket or self.settings.s3_bucket
        return S3State(self.objects, bucket) if bucket else None

    def need_state(self, why: str) -> State:
        """The state bucket. Raises ConfigError that says what it is needed for, or what is wrong with it."""
        return self.clients.need_state(self.run.command, why)

    def worker_settings(self) -> Settings:
        """The worker's settings, with this command's options over them. Raises ConfigError."""
        own = self.settings
        given = {"dlq_queue_url": own.dlq_queue_url, "sqs_queue_url": own.sqs_queue_url, "aws_region": own.aws_region}
        return load(**{name: value for name, value in given.items() if value is not None})

    def indexing_clients(self, settings: Settings) -> Clients:
        """This command's clients, and the index; objects are read whole, within the worker's limits. Raises ConfigError."""
        self.objects = self._object_store(
            spool_bytes=settings.spool_bytes, max_object_bytes=settings.max_object_bytes, temp_dir=settings.temp_dir
        )
        self.state = S3State(self.objects, settings.state)
        source = SqsQueue(self._sqs, settings.sqs_queue_url)
        index = open_index(settings, self.aws.credentials)
        return Clients(self.aws, source, self.dlq, self.objects, self.state, index)

    def check_dlq(self) -> None:
        """Ask the DLQ for its attributes. Raises ConfigError or DependencyError that names the setting."""
        self.attributes = attributes_of(self.dlq, called="DLQ_QUEUE_URL")

    @property
    def retention_s(self) -> int:
        """How long the DLQ keeps a message, seconds since it was first sent."""
        return retention_of(self.attributes)

    def queue(self, named: str) -> Queue:
        """A queue by its URL or name. Raises ConfigError."""
        return SqsQueue(self._sqs, named if "://" in named else queue_url(self.aws, named))

    def source(self) -> Queue:
        """The queue that messages came from. Raises ConfigError where none is set, or it is the DLQ itself."""
        url = self.settings.sqs_queue_url
        if url is None:
            raise ConfigError("SQS_QUEUE_URL (or --queue, or FRONTIER_URL) is missing: the queue to send to")
        if url == self.dlq.url:
            raise ConfigError(f"SQS_QUEUE_URL and DLQ_QUEUE_URL are the same queue, {url}")
        return SqsQueue(self._sqs, url)

    def redrive_target(self, to: str | None, *, force: bool, while_paused: bool) -> Target:
        """The queue that --to names, or the source. Raises ConfigError, DependencyError or PausedError."""
        queue = self.source() if to is None else self.queue(to)
        return redrive_target(self.clients, queue, is_named=to is not None, force=force, while_paused=while_paused)

    def place(self, to: str, *, force: bool, while_paused: bool) -> Target:
        """`dlq`, `source`, or a queue by URL or name. Raises ConfigError, DependencyError or PausedError."""
        if to == DLQ:
            return dlq_target(self.clients)
        return self.redrive_target(None if to == SOURCE else to, force=force, while_paused=while_paused)

    @contextmanager
    def keep_invisible(self) -> Iterator[VisibilityExtender]:
        """Keep dead letters invisible while this lasts; they are released at its end, however it comes."""
        with keep_invisible(self.clients, self.run) as extender:
            yield extender

    def progress(self, total: int | None) -> ProgressBar:
        """How far the sending is."""
        return ProgressBar(
            total,
            lambda now, per_second: emit(LogEvent.REDRIVE_PROGRESS, done=now.done, total=now.total, per_second=per_second),
        )  # fmt: skip

    def _object_store(self, *, spool_bytes: int, max_object_bytes: int, temp_dir: Path) -> S3ObjectStore:
        return S3ObjectStore(self.aws, spool_bytes=spool_bytes, max_object_bytes=max_object_bytes, temp_dir=temp_dir)

    # -- what it asks --------------------------------------------------------------------------------------------

    def confirm(self, what: str, *, yes: bool) -> None:
        """Ask before a change to more than one message; elsewhere than on a terminal, --yes must say it."""
        err.print(one_line(what), markup=False, highlight=False, soft_wrap=True)
        if yes:
            return
        if not sys.stdin.isatty():
            raise typer.BadParameter("is needed where there is no terminal to ask on", param_hint="--yes")
        if self.ask("Go on? [y/N]").strip().lower() not in {"y", "yes"}:
            err.print("nothing was done")
            raise typer.Exit(ExitCode.INCOMPLETE)

    def confirm_name(self, what: str, given: str | None) -> None:
        """Ask for the DLQ's name before everything in it goes; elsewhere than on a terminal, --confirm must say it."""
        err.print(one_line(what), markup=False, highlight=False, soft_wrap=True)
        if given is None and not sys.stdin.isatty():
            raise typer.BadParameter(f"is needed: --confirm {self.dlq.name}", param_hint="--confirm")
        typed = self.ask(f"Type the queue's name ({one_line(self.dlq.name)}) to go on:") if given is None else given
        if typed.strip() != self.dlq.name:
            raise typer.BadParameter(f"{one_line(typed)!r} is not {self.dlq.name}", param_hint="--confirm")

    @staticmethod
    def ask(question: str) -> str:
        """A line from the terminal; a signal ends the command at once, what is in flight is released."""
        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, _end_now),
            signal.SIGTERM: signal.signal(signal.SIGTERM, _end_now),
        }
        err.print(f"{question} ", end="", markup=False, highlight=False, soft_wrap=True)
        try:
            line = sys.stdin.readline()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if not line:  # Ctrl-D
            raise typer.Exit(ExitCode.INTERRUPTED)
        return line

    # -- what it says --------------------------------------------------------------------------------------------

    def report_recorded(self, recorded: Recorded) -> ExitCode:
        """Say where the audit of a change is; INCOMPLETE where the state bucket did not take it."""
        if recorded.problem:
            say("audit", f"it is in the log alone, the state bucket did not take it: {recorded.problem}")
            return ExitCode.INCOMPLETE
        where = f"recorded in {recorded.key}" if recorded.key else "recorded in the log alone: no STATE_BUCKET"
        err.print(where, soft_wrap=True)
        return ExitCode.OK

    def count(self, state: str, calls: int = 1) -> None:
        """Tell CloudWatch of calls, where it is switched on."""
        namespace = self.settings.cloudwatch_namespace
        if self._cloudwatch is None or not namespace or not calls:
            return
        dimensions = [{"Name": "Service", "Value": "dlq_redrive"}, {"Name": "State", "Value": state}]
        data = [{"MetricName": "Calls", "Dimensions": dimensions, "Value": float(calls), "Unit": "Count"}]
        put(self._cloudwatch, namespace, data)

    def send_metrics(self, figures: Mapping[str, float]) -> None:
        """Tell CloudWatch what was found, where it is switched on."""
        if self._cloudwatch is not None and self.settings.cloudwatch_namespace:
            tell_cloudwatch(self._cloudwatch, self.settings.cloudwatch_namespace, figures)


def _end_now(number: int, _frame: FrameType | None) -> NoReturn:
    raise typer.Exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)

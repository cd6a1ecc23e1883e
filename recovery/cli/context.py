"""What every verb of `dlq` stands on: its clients, what it holds, what it asks, what it records."""

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import typer

from recovery.cli.settings import ToolSettings, queue_url
from recovery.operations.audit import audit, new_run
from recovery.operations.holders import holding
from recovery.operations.message_types import MessageTypes, load_types
from recovery.operations.recovery_run import RETENTION_S
from recovery.operations.scan import HELD_S
from worker.core.base.aws import Aws
from worker.core.base.classify import is_transient
from worker.core.base.cloudwatch import put, tell_cloudwatch
from worker.core.base.errors import ConfigError, DependencyError, ExitCode, PausedError, QueueError, StoreError
from worker.core.base.settings import KIB
from worker.core.base.text import one_line
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import Queue, SqsQueue
from worker.core.sqs.visibility import VisibilityExtender
from worker.terminal import Signals, err, say

CONNECTIONS = 32


class CommandContext:
    """One run of one verb."""

    def __init__(self, settings: ToolSettings, verb: str, signals: Signals, *, as_json: bool) -> None:
        self.settings = settings
        self.verb = verb
        self.signals = signals
        self.as_json = as_json
        self.run = new_run(f"dlq-{verb}")
        self.aws = Aws(region=settings.aws_region, connections=CONNECTIONS)
        self._sqs = self.aws.sqs()
        # made at the door: what is wrong with it must not come out between a change and its audit
        self._cloudwatch = self.aws.cloudwatch() if settings.cloudwatch_namespace else None
        self.dlq = SqsQueue(self._sqs, settings.dlq_queue_url)
        self.attributes: Mapping[str, str] = {}
        """The DLQ's, once it was checked."""

    # -- what it works with --------------------------------------------------------------------------------------

    @cached_property
    def types(self) -> MessageTypes:
        """The declared message types. Raises ConfigError."""
        return load_types(self.settings.message_types_dir, default_bucket=self.settings.s3_bucket)

    @cached_property
    def objects(self) -> S3ObjectStore:
        """S3, as the worker asks it."""
        return S3ObjectStore(
            self.aws, spool_bytes=64 * KIB, max_object_bytes=0, temp_dir=Path(tempfile.gettempdir())
        )  # fmt: skip

    @cached_property
    def state(self) -> State | None:
        """The state bucket, where one is set."""
        bucket = self.settings.state_bucket or self.settings.s3_bucket
        return S3State(self.objects, bucket) if bucket else None

    def need_state(self, why: str) -> State:
        """The state bucket. Raises ConfigError that says what it is needed for, or what is wrong with it."""
        if self.state is None:
            raise ConfigError(f"STATE_BUCKET is missing: `dlq {self.verb}` {why}")
        try:
            self.objects.check_bucket(self.state.bucket)
        except StoreError as error:
            if error.code in {"NoSuchBucket", "AccessDenied"}:
                raise ConfigError(f"STATE_BUCKET={self.state.bucket}: {error}") from error
            raise
        return self.state

    def check_dlq(self) -> None:
        """Ask the DLQ for its attributes. Raises ConfigError or DependencyError that names the setting."""
        try:
            self.attributes = self.dlq.attributes()
        except QueueError as error:
            kind = DependencyError if is_transient(error) else ConfigError
            raise kind(f"DLQ_QUEUE_URL={self.dlq.url}: {error}") from error

    @property
    def retention_s(self) -> int:
        """How long the DLQ keeps a message, seconds since it was first sent."""
        return int(self.attributes.get("MessageRetentionPeriod", RETENTION_S))

    def queue(self, named: str) -> Queue:
        """A queue by its URL or name. Raises ConfigError."""
        return SqsQueue(self._sqs, named if "://" in named else queue_url(named))

    def source(self) -> Queue:
        """The queue that messages came from. Raises ConfigError where none is set, or it is the DLQ itself."""
        url = self.settings.sqs_queue_url
        if url is None:
            raise ConfigError("SQS_QUEUE_URL (or FRONTIER_URL, or --queue) is missing: the queue to send to")
        if url == self.dlq.url:
            raise ConfigError(f"SQS_QUEUE_URL and DLQ_QUEUE_URL are the same queue, {url}")
        return SqsQueue(self._sqs, url)

    @contextmanager
    def keep_invisible(self) -> Iterator[VisibilityExtender]:
        """Keep letters invisible while this lasts; they are given back at its end, however it comes."""
        with ExitStack() as stack:
            stack.enter_context(holding(self.state, f"dlq {self.verb}"))
            yield stack.enter_context(VisibilityExtender(self.dlq, visibility_s=HELD_S).running())

    # -- what it may do ------------------------------------------------------------------------------------------

    def refuse_while_paused(self, *, while_paused: bool) -> None:
        """Raises PausedError where the fleet is paused; without a state bucket nothing can be paused."""
        record = None if while_paused or self.state is None else self.state.pause_record()
        if record is not None:
            by = record.get("by", "?")
            raise PausedError(f"by {by}: {record['reason']}. After `s3-index-worker resume`, or with --while-paused")

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
        """A line from the terminal; a signal ends the command at once, what is held is given back."""
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

    # -- what it records -----------------------------------------------------------------------------------------

    def record(self, ids: Sequence[str], result: Mapping[str, Any], **details: Any) -> ExitCode:
        """Write the audit of what was changed; INCOMPLETE where the state bucket did not take it."""
        details = {"dlq": self.dlq.url, **details}
        try:
            key = audit(self.state, self.verb, run=self.run, ids=ids, result=result, **details)
        except StoreError as error:
            audit(None, self.verb, run=self.run, ids=ids, result=result, **details)
            say("audit", f"it is in the log alone, the state bucket did not take it: {error}")
            return ExitCode.INCOMPLETE
        err.print(f"recorded in {key}" if key else "recorded in the log alone: no STATE_BUCKET", soft_wrap=True)
        return ExitCode.OK

    def count(self, state: str, calls: int = 1) -> None:
        """Tell CloudWatch of calls, where it is switched on."""
        namespace = self.settings.cloudwatch_namespace
        if self._cloudwatch is None or not namespace or not calls:
            return
        dimensions = [{"Name": "Service", "Value": "dlq_redrive"}, {"Name": "State", "Value": state}]
        data: Any = [{"MetricName": "Calls", "Dimensions": dimensions, "Value": float(calls), "Unit": "Count"}]
        put(self._cloudwatch, namespace, data)

    def tell(self, figures: Mapping[str, float]) -> None:
        """Tell CloudWatch what was found, where it is switched on."""
        if self._cloudwatch is not None and self.settings.cloudwatch_namespace:
            tell_cloudwatch(self._cloudwatch, self.settings.cloudwatch_namespace, figures)


def _end_now(number: int, _frame: FrameType | None) -> NoReturn:
    raise typer.Exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)

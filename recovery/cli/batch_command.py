"""What all commands that process many messages or records share: progress, run, report, CloudWatch metrics, exit code.

The operation itself checks its preconditions.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from recovery.cli.view.progress import ProgressBar
from recovery.cli.view.report import Wording, report_table
from recovery.operations.progress import OnProgress, Progress
from recovery.operations.report import Report
from worker.core.base.aws import Aws
from worker.core.base.cloudwatch import tell_cloudwatch
from worker.core.base.errors import ExitCode
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients, connect
from worker.layout import show
from worker.terminal import Signals, configure_command_logs, print_json, show_recorded, stdout

Operate = Callable[[threading.Event, OnProgress], Report]
"""Runs the operation, given its stop event and its progress callback."""


@dataclass(frozen=True, slots=True)
class BatchCommand:
    """How the runs of one operation are displayed, logged and measured."""

    wording: Wording
    log_progress: Callable[[Progress, float], None]
    figures: Mapping[str, StrEnum]
    """The CloudWatch metrics: the name of each, and the result that it counts."""


def run_program(
    command: BatchCommand,
    operate: Callable[[Settings, Clients, threading.Event, OnProgress], Report],
    *,
    as_json: bool,
    verbose: bool,
) -> ExitCode:
    """Run an operation as a program of its own, with the settings of the environment. Raises as `run_batch` does."""
    settings = load()
    configure_command_logs(settings.log_level, settings.log_format, verbose=verbose)
    clients = connect(settings)
    with Signals().heeded() as signals:
        return run_batch(
            command,
            lambda stop, on_progress: operate(settings, clients, stop, on_progress),
            settings=settings,
            aws=clients.aws,
            signals=signals,
            as_json=as_json,
        )


def run_batch(
    command: BatchCommand,
    operate: Operate,
    *,
    settings: Settings,
    aws: Aws,
    signals: Signals,
    as_json: bool,
    must_find: bool = False,
) -> ExitCode:
    """Run an operation, print its report to stdout, and return the exit code; with `must_find`, NOT_FOUND if nothing was handled.

    Raises WorkerError if the run could not start, or, after printing the report, if it was aborted by an error.
    """
    # created first, so that a mistyped address is reported before anything is changed
    cloudwatch = aws.cloudwatch() if settings.cloudwatch_namespace else None
    with ProgressBar(None, command.log_progress) as bar:
        report = operate(signals.stop, bar.show)
    if as_json:
        print_json(report.as_json())
    else:
        show(stdout(), report_table(report, command.wording))
    if settings.cloudwatch_namespace and cloudwatch is not None and not report.dry_run:
        figures = {name: report.counts[result] for name, result in command.figures.items()}
        tell_cloudwatch(cloudwatch, settings.cloudwatch_namespace, figures)
    recorded = ExitCode.OK if report.recorded is None else show_recorded(report.recorded)
    if signals.exit_code is not None:
        return signals.exit_code
    if report.failure is not None:
        raise report.failure
    if must_find and not report.handled:
        return ExitCode.NOT_FOUND
    return max(recorded, ExitCode.INCOMPLETE if report.is_unfinished else ExitCode.OK)

"""`reconcile_index`: account for every object of a bucket, show what is lost, and fix it on demand."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from recovery.cli.caller import STREAM
from recovery.cli.files import file_to_write
from recovery.cli.options import WhilePaused, Yes
from recovery.cli.places import DEFAULT_PLACES, default_places
from recovery.cli.view.progress import ProgressBar
from recovery.cli.view.reconciled import fixed_sentences, result_table, totals
from recovery.cli.view.tables import print_sentence
from recovery.operations.progress import Progress
from recovery.operations.reconcile import reconcile, record_fixed, work_on
from recovery.operations.reconciling.fixing import Fixed, FixRequest, fix, refusal
from recovery.operations.reconciling.report_page import PagePart, page
from recovery.operations.reconciling.request import Reconciled, ReconcileRequest
from recovery.operations.reconciling.result_files import write_csv, write_csv_header
from recovery.operations.reconciling.work_file import WorkFile
from recovery.operations.records.export_file import check_new
from recovery.operations.transfer.jobs import DEFAULT_RATE
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import Run
from worker.core.base.errors import ExitCode, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.clients import Clients, connect
from worker.layout import show
from worker.terminal import (
    Json,
    Signals,
    agreed,
    check_can_ask,
    distinct_places,
    err,
    load_for_command,
    new_app,
    operator,
    place_of,
    print_json,
    run_app,
    say,
    say_error,
    seconds,
    show_recorded,
    stdout,
)

app = new_app("reconcile_index")


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: reconcile_index | reconcile_index s3://our-files/legal/ --json | reconcile_index s3://our-files --fix | "
    "reconcile_index s3://our-files --since 7d --csv week.csv --html week.html"
)
def reconcile_index(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Buckets or parts of them: s3://BUCKET, s3://BUCKET/PREFIX. Default: {DEFAULT_PLACES}.",
            metavar="S3-URL",
            show_default=False,
        ),
    ] = None,
    to_fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Send what is missing or stale to the queue; remove documents of objects that are gone."
        ),
    ] = False,
    direct: Annotated[bool, typer.Option("--direct", help="With --fix: index what is lost here instead.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, help="With --fix: objects per second at most. Default: 100; any with --direct."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --fix: remove even this many documents; you have checked the listing.")
    ] = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
    sample: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Compare only this many objects, chosen at random.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Compare only objects modified recently: in the last 30m, 2h, 7d.")
    ] = None,
    csv: Annotated[
        str | None, typer.Option(help="New file for every object and its state; - for stdout.", metavar="FILE")
    ] = None,
    html: Annotated[
        str | None, typer.Option(help="New file for a report to read in a browser; - for stdout.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare buckets with the index and with all that waits elsewhere: every object is in exactly one state.

    Without --fix, nothing is changed. An interrupted run is continued by the next one. Exit codes: 0 everything is accounted
    for or fixed, 3 something is not, or the fix was refused or declined, 64, 69, 70, 75, 78, 130, 143.
    """
    if not to_fix and (direct or force or rate is not None):
        raise typer.BadParameter("is required for --direct, --force and --rate", param_hint="--fix")
    if csv == STREAM and html == STREAM:
        raise typer.BadParameter("can be stdout only for one of --csv and --html", param_hint="--html")
    since_s = seconds(since, "--since")
    chosen = distinct_places([place_of(one) for one in places or ()])
    settings = load_for_command()
    clients = connect(settings)
    how = FixRequest(direct, rate or (None if direct else DEFAULT_RATE), force, while_paused) if to_fix else None
    run = Run.new("reconcile_index", action="reconcile", by=operator())
    requests = [ReconcileRequest(run, place, sample, since_s) for place in chosen or default_places(settings, clients)]
    with _new_file(csv, "--csv") as table, _new_file(html, "--html") as report:
        command = _Command(settings, clients, how, _Files(table, report), yes=yes)
        code = command.run_all(requests, as_json=as_json)
    raise typer.Exit(code)


@contextmanager
def _new_file(given: str | None, hint: str) -> Iterator[BinaryIO | None]:
    """The new file that was given for an option; it is removed if the run fails."""
    if given is None:
        yield None
        return
    with file_to_write(given, hint) as file:
        check_new(file)
        with file.new() as stream:
            yield stream


class _Files:
    """The files to which the result is written, besides what is printed."""

    def __init__(self, table: BinaryIO | None, page: BinaryIO | None) -> None:
        self._table = table
        self._page = page
        self._parts: list[PagePart] = []
        if table is not None:
            write_csv_header(table)

    def add(self, result: Reconciled, work: WorkFile) -> None:
        """Write the result of one place, or keep what the page shows of it."""
        if self._table is not None:
            write_csv(self._table, work, result.place)
        if self._page is not None:
            self._parts.append(PagePart(result, work.by_prefix(result.place.prefix)))

    def finish(self) -> None:
        """Write the page."""
        if self._page is not None:
            self._page.writelines(page(self._parts, by=operator()))


@dataclass(slots=True)
class _Outcome:
    """What became of one place."""

    result: Reconciled
    fixed: Fixed | None = None

    @property
    def code(self) -> ExitCode:
        if self.fixed is None:
            return ExitCode.OK if self.result.is_accounted else ExitCode.INCOMPLETE
        return ExitCode.OK if self.fixed.is_complete else ExitCode.INCOMPLETE


class _Command:
    """One run of the command over its places."""

    def __init__(
        self, settings: Settings, clients: Clients, how: FixRequest | None, files: _Files, *, yes: bool
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._how = how
        self._files = files
        self._yes = yes
        self._signals = Signals()
        self._outcomes: list[_Outcome] = []
        self._failures: list[ExitCode] = []  # of places that could not be reconciled

    def run_all(self, requests: list[ReconcileRequest], *, as_json: bool) -> ExitCode:
        """Reconcile one place after another, and print the results; the exit code."""
        if self._how is not None:  # not only once everything was read
            refuse_while_paused(self._clients.state, while_paused=self._how.while_paused)
            if not self._yes:
                check_can_ask()
        for request in requests:
            try:
                if not self._run(request):
                    break
            except WorkerError as error:  # one bucket that cannot be read keeps no other from being reconciled
                if len(requests) == 1:
                    raise
                self._failures.append(say_error(error, about=str(request.place)))
        self._files.finish()
        code = self._show(as_json=as_json)
        if len(self._outcomes) < len(requests):
            raise typer.Exit(code)  # which removes the files: they are not complete
        return code

    def _run(self, request: ReconcileRequest) -> bool:
        """Reconcile one place, and fix it if that is wanted; False after a signal."""
        folder = Path(os.environ.get("STATE_DIRECTORY") or self._settings.temp_dir) / f"reconcile-{os.getuid()}"
        with work_on(self._settings, self._clients, request, folder) as work:
            with self._signals.heeded() as signals, ProgressBar(None, _log) as bar:
                result = reconcile(
                    self._settings, self._clients, request, work, stop=signals.stop, on_progress=bar.show
                )  # fmt: skip
            if result is None:
                kept = "" if request.is_partial else "; the listing is kept, and the next run goes on from there"
                err.print(f"stopped{kept}")
                return False
            outcome = _Outcome(result)
            self._outcomes.append(outcome)
            self._files.add(result, work)
            if self._how is not None:
                self._fix(request, work, outcome, self._how)
        return self._signals.exit_code is None

    def _fix(self, request: ReconcileRequest, work: WorkFile, outcome: _Outcome, how: FixRequest) -> None:
        result = outcome.result
        why = "" if how.force else refusal(result)
        if why:
            say("refused", f"{why}; if that is right, use --force. Nothing was changed")
            return
        if not result.unaccounted:
            return
        if not self._yes and not agreed(_question(result)):
            err.print("nothing was changed")
            return
        with self._signals.heeded() as signals, ProgressBar(result.unaccounted, _log) as bar:
            outcome.fixed = fix(
                self._settings, self._clients, request, how, work, stop=signals.stop, on_progress=bar.show
            )  # fmt: skip
        if outcome.fixed.is_complete:
            record_fixed(self._clients, request)

    def _show(self, *, as_json: bool) -> ExitCode:
        """Print the results; the exit code."""
        stopped = self._signals.exit_code is not None
        codes = [ExitCode.OK, *self._failures, *(one.code for one in self._outcomes)]
        if as_json:
            fixed = [one.fixed.as_json() if one.fixed else None for one in self._outcomes]
            print_json(
                {
                    **totals([one.result for one in self._outcomes], stopped=stopped),
                    **({"fixed": fixed} if self._how else {}),
                }
            )
        for one in self._outcomes:
            if not as_json:
                show(stdout(), result_table(one.result))
                for sentence in fixed_sentences(one.fixed) if one.fixed else ():
                    print_sentence(sentence)
            if one.fixed is not None and one.fixed.recorded is not None:
                codes.append(show_recorded(one.fixed.recorded))
        return self._signals.exit_code or max(codes)


def _question(result: Reconciled) -> str:
    lost = result.unaccounted - result.orphans - result.future
    waiting = f" ({result.unsettled:,} messages are waiting, which may do a part of it)" if result.unsettled else ""
    return f"{result.place}: index {lost:,} objects, and remove {result.orphans:,} documents whose objects are gone?{waiting}"


def _log(now: Progress, per_second: float) -> None:
    left = (now.total or 0) - now.done
    eta_s = round(left / per_second) if now.total and per_second and left >= 0 else None
    emit(LogEvent.RECONCILE_PROGRESS, done=now.done, per_second=per_second, counts=dict(now.counts), eta_s=eta_s)


if __name__ == "__main__":
    main()

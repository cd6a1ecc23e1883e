"""`backfill_index`: bring the objects of a bucket that existed before the worker into the index."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, BinaryIO

import typer

from recovery.cli.batch_command import BatchCommand, run_batch
from recovery.cli.files import file_to_read
from recovery.cli.options import DryRun, WhilePaused
from recovery.cli.view.backfilled import WORDING, estimate_sentences
from recovery.cli.view.progress import ProgressBar
from recovery.cli.view.report import report_table
from recovery.cli.view.tables import print_sentence
from recovery.operations.backfill import backfill
from recovery.operations.backfilling.inventory import Inventory
from recovery.operations.backfilling.keys_file import KeysFile
from recovery.operations.backfilling.request import (
    BEFORE,
    DEFAULT_MAX_DEPTH_S,
    BackfillRequest,
    BackfillResult,
    SourceError,
)
from recovery.operations.backfilling.sources import Listing, Source
from recovery.operations.estimate_backfill import estimate_backfill
from recovery.operations.progress import OnProgress, Progress
from recovery.operations.report import Report
from recovery.operations.transfer.jobs import DEFAULT_RATE
from worker.core.audit import Run
from worker.core.base.errors import ExitCode
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.base.text import one_line
from worker.core.clients import Clients, connect, open_objects
from worker.core.s3.objects import Place
from worker.layout import show
from worker.terminal import (
    Json,
    Signals,
    distinct_places,
    err,
    load_for_command,
    new_app,
    operator,
    place_of,
    print_json,
    run_app,
    stdout,
    tell,
)

DEFAULT_SAMPLE = 200
UNLIMITED_BYTES = 1 << 62

app = new_app("backfill_index")


def main() -> None:
    """Run the command and exit."""
    run_app(app)


def _log(now: Progress, per_second: float) -> None:
    left = None if now.total is None else max(0, now.total - now.done)
    eta_s = round(left / per_second) if left is not None and per_second else None
    emit(LogEvent.BACKFILL_PROGRESS, done=now.done, per_second=per_second, counts=dict(now.counts), eta_s=eta_s)


BACKFILL = BatchCommand(WORDING, _log, {"StoredForRetry": BackfillResult.STORED_FOR_RETRY})


@app.command(
    epilog="Examples: backfill_index s3://our-files --dry-run | backfill_index s3://our-files/legal/ --rate 50 | "
    "backfill_index s3://our-files --inventory s3://our-lists/our-files/daily/2026-11-29T01-00Z/manifest.json | "
    "backfill_index s3://our-files --keys keys.txt --direct"
)
def backfill_index(
    places: Annotated[
        list[str],
        typer.Argument(
            help="Buckets or parts of them: s3://BUCKET, s3://BUCKET/PREFIX.", metavar="S3-URL", show_default=False
        ),
    ],
    inventory: Annotated[
        str | None,
        typer.Option(
            help="Take the keys from an S3 Inventory of this bucket, instead of a listing: s3://BUCKET/.../manifest.json.",
            metavar="S3-URL",
        ),
    ] = None,
    keys: Annotated[
        str | None, typer.Option(help="Take the keys from a file, one per line, in UTF-8; - for stdin.", metavar="FILE")
    ] = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Index the objects here, instead of sending them to the queue.")
    ] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Objects per second at most. Default: 100; any with --direct.")
    ] = None,
    max_depth: Annotated[
        int | None,
        typer.Option(min=0, help="Send nothing while more wait, or were sent in a minute. Default: 60 times --rate."),
    ] = None,
    dry_run: DryRun = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="With --dry-run: number of objects to measure. Default: 200."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over, instead of continuing where the last run was interrupted.")
    ] = False,
    while_paused: WhilePaused = False,
    as_json: Json = False,
) -> None:
    """Send the objects of a bucket to the queue, so that workers index them, except those that the index already holds.

    It yields to live events, and an interrupted run is continued by the next one. Exit codes: 0 all handled, 1 there is no
    object, 3 some failed, 64, 69, 75, 78, 130, 143.
    """
    chosen = distinct_places([place_of(one) for one in places])
    _check_together(chosen, inventory, keys)
    if direct and max_depth is not None:
        raise typer.BadParameter("has no meaning with --direct, which sends nothing", param_hint="--max-depth")
    if sample is not None and not dry_run:
        raise typer.BadParameter("is required for --sample", param_hint="--dry-run")
    listed = None if inventory is None else _manifest(inventory)
    settings = load_for_command()
    clients = connect(settings)
    request = BackfillRequest(
        Run.new("backfill_index", action="backfill", by=operator()), direct, rate or (None if direct else DEFAULT_RATE),
        round((rate or DEFAULT_RATE) * DEFAULT_MAX_DEPTH_S) if max_depth is None else max_depth, restart, while_paused,
    )  # fmt: skip
    with Signals().heeded() as signals, _source(settings, clients, chosen, listed, keys, signals) as source:
        command = _Command(settings, clients, request, source, signals, as_json=as_json)
        code = command.estimate(sample or DEFAULT_SAMPLE) if dry_run else command.run()
    raise typer.Exit(code)


def _check_together(places: list[Place], inventory: str | None, keys: str | None) -> None:
    """Raises a usage error if there are two sources, or places of which a source cannot be."""
    if inventory is not None and keys is not None:
        raise typer.BadParameter("cannot be used together with --inventory", param_hint="--keys")
    if len(places) > 1 and (inventory is not None or keys is not None):
        raise typer.BadParameter("must be one place with --inventory or --keys", param_hint="S3-URL")


def _manifest(given: str) -> Place:
    """Where the manifest of an inventory is. Raises a usage error if it cannot be one."""
    place = place_of(given)
    if not place.prefix or place.prefix.endswith("/"):
        raise typer.BadParameter(f"{given!r} is a folder; name its manifest.json", param_hint="--inventory")
    return place


@contextmanager
def _source(
    settings: Settings, clients: Clients, places: list[Place], inventory: Place | None, keys: str | None, signals: Signals
) -> Iterator[Source]:  # fmt: skip
    """The source that was given. Raises a usage error where it cannot be used, then or later."""
    try:
        if keys is not None:
            with _opened(keys) as (stream, name):
                yield KeysFile(stream, name, places[0])
        elif inventory is not None:
            store = open_objects(settings, clients.aws, max_object_bytes=UNLIMITED_BYTES)
            yield Inventory(store, inventory, places[0], stop=signals.stop)
        else:
            yield Listing(clients.objects, clients.state, places)
    except SourceError as error:
        hint = "--inventory" if keys is None else "--keys"
        raise typer.BadParameter(one_line(str(error)), param_hint=hint) from None


@contextmanager
def _opened(keys: str) -> Iterator[tuple[BinaryIO, str]]:
    """The file of keys, which can be read again and again, and its name. Raises SourceError."""
    with file_to_read(keys, "--keys") as file, ExitStack() as stack:
        try:
            stream = file.open()
            if stream is None:
                raise SourceError(f"{file.name} cannot be read again")
            stack.enter_context(stream)
            if not stream.seekable():  # a pipe
                spool = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(stream, spool)
                stream = spool
        except OSError as error:
            raise SourceError(f"{file.name}: {error.strerror or error}") from None
        yield stream, file.name


class _Command:
    """One run of the command."""

    def __init__(
        self, settings: Settings, clients: Clients, request: BackfillRequest, source: Source, signals: Signals, *,
        as_json: bool,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clients = clients
        self._request = request
        self._source = source
        self._signals = signals
        self._as_json = as_json

    def run(self) -> ExitCode:
        """Send or index what is to be done; the exit code."""
        reports: list[Report] = []

        def operate(stop: threading.Event, on_progress: OnProgress) -> Report:
            report = backfill(
                self._settings, self._clients, self._request, self._source, stop=stop, on_progress=on_progress
            )
            reports.append(report)
            return report

        code = run_batch(
            BACKFILL, operate, settings=self._settings, aws=self._clients.aws, signals=self._signals, as_json=self._as_json
        )  # fmt: skip
        if self._signals.exit_code is not None:
            err.print("stopped; the next run goes on from there")
        return self._checked(code, reports[0])

    def estimate(self, sample: int) -> ExitCode:
        """Say what a run would do and take; the exit code."""
        with ProgressBar(None, _log) as bar:
            found = estimate_backfill(
                self._settings, self._clients, self._request, self._source, sample=sample, stop=self._signals.stop,
                on_progress=bar.show,
            )  # fmt: skip
        if found is None:
            return self._signals.exit_code or ExitCode.INTERRUPTED
        if self._as_json:
            print_json({**found.report.as_json(), "estimate": found.as_json()})
        else:
            show(stdout(), report_table(found.report, WORDING))
            for sentence in estimate_sentences(found, self._request):
                print_sentence(sentence)
        return self._checked(ExitCode.OK, found.report)

    def _checked(self, code: ExitCode, report: Report) -> ExitCode:
        """The exit code, or NOT_FOUND if the source has no object at all."""
        if code is not ExitCode.OK or report.handled or report.also[BEFORE]:
            return code
        places = ", ".join(map(str, self._source.places))
        tell(f"there is no object in {places}")
        return ExitCode.NOT_FOUND


if __name__ == "__main__":
    main()

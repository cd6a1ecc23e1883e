"""`s3-index-worker demo`: show the whole system on one machine. S3 and SQS run in this process; the daemon is the real one."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from worker.core.base.errors import ExitCode, WorkerError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.text import escaped, scrub
from worker.core.clients import Clients
from worker.core.s3.events import ObjectRef, parse
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.queue import MAX_BATCH
from worker.demo import console, mishaps, pages, processes
from worker.demo.files import Upload, gather
from worker.demo.own_index import INDEX_NAME, OwnIndex
from worker.demo.questions import questions
from worker.demo.stage import BUCKET, account, kept_index

STALLED_S = 90
"""If no message is settled for this long, something is wrong: it exceeds the time limit of a file (EXTRACT_TIMEOUT_S)."""
EMPTY_POLL_S = 0.1
HIDDEN_S = 60
"""For this long, a dead letter that is read is hidden, so that it is received only once."""
PIPE_WIDTH = 120
"""Number of columns to assume in a pipe, where rich would fold the table at 80."""


def show(folder: Path | None, *, keep: bool = False) -> int:
    """Index the files of a folder, by default the samples, and show the results. Returns the exit code.

    The index is removed at the end, unless it is to be kept. Raises ConfigError if there is no file to show, or if the demo's
    index holds documents of others, IndexUnavailableError if the index that the user has set does not answer, and WorkerError
    with the end of the daemon's log if the daemon fails.
    """
    upload = gather(folder)
    has_reader = console.has_reader()
    out = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    with (
        processes.ended_by_signals(),
        TemporaryDirectory(prefix="s3-index-worker-demo-") as temp,
        account(Path(temp), Path.cwd() if keep else None) as (clients, own),
        _removed_at_the_end(own, keep=keep),
    ):
        with _removed_if_it_fails(own):
            pages.introduce(out, upload, clients.index.description)
            asked = _work(out, clients, own, upload, Path(temp), is_samples=folder is None)
            failed = _show_recovery(out, clients, None if folder else upload)
            pages.show_next(out, kept_in=own.file or INDEX_NAME if keep else None, question=asked)
        if has_reader:
            _show_console(out, clients, upload, failed, Path(temp))
    return ExitCode.OK


def _work(out: Console, clients: Clients, own: OwnIndex, upload: Upload, temp: Path, *, is_samples: bool) -> str:
    """Let the daemon index the files, and show what it did and what is found. Returns a search that finds something."""
    started = time.monotonic()
    with _running(temp / "worker.log") as daemon:
        _upload_and_follow(clients, daemon, upload)
        took_s = time.monotonic() - started
        keys = [upload.key(file) for file in upload.files]
        settled = {key: daemon.settled[escaped(key)] for key in keys}
        clients.index.refresh()
        found = {hit.key: hit.fields for hit in clients.index.search(f"bucket:{BUCKET}", limit=len(keys)).hits}
        documents = {key: found.get(key) or found.get(scrub(key)) for key in keys}
        pages.show_files(out, settled, {key: fields for key, fields in documents.items() if fields}, took_s)
        asked = pages.QUESTIONS if is_samples else questions(own.texts(), keys, clients.index.search)
        pages.show_searches(out, clients.index, asked)
        if own.file:
            pages.show_outage(out, *mishaps.outage(clients, own.file, daemon.follow))
            pages.show_searches(out, clients.index, [mishaps.QUESTION])
        daemon.stop()
    return asked[0] if asked else mishaps.QUESTION


@contextmanager
def _removed_at_the_end(own: OwnIndex, *, keep: bool) -> Iterator[None]:
    """Begin with an empty index, and remove it however the demo ends, unless it is to be kept."""
    own.clear(BUCKET)
    try:
        yield
    finally:
        if not keep:
            own.clear(BUCKET)


@contextmanager
def _removed_if_it_fails(own: OwnIndex) -> Iterator[None]:
    """Remove the index where the demo has not come to its end; then there is nothing to be kept."""
    try:
        yield
    except BaseException:
        with suppress(WorkerError):  # what has gone wrong is said already
            own.clear(BUCKET)
        raise


def search_kept(question: str) -> int:
    """Search the index that an earlier demo has kept. Returns the exit code. Raises IndexUnavailableError and ConfigError."""
    with kept_index(Path.cwd()) as (index, _):
        found = pages.show_hits(Console(soft_wrap=not sys.stdout.isatty()), index, question)
    return ExitCode.OK if found else ExitCode.NOT_FOUND


def remove_kept() -> int:
    """Remove what an earlier demo has kept. Returns the exit code. Raises IndexUnavailableError and ConfigError."""
    with kept_index(Path.cwd()) as (index, own):
        was_there = own.clear(BUCKET)
        Console().print(Text(f"{'removed' if was_there else 'nothing to remove'}: {index.description}"), soft_wrap=True)
    return ExitCode.OK if was_there else ExitCode.NOT_FOUND


def _show_recovery(out: Console, clients: Clients, samples: Upload | None) -> list[str]:
    """Show the dead letters and the run of recover_dlq; with the samples, the broken file is replaced first.

    Returns the keys of what had failed.
    """
    dead_letters = _dead_letters(clients)
    pages.show_dead_letters(out, dead_letters)
    if not dead_letters:
        return []
    if samples is not None:
        good = next(file for file in samples.files if file.suffix == ".pdf" and samples.key(file) != dead_letters[0][0])
        mishaps.replace(clients, dead_letters[0][0], good)
        pages.show_mended(out, samples.key(good))
    pages.show_command(out, "recover_dlq", mishaps.recover())
    return [key for key, _ in dead_letters]


def _show_console(out: Console, clients: Clients, upload: Upload, failed: list[str], temp: Path) -> None:
    """Show the console until Enter is pressed, while the daemon runs, and what had failed fails once more."""
    if (missing := console.missing()) is not None:
        pages.show_no_console(out, missing)
        return
    with console.serving(temp) as manager, _running(temp / "console-worker.log") as daemon:
        broken = {key: file for file in upload.files if (key := upload.key(file)) in failed}
        count = mishaps.fail_again(clients, broken, daemon.follow, daemon.settled)
        pages.show_console(out, manager.address(), count)
        manager.wait_for_enter(daemon.follow)
        out.print("stopping")
        manager.stop()
        daemon.stop()


class Daemon:
    """`python -m worker run` as a child process, and the contents of its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.settled: dict[str, JsonObject] = {}
        """The last settlement of each key, which is escaped in the log: `outcome` and `note` as logged."""
        self._process = process
        self._log = log
        self._read_bytes = 0

    def follow(self) -> None:
        """Read the new lines of the log. Raises WorkerError if the daemon has ended by itself."""
        ended = self._process.poll() is not None
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            whole, _, _ = log.read().rpartition(b"\n")
        self._read_bytes += len(whole) + bool(whole)
        for line in whole.splitlines():
            self._note(line)
        if ended:
            raise self.failure(f"the worker ended with exit code {self._process.returncode}")

    def stop(self) -> None:
        """Send SIGTERM, upon which it drains and exits. Raises WorkerError if it does not."""
        self._process.terminate()
        try:
            code = self._process.wait(processes.STOP_S)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the worker did not stop within {processes.STOP_S} s") from None
        if code != ExitCode.OK:
            raise self.failure(f"the worker ended with exit code {code}")

    def failure(self, what: str) -> WorkerError:
        """An error that shows the end of the log."""
        return processes.failure(what, self._log)

    def _note(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return  # a line from the interpreter, not a log event; failure() shows it
        if event.get("event") == "message.settled" and event.get("bucket") == BUCKET and event["outcome"] != "release":
            self.settled[event["key"]] = event


@contextmanager
def _running(log: Path) -> Iterator[Daemon]:
    with processes.running("worker", "run", log=log) as process:
        yield Daemon(process, log)


def _upload_and_follow(clients: Clients, daemon: Daemon, upload: Upload) -> None:
    """Upload while the daemon starts, and wait until every file's message is settled."""
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress,
        closing(clients.aws.s3()) as s3,
    ):
        bar = progress.add_task("uploading", total=len(upload.files))
        for file in upload.files:
            with file.open("rb") as body:
                s3.put_object(Bucket=BUCKET, Key=upload.key(file), Body=body)
            daemon.follow()
            progress.update(bar, completed=len(daemon.settled))
        progress.update(bar, description="settled")
        last_settled_at = time.monotonic()
        names = {escaped(upload.key(file)) for file in upload.files}
        while not daemon.settled.keys() >= names:
            time.sleep(EMPTY_POLL_S)
            before = len(daemon.settled)
            daemon.follow()
            progress.update(bar, completed=len(daemon.settled))
            if len(daemon.settled) > before:
                last_settled_at = time.monotonic()
            elif time.monotonic() - last_settled_at > STALLED_S:
                raise daemon.failure(f"the worker has settled nothing for {STALLED_S} s")


def _dead_letters(clients: Clients) -> list[tuple[str, FailureRecord]]:
    """The key and failure record of every message in the DLQ; each message is released afterwards."""
    found, receipts = [], []
    while messages := clients.dlq.receive(wait_s=0, visibility_s=HIDDEN_S):
        for message in messages:
            keys = [item.key for item in parse(message.body, default_bucket=None) if isinstance(item, ObjectRef)]
            found.append((", ".join(keys), FailureRecord.of(message.attributes) or FailureRecord()))
            receipts.append((message.receipt, 0))
    for start in range(0, len(receipts), MAX_BATCH):
        clients.dlq.change_visibility(receipts[start : start + MAX_BATCH])
    return found

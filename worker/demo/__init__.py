"""`s3-index-worker demo`: show the whole system on one machine. S3 and SQS run in this process; the daemon is the real one."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

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
from worker.demo import mishaps, pages
from worker.demo.files import Upload, gather
from worker.demo.own_index import INDEX_NAME, OwnIndex
from worker.demo.questions import questions
from worker.demo.stage import BUCKET, account, kept_index

STALLED_S = 90
"""If no message is settled for this long, something is wrong: it exceeds the time limit of a file (EXTRACT_TIMEOUT_S)."""
STOP_S = 30
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
    out = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    with (
        _ended_by_signals(),
        TemporaryDirectory(prefix="s3-index-worker-demo-") as temp,
        account(Path(temp), Path.cwd() if keep else None) as (clients, own),
        _removed_at_the_end(own, keep=keep),
    ):
        pages.introduce(out, upload, clients.index.description)
        asked = _work(out, clients, own, upload, Path(temp), is_samples=folder is None)
        _show_recovery(out, clients, None if folder else upload)
    pages.show_next(out, kept_in=own.file or INDEX_NAME if keep else None, question=asked)
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
    """Begin with an empty index, and remove it however the demo ends; if it is to be kept, only if the demo fails."""
    own.clear(BUCKET)
    try:
        yield
    except BaseException:
        with suppress(WorkerError):  # what has gone wrong is said already
            own.clear(BUCKET)
        raise
    if not keep:
        own.clear(BUCKET)


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


def _show_recovery(out: Console, clients: Clients, samples: Upload | None) -> None:
    """Show the dead letters and the run of recover_dlq; with the samples, the broken file is replaced first."""
    dead_letters = _dead_letters(clients)
    pages.show_dead_letters(out, dead_letters)
    if not dead_letters:
        return
    if samples is not None:
        good = next(file for file in samples.files if file.suffix == ".pdf" and samples.key(file) != dead_letters[0][0])
        mishaps.replace(clients, dead_letters[0][0], good)
        pages.show_mended(out, samples.key(good))
    pages.show_command(out, "recover_dlq", mishaps.recover())


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
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the worker did not stop within {STOP_S} s") from None
        if code != ExitCode.OK:
            raise self.failure(f"the worker ended with exit code {code}")

    def failure(self, what: str) -> WorkerError:
        """An error that shows the end of the log."""
        tail = self._log.read_text(errors="replace").splitlines()[-15:]
        return WorkerError("\n".join([f"{what}; its log ends:", *tail]))

    def _note(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return  # a line from the interpreter, not a log event; failure() shows it
        if event.get("event") == "message.settled" and event.get("bucket") == BUCKET and event["outcome"] != "release":
            self.settled[event["key"]] = event


@contextmanager
def _running(log: Path) -> Iterator[Daemon]:
    process: subprocess.Popen[bytes] | None = None
    try:
        with (
            log.open("wb") as lines,
            _signals_wait(),
        ):  # one that came between fork and return would leave the daemon behind
            process = subprocess.Popen([sys.executable, "-m", "worker", "run"], stdout=lines, stderr=lines)
        yield Daemon(process, log)
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP end the demo in such a way that everything is cleaned up."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handled_by(end):
        yield


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let signals take effect only at the end of this context."""
    came: list[int] = []
    try:
        with _handled_by(lambda number, _frame: came.append(number)):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle the signals that end a program in this way within this context."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)

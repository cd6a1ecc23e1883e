"""The commands of `s3-index-worker`. Results go to stdout, messages to stderr."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from worker import notifications
from worker.budget import budget
from worker.checks import Check
from worker.core.base import logs
from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError, DependencyError, ExitCode
from worker.core.base.events import LogEvent
from worker.core.base.settings import Settings, load
from worker.core.base.settings_model import load_as
from worker.core.base.text import printable
from worker.core.clients import Clients, connect
from worker.core.sqs.queue import SqsQueue
from worker.forget import forget
from worker.index_request import index
from worker.pausing import pause, resume
from worker.preflight import check_all, dlq_max_bytes
from worker.render import show_checks
from worker.search import SearchCommand, search
from worker.terminal import (
    Json,
    agreed,
    err,
    load_for_command,
    new_app,
    require_bucket_name,
    run_app,
    stdout,
)  # fmt: skip

app = new_app(
    "s3-index-worker",
    "Turns S3 events into searchable documents. Settings come from the environment: see docs/reference/settings.md.",
    no_args_is_help=True,
)


def main() -> None:
    """Run a command; an error is shown as a sentence on stderr and an exit code."""
    run_app(app)


@app.command(epilog="Example: s3-index-worker run")
def run() -> None:
    """Process messages until SIGTERM or SIGINT; a second signal exits at once. Exit codes: 0, 69, 70, 78, 130."""
    settings = load()
    logs.configure(level=settings.log_level, form=settings.log_format)
    clients = connect(settings)
    largest = _preflight(settings, clients)
    from worker.daemon import Daemon  # takes time to load, and no other command needs it

    code = Daemon(settings, clients, dlq_max_bytes=largest).run()
    sys.stderr.flush()
    os._exit(code)  # a normal exit would wait for every thread, and one of them may be stuck


app.command(
    cls=SearchCommand,
    epilog="Examples: s3-index-worker search 東京都 | s3-index-worker search quarterly forecast ext:pdf --json | "
    "s3-index-worker search '\"quarterly forecast\"' -draft 'size:>1mb'",
)(search)


app.command(
    epilog="Examples: s3-index-worker index GET /_cluster/health | "
    "s3-index-worker index PUT /_plugins/_security/api/roles/s3-index-worker --data - < config/opensearch/role.json"
)(index)


@app.command(
    epilog="Examples: s3-index-worker doctor our-files | s3-index-worker doctor --json | jq '.[] | select(.level != \"ok\")'"
)
def doctor(
    buckets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BUCKET",
            help="Buckets of files to read from. Without them: S3_BUCKET and those that the queue's policy allows to notify it.",
        ),
    ] = None,
    bucket: Annotated[list[str] | None, typer.Option(help="The same, as an option; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Check every dependency and permission, and say what to do about each failure. Exit codes: 0, 1 if a check failed."""
    named = [*(buckets or ()), *(bucket or ())]
    for name in named:
        require_bucket_name(name)
    settings = load_for_command()
    checks = []
    with err.status("checking …"):
        checks = list(check_all(settings, connect(settings), thorough=True, buckets=named))
    raise typer.Exit(show_checks(checks, as_json=as_json))


@app.command(epilog="Examples: s3-index-worker status | s3-index-worker status --json | jq -r .summary")
def status(as_json: Json = False) -> None:
    """Say whether anything is wrong: queues, dead letters, retry-index/, workers, pause, breakers, lag, budgets, a reindex.

    It changes nothing, receives nothing, and takes 15 s at most. Exit codes: 0 nothing is wrong, 1 something is, 69 a part
    could not be read, 78.
    """
    from worker.status.screen import show_status  # no other command needs it

    raise typer.Exit(show_status(as_json=as_json))


app.command(epilog="Example: s3-index-worker pause --reason 'index upgrade' --for 30m")(pause)
app.command(epilog="Examples: s3-index-worker resume | s3-index-worker resume --let-fail 1h")(resume)


app.command(
    epilog="Examples: s3-index-worker budget --json | s3-index-worker budget --raise objects=20000 "
    "--raise s3://our-files/scans/:dollars=5"
)(budget)


@app.command(
    epilog="Examples: s3-index-worker connect-bucket our-files --dry-run | "
    "s3-index-worker connect-bucket our-files --prefix legal/ --yes"
)
def connect_bucket(
    bucket: Annotated[str, typer.Argument(help="The bucket that should notify SQS_QUEUE_URL.")],
    prefix: Annotated[str, typer.Option(help="Only for keys with this prefix.")] = "",
    suffix: Annotated[str, typer.Option(help="Only for keys with this suffix.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, but change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Add the queue to a bucket's notifications and keep all others; shows the difference and asks first.

    Exit codes: 0 done or nothing to do, 3 declined, 64, 69, 78 refused.
    """
    require_bucket_name(bucket)
    settings = load_as(notifications.ConnectSettings)
    aws = Aws(region=settings.aws_region, connections=1)
    s3, wanted = aws.s3(), notifications.KeyFilter(prefix, suffix)
    present = notifications.read(s3, bucket)
    queue = SqsQueue(aws.sqs(settings.sqs_queue_url), settings.sqs_queue_url)
    to_be = notifications.merged(present, notifications.queue_arn(queue), wanted)
    shown = notifications.difference(present, to_be)
    if not shown:
        err.print("nothing to do: the bucket already notifies the queue")
        return
    stdout().print(Text(printable(shown)), soft_wrap=True)
    if dry_run:
        err.print("dry run: nothing was changed")
        return
    if not yes and not agreed(f"Change the notifications of {bucket}?"):
        err.print("nothing was changed")
        raise typer.Exit(ExitCode.INCOMPLETE)
    notifications.write(s3, bucket, present, to_be)
    err.print("done: S3 sends a test event to the queue, which the worker skips")


app.command(
    epilog="Examples: s3-index-worker forget s3://our-old-files --dry-run | s3-index-worker forget s3://our-files/2019/ --yes"
)(forget)


@app.command(epilog="Examples: s3-index-worker demo | s3-index-worker demo ~/Documents | s3-index-worker demo --keep")
def demo(
    folder: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, help="A folder of files to index. Default: samples.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the index, and say how to search and remove it.")] = False,
    search: Annotated[str | None, typer.Option(help="Search the index that was kept.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the index that was kept.")] = False,
) -> None:
    """Show how it works: S3 and SQS in this process, a folder of files, the real daemon, searches. Needs no account.

    With INDEX_URL, the documents go to an index of the demo's own there, s3-index-worker-demo; no other index is touched.
    """
    if sum((keep or folder is not None, search is not None, remove)) > 1:
        raise typer.BadParameter("cannot be combined", param_hint="--search, --remove, and a FOLDER or --keep")
    from worker import demo as stage  # moto takes a second to load

    if remove:
        raise typer.Exit(stage.remove_kept())
    raise typer.Exit(stage.show(folder, keep=keep) if search is None else stage.search_kept(search))


def _preflight(settings: Settings, clients: Clients) -> int:
    """Check everything and return the DLQ's message limit. Raises ConfigError or DependencyError with all faults."""
    wrong: list[Check] = []
    for check in check_all(settings, clients, thorough=False):
        level: logs.Level = "info" if check.level == "ok" else check.level
        logs.emit(
            LogEvent.PREFLIGHT_CHECK, level, name=check.name, what=check.what, hint=check.hint, took_ms=check.took_ms
        )
        if check.fatal:
            wrong.append(check)
    sentences = "\n".join(f"{check.name}: {check.what}. {check.hint}" for check in wrong)
    if any(check.fatal == "config" for check in wrong):
        raise ConfigError(sentences)
    if wrong:
        raise DependencyError(sentences)
    return dlq_max_bytes(clients)


if __name__ == "__main__":
    main()
